//! How serving ends: in an order in which no answer is lost.
//!
//! Rocket by itself closes its listener and every connection that has not asked yet in the same moment, waits for all
//! of its grace though nothing is left to wait for, and ends at once when it is told just as somebody connects. So it
//! is told late, and its end is not waited for but that of its last connection:
//!
//! 1. `/readyz` answers 503, and every answer closes its connection, for `delay`: whoever spreads the requests sends
//!    them elsewhere.
//! 2. The listener goes. Who has connected may still ask, for a moment.
//! 3. Connections that wait are closed; those with a request have `grace` to end it and `mercy` to send the rest.
//! 4. Work that nobody waits for any more ends: what is kept is written, what was reserved is settled.

use std::time::Duration;

use rocket::{Ignite, Rocket};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::signals::Signals;
use crate::config::StopTimes;
use crate::tasks::Tasks;

/// How long who has connected before the listener went may take to ask.
const LINGER: Duration = Duration::from_secs(1);

/// Knows when the last connection of a server has gone. To be managed by the server: each connection holds the server,
/// and so what it manages, for as long as it lives.
pub struct Connections(CancellationToken);

impl Connections {
    /// None yet; and what the server is to manage.
    pub fn new() -> (Self, DropGuard) {
        let gone = CancellationToken::new();
        (Self(gone.clone()), gone.drop_guard())
    }
}

/// Serves until it is told to stop, and then until everything is over or the time is. An error is the server's own.
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
    tracing::info!("the server stops, because of {why}");
    tasks.stop();
    let stop = async {
        if !times.delay.is_zero() {
            tokio::select! {
                ended = &mut serving => return ended.map(drop),
                () = tokio::time::sleep(times.delay) => {}
            }
        }
        // The listener goes with it.
        drop(serving);
        // If nobody is connected, this is over at once.
        let _ = timeout(LINGER, connections.0.cancelled()).await;
        shutdown.notify();
        let rest = async {
            connections.0.cancelled().await;
            tasks.ended().await;
        };
        if timeout(times.grace + times.mercy, rest).await.is_err() {
            let (open, running) = (!connections.0.is_cancelled(), tasks.count());
            let connections = if open { " and connections were open" } else { "" };
            tracing::warn!(
                "the shutdown time is over with {running} tasks still running{connections}: they are aborted, and unanswered calls are charged in full; `shutdown.grace` allows more time"
            );
        }
        Ok(())
    };
    tokio::select! {
        stopped = stop => stopped,
        why = signals.next() => {
            tracing::warn!("the server stops at once, because of {why} while it was stopping");
            Ok(())
        }
    }
}
