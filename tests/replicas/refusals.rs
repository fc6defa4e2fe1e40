//! Redis answers but refuses writes: every response of `/readyz` reports it.

use std::time::{Duration, Instant};

use crate::common::{ready, setup, small, until, until_off, until_paid};
use crate::fakes::algorithmia::Algorithmia;
use crate::harness::Server;
use crate::redis::Redis;

const BUDGET: &str = "[budgets.small]\nscope = \"all\"\ncredits = 100\n";
const KEYS: [&str; 2] = ["paid_providers_are_off", "replicas_are_on_their_own"];

/// Requests `/readyz` repeatedly, with read-only and writing requests in between.
#[track_caller]
fn readyz_always_names(server: &Server, code: &str) {
    until_off(server, code);
    let start = Instant::now();
    let (mut requests, mut seed) = (0, 1000);
    while start.elapsed() < Duration::from_secs(5) || requests < 40 {
        for key in KEYS {
            let said = ready(server, key);
            assert!(said.contains(code), "response {requests} has under {key}: {said:?}");
        }
        assert_eq!(server.metric("pixcolor_redis_up"), 0.0, "response {requests}");
        match requests % 3 {
            0 => drop(server.get("/v1/usage")),
            1 => assert_ne!(server.colorize(&small(seed)).status, 200),
            _ => drop(server.get("/v1/quota")),
        }
        (requests, seed) = (requests + 1, seed + 1);
    }
    let warnings = server.said();
    let warnings = warnings.lines().filter(|line| line.contains("\"pixcolor::shared\""));
    assert_eq!(warnings.filter(|line| line.contains(code)).count(), 1, "the log must say it once");
}

/// A gateway whose Redis refuses writes after `breaks` and accepts them again after `mends`.
#[track_caller]
fn refuses(code: &str, breaks: impl Fn(&Redis), mends: impl Fn(&Redis)) {
    let (redis, fake) = (Redis::start(), Algorithmia::start());
    let server = setup(&redis, &fake, BUDGET).start();
    assert_eq!(server.colorize(&small(1)).status, 200);
    breaks(&redis);
    readyz_always_names(&server, code);
    assert_eq!(fake.calls(), 1);
    mends(&redis);
    until_paid(&server);
    until(Duration::from_secs(10), "Redis is up", || server.metric("pixcolor_redis_up") == 1.0);
    assert_eq!(ready(&server, KEYS[1]), "");
    assert_eq!((server.colorize(&small(2)).status, fake.calls()), (200, 2));
}

#[test]
fn readyz_always_reports_a_redis_that_became_a_replica() {
    refuses("READONLY", |redis| redis.tell("REPLICAOF 127.0.0.1 1"), |redis| redis.tell("REPLICAOF NO ONE"));
}

#[test]
fn readyz_always_reports_a_redis_without_enough_replicas() {
    let set = |redis: &Redis, count: u8| redis.tell(&format!("CONFIG SET min-replicas-to-write {count}"));
    refuses("NOREPLICAS", |redis| set(redis, 1), |redis| set(redis, 0));
}

#[test]
fn readyz_always_reports_a_full_redis() {
    let set = |redis: &Redis, most: &str| redis.tell(&format!("CONFIG SET maxmemory {most}"));
    refuses("OOM", |redis| set(redis, "1"), |redis| set(redis, "0"));
}

#[test]
fn readyz_always_reports_a_redis_that_cannot_write_to_disk() {
    refuses(
        "MISCONF",
        |redis| {
            // A folder with the name of the file makes saving fail.
            std::fs::create_dir(redis.folder().join("dump.rdb")).unwrap();
            let mut connection = ::redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
            ::redis::cmd("CONFIG").arg("SET").arg("save").arg("3600 1000000").exec(&mut connection).unwrap();
            redis.tell("BGSAVE");
        },
        |redis| redis.tell("CONFIG SET stop-writes-on-bgsave-error no"),
    );
}

#[test]
fn readyz_always_reports_a_redis_user_without_write_permission() {
    refuses(
        "NOPERM",
        |redis| redis.tell("ACL SETUSER default -@scripting"),
        |redis| redis.tell("ACL SETUSER default +@all"),
    );
}

#[test]
fn a_gateway_recovers_when_a_wrong_password_is_corrected() {
    let (redis, fake) = (Redis::start(), Algorithmia::start());
    redis.tell("ACL SETUSER gateway on >other ~* &* +@all");
    let server = setup(&redis, &fake, BUDGET)
        .env("PIXCOLOR_SHARED__REDIS", redis.url().replace("//", "//gateway@"))
        .env("PIXCOLOR_SHARED__PASSWORD", "{ env = \"MY_PASSWORD\" }")
        .env("MY_PASSWORD", "swordfish")
        .start();
    assert_ne!(server.colorize(&small(1)).status, 200);
    assert!(KEYS.iter().all(|key| !ready(&server, key).is_empty()));
    redis.tell("ACL SETUSER gateway >swordfish");
    until_paid(&server);
    assert_eq!((server.colorize(&small(1)).status, fake.calls()), (200, 1));
}
