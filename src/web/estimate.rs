//! `POST /v1/estimate`: the probable cost of a request, without a call.

use rocket::http::Accept;
use rocket::serde::json::Json;
use rocket::{Route, post, routes};
use serde::Serialize;

use super::guards::Context;
use super::options::OptionQuery;
use super::problem::{BudgetFacts, Problem};
use super::request;
use super::upload::{DeclaredImage, EstimateSubject, UploadFields, UploadedImage};
use crate::credit::{BudgetStatus, Credits, SizeClass, Worth};
use crate::gateway::{
    CachedPart, Estimate, EstimateRequest, ExpectedCost, ProviderEstimate, RenditionOptions,
};
use crate::hex::hex;
use crate::photo::{self, InputFormat};
use crate::provider::Readiness;

pub fn routes() -> Vec<Route> {
    routes![estimate]
}

#[derive(Serialize)]
struct EstimateResponse {
    /// `null` if unknown.
    width: Option<u32>,
    height: Option<u32>,
    sha256: Option<String>,
    /// The size class, in megapixels, as in `/v1/providers`.
    size: Option<&'static str>,
    /// The provider that would colour the picture now; `null` if no provider could.
    first: Option<String>,
    providers: Vec<OfferFacts>,
}

/// The estimate for one provider.
#[derive(Serialize)]
struct OfferFacts {
    name: String,
    /// Position on the route, from 1; `null` if it is not on the route and is used only when a request names it.
    place: Option<usize>,
    leaves_machine: bool,
    ready: bool,
    /// Why the provider is not ready; absent if it is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// `hit`: the result is cached; `merged`: only the colour is cached; `miss`: neither is cached; `unknown`: the
    /// request has neither the image nor its SHA-256.
    cache: &'static str,
    /// The cost of the request: zero if the result or its colour is cached.
    credits: CreditsRange,
    /// `credits` in money; `null` if no exchange rate is configured.
    money: Option<MoneyFacts>,
    /// How long the provider takes; `null` without past calls, or if the provider would not be called.
    seconds: Option<SecondsRange>,
    /// The number of past calls for photos of this size class; 0 if the estimate comes from the price alone.
    calls: u64,
    /// Whether the budgets cover the most that the call may cost.
    allowed: bool,
    /// The budget that does not cover the most that the call may cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<BudgetFacts>,
    /// The budget with the least credit left for this client; `null` if no budget limits calls of the provider.
    left: Option<BudgetLeft>,
}

#[derive(Serialize)]
struct BudgetLeft {
    /// The budget's name.
    budget: String,
    /// Decimal as text.
    credits: String,
}

impl From<BudgetStatus> for BudgetLeft {
    fn from(status: BudgetStatus) -> Self {
        let credits = status.left().to_string();
        Self { budget: status.budget.name, credits }
    }
}

/// Amounts: decimals as text, so that they are exact.
#[derive(Serialize)]
struct CreditsRange {
    /// One in ten past calls cost less. Without past calls: the least that the price allows.
    low: String,
    /// The median of past calls. Without past calls: the price if it is fixed, else `null`.
    typical: Option<String>,
    /// One in ten past calls cost more. Without past calls: the most that the price allows.
    high: String,
    /// The amount that a call would reserve.
    most: String,
}

#[derive(Serialize)]
struct MoneyFacts {
    currency: String,
    #[serde(flatten)]
    amounts: CreditsRange,
}

#[derive(Serialize)]
struct SecondsRange {
    low: f64,
    typical: f64,
    high: f64,
}

impl CreditsRange {
    fn new(expected: &ExpectedCost, write: impl Fn(Credits) -> String) -> Self {
        let ExpectedCost { low, typical, high, most, .. } = *expected;
        Self { low: write(low), typical: typical.map(&write), high: write(high), most: write(most) }
    }
}

impl From<ProviderEstimate> for OfferFacts {
    fn from(offer: ProviderEstimate) -> Self {
        let expected = match offer.is_hit() {
            true => ExpectedCost::NOTHING,
            false => offer.expected,
        };
        let ProviderEstimate {
            provider, position, leaves_machine, readiness, cached, refusal, tightest, ..
        } = offer;
        let reason = match readiness {
            Readiness::Ready => None,
            Readiness::NotReady { why, .. } => Some(why),
        };
        let refusal = refusal.filter(|_| !expected.most.is_zero());
        let money = |worth: Worth| MoneyFacts {
            currency: worth.currency.to_string(),
            amounts: CreditsRange::new(&expected, |credits| worth.of(credits).amount()),
        };
        Self {
            name: provider,
            place: position,
            leaves_machine,
            ready: reason.is_none(),
            reason,
            cache: match cached {
                Some(CachedPart::Rendition) => "hit",
                Some(CachedPart::Color) => "merged",
                Some(CachedPart::Nothing) => "miss",
                None => "unknown",
            },
            credits: CreditsRange::new(&expected, |credits| credits.to_string()),
            money: offer.expected.worth.map(money),
            seconds: expected.time.map(|time| time.map(|time| time.as_secs_f64())).map(|time| SecondsRange {
                low: time.low,
                typical: time.typical,
                high: time.high,
            }),
            calls: expected.calls,
            allowed: refusal.is_none(),
            budget: refusal.as_ref().map(BudgetFacts::from),
            left: tightest.map(BudgetLeft::from),
        }
    }
}

#[post("/v1/estimate?<query..>", data = "<subject>")]
async fn estimate(
    context: Context,
    accept: Option<&Accept>,
    query: OptionQuery,
    subject: Result<EstimateSubject, Problem>,
) -> Result<Json<EstimateResponse>, Problem> {
    let config = &context.snapshot.config;
    let limits = &config.limits;
    let (known, upload) = match subject? {
        EstimateSubject::Declared(known) => (known, None),
        EstimateSubject::Image(UploadedImage { upload, fields }) => {
            let fingerprint = Some(upload.fingerprint);
            (DeclaredImage { size: None, fingerprint, bytes: None, fields }, Some(upload))
        }
    };
    if known.bytes.is_some_and(|bytes| bytes > limits.upload_bytes) {
        return Err(Problem::too_large(limits.upload_bytes));
    }
    let fields = query.or(known.fields)?;
    let options = fields.options(config, accept)?;
    let head = upload.map(|upload| photo::read_head_of(&upload.bytes, &options.decode, &limits.photo()));
    let head = head.transpose()?;
    let input = head.map(|head| head.format);
    let size = head.map(|head| (head.width, head.height)).or(known.size);
    let format = options.format.or(input.map(InputFormat::output));
    let Context { gateway, snapshot, client, reuse, .. } = context;
    let request = EstimateRequest {
        size,
        fingerprint: known.fingerprint,
        provider: fields.provider,
        input,
        options: RenditionOptions { format, ..options },
        client,
        lookup: reuse.lookup,
    };
    let Estimate { first, providers } = gateway.estimate(snapshot, request).await?;
    let pixels = size.map(|(width, height)| u64::from(width) * u64::from(height));
    Ok(Json(EstimateResponse {
        width: size.map(|(width, _)| width),
        height: size.map(|(_, height)| height),
        sha256: known.fingerprint.map(|fingerprint| hex(&fingerprint.0)),
        size: pixels.map(|pixels| SizeClass::of(pixels).label()),
        first,
        providers: providers.into_iter().map(OfferFacts::from).collect(),
    }))
}

impl DeclaredImage {
    /// Checks the description of an image that the request does not contain.
    pub(super) fn new(
        size: (Option<u32>, Option<u32>),
        bytes: Option<u64>,
        sha256: Option<&str>,
        fields: UploadFields,
    ) -> Result<Self, Problem> {
        let size = match size {
            (Some(width), Some(height)) => Some((width, height)),
            (None, None) => None,
            _ => return Err(Problem::bad_request("Send both `width` and `height`, or neither.")),
        };
        let fingerprint = sha256.map(request::fingerprint).transpose()?;
        Ok(Self { size, bytes, fingerprint, fields })
    }
}
