//! A gateway makes no paid call if its Redis may evict keys, because the account could be evicted.

use crate::common::{ready, setup, small, until_off, until_paid};
use crate::fakes::algorithmia::Algorithmia;
use crate::harness::Server;
use crate::redis::Redis;

const BUDGET: &str = "[budgets.small]\nscope = \"all\"\ncredits = 100\n";

/// The number of log lines that contain these words.
fn lines(server: &Server, words: &str) -> usize {
    server.said().lines().filter(|line| line.contains(words)).count()
}

#[test]
fn no_paid_calls_while_redis_may_evict_keys() {
    let (redis, fake) = (Redis::start(), Algorithmia::start());
    redis.tell("CONFIG SET maxmemory 20mb");
    redis.tell("CONFIG SET maxmemory-policy allkeys-lru");
    let server = setup(&redis, &fake, BUDGET).start();
    let said = ready(&server, "paid_providers_are_off");
    for words in ["maxmemory-policy", "allkeys-lru", "noeviction", &redis.url()] {
        assert!(said.contains(words), "the first response lacks {words}: {said}");
    }
    (0..5).for_each(|seed| assert_ne!(server.colorize(&small(seed)).status, 200));
    assert_eq!(fake.calls(), 0);
    assert_eq!(ready(&server, "replicas_are_on_their_own"), "", "rate limits are still shared");
    assert_eq!(server.metric("pixcolor_redis_up"), 1.0);
    assert_eq!(lines(&server, "allkeys-lru"), 1, "{}", server.said());

    redis.tell("CONFIG SET maxmemory-policy noeviction");
    until_paid(&server);
    assert_eq!(server.colorize(&small(10)).status, 200);

    // The gateway refuses even before the periodic check has seen the change.
    redis.tell("CONFIG SET maxmemory-policy volatile-ttl");
    assert_ne!(server.colorize(&small(11)).status, 200);
    assert_eq!(fake.calls(), 1);
    assert!(ready(&server, "paid_providers_are_off").contains("volatile-ttl"));
    redis.tell("CONFIG SET maxmemory 0");
    until_paid(&server);
    assert_eq!((server.colorize(&small(11)).status, fake.calls()), (200, 2));
    // The periodic check notices the change without any request.
    redis.tell("CONFIG SET maxmemory 20mb");
    until_off(&server, "volatile-ttl");
}

#[test]
fn the_settings_of_redis_are_checked_again_after_a_restart() {
    let (mut redis, fake) = (Redis::start(), Algorithmia::start());
    let server = setup(&redis, &fake, BUDGET).start();
    assert_eq!(server.colorize(&small(1)).status, 200);
    redis.stop();
    redis.set("--maxmemory 20mb --maxmemory-policy allkeys-random");
    redis.start_again();
    for seed in 10..20 {
        assert_ne!(server.colorize(&small(seed)).status, 200);
    }
    until_off(&server, "allkeys-random");
    assert_eq!(fake.calls(), 1);
}

#[test]
fn readyz_names_the_permission_to_read_settings_if_the_redis_user_lacks_it() {
    let (redis, fake) = (Redis::start(), Algorithmia::start());
    // The permissions that a gateway needs according to docs/replicas.md, but without `+info`.
    redis.tell(
        "ACL SETUSER gateway on >swordfish ~pixcolor:* +@read +@write +@scripting +@transaction +@fast +@connection -info",
    );
    let server = setup(&redis, &fake, BUDGET)
        .env("PIXCOLOR_SHARED__REDIS", redis.url().replace("//", "//gateway@"))
        .env("PIXCOLOR_SHARED__PASSWORD", "{ env = \"MY_PASSWORD\" }")
        .env("MY_PASSWORD", "swordfish")
        .start();
    assert!(ready(&server, "paid_providers_are_off").contains("+info"), "{}", server.said());
    assert_eq!(ready(&server, "replicas_are_on_their_own"), "");
    assert_ne!(server.colorize(&small(1)).status, 200);
    assert_eq!(fake.calls(), 0);
    redis.tell("ACL SETUSER gateway +info");
    until_paid(&server);
    assert_eq!((server.colorize(&small(1)).status, fake.calls()), (200, 1));
}
