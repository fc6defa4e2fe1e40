//! Limits on amounts held at once: a bound for all clients together and one per client, so that one client cannot
//! hold everything.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::ClientBucket;

/// Shares of a scarce resource: bytes, pixels, slots.
#[derive(Clone, Debug, Default)]
pub struct Shares(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    held: Mutex<ClientShares>,
    /// Notified whenever a share is returned or gets smaller.
    freed: Notify,
}

#[derive(Debug, Default)]
struct ClientShares {
    all: u64,
    each: HashMap<ClientBucket, u64>,
}

impl ClientShares {
    /// The amount that a client holds.
    fn own(&self, bucket: &ClientBucket) -> u64 {
        self.each.get(bucket).copied().unwrap_or_default()
    }

    /// Whether this much more is available.
    fn check(
        &self,
        bucket: Option<&ClientBucket>,
        more: u64,
        most: ShareLimits,
    ) -> Result<(), ShareExceeded> {
        if self.all.saturating_add(more) > most.all {
            return Err(ShareExceeded::All);
        }
        match bucket.is_some_and(|bucket| self.own(bucket).saturating_add(more) > most.each) {
            true => Err(ShareExceeded::Client),
            false => Ok(()),
        }
    }

    /// Changes a share's size.
    fn replace(&mut self, bucket: Option<&ClientBucket>, old: u64, new: u64) {
        self.all = self.all - old + new;
        let Some(bucket) = bucket else { return };
        match self.own(bucket) - old + new {
            0 => self.each.remove(bucket),
            own => self.each.insert(bucket.clone(), own),
        };
    }
}

/// Maximum amounts held at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareLimits {
    /// By all clients together.
    pub all: u64,
    /// By one client.
    pub each: u64,
}

/// The bound that would be exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShareExceeded {
    /// The bound of one client.
    Client,
    /// The bound of all clients together.
    All,
}

impl ShareLimits {
    /// Reduces an amount to the most that the client may hold.
    fn cap(self, amount: u64, bucket: Option<&ClientBucket>) -> u64 {
        amount.min(self.all).min(if bucket.is_some() { self.each } else { u64::MAX })
    }
}

/// A share; returned when it is dropped.
#[derive(Debug)]
pub struct Share {
    shares: Shares,
    bucket: Option<ClientBucket>,
    amount: AtomicU64,
}

impl Shares {
    /// Takes a share at once or fails. An amount above the bound counts as the bound. Without a client, only the bound
    /// of all clients together applies.
    pub fn take(
        &self,
        bucket: Option<ClientBucket>,
        amount: u64,
        most: ShareLimits,
    ) -> Result<Share, ShareExceeded> {
        let share = self.begin(bucket, amount, most)?;
        share.resize(amount, most)?;
        Ok(share)
    }

    /// An empty share that may grow to `amount`; fails if that much is not available now.
    pub fn begin(
        &self,
        bucket: Option<ClientBucket>,
        amount: u64,
        most: ShareLimits,
    ) -> Result<Share, ShareExceeded> {
        self.lock().check(bucket.as_ref(), most.cap(amount, bucket.as_ref()), most)?;
        Ok(Share { shares: self.clone(), bucket, amount: AtomicU64::new(0) })
    }

    fn lock(&self) -> MutexGuard<'_, ClientShares> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Changes the size at once or fails.
    pub fn resize(&self, amount: u64, most: ShareLimits) -> Result<(), ShareExceeded> {
        let bucket = self.bucket.as_ref();
        let mut held = self.shares.lock();
        // The amount changes only under the lock.
        let (old, new) = (self.amount.load(Ordering::Relaxed), most.cap(amount, bucket));
        if new > old {
            held.check(bucket, new - old, most)?;
        }
        held.replace(bucket, old, new);
        self.amount.store(new, Ordering::Relaxed);
        drop(held);
        if new < old {
            self.shares.0.freed.notify_waiters();
        }
        Ok(())
    }

    /// Changes the size, and waits up to this long for others to return something.
    pub async fn grow(
        &self,
        amount: u64,
        most: ShareLimits,
        patience: Duration,
    ) -> Result<(), ShareExceeded> {
        let end = Instant::now() + patience;
        loop {
            // The wait begins before the check, so that a share returned between the check and the wait is not
            // missed.
            let mut freed = pin!(self.shares.0.freed.notified());
            freed.as_mut().enable();
            let Err(crowded) = self.resize(amount, most) else { return Ok(()) };
            timeout_at(end, freed).await.map_err(|_| crowded)?;
        }
    }

    pub fn amount(&self) -> u64 {
        self.amount.load(Ordering::Relaxed)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shares.lock().replace(self.bucket.as_ref(), *self.amount.get_mut(), 0);
        self.shares.0.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: ShareLimits = ShareLimits { all: 10, each: 6 };

    fn bob() -> Option<ClientBucket> {
        Some(ClientBucket::Key("bob".into()))
    }

    #[test]
    fn shares_are_bounded_per_client_and_in_total() {
        let shares = Shares::default();
        let first = shares.take(bob(), 4, MOST).unwrap();
        assert_eq!(shares.take(bob(), 3, MOST).unwrap_err(), ShareExceeded::Client);
        let ann = shares.take(Some(ClientBucket::Key("ann".into())), 5, MOST).unwrap();
        assert_eq!(shares.take(bob(), 2, MOST).unwrap_err(), ShareExceeded::All);
        assert_eq!(shares.take(None, 2, MOST).unwrap_err(), ShareExceeded::All);
        drop(first);
        let nobody = shares.take(None, 5, MOST).unwrap();
        drop((ann, nobody));
        let held = shares.lock();
        assert_eq!((held.all, held.each.len()), (0, 0));
    }

    #[test]
    fn an_amount_above_the_total_is_admitted_alone() {
        let shares = Shares::default();
        let _all = shares.take(None, 1_000, MOST).unwrap();
        assert_eq!(shares.take(None, 1, MOST).unwrap_err(), ShareExceeded::All);
        let shares = Shares::default();
        let _each = shares.take(bob(), 1_000, MOST).unwrap();
        assert_eq!(shares.take(bob(), 1, MOST).unwrap_err(), ShareExceeded::Client);
        assert!(shares.take(bob(), 0, MOST).is_ok());
    }

    #[tokio::test]
    async fn a_share_grows_up_to_the_bound_and_waits_for_returns() {
        let shares = Shares::default();
        assert_eq!(shares.begin(bob(), 11, MOST).unwrap().amount(), 0, "more than all is all");
        let first = shares.begin(bob(), 6, MOST).unwrap();
        first.resize(4, MOST).unwrap();
        assert_eq!(shares.begin(bob(), 3, MOST).unwrap_err(), ShareExceeded::Client);
        let second = shares.begin(bob(), 2, MOST).unwrap();
        second.resize(1, MOST).unwrap();
        assert_eq!(second.grow(4, MOST, Duration::from_millis(10)).await, Err(ShareExceeded::Client));
        assert_eq!(second.amount(), 1);
        let (grown, ()) = tokio::join!(second.grow(4, MOST, Duration::from_secs(60)), async {
            tokio::task::yield_now().await;
            first.resize(2, MOST).unwrap();
        });
        assert_eq!((grown, second.amount()), (Ok(()), 4));
        drop((first, second));
        let held = shares.lock();
        assert_eq!((held.all, held.each.len()), (0, 0));
    }
}
