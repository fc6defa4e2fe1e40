//! The image and the files in `deploy/` that run it. They are compared with the binary
//! and the Containerfile, so that none of them refers to something missing.

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
#[allow(unused_imports, reason = "no test binary uses all shared helpers")]
#[path = "../gateway/harness/mod.rs"]
mod harness;

mod compose;
mod containerfile;
mod files;
mod image;
mod kubernetes;
mod machine;
mod release;
mod rust;
mod sbom;
mod systemd;
