//! The requests of this process that wait for a flight.
//!
//! A request waits from the moment it joins until it is dropped (its deadline came, its job was cancelled) or its
//! client closes the connection. A handler is not dropped when its client leaves, so connections are looked at.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;

use super::super::ask::Connection;
use crate::provider::Audience;
use crate::tasks::Tasks;

/// The requests that wait for one flight. Clones are the same list.
#[derive(Clone, Debug)]
pub struct Waiters {
    tasks: Tasks,
    requests: Arc<Mutex<Vec<Weak<Waiter>>>>,
}

/// A request that waits, for as long as the value lives.
#[derive(Debug)]
pub struct Waiter {
    /// None where the request has no connection that could close, as on the command line.
    connection: Option<Arc<dyn Connection>>,
}

impl Waiters {
    /// No request waits yet. Connections are looked at in these tasks.
    pub fn new(tasks: Tasks) -> Self {
        Self { tasks, requests: Arc::default() }
    }

    /// Adds a request. It waits until the value is dropped.
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
        // A look that failed has seen no client leave.
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
    async fn a_flight_is_waited_for_while_one_request_is_there_whose_connection_is_not_closed() {
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
