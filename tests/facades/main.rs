//! Other services' own clients, against the real binary.

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

mod algorithmia;
mod openai;
