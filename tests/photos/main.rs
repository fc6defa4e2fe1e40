//! The `photo` module from outside: every format, hostile files, memory, and old photographs.
//!
//! The module `make` builds most of the files, so that a reader can see what is tested. A test that measures memory
//! runs in a process of its own (`child`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod against;
mod child;
mod corpora;
mod formats;
mod hostile;
mod make;
mod memory;
mod metadata;
mod mutations;
mod old_photos;
