//! Whether a request may administrate: by `admin.token`. While that is unset, nobody may, and admin
//! routes are not there: they answer 404 to all.

use rocket::Request;
use rocket::http::Status;
use rocket::request::{FromRequest, Outcome};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use super::{snapshot, token};

/// A request that showed the admin token.
pub struct Admin(());

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Admin {
    type Error = Status;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Status> {
        let Some(snapshot) = snapshot(request) else {
            return Outcome::Error((Status::InternalServerError, Status::InternalServerError));
        };
        let Some(secret) = snapshot.config.admin.token.as_ref().and_then(|token| token.expose()) else {
            return Outcome::Error((Status::NotFound, Status::NotFound));
        };
        // Digests are compared, so that the time says nothing about the token.
        let digest = |text: &str| Sha256::digest(text.as_bytes());
        match token(request) {
            Some(sent) if digest(&sent.0) == digest(secret.expose_secret()) => Outcome::Success(Self(())),
            Some(_) => Outcome::Error((Status::Forbidden, Status::Forbidden)),
            None => Outcome::Error((Status::Unauthorized, Status::Unauthorized)),
        }
    }
}
