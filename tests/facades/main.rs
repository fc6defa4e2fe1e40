//! Other services' clients, unmodified, with the real binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::float_cmp,
    dead_code,
    reason = "a test fails by panicking and may wait; no test binary uses all shared helpers"
)]

#[path = "../fakes/mod.rs"]
mod fakes;
#[path = "../gateway/harness/mod.rs"]
mod harness;

mod algorithmia;
mod openai;
