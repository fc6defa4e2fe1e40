//! What is had at once: a bound for everybody together, and one for each client, so that one client cannot
//! hold all of it.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::ClientBucket;

/// Shares of something scarce: bytes, pixels, places.
#[derive(Clone, Debug, Default)]
pub struct Shares(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    held: Mutex<ClientShares>,
    /// Told whenever something is given back.
    freed: Notify,
}

#[derive(Debug, Default)]
struct ClientShares {
    all: u64,
    each: HashMap<ClientBucket, u64>,
}

impl ClientShares {
    /// What a client holds.
    fn own(&self, bucket: &ClientBucket) -> u64 {
        self.each.get(bucket).copied().unwrap_or_default()
    }

    /// Whether so much more can be had.
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

    /// Replaces a share of one size by one of another.
    fn replace(&mut self, bucket: Option<&ClientBucket>, old: u64, new: u64) {
        self.all = self.all - old + new;
        let Some(bucket) = bucket else { return };
        match self.own(bucket) - old + new {
            0 => self.each.remove(bucket),
            own => self.each.insert(bucket.clone(), own),
        };
    }
}

/// Most that may be held at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareLimits {
    /// By everybody together.
    pub all: u64,
    /// By one client.
    pub each: u64,
}

/// Who holds too much already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShareExceeded {
    /// This client.
    Client,
    /// Everybody together.
    All,
}

impl ShareLimits {
    /// An amount, or all that one client may have if it is more.
    fn cap(self, amount: u64, bucket: Option<&ClientBucket>) -> u64 {
        amount.min(self.all).min(if bucket.is_some() { self.each } else { u64::MAX })
    }
}

/// A part of what is scarce; free again when it is dropped.
#[derive(Debug)]
pub struct Share {
    shares: Shares,
    bucket: Option<ClientBucket>,
    amount: AtomicU64,
}

impl Shares {
    /// Takes a share, now or not at all. One that is larger than all there is counts as all there is. Whoever
    /// is no client (`None`) is bounded only together with everybody.
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

    /// A share of nothing, which is to grow to `amount`, if so much can be had now.
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
    /// Makes it larger or smaller, now or not at all.
    pub fn resize(&self, amount: u64, most: ShareLimits) -> Result<(), ShareExceeded> {
        let bucket = self.bucket.as_ref();
        let mut held = self.shares.lock();
        // Changed under the lock only.
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

    /// The same, but waits for others to give something back, for so long.
    pub async fn grow(
        &self,
        amount: u64,
        most: ShareLimits,
        patience: Duration,
    ) -> Result<(), ShareExceeded> {
        let end = Instant::now() + patience;
        loop {
            // Before the look: what is given back in between counts.
            let mut freed = pin!(self.shares.0.freed.notified());
            freed.as_mut().enable();
            let Err(crowded) = self.resize(amount, most) else { return Ok(()) };
            timeout_at(end, freed).await.map_err(|_| crowded)?;
        }
    }

    /// How much it is.
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
    fn one_client_cannot_hold_everything_and_all_together_not_more_than_there_is() {
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
    fn what_is_larger_than_everything_is_let_in_alone() {
        let shares = Shares::default();
        let _all = shares.take(None, 1_000, MOST).unwrap();
        assert_eq!(shares.take(None, 1, MOST).unwrap_err(), ShareExceeded::All);
        let shares = Shares::default();
        let _each = shares.take(bob(), 1_000, MOST).unwrap();
        assert_eq!(shares.take(bob(), 1, MOST).unwrap_err(), ShareExceeded::Client);
        assert!(shares.take(bob(), 0, MOST).is_ok());
    }

    #[tokio::test]
    async fn a_share_grows_as_far_as_there_is_room_and_waits_for_what_others_give_back() {
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
