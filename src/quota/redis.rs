//! Rate limits that replicas share: one script decides for all limits of a request.

use std::time::Duration;

use redis::Script;

use super::gcra::status;
use super::{Charge, LimitStatus, Quota, RateLimited};
use crate::shared::{CommandError, CommandPurpose, SharedRedis};

/// Rate limits in Redis, with a fallback while Redis is unavailable.
pub struct InRedis {
    shared: SharedRedis,
    script: Script,
    /// The fallback. Without it, nothing is limited while Redis is unavailable.
    meanwhile: Option<Box<dyn Quota>>,
}

impl InRedis {
    /// Rate limits in Redis; `meanwhile` decides while Redis is unavailable.
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
        Ok(each.map(|(charge, [ahead, wait])| status(&charge.limit, nanos(*ahead), nanos(*wait))).collect())
    }
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
                let full = |charge: &Charge| status(&charge.limit, Duration::ZERO, Duration::ZERO);
                charges.iter().map(full).collect()
            }
        }
    }

    fn sweep(&self) {
        self.meanwhile.iter().for_each(|meanwhile| meanwhile.sweep());
    }
}
