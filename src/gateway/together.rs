//! The step in which replicas that want the same picture at the same time have it made once.

use std::time::Instant;

use super::flight::{FlightRole, Waiters, landing};
use super::plan::ColorizePlan;
use super::rendition::Rendition;
use super::{Error, Gateway, cache_codec};

impl Gateway {
    /// Leads for all replicas, or waits for the one that does. What must leave nothing behind is not shared.
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
                    // What one client's budget has decided is not for others.
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
                    // Nobody is waited for in vain twice.
                    earlier = false;
                }
                FlightRole::Late => return Err(plan.late()),
            }
        }
    }

    /// What another replica has made, kept here too, so that its address is known on both.
    async fn landed(&self, plan: &ColorizePlan, landed: &bytes::Bytes) -> Option<Rendition> {
        let Some((rendition, facts)) = landing::read(plan, landed) else { return self.kept(plan).await };
        let key = rendition.kept_under.as_ref();
        // In a store that both share it is there already.
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
