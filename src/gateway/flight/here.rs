//! Flights of this process: simultaneous requests for the same rendition share one execution.
//!
//! The execution is a task of its own, so any request, including the leader, can be dropped without harm to the others.
//! If the task panics, all waiting requests are notified, and one of them can lead a new flight.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use super::super::request::Connection;
use super::waiters::{Waiter, Waiters};
use crate::tasks::Tasks;

/// All flights of this process, by key. `T` is the result.
pub struct Flights<T> {
    tasks: Tasks,
    flights: FlightMap<T>,
}

type FlightMap<T> = Arc<Mutex<HashMap<[u8; 32], Flight<T>>>>;

struct Flight<T> {
    result: watch::Receiver<Option<T>>,
    waiters: Waiters,
}

/// What a request holds while it takes part in a flight.
struct Joined<T> {
    result: watch::Receiver<Option<T>>,
    led: bool,
    /// The request counts as waiting until this is dropped.
    _waiter: Arc<Waiter>,
}

/// How a flight ended for one request.
#[derive(Debug, PartialEq, Eq)]
pub enum FlightOutcome<T> {
    /// The request led the flight.
    Led(T),
    /// The request followed the flight.
    Shared(T),
    /// The flight's task panicked, so there is no result.
    Lost {
        /// Whether the request led the flight.
        led: bool,
    },
    /// The request's deadline was reached first. The flight continues.
    Late,
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    /// Each flight is spawned as one of `tasks`.
    pub fn new(tasks: Tasks) -> Self {
        Self { tasks, flights: Arc::default() }
    }

    /// Waits for the flight of this key, or starts it with `lead` if there is none. While the request waits, it is one
    /// of the waiters that `lead` receives.
    pub async fn join<F>(
        &self,
        key: [u8; 32],
        deadline: Instant,
        connection: Option<Arc<dyn Connection>>,
        lead: impl FnOnce(Waiters) -> F,
    ) -> FlightOutcome<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let Joined { mut result, led, _waiter } = self.attach(key, connection, lead);
        let landed = result.wait_for(Option::is_some);
        match tokio::time::timeout_at(deadline.into(), landed).await {
            Ok(Ok(value)) => match value.clone() {
                Some(value) if led => FlightOutcome::Led(value),
                Some(value) => FlightOutcome::Shared(value),
                None => FlightOutcome::Lost { led },
            },
            Ok(Err(_)) => FlightOutcome::Lost { led },
            Err(_) => FlightOutcome::Late,
        }
    }

    fn attach<F>(
        &self,
        key: [u8; 32],
        connection: Option<Arc<dyn Connection>>,
        lead: impl FnOnce(Waiters) -> F,
    ) -> Joined<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut flights = lock(&self.flights);
        if let Some(flight) = flights.get(&key) {
            let waiter = flight.waiters.add(connection);
            return Joined { result: flight.result.clone(), led: false, _waiter: waiter };
        }
        let waiters = Waiters::new(self.tasks.clone());
        let waiter = waiters.add(connection);
        let (sender, result) = watch::channel(None);
        flights.insert(key, Flight { result: result.clone(), waiters: waiters.clone() });
        drop(flights);
        let entry = FlightEntry { key, flights: self.flights.clone() };
        let work = lead(waiters);
        self.tasks.spawn(async move {
            // First the flight is removed, then the followers are notified, so that a request that arrives
            // afterwards starts a new flight. The order is the same after a panic.
            let value = {
                let _entry = entry;
                work.await
            };
            // An error means that no request waits any more.
            let _ = sender.send(Some(value));
        });
        Joined { result, led: true, _waiter: waiter }
    }
}

/// Removes the flight from the map when dropped, even if the flight's task panics.
struct FlightEntry<T> {
    key: [u8; 32],
    flights: FlightMap<T>,
}

impl<T> Drop for FlightEntry<T> {
    fn drop(&mut self) {
        lock(&self.flights).remove(&self.key);
    }
}

fn lock<T>(flights: &FlightMap<T>) -> MutexGuard<'_, HashMap<[u8; 32], Flight<T>>> {
    flights.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn requests_during_a_flight_share_it_and_later_requests_do_not() {
        let flights = Flights::new(Tasks::default());
        let calls = Arc::new(AtomicU32::new(0));
        let lead = |_| {
            let calls = calls.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                calls.fetch_add(1, Ordering::Relaxed)
            }
        };
        let all = futures::future::join_all((0..200).map(|_| flights.join(KEY, later(), None, lead))).await;
        assert_eq!(all.iter().filter(|landed| **landed == FlightOutcome::Led(0)).count(), 1);
        assert_eq!(all.iter().filter(|landed| **landed == FlightOutcome::Shared(0)).count(), 199);
        assert_eq!(flights.join(KEY, later(), None, lead).await, FlightOutcome::Led(1));
        assert!(lock(&flights.flights).is_empty());
    }

    #[tokio::test]
    async fn a_leader_that_leaves_does_not_end_the_flight() {
        let flights = Flights::new(Tasks::default());
        let (open, gate) = tokio::sync::oneshot::channel::<()>();
        let leader = flights.join(KEY, later(), None, |_| async {
            gate.await.unwrap();
            5
        });
        assert!(tokio::time::timeout(Duration::from_millis(10), leader).await.is_err(), "it was dropped");
        let follower = flights.join(KEY, later(), None, |_| async { unreachable!() });
        let (landed, ()) = tokio::join!(follower, async { open.send(()).unwrap() });
        assert_eq!(landed, FlightOutcome::Shared(5));
    }

    #[tokio::test]
    async fn a_flight_that_panics_notifies_its_followers_and_the_next_request_leads() {
        let flights = Flights::new(Tasks::default());
        let dies = |_| async {
            tokio::task::yield_now().await;
            panic!("on purpose")
        };
        let (one, other) = tokio::join!(
            flights.join(KEY, later(), None, dies),
            flights.join(KEY, later(), None, |_| async { unreachable!() })
        );
        assert_eq!((one, other), (FlightOutcome::Lost { led: true }, FlightOutcome::Lost { led: false }));
        assert_eq!(flights.join(KEY, later(), None, |_| async { 1 }).await, FlightOutcome::Led(1));
    }

    #[tokio::test]
    async fn a_deadline_ends_the_wait_and_not_the_flight() {
        let flights = Flights::new(Tasks::default());
        let soon = Instant::now() + Duration::from_millis(5);
        let lead = |_| async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            3
        };
        assert_eq!(flights.join(KEY, soon, None, lead).await, FlightOutcome::Late);
        assert_eq!(flights.join(KEY, later(), None, lead).await, FlightOutcome::Shared(3));
    }
}
