//! Several gateways as one service, with a real `redis-server` and a real nginx in front.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::float_cmp,
    reason = "a test fails by panicking, and waits where it must"
)]

#[path = "../fakes/mod.rs"]
mod fakes;
#[allow(dead_code)]
#[path = "../gateway/harness/mod.rs"]
mod harness;
#[path = "../servers/redis.rs"]
mod redis;
#[allow(dead_code, reason = "other test binaries use the rest")]
#[path = "../servers/s3.rs"]
mod s3;

mod common;
mod eviction;
mod flights;
mod limits;
mod loss;
mod money;
mod outages;
mod refusals;
mod store;
