//! Work that outlives the request that caused it, counted, so that shutdown waits for it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};

/// The tasks that run. The only place that spawns. What they log is of the request that began them.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    running: TaskTracker,
    stopping: Arc<AtomicBool>,
}

impl Tasks {
    /// Runs a future to its end, whoever else leaves.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.running.spawn(future.in_current_span())
    }

    /// Runs processor work off the async threads.
    pub fn spawn_blocking<F, R>(&self, work: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let span = Span::current();
        self.running.spawn_blocking(move || span.in_scope(work))
    }

    /// For a room that has tasks of its own, so that shutdown waits for them, too.
    pub fn tracker(&self) -> TaskTracker {
        self.running.clone()
    }

    /// Says that the end has begun: what is new should go elsewhere.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether the end has begun.
    pub fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Waits until nothing runs.
    pub async fn ended(&self) {
        self.running.close();
        self.running.wait().await;
    }

    /// The same, but no longer than the grace period; says whether nothing runs.
    pub async fn finish(&self, grace: Duration) -> bool {
        tokio::time::timeout(grace, self.ended()).await.is_ok()
    }

    /// How many run.
    pub fn count(&self) -> usize {
        self.running.len()
    }
}
