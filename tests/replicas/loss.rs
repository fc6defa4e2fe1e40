//! Redis has lost the account: gateways that knew it make no paid calls until an operator accepts the loss.

use std::path::Path;

use crate::common::{ready, setup, small, until_off, until_paid};
use crate::fakes::algorithmia::Algorithmia;
use crate::harness::{Server, Setup};
use crate::redis::Redis;

const BUDGET: &str = "[budgets.small]\nscope = \"all\"\ncredits = 100\n";
const ACCEPT: [&str; 2] = ["ledger", "accept-loss"];

fn gateway(redis: &Redis, fake: &Algorithmia) -> Setup {
    let setup = setup(redis, fake, BUDGET);
    let state = setup.path("state");
    setup.env("PIXCOLOR_STATE_DIR", state)
}

/// Runs `pixcolor ledger accept-loss` with this gateway's configuration.
#[track_caller]
fn accept_loss(server: &Server) -> String {
    let output = crate::harness::server::pixcolor(&server.path(""))
        .env("PIXCOLOR_STATE_DIR", server.path("state"))
        .args(ACCEPT)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The epoch in a gateway's state folder.
fn stored_epoch(state: &Path) -> String {
    std::fs::read_to_string(state.join("redis-epoch")).unwrap().trim().to_owned()
}

#[test]
fn after_a_flush_gateways_that_knew_the_account_pay_nothing_until_the_loss_is_accepted() {
    let (redis, fake) = (Redis::start(), Algorithmia::start());
    let [one, mut other] = [(); 2].map(|()| gateway(&redis, &fake).start());
    assert_eq!(stored_epoch(&one.path("state")), redis.ask::<String>("GET pixcolor:epoch"));
    assert_eq!(
        stored_epoch(&one.path("state")),
        stored_epoch(&other.path("state")),
        "a new replica adopts the epoch"
    );
    assert_eq!(one.colorize(&small(1)).status, 200);
    assert_eq!(other.colorize(&small(2)).status, 200);
    redis.tell("FLUSHALL");
    // The gateways refuse even before the periodic check has noticed the loss.
    for seed in 10..15 {
        assert_ne!(one.colorize(&small(seed)).status, 200);
        assert_ne!(other.colorize(&small(seed)).status, 200);
    }
    assert_eq!(fake.calls(), 2);
    for server in [&one, &other] {
        assert!(ready(server, "paid_providers_are_off").contains("pixcolor ledger accept-loss"));
        assert_eq!(ready(server, "replicas_are_on_their_own"), "");
        let errors = server.said().lines().filter(|line| line.contains("accept-loss")).count();
        assert_eq!(errors, 1, "{}", server.said());
    }
    // A restarted gateway still refuses.
    other.terminate();
    let other = other.start_again();
    assert!(ready(&other, "paid_providers_are_off").contains("pixcolor ledger accept-loss"));
    assert_ne!(other.colorize(&small(20)).status, 200);

    let said = accept_loss(&one);
    assert!(said.contains(&redis.url()), "{said}");
    until_paid(&one);
    assert_eq!(one.colorize(&small(30)).status, 200);
    accept_loss(&other);
    until_paid(&other);
    assert_eq!((other.colorize(&small(31)).status, fake.calls()), (200, 4));
    assert_eq!(stored_epoch(&one.path("state")), stored_epoch(&other.path("state")));
    assert_eq!(
        one.metric("pixcolor_budget_spent_credits{budget=\"small\"}"),
        4.0,
        "the new account counts only later calls"
    );
    // Without a loss the command changes nothing.
    let epoch = stored_epoch(&one.path("state"));
    accept_loss(&one);
    assert_eq!((stored_epoch(&one.path("state")), redis.ask("GET pixcolor:epoch")), (epoch.clone(), epoch));
}

#[test]
fn a_redis_with_lost_or_foreign_data_is_noticed() {
    let (mut redis, fake) = (Redis::start(), Algorithmia::start());
    redis.stop();
    redis.set("--appendonly no");
    redis.start_again();
    let server = gateway(&redis, &fake).start();
    assert_eq!(server.colorize(&small(1)).status, 200);
    redis.stop();
    redis.start_again();
    until_off(&server, "accept-loss");
    assert_ne!(server.colorize(&small(2)).status, 200);
    // A replica without an epoch starts a new account, which differs from the account that the first gateway knew.
    let new = gateway(&redis, &fake).start();
    assert_eq!(new.colorize(&small(3)).status, 200);
    until_off(&server, "accept-loss");
    assert_ne!(server.colorize(&small(4)).status, 200);
    assert_eq!(fake.calls(), 2);
    accept_loss(&server);
    until_paid(&server);
    assert_eq!((server.colorize(&small(4)).status, fake.calls()), (200, 3));
    assert_eq!(stored_epoch(&server.path("state")), stored_epoch(&new.path("state")));
    // A gateway notices in the same way that its Redis was replaced by an empty one.
    let empty = Redis::start();
    let folder = server.path("");
    drop(server);
    let moved = gateway(&empty, &fake).file("state/redis-epoch", redis.ask::<String>("GET pixcolor:epoch"));
    assert!(ready(&moved.start(), "paid_providers_are_off").contains("accept-loss"), "{folder:?}");
}

#[test]
fn an_account_of_an_older_version_is_adopted_and_a_damaged_epoch_file_is_an_error() {
    let (redis, fake) = (Redis::start(), Algorithmia::start());
    let mut server = gateway(&redis, &fake).start();
    assert_eq!(server.colorize(&small(1)).status, 200);
    server.terminate();
    redis.tell("DEL pixcolor:epoch");
    std::fs::remove_file(server.path("state/redis-epoch")).unwrap();
    let mut server = server.start_again();
    assert_eq!(server.colorize(&small(2)).status, 200);
    assert_eq!(server.metric("pixcolor_budget_spent_credits{budget=\"small\"}"), 4.0);
    server.terminate();
    let right = stored_epoch(&server.path("state"));
    std::fs::write(server.path("state/redis-epoch"), "").unwrap();
    let server = server.start_again();
    assert!(ready(&server, "paid_providers_are_off").contains("redis-epoch"), "{}", server.said());
    assert_ne!(server.colorize(&small(3)).status, 200);
    accept_loss(&server);
    until_paid(&server);
    assert_eq!((stored_epoch(&server.path("state")), fake.calls()), (right, 2));
}

#[test]
fn a_gateway_without_a_state_folder_makes_paid_calls_and_notices_a_loss_while_running() {
    let (redis, fake) = (Redis::start(), Algorithmia::start());
    let setup = gateway(&redis, &fake).file("state", "not a folder");
    let server = setup.start();
    assert_eq!(server.colorize(&small(1)).status, 200);
    let warned = server.said().lines().filter(|line| line.contains("redis-epoch")).count();
    assert_eq!(warned, 1, "{}", server.said());
    redis.tell("FLUSHALL");
    assert_ne!(server.colorize(&small(2)).status, 200);
    assert_eq!(fake.calls(), 1);
}
