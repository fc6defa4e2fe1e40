//! Rates in this process: governor does the arithmetic, in a store of ours, which can also look without
//! taking, and never remembers more clients than it has room for.
//!
//! One lock holds everything, so that a request takes from all of its limits or from none; what is done
//! under it takes microseconds.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;
use governor::{NotUntil, RateLimiter};

use super::{Charge, ClientBucket, Limit, LimitStatus, Quota, RateLimited};

/// How many clients each limit remembers at most by themselves. Those who come when it is full are counted
/// with their neighbours until others have been idle: a flood from many addresses of one network then
/// meets one limit.
const MOST_CLIENTS: usize = 100_000;

/// Rates in this process.
pub struct InProcess<C: Clock = MonotonicClock> {
    clock: C,
    limiters: Mutex<Limiters<C>>,
}

type Limiters<C> = HashMap<Arc<Limit>, Limiter<C>>;

type Limiter<C> = RateLimiter<LimiterRequest, ArrivalTimes, C, StateInformationMiddleware>;

impl InProcess {
    /// With nobody remembered.
    pub fn new() -> Self {
        Self::with_clock(MonotonicClock)
    }
}

impl Default for InProcess {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Clock + Clone> InProcess<C> {
    fn with_clock(clock: C) -> Self {
        Self { clock, limiters: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Limiters<C>> {
        // A panic elsewhere left whole numbers behind: nothing here is ever half done.
        self.limiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn limiter(&self, limit: &Limit) -> Option<Limiter<C>> {
        let burst = NonZeroU32::new(limit.cells(limit.burst()))?;
        let quota = governor::Quota::with_period(limit.cell_time())?.allow_burst(burst);
        Some(RateLimiter::new(quota, ArrivalTimes::default(), self.clock.clone()))
    }

    /// The limiter of a limit; none for a limit that cannot be kept, which there is none of.
    fn of<'l>(&self, limiters: &'l mut Limiters<C>, limit: &Arc<Limit>) -> Option<&'l Limiter<C>> {
        if !limiters.contains_key(limit) {
            limiters.extend(self.limiter(limit).map(|limiter| (limit.clone(), limiter)));
        }
        limiters.get(limit)
    }

    fn levels(&self, limiters: &mut Limiters<C>, charges: &[Charge]) -> Vec<LimitStatus> {
        let level = |charge: &Charge| Some(self.level(self.of(limiters, &charge.limit)?, charge));
        charges.iter().filter_map(level).collect()
    }

    fn level(&self, limiter: &Limiter<C>, Charge { limit, bucket, amount }: &Charge) -> LimitStatus {
        let look = |cells| self.run(limiter, bucket, LimiterAction::Look, cells);
        let burst = limit.cells(limit.burst());
        // What would be left after taking one, and that one.
        let remaining = look(1).map_or(0, |left| left + 1);
        let more_in = match remaining < burst {
            true => look(remaining + 1).err().unwrap_or_default(),
            false => Duration::ZERO,
        };
        let wait = look(limit.cells(*amount)).err().unwrap_or_default();
        let remaining = (u64::from(remaining) * limit.of().cell()).min(limit.burst());
        LimitStatus { limit: limit.clone(), remaining, more_in, wait }
    }

    /// How many cells are left after taking some, or else how long until they can be taken.
    fn run(
        &self,
        limiter: &Limiter<C>,
        bucket: &ClientBucket,
        purpose: LimiterAction,
        cells: u32,
    ) -> Result<u32, Duration> {
        let Some(cells) = NonZeroU32::new(cells) else { return Ok(u32::MAX) };
        let errand = LimiterRequest { bucket: bucket.clone(), purpose };
        match limiter.check_key_n(&errand, cells) {
            Ok(Ok(after)) => Ok(after.remaining_burst_capacity()),
            Ok(Err(not_until)) => Err(self.wait(&not_until)),
            // More than the burst: `Limit::cells` never asks for that.
            Err(_) => Err(Duration::MAX),
        }
    }

    fn wait(&self, not_until: &NotUntil<C::Instant>) -> Duration {
        not_until.wait_time_from(self.clock.now())
    }
}

#[async_trait::async_trait]
impl<C> Quota for InProcess<C>
where
    C: Clock + Clone + Send + Sync,
    C::Instant: Send + Sync,
{
    async fn check(&self, charges: &[Charge]) -> Result<(), RateLimited> {
        let mut limiters = self.lock();
        let mut levels = self.levels(&mut limiters, charges);
        levels.retain(|level| !level.wait.is_zero());
        if let Some(wait) = levels.iter().map(|level| level.wait).max() {
            return Err(RateLimited { levels, wait });
        }
        for charge in charges {
            if let Some(limiter) = limiters.get(&charge.limit) {
                // It was there a moment ago, nobody else was let in since, and time only adds to it.
                let _ =
                    self.run(limiter, &charge.bucket, LimiterAction::Take, charge.limit.cells(charge.amount));
            }
        }
        Ok(())
    }

    async fn look(&self, charges: &[Charge]) -> Vec<LimitStatus> {
        self.levels(&mut self.lock(), charges)
    }

    fn sweep(&self) {
        self.lock().retain(|_, limiter| {
            limiter.retain_recent();
            limiter.shrink_to_fit();
            // A limit that is no longer configured goes when its last client has gone.
            !limiter.is_empty()
        });
    }
}

/// Who comes, and what for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct LimiterRequest {
    bucket: ClientBucket,
    purpose: LimiterAction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum LimiterAction {
    Look,
    Take,
}

/// When each client will have had no more than its rate: GCRA's theoretical arrival time, in nanoseconds since
/// the limiter was made.
#[derive(Default)]
struct ArrivalTimes(Mutex<HashMap<ClientBucket, u64>>);

impl ArrivalTimes {
    fn lock(&self) -> MutexGuard<'_, HashMap<ClientBucket, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateStore for ArrivalTimes {
    type Key = LimiterRequest;

    fn measure_and_replace<T, F, E>(&self, errand: &LimiterRequest, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut times = self.lock();
        let coarse;
        let bucket = match times.len() < MOST_CLIENTS || times.contains_key(&errand.bucket) {
            true => &errand.bucket,
            false => {
                coarse = errand.bucket.coarse();
                &coarse
            }
        };
        let (outcome, time) = decide(times.get(bucket).copied().map(Nanos::from))?;
        if errand.purpose == LimiterAction::Take {
            times.insert(bucket.clone(), time.as_u64());
        }
        Ok(outcome)
    }
}

impl ShrinkableKeyedStateStore<LimiterRequest> for ArrivalTimes {
    fn retain_recent(&self, drop_below: Nanos) {
        self.lock().retain(|_, time| *time > drop_below.as_u64());
    }

    fn shrink_to_fit(&self) {
        self.lock().shrink_to_fit();
    }

    fn len(&self) -> usize {
        self.lock().len()
    }

    fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }
}

#[cfg(test)]
mod tests;
