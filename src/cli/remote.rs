//! Client for a running gateway: colours photographs and reads usage. It first requests the result by the photograph's
//! SHA-256, so that a photograph in the gateway's cache is not uploaded again.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::header::CONTENT_TYPE;
use reqwest::{RequestBuilder, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};

use super::CliError;
use super::colorize::ColoredPicture;
use crate::gateway::{RenditionOptions, Upload};
use crate::hex::hex;
use crate::photo::{Depth, Limits, Rotation, read_head};
use crate::provider::{AddressPolicy, HttpClient, HttpError, HttpTimeouts, Reply};

/// Time-out for one photograph, upload and download included.
const TIME: Duration = Duration::from_secs(600);

/// Maximum size of a result in bytes. A PNG of 50 million pixels, the default limit, is smaller.
const MOST: u64 = 1 << 30;

/// Maximum size of a usage report in bytes.
const MOST_REPORT: u64 = 64 << 20;

/// A running gateway.
pub struct Remote {
    client: HttpClient,
    base: Url,
    key: Option<SecretString>,
}

impl Remote {
    /// `address` is the gateway's URL, such as `http://127.0.0.1:8080`; `key_file` contains the client's key.
    pub fn new(address: &str, key_file: Option<&Path>) -> Result<Self, CliError> {
        let base = base_url(address)?;
        let client = HttpClient::new(
            HttpTimeouts { connect: Duration::from_secs(10), first_byte: TIME },
            AddressPolicy::Anywhere,
        )?;
        let key = key_file.map(read_key).transpose()?;
        Ok(Self { client, base, key })
    }

    /// Fails if no gateway can be reached.
    pub async fn check(&self) -> Result<(), RemoteError> {
        let url = self.base.join("healthz").map_err(RemoteError::not_sent)?;
        self.client.send(self.client.get(url), MOST_REPORT, Instant::now() + TIME).await?;
        Ok(())
    }

    /// Fetches the result of a photograph from the gateway's cache. Uploads the photograph if there is none.
    pub async fn color(
        &self,
        upload: &Upload,
        provider: Option<&str>,
        options: &RenditionOptions,
    ) -> Result<ColoredPicture, RemoteError> {
        let deadline = Instant::now() + TIME;
        let fingerprint = hex(&upload.fingerprint.0);
        let url = self.url(&format!("v1/results/sha256/{fingerprint}"), provider, options)?;
        let found = self.client.send(self.authorized(self.client.get(url)), MOST, deadline).await?;
        if found.status == StatusCode::OK {
            return colored(&found, true);
        }
        // After any other status, the photograph is uploaded. If the upload fails too, its error is reported.
        let post = self.authorized(self.client.post(self.url("v1/colorize", provider, options)?));
        let request = post.header(CONTENT_TYPE, "application/octet-stream").body(upload.bytes.clone());
        let made = self.client.send(request, MOST, deadline).await?;
        match made.status {
            StatusCode::OK => colored(&made, false),
            _ => Err(refused(&made)),
        }
    }

    /// What the gateway's providers would charge for a picture of this size, or for any picture. No picture is sent.
    pub async fn estimate(
        &self,
        size: Option<(u32, u32)>,
        provider: Option<&str>,
    ) -> Result<serde_json::Value, RemoteError> {
        let size = size.map(|(width, height)| serde_json::json!({ "width": width, "height": height }));
        let mut url = self.base.join("v1/estimate").map_err(RemoteError::not_sent)?;
        if let Some(provider) = provider {
            url.query_pairs_mut().append_pair("provider", provider);
        }
        let body = size.unwrap_or_else(|| serde_json::json!({}));
        let request = self.authorized(self.client.post(url)).json(&body);
        let reply = self.client.send(request, MOST_REPORT, Instant::now() + TIME).await?;
        match reply.status {
            StatusCode::OK => serde_json::from_slice(&reply.body)
                .map_err(|error| RemoteError::not_sent(format_args!("the gateway's estimate: {error}"))),
            _ => Err(refused(&reply)),
        }
    }

    /// Requests `/v1/usage` with a query and returns the body of the response.
    pub async fn usage(
        &self,
        query: &[(&str, &str)],
        token: Option<&SecretString>,
    ) -> Result<String, CliError> {
        let mut url = self.base.join("v1/usage")?;
        url.query_pairs_mut().extend_pairs(query);
        let mut request = self.client.get(url);
        if let Some(token) = token {
            request = request.bearer_auth(token.expose_secret());
        }
        let reply = self.client.send(request, MOST_REPORT, Instant::now() + TIME).await?;
        match reply.status {
            StatusCode::OK => Ok(String::from_utf8(reply.body.to_vec())?),
            status => Err(problem(status, &reply.body).into()),
        }
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.key {
            Some(key) => request.bearer_auth(key.expose_secret()),
            None => request,
        }
    }

    fn url(
        &self,
        path: &str,
        provider: Option<&str>,
        options: &RenditionOptions,
    ) -> Result<Url, RemoteError> {
        let mut url = self.base.join(path).map_err(RemoteError::not_sent)?;
        let RenditionOptions { format, metadata, depth, decode } = options;
        let mut query = url.query_pairs_mut();
        query.append_pair("metadata", metadata.name());
        let optional = [
            ("provider", provider.map(str::to_owned)),
            ("format", format.map(|format| format.to_string())),
            ("depth", (*depth == Depth::Sixteen).then(|| depth.bits().to_string())),
            ("rotate", (decode.rotation != Rotation::None).then(|| decode.rotation.degrees().to_string())),
            ("page", (decode.page > 1).then(|| decode.page.to_string())),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                query.append_pair(name, &value);
            }
        }
        drop(query);
        Ok(url)
    }
}

/// Parses the URL of a gateway, such as `http://127.0.0.1:8080`. The path of the result ends in a slash.
pub fn base_url(address: &str) -> Result<Url, CliError> {
    let wrong = || format!("{address} is not the URL of a gateway: give one such as http://127.0.0.1:8080");
    let mut base: Url = address.parse().map_err(|_| wrong())?;
    if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
        return Err(wrong().into());
    }
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", base.path()));
    }
    Ok(base)
}

/// Reads the key from a file. A key on the command line would be visible to every program on the machine.
fn read_key(file: &Path) -> Result<SecretString, CliError> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(text.trim().to_owned().into())
}

fn colored(reply: &Reply, found: bool) -> Result<ColoredPicture, RemoteError> {
    let header =
        |name: &str| reply.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let text = |name: &str| Some(header(name).to_owned()).filter(|text| !text.is_empty());
    let head = read_head(&reply.body, &Limits::NONE).map_err(|_| {
        let kind = header("content-type");
        let message = format!("the gateway answered with {kind:?}, which is not a picture");
        RemoteError::Refused { message, called: true }
    })?;
    Ok(ColoredPicture {
        bytes: reply.body.clone(),
        width: head.width,
        height: head.height,
        provider: text("x-pixcolor-provider"),
        model: text("x-pixcolor-model"),
        credits: header("x-pixcolor-credits").parse().ok(),
        money: None,
        damage: text("x-pixcolor-damage"),
        cached: found || header("cache-status").contains("; hit"),
    })
}

/// The error of a response that is not a picture.
fn refused(reply: &Reply) -> RemoteError {
    let message = problem(reply.status, &reply.body);
    let busy = matches!(reply.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    match reply.retry_after() {
        Some(after) if busy => RemoteError::Later { after, message },
        _ if matches!(reply.status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT)
            && !is_problem(reply) =>
        {
            RemoteError::Lost { message, called: true }
        }
        // A client's error is found before a call.
        _ => RemoteError::Refused { message, called: !reply.status.is_client_error() },
    }
}

/// Whether a response comes from the gateway and not from a proxy before it.
fn is_problem(reply: &Reply) -> bool {
    reply
        .headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/problem+json"))
}

/// Why a gateway did not colour a photograph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// Another request would get the same response.
    #[error("{message}")]
    Refused {
        message: String,
        /// Whether the gateway may have called a provider.
        called: bool,
    },
    /// The gateway says when to ask again.
    #[error("{message}")]
    Later { after: Duration, message: String },
    /// The gateway cannot be reached, or the connection broke.
    #[error("{message}")]
    Lost {
        message: String,
        /// Whether the gateway may have called a provider.
        called: bool,
    },
}

impl RemoteError {
    /// A request that was not sent.
    fn not_sent(error: impl std::fmt::Display) -> Self {
        Self::Refused { message: error.to_string(), called: false }
    }
}

impl From<HttpError> for RemoteError {
    fn from(error: HttpError) -> Self {
        let (message, called) = (format!("the gateway cannot be reached: {error}"), error.sent());
        match error {
            HttpError::NoConnection(_) | HttpError::Broken(_) | HttpError::NoFirstByte(_) => {
                Self::Lost { message, called }
            }
            _ => Self::Refused { message, called },
        }
    }
}

/// The `detail` of the gateway's problem, or its status.
fn problem(status: StatusCode, body: &[u8]) -> String {
    let problem: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let detail = problem.as_ref().and_then(|problem| problem.get("detail")?.as_str());
    detail.map_or_else(|| format!("the gateway answered with status {status}"), str::to_owned)
}
