//! The module `photo` of PixColor as a crate of its own, which test builds optimise like a release.
//!
//! Test builds compile PixColor itself with few optimisations and without vector instructions. The number of
//! instructions that they execute says nothing about a release, so `tests/instructions` counts those of this crate.

#![forbid(unsafe_code)]

// The package `pixcolor` has the unit tests and what they need.
#[cfg(not(test))]
#[path = "../../src/photo/mod.rs"]
pub mod photo;
