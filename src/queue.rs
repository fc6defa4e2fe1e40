//! A fair semaphore with a bounded queue: when the queue is full, a request fails at once.
//!
//! Each scarce resource (decoding, the built-in network, calls to a provider) has its own queue, so that overload
//! causes a quick 503 instead of growing memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A number of permits, and a bounded queue that is served in order of arrival.
#[derive(Debug)]
pub struct Queue {
    permits: Arc<Semaphore>,
    total: u32,
    waiting: AtomicUsize,
    max_waiting: usize,
}

/// Why there was no permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// The queue is full.
    #[error("too many requests are waiting already")]
    Full,
    /// No permit became free before the deadline.
    #[error("no permit became free in time")]
    Late,
}

impl Queue {
    /// `permits` is raised to 1 if it is 0. At most `max_waiting` requests wait.
    pub fn new(permits: u32, max_waiting: usize) -> Self {
        let total = permits.max(1);
        Self {
            permits: Arc::new(Semaphore::new(total as usize)),
            total,
            waiting: AtomicUsize::new(0),
            max_waiting,
        }
    }

    /// Takes permits if they are free now.
    pub fn try_enter(&self, wanted: u32) -> Option<OwnedSemaphorePermit> {
        self.permits.clone().try_acquire_many_owned(wanted.clamp(1, self.total)).ok()
    }

    /// Waits for permits, in order of arrival. A request for more permits than exist takes all of them. Dropping the
    /// result frees them.
    pub async fn enter(&self, wanted: u32, deadline: Instant) -> Result<OwnedSemaphorePermit, QueueError> {
        let wanted = wanted.clamp(1, self.total);
        if let Some(permit) = self.try_enter(wanted) {
            return Ok(permit);
        }
        let _waiting = self.wait()?;
        let turn = self.permits.clone().acquire_many_owned(wanted);
        match tokio::time::timeout_at(deadline.into(), turn).await {
            Ok(Ok(permit)) => Ok(permit),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => Err(QueueError::Late),
        }
    }

    /// The number of waiting requests.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn wait(&self) -> Result<Waiting<'_>, QueueError> {
        self.waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < self.max_waiting).then_some(n + 1))
            .map(|_| Waiting(&self.waiting))
            .map_err(|_| QueueError::Full)
    }
}

/// Counts a waiting request until it is dropped.
struct Waiting<'q>(&'q AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(50)
    }

    #[tokio::test]
    async fn a_full_queue_fails_at_once_and_a_wait_ends_at_its_deadline() {
        let queue = Queue::new(2, 1);
        let all = queue.enter(99, soon()).await.unwrap();
        let patient = queue.enter(1, Instant::now() + Duration::from_secs(60));
        let meanwhile = async {
            assert_eq!(queue.waiting(), 1);
            assert_eq!(queue.enter(1, soon()).await.unwrap_err(), QueueError::Full);
            drop(all);
        };
        let (patient, ()) = futures::join!(patient, meanwhile);
        drop(patient.unwrap());
        assert_eq!(queue.waiting(), 0);

        let _all = queue.enter(2, soon()).await.unwrap();
        assert_eq!(queue.enter(1, soon()).await.unwrap_err(), QueueError::Late);
        assert_eq!(queue.waiting(), 0);
    }
}
