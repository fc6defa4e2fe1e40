//! Rate limits in this process by the generic cell rate algorithm (GCRA, the virtual scheduling algorithm of ITU-T
//! I.371).
//!
//! A cell is the smallest amount that a limit counts. The state of a client is one number, its theoretical arrival
//! time: when its next cell would be allowed if there were no burst. `gcra.lua` is the same formula for Redis;
//! `tests/replicas/limits.rs` compares the two.
//!
//! One lock protects all counters, so a request takes from all of its limits or from none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Charge, ClientBucket, Limit, LimitStatus, Quota, RateLimited};

/// How many clients each limit counts separately. Beyond that, a new client shares one counter with the other new
/// clients of its large network (/16 in IPv4, /32 in IPv6), so a flood from many addresses of one network is limited as
/// one client.
const MOST_CLIENTS: usize = 100_000;

/// Theoretical arrival times by client, in nanoseconds of the clock.
type ArrivalTimes = HashMap<ClientBucket, u64>;

/// Rate limits in this process.
pub struct InProcess {
    /// Time since any fixed moment; never goes back.
    clock: Box<dyn Fn() -> Duration + Send + Sync>,
    counters: Mutex<HashMap<Arc<Limit>, ArrivalTimes>>,
}

impl InProcess {
    pub fn new() -> Self {
        let start = Instant::now();
        Self::with_clock(move || start.elapsed())
    }

    fn with_clock(clock: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self { clock: Box::new(clock), counters: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<Limit>, ArrivalTimes>> {
        // A panic while the lock was held cannot have left a counter half changed.
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        nanos((self.clock)())
    }
}

impl Default for InProcess {
    fn default() -> Self {
        Self::new()
    }
}

/// The bucket whose counter a charge uses: its client's, or that of the client's large network if there are too many
/// clients.
fn counter(times: &ArrivalTimes, bucket: &ClientBucket) -> ClientBucket {
    match times.len() < MOST_CLIENTS || times.contains_key(bucket) {
        true => bucket.clone(),
        false => bucket.coarse(),
    }
}

/// Applies a charge to a theoretical arrival time. Returns the status before the charge and the arrival time after it.
fn apply(charge: &Charge, arrival: Option<u64>, now: u64) -> (LimitStatus, u64) {
    let Charge { limit, amount, .. } = charge;
    let cells = |amount| u64::from(limit.cells(amount)).saturating_mul(nanos(limit.cell_time()));
    let arrival = arrival.unwrap_or(now).max(now);
    let next = arrival.saturating_add(cells(*amount));
    let wait = next.saturating_sub(now.saturating_add(cells(limit.burst())));
    let [ahead, wait] = [arrival - now, wait].map(Duration::from_nanos);
    (status(limit, ahead, wait), next)
}

/// The status of a client whose theoretical arrival time is `ahead` of the clock, and which must `wait` for the
/// requested amount.
pub(super) fn status(limit: &Arc<Limit>, ahead: Duration, wait: Duration) -> LimitStatus {
    let (cell, burst) = (limit.cell_time(), limit.cells(limit.burst()));
    // Cells that were taken and have not returned.
    let taken = u32::try_from(ahead.as_nanos().div_ceil(cell.as_nanos().max(1))).unwrap_or(u32::MAX);
    let remaining = burst.saturating_sub(taken);
    let more_in = match taken {
        0 => Duration::ZERO,
        _ => ahead.saturating_sub(cell * (taken.min(burst) - 1)),
    };
    let remaining = (u64::from(remaining) * limit.of().cell()).min(limit.burst());
    LimitStatus { limit: limit.clone(), remaining, more_in, wait }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[async_trait::async_trait]
impl Quota for InProcess {
    async fn check(&self, charges: &[Charge]) -> Result<(), RateLimited> {
        let (mut counters, now) = (self.lock(), self.now());
        let mut rejections = Vec::new();
        let mut updates = Vec::new();
        for charge in charges {
            let times = counters.entry(charge.limit.clone()).or_default();
            let counter = counter(times, &charge.bucket);
            let (status, next) = apply(charge, times.get(&counter).copied(), now);
            match status.wait.is_zero() {
                // A charge of nothing leaves no counter behind.
                true if charge.amount == 0 => {}
                true => updates.push((&charge.limit, counter, next)),
                false => rejections.push(status),
            }
        }
        if let Some(wait) = rejections.iter().map(|status| status.wait).max() {
            return Err(RateLimited { levels: rejections, wait });
        }
        for (limit, counter, next) in updates {
            counters.entry(limit.clone()).or_default().insert(counter, next);
        }
        Ok(())
    }

    async fn look(&self, charges: &[Charge]) -> Vec<LimitStatus> {
        let (counters, now) = (self.lock(), self.now());
        let arrival = |charge: &Charge| {
            let times = counters.get(&charge.limit)?;
            times.get(&counter(times, &charge.bucket)).copied()
        };
        charges.iter().map(|charge| apply(charge, arrival(charge), now).0).collect()
    }

    fn sweep(&self) {
        let now = self.now();
        self.lock().retain(|_, times| {
            times.retain(|_, arrival| *arrival > now);
            times.shrink_to_fit();
            // A limit that is no longer configured disappears with its last client.
            !times.is_empty()
        });
    }
}

#[cfg(test)]
mod tests;
