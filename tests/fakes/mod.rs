//! Hosts that do not exist any more, cost money or would have to be broken on purpose: small real HTTP
//! servers written from the description of each protocol. They share no code with `src/`, so that a
//! misreading there is not repeated here.

// Every test binary uses another part.
#![allow(dead_code)]

pub mod algorithmia;
pub mod apis;
pub mod http;
pub mod multipart;
pub mod picture;

/// The key that fakes accept. It is planted: whatever the gateway prints, logs, counts or answers, the key
/// must not be in it.
pub const KEY: &str = "sim-planted-key-that-nobody-may-see";
