//! Request guards: who asks, under which configuration, and whether they may.

mod admin;
mod client;
mod reuse;
mod site;

use std::sync::{Arc, OnceLock};

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

/// What every handler needs: the gateway, the configuration as it was when the request came, and who
/// asks.
pub struct Context {
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// The configuration, read once per request.
    pub snapshot: Arc<Snapshot>,
    /// Who asks. A key that is not right is no key here.
    pub client: Client,
    /// What the request's `Cache-Control` allows.
    pub reuse: Reuse,
    /// By what the request is limited.
    pub limited: Limited,
    /// The trace that the request is part of.
    pub parent: Option<TraceParent>,
    /// The connection over which the client waits for the answer.
    pub connection: Option<Arc<dyn Connection>>,
    leave: Result<(), Problem>,
}

impl Context {
    /// Whether the client may have what a wrong key does not open, and none does not where clients must not
    /// be anonymous. Uploads have asked already.
    ///
    /// Who is refused has made a request all the same, by its address: keys are not guessed as fast as one likes.
    /// Limits on everybody are not touched, so that nobody without a key uses them up.
    pub async fn permitted(&self) -> Result<(), Problem> {
        let Err(refused) = &self.leave else { return Ok(()) };
        self.count_refusal().await?;
        Err(refused.clone())
    }

    /// Counts a request without the right key or token for its address, or refuses it as one too many.
    pub async fn count_refusal(&self) -> Result<(), Problem> {
        self.gateway.metrics().denied("key");
        let config = &self.snapshot.config;
        let client = self.client.bucket(config.clients.ipv6_prefix);
        let mut charges = config.quota.charges(Gate::Admit, client.as_ref(), RequestAmounts::default());
        charges.retain(|charge| charge.limit.by() == LimitScope::Client);
        self.limited.by(charges.clone());
        Ok(self.gateway.charge(&charges).await?)
    }

    /// The same for what is told of this server; who administrates it is told without a key.
    pub async fn informed(&self, admin: Result<&Admin, &Status>) -> Result<(), Problem> {
        match admin {
            Ok(_) => Ok(()),
            Err(_) => self.permitted().await,
        }
    }
}

/// All limits of the client that asks, on requests that meet any: an answer's headers tell how they stand.
#[derive(Clone, Default)]
pub struct Limited(Arc<OnceLock<Vec<Charge>>>);

impl Limited {
    /// Whatever was told first counts.
    pub fn by(&self, charges: Vec<Charge>) {
        self.0.get_or_init(|| charges);
    }

    /// None on a request that is not limited.
    pub fn charges(&self) -> &[Charge] {
        self.0.get().map_or(&[], Vec::as_slice)
    }
}

/// By what this request is limited.
pub fn limited<'r>(request: &'r Request<'_>) -> &'r Limited {
    request.local_cache(Limited::default)
}

/// The gateway this server serves; it is always managed.
pub fn gateway<'r>(request: &'r Request<'_>) -> Option<&'r Arc<Gateway>> {
    request.rocket().state::<Arc<Gateway>>()
}

/// The configuration as it was when it was first asked for in this request.
pub fn snapshot(request: &Request<'_>) -> Option<Arc<Snapshot>> {
    let gateway = gateway(request)?;
    Some(request.local_cache(|| gateway.snapshot()).clone())
}

/// Where a request comes from.
pub fn origin(request: &Request<'_>) -> Option<ClientOrigin> {
    let snapshot = snapshot(request)?;
    Some(*request.local_cache(|| ClientOrigin::of(request, &snapshot.config.clients)))
}

/// The answer to a request that is refused whatever its route: of this gateway to itself, from an address that is not
/// let in, for a name that is not this gateway's, or from another web site. Nothing of a body is read.
pub fn turned_away(request: &Request<'_>) -> Option<Problem> {
    // RFC 8586: a list of who has passed it on, each with parameters behind a `;`.
    let passed_on = request.headers().get(CDN_LOOP.as_str()).flat_map(|list| list.split(','));
    if passed_on.into_iter().any(|by| by.split(';').next().unwrap_or_default().trim() == cdn_loop_name()) {
        let detail = "This gateway is asking itself: a provider's address leads back to it.";
        return Some(Problem::new(Status::LoopDetected, detail).closing());
    }
    let (gateway, snapshot, origin) = (gateway(request)?, snapshot(request)?, origin(request)?);
    let clients = &snapshot.config.clients;
    let (reason, problem) = if !clients.lists.let_in(origin.address) {
        ("address", Problem::new(Status::Forbidden, "Your address is not let in here."))
    } else if let Some(problem) = site::misdirected(request, clients).filter(|_| !origin.trusted) {
        ("host", problem)
    } else {
        ("site", site::cross_site(request)?)
    };
    gateway.metrics().denied(reason);
    Some(problem.closing())
}

/// The answer to a request for the metrics at an address of their own under a name that is not theirs. `hosts` names the
/// gateway and not this address; which clients are let in there says nothing about who may scrape.
pub fn metrics_turned_away(request: &Request<'_>) -> Option<Problem> {
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

/// Who asks, and whether that is enough to be served.
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
        let parent = RequestIdentity::of(request).parent;
        let connection =
            TcpConnection::of(request).map(|connection| Arc::new(connection) as Arc<dyn Connection>);
        Outcome::Success(Self { gateway, snapshot, client, reuse, limited, parent, connection, leave })
    }
}

/// The name of the key that a request showed; none without a key of our own.
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
        // While no key was ever made, whatever a client's tool insists on sending will do.
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

/// What a client sent to show who it is. Never shown itself.
pub struct Token(pub String);

/// The key a client sent: bare, as `Simple`, or as `Bearer`, as Algorithmia's and OpenAI's clients do. Another
/// scheme, such as `Basic` for a proxy in front, has none.
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
