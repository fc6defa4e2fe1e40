//! Graceful shutdown without losing a response.
//!
//! Rocket's own shutdown closes the listener and every idle connection at the same moment, always waits for its whole
//! grace period, and ends without waiting if a client connects at that moment. So PixColor notifies Rocket late, and
//! waits for the last connection to close, not for Rocket:
//!
//! 1. For `delay`, `/readyz` returns 503 and every response closes its connection, so that a load balancer uses other
//!    gateways.
//! 2. The listener closes. Connected clients may still send a request, for one second.
//! 3. Idle connections close. Running requests may take `grace` to finish, and then sending the remaining responses may
//!    take `mercy`.
//! 4. Background work finishes: the cache is written, and reservations are settled.

use std::time::Duration;

use rocket::{Ignite, Rocket};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::signals::Signals;
use crate::config::StopTimes;
use crate::tasks::Tasks;

/// How long a connected client may take to send a request after the listener has closed.
const LINGER: Duration = Duration::from_secs(1);

/// Cancelled when a server's last connection has closed. The guard from `new` is part of the server's managed state:
/// each open connection holds the server, and thus the guard.
pub struct Connections(CancellationToken);

impl Connections {
    /// Also returns the guard, which the caller passes to Rocket's `manage`.
    pub fn new() -> (Self, DropGuard) {
        let gone = CancellationToken::new();
        (Self(gone.clone()), gone.drop_guard())
    }
}

/// Serves until a signal, then until all connections and tasks have ended or the time is over. Returns the server's
/// errors.
pub async fn serve(
    rocket: Rocket<Ignite>,
    connections: Connections,
    signals: &mut Signals,
    tasks: &Tasks,
    times: StopTimes,
) -> Result<(), rocket::Error> {
    let shutdown = rocket.shutdown();
    let mut serving = Box::pin(rocket.launch());
    let why = tokio::select! {
        ended = &mut serving => return ended.map(drop),
        why = signals.next() => why,
    };
    tracing::info!("the server stops because of {why}");
    tasks.stop();
    let stop = async {
        if !times.delay.is_zero() {
            tokio::select! {
                ended = &mut serving => return ended.map(drop),
                () = tokio::time::sleep(times.delay) => {}
            }
        }
        // This closes the listener.
        drop(serving);
        // Without connections this returns at once.
        let _ = timeout(LINGER, connections.0.cancelled()).await;
        shutdown.notify();
        let rest = async {
            connections.0.cancelled().await;
            tasks.ended().await;
        };
        if timeout(times.grace + times.mercy, rest).await.is_err() {
            let (open, running) = (!connections.0.is_cancelled(), tasks.count());
            let connections = if open { " and connections still open" } else { "" };
            tracing::warn!(
                "the shutdown time is over with {running} tasks still running{connections}: they are aborted, and unanswered calls are charged in full; `shutdown.grace` allows more time"
            );
        }
        Ok(())
    };
    tokio::select! {
        stopped = stop => stopped,
        why = signals.next() => {
            tracing::warn!("the server stops at once because of {why}, a second signal");
            Ok(())
        }
    }
}
