//! Rate limits before a provider call, and permits for the decoder. Both keep one client from using all capacity.

use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use super::plan::ColorizePlan;
use super::{Error, Gateway, permits};
use crate::config::RequestAmounts;
use crate::queue::QueueError;
use crate::quota::{Charge, Gate, RateLimited, Share, ShareLimits};

/// `Retry-After` when a queue or a client's share is full: about the time to decode a few pictures.
const BUSY_RETRY: Duration = Duration::from_secs(2);

/// The right to have a decoded photo in memory. Dropping it frees the capacity.
pub struct DecoderPermit {
    _permit: OwnedSemaphorePermit,
    _pixels: Share,
}

impl Gateway {
    /// Charges rate limits, all of them or none, and counts the decision in the metrics.
    pub async fn charge(&self, charges: &[Charge]) -> Result<(), RateLimited> {
        let decided = self.quotas.rates.check(charges).await;
        self.metrics.quota_check(charges, &decided);
        decided
    }

    /// Charges the rate limits of the gate before a provider call. A refusal charges nothing.
    pub(super) async fn charge_call(&self, plan: &ColorizePlan) -> Result<(), Error> {
        let (config, request) = (plan.config(), &plan.request);
        let client = request.client.bucket(config.clients.ipv6_prefix);
        let amounts = RequestAmounts { pixels: plan.head.pixels(), ..RequestAmounts::default() };
        let charges = config.quota.charges(Gate::Spend, client.as_ref(), amounts);
        let Err(refusal) = self.charge(&charges).await else { return Ok(()) };
        // A client that tries again is also charged for the upload again, so the wait includes the upload's limits.
        let refusal = match &request.upload.admission {
            Some(admission) => refusal.and_then(&self.quotas.rates.look(&admission.charges).await),
            None => refusal,
        };
        Err(Error::Quota { refusal })
    }

    /// Waits for a decoder permit, which is held for as long as the photo is in memory.
    pub(super) async fn decoder_permit(&self, plan: &ColorizePlan) -> Result<DecoderPermit, Error> {
        let (config, pixels) = (plan.config(), plan.head.pixels());
        let quota = &config.quota;
        let client = plan.request.client.bucket(config.clients.ipv6_prefix).filter(|_| quota.enabled);
        // The queue bounds the total; the shares bound each client.
        let most = |each| ShareLimits { all: u64::MAX, each };
        let own = self.quotas.pixels.take(client.clone(), pixels, most(quota.client_decoding_pixels));
        let own = own.map_err(|_| self.share_exceeded("client_decoding_pixels"))?;
        let permits = permits(plan.head.memory_at(plan.format, plan.request.options.depth));
        if let Some(permit) = self.decoding.try_enter(permits) {
            return Ok(DecoderPermit { _permit: permit, _pixels: own });
        }
        let turn = self.quotas.waiting.take(client, 1, most(quota.client_waiting));
        let _turn = turn.map_err(|_| self.share_exceeded("client_waiting"))?;
        let permit =
            self.decoding.enter(permits, plan.request.deadline).await.map_err(|error| match error {
                QueueError::Full => {
                    self.metrics.crowded("waiting");
                    let waiting = format!("{} pictures are waiting to be decoded", self.decoding.waiting());
                    Error::Busy { waiting, retry_after: BUSY_RETRY }
                }
                QueueError::Late => plan.late(),
            })?;
        Ok(DecoderPermit { _permit: permit, _pixels: own })
    }

    /// The error for a client that already has its share of a queue.
    fn share_exceeded(&self, bound: &'static str) -> Error {
        self.metrics.crowded(bound);
        let waiting = "it is already working on as many of your pictures as one client may have at once";
        Error::Busy { waiting: waiting.to_owned(), retry_after: BUSY_RETRY }
    }
}
