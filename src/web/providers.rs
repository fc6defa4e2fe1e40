//! `GET /v1/providers`: the providers, their readiness, and the cost and time of their past calls.

use std::collections::BTreeMap;

use rocket::http::Status;
use rocket::serde::json::Json;
use rocket::{Route, get, routes};
use serde::Serialize;

use super::guards::{Admin, Context};
use super::problem::Problem;
use crate::credit::{CallHistory, SizeClass, Worth};
use crate::provider::{Provider, Readiness};

pub fn routes() -> Vec<Route> {
    routes![providers]
}

/// A provider, as clients see it.
#[derive(Serialize)]
pub struct ProviderFacts {
    name: String,
    kind: &'static str,
    model: String,
    version: String,
    pub ready: bool,
    /// Why the provider is not ready; absent if it is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether images leave this machine.
    leaves_machine: bool,
    /// What happens to a call if all its clients leave before it begins: `drop` or `finish`.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_disconnect: Option<&'static str>,
    /// Position on the route, from 1; absent if it is not on the route and is used only when a request names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<usize>,
}

/// A provider and its past calls.
#[derive(Serialize)]
pub struct ProviderHistory {
    #[serde(flatten)]
    facts: ProviderFacts,
    /// Cost and time per megapixel, by size of the photo; sizes without successful calls are absent.
    per_megapixel: Vec<PerMegapixel>,
}

/// Cost and time per megapixel for photos of one size class.
#[derive(Serialize)]
struct PerMegapixel {
    /// The size class, in megapixels: `<=0.5`, `<=2`, `<=8` or `>8`.
    size: &'static str,
    /// Successful calls.
    calls: u64,
    /// Total megapixels of the photos of these calls.
    megapixels: f64,
    /// Credits per megapixel, a decimal as text; includes failed calls that cost credit.
    credits: String,
    /// `credits` in money at the configured exchange rate, by currency.
    money: BTreeMap<String, String>,
    /// Seconds per megapixel spent waiting for the provider.
    seconds: f64,
    /// Processor seconds per megapixel on this machine.
    cpu_seconds: f64,
}

impl PerMegapixel {
    fn new(size: SizeClass, history: &CallHistory, worth: Option<Worth>) -> Option<Self> {
        let credits = history.credits_per_megapixel()?;
        let money = worth.map(|worth| worth.of(credits));
        Some(Self {
            size: size.label(),
            calls: history.sums.calls,
            megapixels: history.sums.pixels as f64 / 1e6,
            credits: credits.to_string(),
            money: money.iter().map(|money| (money.currency.to_string(), money.amount())).collect(),
            seconds: history.time_per_megapixel()?.as_secs_f64(),
            cpu_seconds: history.cpu_per_megapixel()?.as_secs_f64(),
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

/// All providers: the route in its order, then the others by name.
pub fn list(context: &Context) -> Vec<ProviderFacts> {
    let in_order = context.snapshot.in_order();
    in_order.map(|(place, provider)| ProviderFacts::new(context, (place, provider.as_ref()))).collect()
}

/// All providers with their past calls.
pub async fn list_with_history(context: &Context) -> Vec<ProviderHistory> {
    let experience = context.gateway.experience().await;
    let with_history = |facts: ProviderFacts| {
        let worth = context.snapshot.config.worth(&facts.name);
        let of = |size| PerMegapixel::new(size, experience.get(&(facts.name.clone(), size))?, worth);
        ProviderHistory { per_megapixel: SizeClass::ALL.into_iter().filter_map(of).collect(), facts }
    };
    list(context).into_iter().map(with_history).collect()
}

#[derive(Serialize)]
struct ProviderList {
    providers: Vec<ProviderHistory>,
    route: Vec<String>,
}

#[get("/v1/providers")]
async fn providers(context: Context, admin: Result<Admin, Status>) -> Result<Json<ProviderList>, Problem> {
    context.may_read_server_info(admin.as_ref()).await?;
    let route = context.snapshot.config.route.clone();
    Ok(Json(ProviderList { providers: list_with_history(&context).await, route }))
}
