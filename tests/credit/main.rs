//! Tests of the ledgers: a conformance suite that every implementation must pass, and tests of the ledger file and of
//! the ledger in Redis.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod common;
mod conformance;
mod files;
mod killed;
mod lost;
#[path = "../servers/redis.rs"]
mod redis;
mod schedules;
mod shared;

#[tokio::test]
async fn a_file_conforms() {
    let folder = common::folder();
    conformance::run(|name, clock| Box::new(common::open(&folder.path().join(name), clock))).await;
}
