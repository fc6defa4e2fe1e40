//! Rates that replicas share: one script decides for all limits of a request.

use std::sync::Arc;
use std::time::Duration;

use redis::Script;

use super::{Charge, Limit, LimitStatus, Quota, RateLimited};
use crate::shared::{CommandError, CommandPurpose, SharedRedis};

/// Rates in Redis, with a fallback while Redis is unavailable.
pub struct InRedis {
    shared: SharedRedis,
    script: Script,
    /// The fallback; without it nothing is limited meanwhile.
    meanwhile: Option<Box<dyn Quota>>,
}

impl InRedis {
    /// Rates in Redis; `meanwhile` decides while Redis is unavailable.
    pub fn new(shared: SharedRedis, meanwhile: Option<Box<dyn Quota>>) -> Self {
        Self { shared, script: Script::new(include_str!("gcra.lua")), meanwhile }
    }

    /// The status of each charge. With `take`, takes all charges if none exceeds its limit.
    async fn ask(&self, charges: &[Charge], take: bool) -> Result<Vec<LimitStatus>, CommandError> {
        let mut script = self.script.prepare_invoke();
        script.arg(u8::from(take));
        for Charge { limit, bucket, amount } in charges {
            let cell = u64::try_from(limit.cell_time().as_nanos()).unwrap_or(u64::MAX);
            script.key(self.shared.key(format_args!("quota:{}:{bucket}", limit.name())));
            script.arg(cell).arg(limit.cells(limit.burst())).arg(limit.cells(*amount));
        }
        let answer: Vec<u64> = self.shared.run(CommandPurpose::Quota, &script).await?;
        let (pairs, _) = answer.as_chunks::<2>();
        let nanos = Duration::from_nanos;
        let each = charges.iter().zip(pairs);
        Ok(each.map(|(charge, [ahead, wait])| level(&charge.limit, nanos(*ahead), nanos(*wait))).collect())
    }
}

/// The status of a client whose theoretical arrival time lies this far ahead.
fn level(limit: &Arc<Limit>, ahead: Duration, wait: Duration) -> LimitStatus {
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

#[async_trait::async_trait]
impl Quota for InRedis {
    async fn check(&self, charges: &[Charge]) -> Result<(), RateLimited> {
        if charges.is_empty() {
            return Ok(());
        }
        match (self.ask(charges, true).await, &self.meanwhile) {
            (Ok(mut levels), _) => {
                levels.retain(|level| !level.wait.is_zero());
                match levels.iter().map(|level| level.wait).max() {
                    Some(wait) => Err(RateLimited { levels, wait }),
                    None => Ok(()),
                }
            }
            (Err(_), Some(meanwhile)) => meanwhile.check(charges).await,
            (Err(_), None) => Ok(()),
        }
    }

    async fn look(&self, charges: &[Charge]) -> Vec<LimitStatus> {
        if charges.is_empty() {
            return Vec::new();
        }
        match (self.ask(charges, false).await, &self.meanwhile) {
            (Ok(levels), _) => levels,
            (Err(_), Some(meanwhile)) => meanwhile.look(charges).await,
            (Err(_), None) => {
                let full = |charge: &Charge| level(&charge.limit, Duration::ZERO, Duration::ZERO);
                charges.iter().map(full).collect()
            }
        }
    }

    fn sweep(&self) {
        self.meanwhile.iter().for_each(|meanwhile| meanwhile.sweep());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::{LimitScope, RatePeriod, Unit};

    #[test]
    fn what_is_left_follows_from_how_far_ahead_a_client_is() {
        let limit =
            Arc::new(Limit::new("x", LimitScope::Client, Unit::Requests, 2, RatePeriod::Second, 5).unwrap());
        let millis = Duration::from_millis;
        for (ahead, remaining, more_in) in
            [(0, 5, 0), (1, 4, 1), (500, 4, 500), (501, 3, 1), (2499, 0, 499), (2500, 0, 500)]
        {
            let level = level(&limit, millis(ahead), Duration::ZERO);
            assert_eq!((level.remaining, level.more_in), (remaining, millis(more_in)), "{ahead}");
        }
    }
}
