//! The requests of this process that wait for a flight.
//!
//! A request waits until it is dropped (for example because its deadline was reached) or its client closes the
//! connection. Rocket does not drop a handler when the client leaves, so the connections are checked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;

use super::super::request::Connection;
use crate::provider::Audience;
use crate::tasks::Tasks;

/// The requests that wait for one flight. Clones share one list.
#[derive(Clone, Debug)]
pub struct Waiters {
    tasks: Tasks,
    requests: Arc<Mutex<Vec<Weak<Waiter>>>>,
}

/// A waiting request. Dropping it ends the wait.
#[derive(Debug)]
pub struct Waiter {
    /// `None` on the command line, which has no connection that could close.
    connection: Option<Arc<dyn Connection>>,
}

impl Waiters {
    /// An empty list. `tasks` runs the checks of connections.
    pub fn new(tasks: Tasks) -> Self {
        Self { tasks, requests: Arc::default() }
    }

    /// Adds a request, which waits until the returned value is dropped.
    #[must_use]
    pub fn add(&self, connection: Option<Arc<dyn Connection>>) -> Arc<Waiter> {
        let waiter = Arc::new(Waiter { connection });
        self.requests().push(Arc::downgrade(&waiter));
        waiter
    }

    fn requests(&self) -> MutexGuard<'_, Vec<Weak<Waiter>>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Audience for Waiters {
    async fn waits(&self) -> bool {
        let waiting: Vec<Arc<Waiter>> = self.requests().iter().filter_map(Weak::upgrade).collect();
        if waiting.iter().any(|waiter| waiter.connection.is_none()) {
            return true;
        }
        let open = move || {
            waiting
                .iter()
                .filter_map(|waiter| waiter.connection.as_ref())
                .any(|connection| connection.is_open())
        };
        // If the check panicked, assume that a client still waits.
        self.tasks.spawn_blocking(open).await.unwrap_or(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct ConnectionState(bool);

    impl Connection for ConnectionState {
        fn is_open(&self) -> bool {
            self.0
        }
    }

    #[tokio::test]
    async fn a_flight_has_an_audience_while_one_waiting_request_has_an_open_connection() {
        let closed = || Some(Arc::new(ConnectionState(false)) as Arc<dyn Connection>);
        let open = || Some(Arc::new(ConnectionState(true)) as Arc<dyn Connection>);
        for (connection, waits) in [(closed(), false), (open(), true), (None, true)] {
            let waiters = Waiters::new(Tasks::default());
            assert!(!waiters.waits().await, "no request waits yet");
            let _left = waiters.add(closed());
            assert!(!waiters.waits().await);
            let waiter = waiters.add(connection);
            assert_eq!(waiters.waits().await, waits);
            drop(waiter);
            assert!(!waiters.waits().await, "the request was dropped");
        }
    }
}
