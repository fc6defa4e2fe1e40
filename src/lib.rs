//! PixColor: a self-hosted gateway that colours black-and-white photographs.
//!
//! The rooms of the house, in the order of the way of a picture; imports go downwards only.
//! `ARCHITECTURE.md` says why they are these.

pub mod config;
pub mod credit;
pub mod photo;
pub mod provider;
