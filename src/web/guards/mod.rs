//! Request guards: who asks, under which configuration, and whether they may.

mod admin;
mod client;
mod reuse;

use std::sync::Arc;

use rocket::Request;
use rocket::http::Status;
use rocket::request::{FromRequest, Outcome};

pub use admin::{Admin, Scraper};

use crate::config::ForwardedHeader;
use crate::gateway::{Client, ClientKey, Gateway, Reuse, Snapshot};

/// What every handler needs: the gateway, the configuration as it was when the request came, and who
/// asks.
pub struct Context {
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// The configuration, read once per request.
    pub snapshot: Arc<Snapshot>,
    /// Who asks.
    pub client: Client,
    /// What the request's `Cache-Control` allows.
    pub reuse: Reuse,
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

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Context {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        let (Some(gateway), Some(snapshot)) = (gateway(request), snapshot(request)) else {
            return Outcome::Error((Status::InternalServerError, ()));
        };
        let config = &snapshot.config.clients;
        let header = match config.forwarded_header {
            ForwardedHeader::XForwardedFor => "X-Forwarded-For",
            ForwardedHeader::Forwarded => "Forwarded",
        };
        let lines: Vec<&str> = request.headers().get(header).collect();
        let hops = client::hops(&lines, config.forwarded_header);
        let address = request.remote().map(|peer| client::address(peer.ip(), &hops, &config.trusted_proxies));
        let client = Client { address, key: key(request) };
        let reuse = reuse::allowed(request.headers().get("Cache-Control"));
        Outcome::Success(Self { gateway: gateway.clone(), snapshot, client, reuse })
    }
}

/// The key a client sent: bare, as `Simple`, or as `Bearer`, as Algorithmia's and OpenAI's clients do.
fn key(request: &Request<'_>) -> Option<ClientKey> {
    let value = request.headers().get_one("Authorization")?.trim();
    let key = match value.split_once(' ') {
        Some((scheme, key))
            if scheme.eq_ignore_ascii_case("simple") || scheme.eq_ignore_ascii_case("bearer") =>
        {
            key.trim()
        }
        _ => value,
    };
    (!key.is_empty()).then(|| ClientKey(key.to_owned()))
}
