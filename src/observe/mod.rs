//! What the operator sees: metrics and logs.

mod log;
mod metrics;

pub use log::init as init_log;
pub use metrics::{Account, Metrics, Saving};
