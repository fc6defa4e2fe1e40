//! What Rocket 0.5.2 really does, pinned over real sockets.
//!
//! The gateway is built around these facts, and most of them are in nobody's manual. When an upgrade
//! of Rocket breaks a test here, the code that leans on that fact must be looked at again;
//! `ARCHITECTURE.md`, section "Rocket as it is", says which that is. Nothing of ours is tested here.

// Helpers of tests are no tests to clippy.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod answers;
mod bodies;
mod lifetime;
mod requests;
mod wire;
