//! Caches: a conformance suite that every implementation must pass, and tests of each implementation's own behaviour.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
mod conformance;
mod disk;
mod killed;
mod objects;
mod properties;
#[path = "../servers/s3.rs"]
mod s3;
mod synced;
mod tiered;
