//! Tests of the page: a real Chromium and a real WebKit, controlled over WebDriver, with the real binary.
//!
//! Most tests end with `Page::finish`, which fails for unexpected console messages and for requests to other servers.
//! `PIXCOLOR_TEST_OUTPUT` names a folder for screenshots.

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

mod axe;
mod batch;
mod docs;
mod driver;
mod lighthouse;
mod looks;
mod memory;
mod money;
mod network;
mod offline;
mod page;
mod pictures;
mod processes;
mod sites;
mod trouble;
mod using;
mod webkit;
mod zoom;
