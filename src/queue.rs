//! A fair semaphore whose queue is bounded: who cannot be served soon is told at once.
//!
//! Everything that is scarce stands behind one of these (decoding, networks, calls to a provider), so
//! that overload becomes a quick 503 and never memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A number of places, and a bounded queue in front of them, served in order.
#[derive(Debug)]
pub struct Queue {
    places: Arc<Semaphore>,
    total: u32,
    waiting: AtomicUsize,
    most_waiting: usize,
}

/// Why nobody was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// As many are waiting already as may.
    #[error("too many are waiting already")]
    Full,
    /// The deadline came before the turn.
    #[error("the turn did not come in time")]
    Late,
}

impl Queue {
    /// A queue before `places` places, at least one, in which `most_waiting` may wait.
    pub fn new(places: u32, most_waiting: usize) -> Self {
        let total = places.max(1);
        Self {
            places: Arc::new(Semaphore::new(total as usize)),
            total,
            waiting: AtomicUsize::new(0),
            most_waiting,
        }
    }

    /// Takes `wanted` places if they are free now.
    pub fn try_enter(&self, wanted: u32) -> Option<OwnedSemaphorePermit> {
        self.places.clone().try_acquire_many_owned(wanted.clamp(1, self.total)).ok()
    }

    /// Waits for `wanted` places, in order of arrival; more than there are means all of them. The
    /// places are free again when the permit is dropped.
    pub async fn enter(&self, wanted: u32, deadline: Instant) -> Result<OwnedSemaphorePermit, QueueError> {
        let wanted = wanted.clamp(1, self.total);
        if let Some(permit) = self.try_enter(wanted) {
            return Ok(permit);
        }
        let _waiting = self.wait()?;
        let turn = self.places.clone().acquire_many_owned(wanted);
        match tokio::time::timeout_at(deadline.into(), turn).await {
            Ok(Ok(permit)) => Ok(permit),
            // The semaphore is never closed; were it, nobody's turn would come.
            Ok(Err(_)) | Err(_) => Err(QueueError::Late),
        }
    }

    /// How many are waiting now.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn wait(&self) -> Result<Waiting<'_>, QueueError> {
        self.waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < self.most_waiting).then_some(n + 1))
            .map(|_| Waiting(&self.waiting))
            .map_err(|_| QueueError::Full)
    }
}

/// Counts one who waits, until the wait ends in whatever way.
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
    async fn a_full_queue_says_so_at_once_and_a_wait_ends_at_its_deadline() {
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
