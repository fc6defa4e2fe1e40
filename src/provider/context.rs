//! What a call is part of: while one is made, every request that is sent for it, and every program that is started,
//! is told its place in the trace of the request that caused it (W3C Trace Context).

use std::future::Future;

use crate::observe::TraceParent;

tokio::task_local! {
    static PARENT: TraceParent;
}

/// Does the work of a call that a request has caused.
pub async fn within<F: Future>(parent: Option<TraceParent>, work: F) -> F::Output {
    match parent {
        Some(parent) => PARENT.scope(parent, work).await,
        None => work.await,
    }
}

/// The place of one more request or program, if there is a trace.
pub(super) fn next_hop() -> Option<TraceParent> {
    PARENT.try_with(|parent| parent.child()).ok().flatten()
}
