//! Metrics, logs and trace context.

mod log;
mod metrics;
mod trace_parent;

pub use log::init as init_log;
pub use metrics::{LedgerSnapshot, Metrics, Saving};
pub use trace_parent::TraceParent;
