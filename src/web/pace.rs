//! The time-out of an arriving upload. Without this time-out, a client that sends a byte now and then would hold upload
//! memory for the whole request time-out.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, ReadBuf};

use crate::config::LimitsConfig;

/// The time-out of an upload: a grace period, and more time with each arriving byte.
#[derive(Clone, Debug)]
pub struct Pace {
    arrived: Arc<AtomicU64>,
    /// The maximum of the time-out, however many bytes arrive.
    most: Duration,
    grace: Duration,
    /// Bytes per second; 0 disables the check.
    speed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooSlow {
    /// The request time-out was reached.
    #[error("The upload did not arrive within {} seconds. Send it again.", .0.as_secs())]
    TimedOut(Duration),
    /// Slower than the minimum speed.
    #[error(
        "The upload is too slow: {arrived} bytes in {} seconds. Send it again over a faster connection, or send a \
         smaller file.",
        took.as_secs()
    )]
    BelowMinimumSpeed {
        /// Bytes of the body so far.
        arrived: u64,
        took: Duration,
    },
}

impl Pace {
    pub fn new(limits: &LimitsConfig) -> Self {
        let LimitsConfig { request, upload_grace, upload_speed, .. } = *limits;
        Self { arrived: Arc::default(), most: request, grace: upload_grace, speed: upload_speed }
    }

    /// Wraps a reader, so that the bytes that it returns are counted as arrived.
    pub fn count<R>(&self, inner: R) -> Counted<R> {
        Counted { inner, arrived: self.arrived.clone() }
    }

    /// Awaits `reading` as long as bytes arrive fast enough.
    pub async fn limit<T>(&self, reading: impl Future<Output = T>) -> Result<T, TooSlow> {
        let (began, mut reading) = (Instant::now(), pin!(reading));
        loop {
            let time = self.time();
            match tokio::time::timeout_at((began + time).into(), &mut reading).await {
                Ok(read) => return Ok(read),
                // More bytes arrived meanwhile.
                Err(_) if self.time() > time => {}
                Err(_) if time == self.most => return Err(TooSlow::TimedOut(time)),
                Err(_) => return Err(TooSlow::BelowMinimumSpeed { arrived: self.arrived(), took: time }),
            }
        }
    }

    /// The time-out that follows from the bytes that have arrived so far.
    fn time(&self) -> Duration {
        let worth = self.arrived().saturating_mul(1_000_000).checked_div(self.speed);
        let time = worth.map(|micros| self.grace.saturating_add(Duration::from_micros(micros)));
        time.map_or(self.most, |time| time.min(self.most))
    }

    /// Bytes of the body so far.
    pub fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::Relaxed)
    }
}

/// A reader whose bytes a [`Pace`] counts as arrived.
#[derive(Debug)]
pub struct Counted<R> {
    inner: R,
    arrived: Arc<AtomicU64>,
}

impl<R: AsyncRead + Unpin> AsyncRead for Counted<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        let read = (buffer.filled().len() - before) as u64;
        self.arrived.fetch_add(read, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    fn pace(speed: u64) -> Pace {
        Pace { arrived: Arc::default(), most: 1_000 * MILLI, grace: 200 * MILLI, speed }
    }

    #[test]
    fn each_arriving_byte_extends_the_time_out() {
        for (bytes, time) in [(0, 200), (50, 250), (400, 600), (800, 1_000), (u64::MAX, 1_000)] {
            let pace = pace(1_000);
            pace.arrived.store(bytes, Ordering::Relaxed);
            assert_eq!(pace.time(), time * MILLI, "{bytes}");
        }
    }

    #[tokio::test]
    async fn a_silent_client_has_the_grace_period_and_arriving_bytes_extend_it() {
        let never = || std::future::pending::<()>();
        let took = 200 * MILLI;
        assert_eq!(pace(1_000).limit(never()).await, Err(TooSlow::BelowMinimumSpeed { arrived: 0, took }));
        assert_eq!(pace(0).limit(never()).await, Err(TooSlow::TimedOut(1_000 * MILLI)));
        let pace = Pace { most: 100_000 * MILLI, ..pace(1_000) };
        let stops = async {
            pace.arrived.store(300, Ordering::Relaxed);
            never().await;
        };
        assert_eq!(
            pace.limit(stops).await,
            Err(TooSlow::BelowMinimumSpeed { arrived: 300, took: 500 * MILLI })
        );
        let moves = async {
            pace.arrived.store(60_000, Ordering::Relaxed);
            tokio::time::sleep(300 * MILLI).await;
        };
        assert_eq!(pace.limit(moves).await, Ok(()));
    }
}
