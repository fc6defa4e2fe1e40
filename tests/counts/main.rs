//! Counts what a request allocates, because counts do not depend on how busy the machine is.
//! `tests/instructions` counts the instructions of a merge, and `tests/gateway/writes.rs` counts writes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and waits where it must"
)]

mod allocations;
mod requests;
mod server;

#[allow(dead_code, reason = "other test binaries use the rest")]
#[path = "../gateway/harness/picture.rs"]
mod picture;
#[allow(dead_code, reason = "other test binaries use the rest")]
#[path = "../gateway/harness/wait.rs"]
mod wait;

/// Counts allocations while a profiler exists.
#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;
