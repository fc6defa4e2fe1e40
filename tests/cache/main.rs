//! Caches: one conformance suite for every implementation, and what only some of them must bear.
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
