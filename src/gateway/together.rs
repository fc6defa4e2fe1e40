//! Flights across replicas: identical requests on several replicas make one call.

use std::time::Instant;

use super::flight::{FlightRole, Waiters, landing};
use super::plan::ColorizePlan;
use super::rendition::Rendition;
use super::{Error, Gateway, cache_codec};

impl Gateway {
    /// Leads the flight for all replicas, or waits for the replica that leads. A request with `no-store` is not shared.
    pub(super) async fn lead_for_all(
        &self,
        plan: &ColorizePlan,
        waiters: &Waiters,
    ) -> Result<Rendition, Error> {
        let Some(elsewhere) = self.elsewhere.as_deref().filter(|_| plan.ask.reuse.keep) else {
            return self.lead(plan, waiters).await.map(|(rendition, _)| rendition);
        };
        let start = Instant::now();
        let mut earlier = plan.ask.reuse.find && plan.config().cache.enabled;
        loop {
            match elsewhere.join(plan.flight, earlier, plan.ask.deadline).await {
                FlightRole::Lead(lead) => {
                    let made = tokio::select! {
                        made = self.lead(plan, waiters) => made,
                        never = elsewhere.hold(&lead) => match never {},
                    };
                    // A result that was affected by one client's budget is not published.
                    let left = made.as_ref().ok();
                    let left = left
                        .filter(|(rendition, _)| !ColorizePlan::met_a_clients_budget(&rendition.attempts));
                    let left =
                        left.and_then(|(rendition, facts)| Some(landing::write(rendition, facts.as_ref()?)));
                    elsewhere.land(lead, left).await;
                    return made.map(|(rendition, _)| rendition);
                }
                FlightRole::Landed(landed) => {
                    if let Some(rendition) = self.landed(plan, &landed).await {
                        return Ok(rendition.shared(start.elapsed()));
                    }
                    // The published result could not be read: do not accept an earlier one again.
                    earlier = false;
                }
                FlightRole::Late => return Err(plan.late()),
            }
        }
    }

    /// Another replica's rendition, stored here too, so that both replicas serve its address.
    async fn landed(&self, plan: &ColorizePlan, landed: &bytes::Bytes) -> Option<Rendition> {
        let Some((rendition, facts)) = landing::read(plan, landed) else { return self.kept(plan).await };
        let key = rendition.kept_under.as_ref();
        // If both replicas share a bucket, the entry exists already.
        if let Some(key) = key
            && cache_codec::facts(self.cache(), key).await.as_ref() != Some(&facts)
        {
            cache_codec::keep_rendition(
                self.cache(),
                key,
                &facts,
                rendition.bytes.clone(),
                plan.search.scope,
            )
            .await;
        }
        Some(rendition)
    }
}
