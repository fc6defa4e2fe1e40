//! Admission: the checks before an upload is read, and the `RateLimit` headers.

use std::fmt::Write;
use std::sync::Arc;

use rocket::Request;
use rocket::Response;
use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::{Header, Status};
use rocket::request::Outcome;

use super::guards::{self, ClientOrigin, Context};
use super::pace::Pace;
use super::problem::{Problem, seconds};
use super::upload_memory::{UploadMemory, share_exceeded};
use crate::config::RequestAmounts;
use crate::quota::{Admission, Gate, Limit, LimitStatus, Share, ShareLimits, Unit, Visit};

/// Admits an upload of this many bytes. An upload that exceeds a rate limit is not charged to any limit.
pub async fn admit(request: &Request<'_>, bytes: u64, pace: Pace) -> Result<UploadMemory, Problem> {
    let Outcome::Success(context) = request.guard::<Context>().await else {
        return Err(Problem::new(Status::InternalServerError, "The gateway is not set up."));
    };
    let config = &context.snapshot.config;
    if let Some(ClientOrigin { peer, forwarded, trusted, .. }) = guards::origin(request) {
        let near = request.rocket().config().address.is_loopback();
        if let Some(notice) = context.gateway.quotas().peers.note(Visit { peer, forwarded, trusted, near }) {
            tracing::warn!("{}", notice.logged(|peer| config.log.network(peer)));
        }
    }
    context.permitted().await?;

    let client = context.client.bucket(config.clients.ipv6_prefix);
    let charges = |gate, bytes| {
        config.quota.charges(gate, client.as_ref(), RequestAmounts { bytes, ..RequestAmounts::default() })
    };
    context.limited.by([charges(Gate::Admit, bytes), charges(Gate::Spend, 0)].concat());
    let (most, gateway) = (most(&context), context.gateway.clone());
    let each = client.filter(|_| config.quota.enabled);
    let share =
        gateway.quotas().uploads.begin(each, bytes, most).map_err(|why| share_exceeded(&gateway, why))?;
    let admission = charge(&context, bytes, share).await?;
    Ok(UploadMemory::new(admission, most, bytes, gateway, pace))
}

/// Admits an image that the body of an admitted request refers to but does not contain. With 0 bytes, admits a request
/// without a body; the caller has checked the API key.
pub async fn again(context: &Context, bytes: u64) -> Result<Arc<Admission>, Problem> {
    let config = &context.snapshot.config;
    let client = context.client.bucket(config.clients.ipv6_prefix).filter(|_| config.quota.enabled);
    let share = context.gateway.quotas().uploads.take(client, bytes, most(context));
    let share = share.map_err(|why| share_exceeded(&context.gateway, why))?;
    charge(context, bytes, share).await
}

/// The limits of the upload memory: for all clients together, and for each client.
fn most(Context { snapshot, .. }: &Context) -> ShareLimits {
    let config = &snapshot.config;
    ShareLimits { all: config.limits.upload_memory, each: config.quota.client_upload_memory }
}

/// Charges an upload to the rate limits. `share` is the upload memory that the upload holds; the amount may still grow.
async fn charge(context: &Context, bytes: u64, share: Share) -> Result<Arc<Admission>, Problem> {
    let config = &context.snapshot.config;
    let client = context.client.bucket(config.clients.ipv6_prefix);
    let charges = config.quota.charges(
        Gate::Admit,
        client.as_ref(),
        RequestAmounts { bytes, ..RequestAmounts::default() },
    );
    context.gateway.charge(&charges).await?;
    Ok(Arc::new(Admission { charges, share }))
}

/// Sets `RateLimit` and `RateLimit-Policy` on responses to uploads, and on responses to requests that are rejected
/// because of their key or token. As in draft-ietf-httpapi-ratelimit-headers-10, each header is a structured field
/// (RFC 9651): a list with one item per limit.
pub struct RateLimitHeaders;

#[rocket::async_trait]
impl Fairing for RateLimitHeaders {
    fn info(&self) -> Info {
        Info { name: "rate limit headers", kind: Kind::Response }
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        let charges = guards::limited(request).charges();
        let Some(gateway) = guards::gateway(request).filter(|_| !charges.is_empty()) else { return };
        let levels = gateway.quotas().rates.look(charges).await;
        response.set_header(Header::new("RateLimit-Policy", list(&levels, policy)));
        response.set_header(Header::new("RateLimit", list(&levels, service_limit)));
    }
}

fn list(levels: &[LimitStatus], item: impl Fn(&LimitStatus) -> String) -> String {
    levels.iter().map(item).collect::<Vec<_>>().join(", ")
}

/// An item of `RateLimit-Policy`, such as `"bytes";q=4294967296;qu="content-bytes";w=60`: the quota, its unit, and the
/// window in seconds. Names of limits consist of letters, digits, `-` and `_`, so they need no escaping.
fn policy(level: &LimitStatus) -> String {
    let LimitStatus { limit, .. } = level;
    let unit = match limit.of() {
        Unit::Requests => "",
        Unit::Bytes => ";qu=\"content-bytes\"",
        // The draft has no units for pictures and megapixels. Clients ignore parameters that they do not know.
        Unit::Pictures => ";pixcolor-unit=\"pictures\"",
        Unit::Megapixels => ";pixcolor-unit=\"megapixels\"",
    };
    let (quota, window) = (in_configured_unit(limit, limit.burst()), seconds(limit.window()).max(1));
    format!("\"{}\";q={quota}{unit};w={window}", limit.name())
}

/// An item of `RateLimit`, such as `"bytes";r=1048576;t=1`: the remaining amount, and the seconds until more is
/// available.
fn service_limit(level: &LimitStatus) -> String {
    let mut item =
        format!("\"{}\";r={}", level.limit.name(), in_configured_unit(&level.limit, level.remaining));
    if !level.more_in.is_zero() {
        // Writing to a string cannot fail.
        let _ = write!(item, ";t={}", seconds(level.more_in));
    }
    item
}

/// Converts an amount to the unit in which its limit is configured, rounded down.
pub fn in_configured_unit(limit: &Limit, amount: u64) -> u64 {
    amount / limit.of().scale()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::quota::{LimitScope, RatePeriod};

    #[test]
    fn each_limit_is_an_item_of_a_structured_list() {
        let level = |name, of, rate, per, burst, remaining, more_in| LimitStatus {
            limit: Arc::new(Limit::new(name, LimitScope::Client, of, rate, per, burst).unwrap()),
            remaining,
            more_in: Duration::from_millis(more_in),
            wait: Duration::ZERO,
        };
        let levels = [
            level("requests", Unit::Requests, 10, RatePeriod::Second, 5, 5, 0),
            level("bytes", Unit::Bytes, 1 << 20, RatePeriod::Minute, 1 << 21, 1 << 20, 59),
            level("pictures", Unit::Pictures, 100, RatePeriod::Day, 100, 0, 863_001),
            level("megapixels", Unit::Megapixels, 60, RatePeriod::Minute, 50, 12_990_000, 10),
        ];
        assert_eq!(
            list(&levels, policy),
            "\"requests\";q=5;w=1, \"bytes\";q=2097152;qu=\"content-bytes\";w=120, \
             \"pictures\";q=100;pixcolor-unit=\"pictures\";w=86400, \
             \"megapixels\";q=50;pixcolor-unit=\"megapixels\";w=50"
        );
        assert_eq!(
            list(&levels, service_limit),
            "\"requests\";r=5, \"bytes\";r=1048576;t=1, \"pictures\";r=0;t=864, \"megapixels\";r=12;t=1"
        );
    }
}
