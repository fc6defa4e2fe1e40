//! Fakes for hosts that no longer exist, cost money or must fail on purpose: small real HTTP
//! servers written from each protocol's description. They share no code with `src/`, so that a
//! misunderstanding there is not repeated here.

// Each test binary uses a part of the fakes.
#![allow(dead_code)]

pub mod algorithmia;
pub mod apis;
pub mod http;
pub mod multipart;
pub mod picture;

/// The key that fakes accept. Tests check that it never appears in the gateway's output, logs, metrics or
/// responses.
pub const KEY: &str = "sim-planted-key-that-nobody-may-see";
