//! Trace context of a call (W3C Trace Context). Each request that a call sends and each program that it starts gets a
//! child of the trace context of the client's request.

use std::future::Future;

use crate::observe::TraceParent;

tokio::task_local! {
    static PARENT: TraceParent;
}

/// Runs `work` under the trace context of the client's request.
pub async fn within<F: Future>(parent: Option<TraceParent>, work: F) -> F::Output {
    match parent {
        Some(parent) => PARENT.scope(parent, work).await,
        None => work.await,
    }
}

/// The trace context of the next request or program; `None` if the client's request has none.
pub(super) fn next_hop() -> Option<TraceParent> {
    PARENT.try_with(|parent| parent.child()).ok().flatten()
}
