//! Client for a running gateway: colours photographs and reads usage. It first requests the result by the photograph's
//! SHA-256, so that a photograph in the gateway's cache is not uploaded again.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::CONTENT_TYPE;
use reqwest::{RequestBuilder, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::CliError;
use super::colorize::ColorizedFile;
use crate::hex::hex;
use crate::photo::OutputFormat;
use crate::provider::{AddressPolicy, HttpClient, HttpTimeouts, Reply};

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
        let wrong =
            || format!("{address} is not the URL of a gateway: give one such as http://127.0.0.1:8080");
        let mut base: Url = address.parse().map_err(|_| wrong())?;
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
            return Err(wrong().into());
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let client = HttpClient::new(
            HttpTimeouts { connect: Duration::from_secs(10), first_byte: TIME },
            AddressPolicy::Anywhere,
        )?;
        let key = key_file.map(read_key).transpose()?;
        Ok(Self { client, base, key })
    }

    /// Colours a photograph, or fetches its result from the gateway's cache.
    pub async fn color(
        &self,
        photograph: Bytes,
        provider: Option<&str>,
        format: Option<OutputFormat>,
    ) -> Result<ColorizedFile, CliError> {
        let deadline = Instant::now() + TIME;
        let fingerprint = hex(&Sha256::digest(&photograph));
        let url = self.url(&format!("v1/results/sha256/{fingerprint}"), provider, format)?;
        let found = self.client.send(self.authorized(self.client.get(url)), MOST, deadline).await?;
        if found.status == StatusCode::OK {
            return colored(&found, true);
        }
        // After any other status, the photograph is uploaded. If the upload fails too, its error is reported.
        let post = self.authorized(self.client.post(self.url("v1/colorize", provider, format)?));
        let request = post.header(CONTENT_TYPE, "application/octet-stream").body(photograph);
        let made = self.client.send(request, MOST, deadline).await?;
        match made.status {
            StatusCode::OK => colored(&made, false),
            status => Err(problem(status, &made.body).into()),
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

    fn url(&self, path: &str, provider: Option<&str>, format: Option<OutputFormat>) -> Result<Url, CliError> {
        let mut url = self.base.join(path)?;
        let format = format.map(|format| format.to_string());
        for (name, value) in [("provider", provider), ("format", format.as_deref())] {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        Ok(url)
    }
}

/// Reads the key from a file. A key on the command line would be visible to every program on the machine.
fn read_key(file: &Path) -> Result<SecretString, CliError> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(text.trim().to_owned().into())
}

fn colored(reply: &Reply, found: bool) -> Result<ColorizedFile, CliError> {
    let header =
        |name: &str| reply.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = header("content-type");
    let format = kind.strip_prefix("image/").and_then(|name| name.parse().ok());
    Ok(ColorizedFile {
        bytes: reply.body.clone(),
        format: format
            .ok_or_else(|| format!("the gateway answered with {kind:?}, which is not a picture"))?,
        provider: Some(header("x-pixcolor-provider").to_owned()).filter(|name| !name.is_empty()),
        credits: header("x-pixcolor-credits").to_owned(),
        damage: Some(header("x-pixcolor-damage").to_owned()).filter(|sentence| !sentence.is_empty()),
        found: found || header("cache-status").contains("; hit"),
    })
}

/// The `detail` of the gateway's problem, or its status.
fn problem(status: StatusCode, body: &[u8]) -> String {
    let problem: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let detail = problem.as_ref().and_then(|problem| problem.get("detail")?.as_str());
    detail.map_or_else(|| format!("the gateway answered with status {status}"), str::to_owned)
}
