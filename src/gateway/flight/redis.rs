//! Flights of several replicas: a lock in Redis with a fencing token and a time to live, which the leader renews, and
//! the published result.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use redis::Script;

use super::{FlightRole, Lead, ReplicaFlights};
use crate::hex::hex;
use crate::shared::{CommandError, CommandPurpose, SharedRedis};

/// Time to live of a lead. A running leader renews it four times in this time.
const LEAD_TTL: Duration = Duration::from_secs(10);
/// Time to live of a published result, for replicas that waited and for requests that arrive shortly afterwards.
const RESULT_TTL: Duration = Duration::from_secs(30);
/// First and longest interval at which a waiting replica polls a flight.
const POLL: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(200));

pub struct RedisFlights {
    shared: SharedRedis,
    join: Script,
    hold: Script,
    land: Script,
}

impl RedisFlights {
    pub fn new(shared: SharedRedis) -> Self {
        Self {
            shared,
            join: Script::new(include_str!("join.lua")),
            hold: Script::new(include_str!("hold.lua")),
            land: Script::new(include_str!("land.lua")),
        }
    }

    fn leads(&self, key: &[u8; 32]) -> String {
        self.shared.key(format_args!("flight:{}", hex(key)))
    }

    fn landed(&self, key: &[u8; 32]) -> String {
        self.shared.key(format_args!("landed:{}", hex(key)))
    }

    async fn try_join(
        &self,
        key: &[u8; 32],
        earlier: bool,
        waited: Option<u64>,
    ) -> Result<(String, Bytes), CommandError> {
        let mut script = self.join.prepare_invoke();
        script.key(self.leads(key)).key(self.landed(key)).key(self.shared.key("fence"));
        script.arg(millis(LEAD_TTL)).arg(u8::from(earlier));
        script.arg(waited.map(|fence| fence.to_string()).unwrap_or_default());
        let (turn, what): (String, Vec<u8>) = self.shared.run(CommandPurpose::Flight, &script).await?;
        Ok((turn, what.into()))
    }

    /// Returns false if the lead was lost.
    async fn renew(&self, key: &[u8; 32], fence: u64) -> Result<bool, CommandError> {
        let mut script = self.hold.prepare_invoke();
        script.key(self.leads(key)).arg(fence).arg(millis(LEAD_TTL));
        self.shared.run(CommandPurpose::Flight, &script).await
    }
}

#[async_trait]
impl ReplicaFlights for RedisFlights {
    async fn join(&self, key: [u8; 32], earlier: bool, deadline: Instant) -> FlightRole {
        let (mut waited, mut leader_seen, mut pause) = (None, None, POLL.0);
        loop {
            match self.try_join(&key, earlier, waited).await {
                Ok((turn, what)) if turn == "landed" => return FlightRole::Landed(what),
                Ok((turn, what)) => {
                    let fence = std::str::from_utf8(&what).ok().and_then(|text| text.parse().ok());
                    if turn == "lead" {
                        return FlightRole::Lead(Lead { key, fence });
                    }
                    waited = waited.or(fence);
                    leader_seen = Some(Instant::now());
                }
                // Redis is unreachable, but a leader seen before keeps its lead until the lead's time to live is over.
                Err(_)
                    if leader_seen.is_some_and(|leader_seen: Instant| leader_seen.elapsed() < LEAD_TTL) => {}
                Err(_) => return FlightRole::Lead(Lead { key, fence: None }),
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return FlightRole::Late;
            }
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 2).min(POLL.1);
        }
    }

    async fn hold(&self, lead: &Lead) -> Infallible {
        if let Some(fence) = lead.fence {
            loop {
                tokio::time::sleep(LEAD_TTL / 4).await;
                // On an error, keep trying: without Redis no other replica can take the lead.
                if let Ok(false) = self.renew(&lead.key, fence).await {
                    tracing::warn!(
                        "the lead of a flight was not renewed in Redis in time, so another replica may make the same \
                         call"
                    );
                    break;
                }
            }
        }
        std::future::pending().await
    }

    async fn land(&self, lead: Lead, result: Option<Bytes>) {
        let Some(fence) = lead.fence else { return };
        let mut script = self.land.prepare_invoke();
        script.key(self.leads(&lead.key)).key(self.landed(&lead.key)).arg(fence).arg(millis(RESULT_TTL));
        match &result {
            Some(result) => script.arg(1).arg(&result[..]),
            None => script.arg(0),
        };
        if let Err(trouble) = self.shared.run::<bool>(CommandPurpose::Flight, &script).await {
            tracing::debug!("a result could not be published to other replicas: {trouble}");
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
