//! Tests of the API description: the OpenAPI document, schemathesis, and the examples in `docs/api.md`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    dead_code,
    reason = "a test fails by panicking and may wait; no test binary uses all shared helpers"
)]

#[path = "../fakes/mod.rs"]
mod fakes;
#[path = "../gateway/harness/mod.rs"]
mod harness;

mod document;
mod examples;
