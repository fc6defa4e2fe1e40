//! Request guards: the client, its snapshot, and its permissions.

mod admin;
mod client;
mod reuse;
mod site;

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use rocket::Request;
use rocket::http::Status;
use rocket::request::{FromRequest, Outcome};

pub use admin::{Admin, Scraper};
pub use client::ClientOrigin;

use super::connection::TcpConnection;
use super::identity::RequestIdentity;
use super::problem::Problem;
use crate::config::RequestAmounts;
use crate::gateway::{Client, ClientKey, Connection, Gateway, Reuse, Snapshot};
use crate::observe::TraceParent;
use crate::provider::{CDN_LOOP, cdn_loop_name};
use crate::quota::{Charge, Gate, KeyStatus, LimitScope};

/// What every handler needs.
pub struct Context {
    pub gateway: Arc<Gateway>,
    /// One snapshot for the whole request.
    pub snapshot: Arc<Snapshot>,
    /// The client; an invalid key counts as no key.
    pub client: Client,
    /// The cache rules of the request's `Cache-Control`.
    pub reuse: Reuse,
    /// The rate limits of the request.
    pub limited: Limited,
    /// The trace that the request belongs to.
    pub parent: Option<TraceParent>,
    /// When the request arrived.
    pub received: Instant,
    /// The connection on which the client waits.
    pub connection: Option<Arc<dyn Connection>>,
    leave: Result<(), Problem>,
}

impl Context {
    /// Returns 401 unless the client sent a valid key. While anonymous access is on, requests without a key are
    /// permitted, too. Routes with an upload need not call this, because the admission of the upload does.
    ///
    /// A rejected request counts against its address, so that keys cannot be guessed fast. It does not count against
    /// limits for all clients, so that requests without a key cannot use those up.
    pub async fn permitted(&self) -> Result<(), Problem> {
        let Err(refused) = &self.leave else { return Ok(()) };
        self.count_refusal().await?;
        Err(refused.clone())
    }

    /// Counts a request without a valid key or token against its address; returns a problem if it exceeds the limit.
    pub async fn count_refusal(&self) -> Result<(), Problem> {
        self.gateway.metrics().denied("key");
        let config = &self.snapshot.config;
        let client = self.client.bucket(config.clients.ipv6_prefix);
        let mut charges = config.quota.charges(Gate::Admit, client.as_ref(), RequestAmounts::default());
        charges.retain(|charge| charge.limit.by() == LimitScope::Client);
        self.limited.by(charges.clone());
        Ok(self.gateway.charge(&charges).await?)
    }

    /// Like [`Self::permitted`], for information about this server. An administrator may read it without a key.
    pub async fn may_read_server_info(&self, admin: Result<&Admin, &Status>) -> Result<(), Problem> {
        match admin {
            Ok(_) => Ok(()),
            Err(_) => self.permitted().await,
        }
    }
}

/// The rate limits of a request, for the headers of its response.
#[derive(Clone, Default)]
pub struct Limited(Arc<OnceLock<Vec<Charge>>>);

impl Limited {
    /// Sets the limits. Later calls have no effect.
    pub fn by(&self, charges: Vec<Charge>) {
        self.0.get_or_init(|| charges);
    }

    /// Empty for a request without limits.
    pub fn charges(&self) -> &[Charge] {
        self.0.get().map_or(&[], Vec::as_slice)
    }
}

/// The rate limits of this request.
pub fn limited<'r>(request: &'r Request<'_>) -> &'r Limited {
    request.local_cache(Limited::default)
}

/// The gateway. It is always present, because the server manages it.
pub fn gateway<'r>(request: &'r Request<'_>) -> Option<&'r Arc<Gateway>> {
    request.rocket().state::<Arc<Gateway>>()
}

/// The snapshot of this request, taken at its first use.
pub fn snapshot(request: &Request<'_>) -> Option<Arc<Snapshot>> {
    let gateway = gateway(request)?;
    Some(request.local_cache(|| gateway.snapshot()).clone())
}

/// Where the request comes from.
pub fn origin(request: &Request<'_>) -> Option<ClientOrigin> {
    let snapshot = snapshot(request)?;
    Some(*request.local_cache(|| ClientOrigin::of(request, &snapshot.config.clients)))
}

/// The problem of a request that is rejected whatever its route: one that the gateway sent to itself, or that has a
/// blocked client address, a foreign host name (except on the paths of probes) or another web site as its origin. The
/// body of such a request is not read.
pub fn rejection(request: &Request<'_>) -> Option<Problem> {
    // RFC 8586: a list of forwarding servers, each with parameters after a `;`.
    let passed_on = request.headers().get(CDN_LOOP.as_str()).flat_map(|list| list.split(','));
    if passed_on.into_iter().any(|by| by.split(';').next().unwrap_or_default().trim() == cdn_loop_name()) {
        let detail = "This gateway is asking itself: a provider's address leads back to it.";
        return Some(Problem::new(Status::LoopDetected, detail).closing());
    }
    let (gateway, snapshot, origin) = (gateway(request)?, snapshot(request)?, origin(request)?);
    let clients = &snapshot.config.clients;
    let (reason, problem) = if !clients.let_in(origin.address) {
        ("address", Problem::new(Status::Forbidden, "Your address is not allowed here."))
    } else if let Some(problem) = site::misdirected(request, clients).filter(|_| !origin.trusted) {
        ("host", problem)
    } else {
        ("site", site::cross_site(request)?)
    };
    gateway.metrics().denied(reason);
    Some(problem.closing())
}

/// The problem of a request to the separate metrics address with a foreign host name. `hosts` and the address lists
/// apply to the gateway's own address and not to this one.
pub fn metrics_rejection(request: &Request<'_>) -> Option<Problem> {
    let trusted = origin(request).is_some_and(|origin| origin.trusted);
    site::foreign_name(request, &[]).filter(|_| !trusted).map(Problem::closing)
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for ClientOrigin {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        origin(request).map_or(Outcome::Error((Status::InternalServerError, ())), Outcome::Success)
    }
}

/// The client, and whether it may be served.
#[derive(Clone)]
struct AuthorizedClient {
    client: Client,
    leave: Result<(), Problem>,
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Context {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        let (Some(gateway), Some(snapshot)) = (gateway(request), snapshot(request)) else {
            return Outcome::Error((Status::InternalServerError, ()));
        };
        let known = request.local_cache_async(known(request, gateway, &snapshot)).await;
        let AuthorizedClient { client, leave } = known.clone();
        let reuse = reuse::allowed(request.headers().get("Cache-Control"));
        let (gateway, limited) = (gateway.clone(), limited(request).clone());
        let &RequestIdentity { parent, received, .. } = RequestIdentity::of(request);
        let connection =
            TcpConnection::of(request).map(|connection| Arc::new(connection) as Arc<dyn Connection>);
        Outcome::Success(Self {
            gateway,
            snapshot,
            client,
            reuse,
            limited,
            parent,
            received,
            connection,
            leave,
        })
    }
}

/// The name of the request's API key; `None` without a valid key.
pub async fn key_name<'r>(request: &'r Request<'_>) -> Option<&'r str> {
    let (gateway, snapshot) = (gateway(request)?, snapshot(request)?);
    let AuthorizedClient { client, .. } = request.local_cache_async(known(request, gateway, &snapshot)).await;
    client.key.as_ref().map(|ClientKey(name)| name.as_str())
}

async fn known(request: &Request<'_>, gateway: &Gateway, snapshot: &Snapshot) -> AuthorizedClient {
    let token = token(request);
    let found = gateway.quotas().keys.find(token.as_ref().map(|token| token.0.as_str())).await;
    let refused = |detail: &str| Err(Problem::new(Status::Unauthorized, detail));
    let (key, leave) = match found {
        KeyStatus::Known(name) => (Some(ClientKey(name)), Ok(())),
        // As long as no key has been created, any key is accepted, because some tools always send one.
        KeyStatus::NoKeys if snapshot.config.clients.anonymous => (None, Ok(())),
        KeyStatus::NoKeys => (None, refused("A key is needed here: send `Authorization: Bearer KEY`.")),
        KeyStatus::Unknown => (None, refused("This key is not known here: it is mistyped, or was revoked.")),
        KeyStatus::Unreadable => (
            None,
            refused(
                "The gateway cannot read its clients' keys (its log says why). Until it can, only keys that were valid \
                 before are accepted.",
            ),
        ),
    };
    let address = origin(request).map(|origin| origin.address);
    AuthorizedClient { client: Client { address, key }, leave }
}

/// The credentials of a client. Without `Debug`, so that they are never printed.
pub struct Token(pub String);

/// The key in `Authorization`: without a scheme, with `Simple` (Algorithmia's clients) or with `Bearer` (OpenAI's
/// clients). Other schemes, such as `Basic` for a proxy, contain no key.
fn token(request: &Request<'_>) -> Option<Token> {
    let value = request.headers().get_one("Authorization")?.trim();
    let key = match value.split_once(char::is_whitespace) {
        Some((scheme, key))
            if scheme.eq_ignore_ascii_case("simple") || scheme.eq_ignore_ascii_case("bearer") =>
        {
            key.trim()
        }
        Some(_) => return None,
        None => value,
    };
    (!key.is_empty()).then(|| Token(key.to_owned()))
}
