//! Drives the real binary over HTTP and on the command line, as users do. One file per feature.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::float_cmp,
    reason = "a test fails by panicking and may wait"
)]

#[path = "../photos/hostile/corpus.rs"]
mod corpus;
#[path = "../fakes/mod.rs"]
mod fakes;
mod harness;
#[allow(dead_code, unused_imports, reason = "shared with tests/photos, which uses all of it")]
#[path = "../photos/make/mod.rs"]
mod make;
#[path = "../servers/s3.rs"]
mod s3;

mod addresses;
mod admin;
mod algorithmia;
mod batch_gateway;
mod bodies;
mod cache;
mod cli;
mod color;
mod colorize;
mod configuration;
mod credit;
mod damage;
mod disconnect;
mod docs;
mod estimate;
mod facts;
mod fail_closed;
mod folders;
mod hostile;
mod http;
mod interrupt;
mod keys;
mod ledger;
mod limits;
mod logs;
mod metadata;
mod onnx;
mod options;
mod provider;
mod proxies;
mod quick_start;
mod quota;
mod readme;
mod reload;
mod route;
mod scans;
mod shares;
mod sheet;
mod shutdown;
mod sites;
mod static_files;
mod store;
mod upgrade;
mod writes;
