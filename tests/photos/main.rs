//! The photo room from outside: every format, hostile files, memory, and old photographs.
//!
//! All files are made here, by `make`, so that what is tested can be read. A test that measures memory
//! starts this binary again for itself alone (`child`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod against;
mod child;
mod corpora;
mod formats;
mod hostile;
mod make;
mod memory;
mod mutations;
mod old_photos;
