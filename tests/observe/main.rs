//! What an operator sees of the real binary: metrics, and how Prometheus and the dashboard use them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    dead_code,
    reason = "a test fails by panicking, and waits where it must; not every shared helper is used here"
)]

#[path = "../fakes/mod.rs"]
mod fakes;
#[path = "../gateway/harness/mod.rs"]
mod harness;

mod access;
mod dashboard;
mod panics;
mod prometheus;
mod rules;
mod series;
mod traffic;
