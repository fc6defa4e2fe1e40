//! Drives the real binary over HTTP and on the command line, as its users do. One file a feature.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and waits where it must"
)]

mod harness;

mod admin;
mod bodies;
mod cli;
mod colorize;
mod configuration;
mod facts;
mod limits;
mod onnx;
mod proxies;
mod quota;
mod readme;
