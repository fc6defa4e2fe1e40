//! PixColor: a self-hosted gateway that colours black-and-white photographs.
//!
//! Each module imports only from modules below it in the table of `ARCHITECTURE.md`.

#![forbid(unsafe_code)]

pub mod cache;
pub mod circuit;
pub mod cli;
pub mod config;
pub mod credit;
pub mod datastore;
pub mod files;
pub mod gateway;
pub mod hex;
pub mod observe;
pub mod photo;
pub mod provider;
pub mod queue;
pub mod quota;
pub mod shared;
pub mod tasks;
pub mod web;
