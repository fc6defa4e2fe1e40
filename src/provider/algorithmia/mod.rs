//! Kind `algorithmia`: sends a picture to an algorithm, then fetches the result file.
//!
//! The protocol is that of api.algorithmia.com from 2016 to 2022. Companies still run servers with this protocol. The
//! requests are `POST /v1/algo/OWNER/NAME/VERSION` with a picture as a data URL, then `GET /v1/connector/data/...` for
//! the result. Both go to the configured host; the response cannot name another host.

mod data_uri;
mod host;
mod wire;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use secrecy::ExposeSecret;
use url::Url;

use super::memory::ProviderState;
use super::outgoing::FetchError;
use super::redact::quote;
use super::remote::{fetch_paid, host_seconds};
use super::{
    Billed, Call, FailureKind, Provider, ProviderColor, ProviderError, ProviderInfo, ProviderResponse,
    Readiness, Reply, Step, Trace,
};
use crate::config::{Algorithm, AlgorithmiaConfig, Common};
use crate::credit::{CallFacts, Price};
use crate::photo::{self, Gray, Limits, OutputFormat};
use crate::tasks;
use host::AlgorithmiaHost;
pub use host::reach;
use wire::AlgorithmResult;

/// The largest request body that the protocol allows, in bytes.
const MAX_REQUEST: usize = 10 << 20;
/// The largest accepted response to a call, in bytes. A usual response has a few lines.
const MAX_RESPONSE: u64 = 1 << 20;
/// The largest accepted result file, in bytes. The public service had a limit of 15 MB.
const MAX_FILE: u64 = 32 << 20;
/// The longest time-out that the protocol allows, in seconds.
const MAX_SECONDS: u64 = 3000;
/// The quality of the JPEG that is sent. A short transfer matters more than the last few percent of picture quality.
const QUALITY: u8 = 95;
/// How much of a request body the trace shows, in bytes.
const SHOWN: usize = 60;

pub struct AlgorithmiaProvider {
    info: ProviderInfo,
    base: Option<Url>,
    algorithm: Algorithm,
    price: Price,
    timeout: Duration,
    /// The error says why the provider is not ready.
    host: Result<AlgorithmiaHost, String>,
    state: Arc<ProviderState>,
}

impl AlgorithmiaProvider {
    /// If its address or API key is missing, the provider is not ready.
    pub fn new(
        name: &str,
        common: &Common,
        config: &AlgorithmiaConfig,
        price: &Price,
        state: Arc<ProviderState>,
    ) -> Self {
        let Algorithm { owner, name: algorithm, version } = &config.algorithm;
        let info = ProviderInfo {
            name: name.to_owned(),
            kind: "algorithmia",
            model: format!("{owner}/{algorithm}"),
            version: version.clone().unwrap_or_else(|| "latest".to_owned()),
            leaves_machine: true,
            send_max_pixels: common.send_max_pixels,
            luma_lock: common.luma_lock,
            // Another host may run another model under the same name.
            settings: format!("jpeg {QUALITY} {}", config.base_url.as_ref().map_or("", Url::as_str)),
        };
        Self {
            info,
            base: config.base_url.clone(),
            algorithm: config.algorithm.clone(),
            price: price.clone(),
            timeout: common.timeout,
            host: AlgorithmiaHost::new(common, config),
            state,
        }
    }

    fn host(&self) -> Result<&AlgorithmiaHost, ProviderError> {
        self.host.as_ref().map_err(|why| ProviderError::new(FailureKind::NotReady, why.clone()))
    }

    /// Calls the algorithm. If this fails after the request was sent, the call may have been billed.
    async fn pipe(&self, call: &Call) -> Result<AlgorithmResult, ProviderError> {
        let (gray, deadline, trace) = (call.gray.clone(), call.deadline, &call.trace);
        let sent_pixels = u64::from(gray.width) * u64::from(gray.height);
        let facts = CallFacts { sent_pixels, timeout: self.timeout };
        let body = tasks::spawn_blocking(move || body(&gray)).await;
        let body =
            body.map_err(|_| ProviderError::new(FailureKind::Failed, "the picture could not be prepared"))??;
        let Algorithm { owner, name, version } = &self.algorithm;
        let path = ["v1", "algo", owner, name].into_iter().chain(version.as_deref());
        // The trace shows the request even if the API key is missing.
        let Some(base) = &self.base else { return Err(self.host().err().unwrap_or_else(no_address)) };
        let mut url = host::url(base, path)?;
        let seconds = host_seconds(deadline, self.timeout)?.min(MAX_SECONDS);
        url.query_pairs_mut().append_pair("timeout", &seconds.to_string());
        trace.report(Step::Request, || {
            let (start, bytes) = (String::from_utf8_lossy(&body[..SHOWN.min(body.len())]), body.len());
            format!("POST {url}, Authorization: (the key), Content-Type: application/json, {bytes} bytes: {start}...")
        });
        call.may_begin().await?;
        let host = self.host()?;
        let request = host
            .http
            .post(url)
            .header(AUTHORIZATION, &host.authorization)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body);
        let reply = host.http.send(request, MAX_RESPONSE, deadline).await.map_err(|error| {
            let billed = if error.sent() { Billed::Unknown } else { Billed::No };
            error.failure().billed(billed)
        })?;
        let key = host.key.expose_secret();
        trace.report(Step::Reply, || {
            let text = String::from_utf8_lossy(&reply.body);
            format!("status {}: {}", reply.status.as_u16(), quote(&text, key))
        });
        let done = wire::read(&self.info.name, &reply, &self.price, &facts, key)?;
        trace.report(Step::Mapping, || {
            let cost = done.usage.credits.map_or("unknown".to_owned(), |credits| credits.to_string());
            let output = quote(&done.output, key);
            format!("`/result/output` is {output}; by the price, the call costs {cost} credits")
        });
        for alert in done.alerts.iter().map(|alert| quote(alert, key)) {
            if self.state.is_new_alert(&alert) {
                let name = &self.info.name;
                tracing::warn!(provider = %name, "provider {name} sent an alert: {alert}");
            }
        }
        Ok(done)
    }

    /// Fetches a result. It is already paid for, so network and server errors are retried.
    async fn fetch(
        &self,
        host: &AlgorithmiaHost,
        uri: &str,
        deadline: Instant,
        trace: &Trace,
    ) -> Result<Bytes, ProviderError> {
        let bad = |message: String| ProviderError::new(FailureKind::BadAnswer, message);
        let segments =
            data_uri::segments(uri, &self.algorithm).map_err(|refusal| bad(refusal.to_string()))?;
        let path = ["v1", "connector", "data"].into_iter().chain(segments.iter().map(String::as_str));
        let url = host::url(&host.base, path)?;
        trace.report(Step::Request, || format!("GET {url}, Authorization: (the key)"));
        let fetch = || async {
            let request = host.http.get(url.clone()).header(AUTHORIZATION, &host.authorization);
            host.http.send(request, MAX_FILE, deadline).await.map_err(FetchError::Http)
        };
        let reply = fetch_paid(fetch, |status| status.is_server_error()).await?;
        trace.report(Step::Reply, || format!("status {}, {} bytes", reply.status.as_u16(), reply.body.len()));
        check(reply).map_err(bad)
    }
}

fn no_address() -> ProviderError {
    ProviderError::new(FailureKind::NotReady, "it has no address")
}

/// The request body `{"image": "data:image/jpeg;base64,..."}`. CPU-bound.
fn body(gray: &Gray) -> Result<Bytes, ProviderError> {
    let jpeg = gray
        .encode(OutputFormat::Jpeg, QUALITY)
        .map_err(|error| ProviderError::new(FailureKind::Rejected, error.to_string()))?;
    let mut body = String::with_capacity(jpeg.len() * 4 / 3 + 64);
    body.push_str("{\"image\": \"data:image/jpeg;base64,");
    BASE64.encode_string(&jpeg, &mut body);
    body.push_str("\"}");
    if body.len() > MAX_REQUEST {
        let message = "the picture is larger than the limit of 10 MiB: set a smaller `send_max_pixels`";
        return Err(ProviderError::new(FailureKind::Rejected, message));
    }
    Ok(body.into())
}

/// Returns the image file that a response contains. The error is the reason why it contains none.
fn check(reply: Reply) -> Result<Bytes, String> {
    if reply.status != reqwest::StatusCode::OK {
        return Err(format!("its result cannot be fetched: status {}", reply.status.as_u16()));
    }
    if reply.headers.get("X-Data-Type").is_some_and(|kind| kind != "file") {
        return Err("its result is a folder, not a file".to_owned());
    }
    match photo::read_head(&reply.body, &Limits::NONE) {
        Ok(_) => Ok(reply.body),
        Err(error) => Err(format!("its result is not a usable picture: {error}")),
    }
}

#[async_trait]
impl Provider for AlgorithmiaProvider {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn readiness(&self) -> Readiness {
        match &self.host {
            Ok(_) => Readiness::Ready,
            Err(why) => Readiness::NotReady { why: why.clone(), retry_after: None },
        }
    }

    async fn colorize(&self, call: Call) -> Result<ProviderResponse, ProviderError> {
        let AlgorithmResult { output, usage, .. } = self.pipe(&call).await?;
        let host = self.host()?;
        let paid = |error: ProviderError| error.billed(Billed::Yes(usage));
        let picture = self.fetch(host, &output, call.deadline, &call.trace).await.map_err(paid)?;
        Ok(ProviderResponse { color: ProviderColor::Picture(picture), usage })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(side: u32) -> Gray {
        let code = |i: u32| (i.wrapping_mul(2_654_435_761) >> 16) as u16;
        Gray { width: side, height: side, luma: (0..side * side).map(code).collect() }
    }

    #[test]
    fn a_picture_over_the_size_limit_of_the_protocol_is_rejected() {
        let fits = body(&noise(700)).unwrap();
        assert!(fits.len() < MAX_REQUEST);
        let input: serde_json::Value = serde_json::from_slice(&fits).unwrap();
        assert!(input["image"].as_str().unwrap().starts_with("data:image/jpeg;base64,/9j/"));
        let error = body(&noise(3600)).unwrap_err();
        assert_eq!((error.kind, error.billed), (FailureKind::Rejected, Billed::No), "{error}");
        assert!(error.message.contains("send_max_pixels"), "{error}");
    }
}
