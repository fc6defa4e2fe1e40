//! The steps that keep one client from having everything: what a picture takes from its limits, and its place
//! in front of the decoder.

use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use super::plan::ColorizePlan;
use super::{Error, Gateway, places};
use crate::config::RequestAmounts;
use crate::queue::QueueError;
use crate::quota::{Charge, Gate, RateLimited, Share, ShareLimits};

/// When it makes sense to ask again after a queue was full: a few pictures later.
const BUSY_RETRY: Duration = Duration::from_secs(2);

/// A place in front of the decoder; free again when it is dropped.
pub struct DecoderPermit {
    _permit: OwnedSemaphorePermit,
    _pixels: Share,
}

impl Gateway {
    /// Takes these charges from their limits, all of them or none, and counts what was decided.
    pub async fn charge(&self, charges: &[Charge]) -> Result<(), RateLimited> {
        let decided = self.quotas.rates.check(charges).await;
        self.metrics.quota_check(charges, &decided);
        decided
    }

    /// May this client cause a call? What is refused here has taken nothing.
    pub(super) async fn spend(&self, plan: &ColorizePlan) -> Result<(), Error> {
        let (config, ask) = (plan.config(), &plan.ask);
        let client = ask.client.bucket(config.clients.ipv6_prefix);
        let amounts = RequestAmounts { pixels: plan.head.pixels(), ..RequestAmounts::default() };
        let charges = config.quota.charges(Gate::Spend, client.as_ref(), amounts);
        let Err(refusal) = self.charge(&charges).await else { return Ok(()) };
        // Whoever comes back is charged for being let in again.
        let refusal = match &ask.upload.ticket {
            Some(ticket) => refusal.and_then(&self.quotas.rates.look(&ticket.charges).await),
            None => refusal,
        };
        Err(Error::Quota { refusal })
    }

    /// A place in front of the decoder, for as long as the photo is in memory.
    pub(super) async fn place(&self, plan: &ColorizePlan) -> Result<DecoderPermit, Error> {
        let (config, pixels) = (plan.config(), plan.head.pixels());
        let quota = &config.quota;
        let client = plan.ask.client.bucket(config.clients.ipv6_prefix).filter(|_| quota.enabled);
        // Together, all of them are bounded by the queue.
        let most = |each| ShareLimits { all: u64::MAX, each };
        let own = self.quotas.pixels.take(client.clone(), pixels, most(quota.client_decoding_pixels));
        let own = own.map_err(|_| self.crowded("client_decoding_pixels"))?;
        let places = places(plan.head.memory(plan.format));
        if let Some(permit) = self.decoding.try_enter(places) {
            return Ok(DecoderPermit { _permit: permit, _pixels: own });
        }
        let turn = self.quotas.waiting.take(client, 1, most(quota.client_waiting));
        let _turn = turn.map_err(|_| self.crowded("client_waiting"))?;
        let permit = self.decoding.enter(places, plan.ask.deadline).await.map_err(|error| match error {
            QueueError::Full => {
                self.metrics.crowded("waiting");
                let waiting = format!("{} pictures are waiting to be decoded", self.decoding.waiting());
                Error::Busy { waiting, retry_after: BUSY_RETRY }
            }
            QueueError::Late => plan.late(),
        })?;
        Ok(DecoderPermit { _permit: permit, _pixels: own })
    }

    /// That a client has as much at once as one may have.
    fn crowded(&self, bound: &'static str) -> Error {
        self.metrics.crowded(bound);
        let waiting = "as many of your pictures are being worked on already as one client may have at once";
        Error::Busy { waiting: waiting.to_owned(), retry_after: BUSY_RETRY }
    }
}
