//! Guards for the configured tokens: `admin.token` for administration, `metrics.token` for the metrics. Without an
//! `admin.token`, admin routes return 404. Without a `metrics.token`, the metrics are public.

use rocket::Request;
use rocket::http::Status;
use rocket::request::{FromRequest, Outcome};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use super::{snapshot, token};
use crate::config::Secret;

/// A request with the admin token.
pub struct Admin(());

/// A request that may read the metrics.
pub struct Scraper(());

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Admin {
    type Error = Status;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Status> {
        let Some(snapshot) = snapshot(request) else {
            return Outcome::Error((Status::InternalServerError, Status::InternalServerError));
        };
        outcome(shown(request, snapshot.config.admin.token.as_ref()).map(|()| Self(())))
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Scraper {
    type Error = Status;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Status> {
        let Some(snapshot) = snapshot(request) else {
            return Outcome::Error((Status::InternalServerError, Status::InternalServerError));
        };
        outcome(match &snapshot.config.metrics.token {
            None => Ok(Self(())),
            token => shown(request, token.as_ref()).map(|()| Self(())),
        })
    }
}

fn outcome<T>(result: Result<T, Status>) -> Outcome<T, Status> {
    match result {
        Ok(guard) => Outcome::Success(guard),
        Err(status) => Outcome::Error((status, status)),
    }
}

/// Whether the request has this token. A token without a value never matches.
fn shown(request: &Request<'_>, secret: Option<&Secret>) -> Result<(), Status> {
    let secret = secret.and_then(|secret| secret.expose()).ok_or(Status::NotFound)?;
    let sent = token(request).ok_or(Status::Unauthorized)?;
    // Digests are compared, so that the duration of the comparison reveals nothing about the token.
    let digest = |text: &str| Sha256::digest(text.as_bytes());
    if digest(&sent.0) == digest(secret.expose_secret()) { Ok(()) } else { Err(Status::Forbidden) }
}
