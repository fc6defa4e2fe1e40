//! What is had at once: a bound for everybody together, and one for each client, so that one client cannot
//! hold all of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Bucket;

/// Shares of something scarce: bytes, pixels, places.
#[derive(Clone, Debug, Default)]
pub struct Shares(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    all: u64,
    each: HashMap<Bucket, u64>,
}

/// Most that may be held at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Most {
    /// By everybody together.
    pub all: u64,
    /// By one client.
    pub each: u64,
}

/// Who holds too much already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crowded {
    /// This client.
    Client,
    /// Everybody together.
    All,
}

/// A part of what is scarce; free again when it is dropped.
#[derive(Debug)]
pub struct Share {
    shares: Shares,
    bucket: Option<Bucket>,
    amount: u64,
}

impl Shares {
    /// Takes a share, now or not at all. One that is larger than all there is counts as all there is. Whoever
    /// is no client (`None`) is bounded only together with everybody.
    pub fn take(&self, bucket: Option<Bucket>, amount: u64, most: Most) -> Result<Share, Crowded> {
        let amount = amount.min(most.all).min(if bucket.is_some() { most.each } else { u64::MAX });
        let mut held = self.lock();
        if held.all.saturating_add(amount) > most.all {
            return Err(Crowded::All);
        }
        if let Some(bucket) = &bucket {
            let own = held.each.get(bucket).copied().unwrap_or_default();
            if own.saturating_add(amount) > most.each {
                return Err(Crowded::Client);
            }
            held.each.insert(bucket.clone(), own + amount);
        }
        held.all += amount;
        drop(held);
        Ok(Share { shares: self.clone(), bucket, amount })
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.shares.lock();
        held.all -= self.amount;
        if let Some(bucket) = &self.bucket
            && let Some(own) = held.each.get_mut(bucket)
        {
            *own -= self.amount;
            if *own == 0 {
                held.each.remove(bucket);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Most = Most { all: 10, each: 6 };

    fn bob() -> Option<Bucket> {
        Some(Bucket::Key("bob".into()))
    }

    #[test]
    fn one_client_cannot_hold_everything_and_all_together_not_more_than_there_is() {
        let shares = Shares::default();
        let first = shares.take(bob(), 4, MOST).unwrap();
        assert_eq!(shares.take(bob(), 3, MOST).unwrap_err(), Crowded::Client);
        let ann = shares.take(Some(Bucket::Key("ann".into())), 5, MOST).unwrap();
        assert_eq!(shares.take(bob(), 2, MOST).unwrap_err(), Crowded::All);
        assert_eq!(shares.take(None, 2, MOST).unwrap_err(), Crowded::All);
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
        assert_eq!(shares.take(None, 1, MOST).unwrap_err(), Crowded::All);
        let shares = Shares::default();
        let _each = shares.take(bob(), 1_000, MOST).unwrap();
        assert_eq!(shares.take(bob(), 1, MOST).unwrap_err(), Crowded::Client);
        assert!(shares.take(bob(), 0, MOST).is_ok());
    }
}
