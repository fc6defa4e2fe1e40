//! Uses the page as people do: a real Chromium, driven over WebDriver, in front of the real binary.
//!
//! Every test ends with `Page::finish`: nothing unexpected on the console, and no request to anywhere but
//! this gateway. Screenshots go to the folder that `PIXCOLOR_TEST_OUTPUT` names, if it is set.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    dead_code,
    reason = "a test fails by panicking, and waits where it must; it needs not all of what tests share"
)]

#[path = "../fakes/mod.rs"]
mod fakes;
#[path = "../gateway/harness/mod.rs"]
mod harness;

mod axe;
mod docs;
mod driver;
mod looks;
mod money;
mod page;
mod pictures;
mod sites;
mod trouble;
mod using;
