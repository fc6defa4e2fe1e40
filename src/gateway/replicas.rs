//! Flights across replicas: identical requests on several replicas make one call.

use super::error::Attempt;
use super::flight::{FlightRole, Waiters, landing};
use super::outcome::Rendition;
use super::plan::ColorizePlan;
use super::{Error, Gateway, cache_codec};

impl Gateway {
    /// Leads the flight for all replicas, or waits for the replica that leads. A request with `no-store` is not shared
    /// with other replicas.
    pub(super) async fn lead_for_replicas(
        &self,
        plan: &ColorizePlan,
        waiters: &Waiters,
    ) -> Result<Rendition, Error> {
        let Some(replica_flights) = self.replica_flights.as_deref().filter(|_| plan.request.reuse.store)
        else {
            return self.lead(plan, waiters).await.map(|(rendition, _)| rendition);
        };
        let mut earlier = plan.request.reuse.lookup && plan.config().cache.enabled;
        loop {
            match replica_flights.join(plan.flight, earlier, plan.request.deadline).await {
                FlightRole::Lead(lead) => {
                    let made = tokio::select! {
                        made = self.lead(plan, waiters) => made,
                        never = replica_flights.hold(&lead) => match never {},
                    };
                    // A result that was affected by one client's budget is not published.
                    let published = made.as_ref().ok().filter(|(rendition, _)| {
                        !rendition.attempts.iter().any(Attempt::is_over_client_budget)
                    });
                    let published = published
                        .and_then(|(rendition, facts)| Some(landing::write(rendition, facts.as_ref()?)));
                    replica_flights.land(lead, published).await;
                    return made.map(|(rendition, _)| rendition);
                }
                FlightRole::Landed(landed) => {
                    if let Some(rendition) = self.adopt(plan, &landed).await {
                        return Ok(rendition.shared(&plan.timeline));
                    }
                    // The published result could not be used, so no earlier result is accepted again.
                    earlier = false;
                }
                FlightRole::Late => return Err(plan.late()),
            }
        }
    }

    /// Reads another replica's rendition, and stores it in this replica's cache, so that both replicas serve its
    /// address. If it cannot be read, the cached rendition is returned; `None` if there is none.
    async fn adopt(&self, plan: &ColorizePlan, landed: &bytes::Bytes) -> Option<Rendition> {
        let Some((rendition, facts)) = landing::read(plan, landed) else { return self.cached(plan).await };
        let key = rendition.cache_key.as_ref();
        // If both replicas share a bucket, the entry exists already.
        if let Some(key) = key
            && cache_codec::lookup_facts(self.cache(), key).await.as_ref() != Some(&facts)
        {
            cache_codec::store_rendition(
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
