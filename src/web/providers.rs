//! `GET /v1/providers`: who could colour, what that would mean, and what it has cost and taken so far.

use std::collections::BTreeMap;

use rocket::http::Status;
use rocket::serde::json::Json;
use rocket::{Route, get, routes};
use serde::Serialize;

use super::guards::{Admin, Context};
use super::problem::Problem;
use crate::credit::{CallHistory, SizeClass, Worth};
use crate::provider::{Provider, Readiness};

/// The routes of this file.
pub fn routes() -> Vec<Route> {
    routes![providers]
}

/// One provider, as clients see it.
#[derive(Serialize)]
pub struct ProviderFacts {
    name: String,
    kind: &'static str,
    model: String,
    version: String,
    /// Whether it could be called now.
    pub ready: bool,
    /// Why it could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether pictures leave this machine.
    leaves_machine: bool,
    /// What happens to a call that has not begun when its clients have left: `drop` or `finish`.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_disconnect: Option<&'static str>,
    /// Its place on the route, from 1; absent when it is asked only by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<usize>,
}

/// One provider, and what is learnt of it.
#[derive(Serialize)]
pub struct ProviderHistory {
    #[serde(flatten)]
    facts: ProviderFacts,
    /// What a megapixel has cost and taken so far, by size of the photograph; sizes without a call that
    /// gave colour are left out.
    per_megapixel: Vec<PerMegapixel>,
}

/// What a megapixel of photographs of one size has cost and taken.
#[derive(Serialize)]
struct PerMegapixel {
    /// In megapixels: `<=0.5`, `<=2`, `<=8`, `>8`.
    size: &'static str,
    /// Calls that gave colour.
    calls: u64,
    /// Of their photographs.
    megapixels: f64,
    /// Decimal, as text; calls that failed and were paid for are in it.
    credits: String,
    /// What that is worth now, by currency.
    money: BTreeMap<String, String>,
    /// Waiting for the provider.
    seconds: f64,
    /// Of this machine's processors.
    cpu_seconds: f64,
}

impl PerMegapixel {
    fn new(size: SizeClass, learnt: &CallHistory, worth: Option<Worth>) -> Option<Self> {
        let credits = learnt.credits_per_megapixel()?;
        let money = worth.map(|worth| worth.of(credits));
        Some(Self {
            size: size.label(),
            calls: learnt.sums.calls,
            megapixels: learnt.sums.pixels as f64 / 1e6,
            credits: credits.to_string(),
            money: money.iter().map(|money| (money.currency.to_string(), money.amount())).collect(),
            seconds: learnt.time_per_megapixel()?.as_secs_f64(),
            cpu_seconds: learnt.cpu_per_megapixel()?.as_secs_f64(),
        })
    }
}

impl ProviderFacts {
    fn new(context: &Context, (place, provider): (Option<usize>, &dyn Provider)) -> Self {
        let about = provider.info();
        let reason = match context.gateway.readiness(&context.snapshot, provider) {
            Readiness::Ready => None,
            Readiness::NotReady { why, .. } => Some(why),
        };
        let config = context.snapshot.config.providers.get(&about.name);
        Self {
            name: about.name.clone(),
            kind: about.kind,
            model: about.model.clone(),
            version: about.version.clone(),
            ready: reason.is_none(),
            reason,
            leaves_machine: about.leaves_machine,
            on_disconnect: config.map(|config| config.on_disconnect.label()),
            place,
        }
    }
}

/// All providers: those on the route in its order, then the others by name.
pub fn list(context: &Context) -> Vec<ProviderFacts> {
    let in_order = context.snapshot.in_order();
    in_order.map(|(place, provider)| ProviderFacts::new(context, (place, provider.as_ref()))).collect()
}

/// The same, with what is learnt of them.
pub async fn learnt(context: &Context) -> Vec<ProviderHistory> {
    let experience = context.gateway.experience().await;
    let learnt = |facts: ProviderFacts| {
        let worth = context.snapshot.config.worth(&facts.name);
        let of = |size| PerMegapixel::new(size, experience.get(&(facts.name.clone(), size))?, worth);
        ProviderHistory { per_megapixel: SizeClass::ALL.into_iter().filter_map(of).collect(), facts }
    };
    list(context).into_iter().map(learnt).collect()
}

#[derive(Serialize)]
struct ProviderList {
    providers: Vec<ProviderHistory>,
    route: Vec<String>,
}

#[get("/v1/providers")]
async fn providers(context: Context, admin: Result<Admin, Status>) -> Result<Json<ProviderList>, Problem> {
    context.informed(admin.as_ref()).await?;
    let route = context.snapshot.config.route.clone();
    Ok(Json(ProviderList { providers: learnt(&context).await, route }))
}
