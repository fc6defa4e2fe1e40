//! Kind `algorithmia`: pipe a picture into an algorithm, then fetch the file that it made.
//!
//! The protocol of api.algorithmia.com from 2016 to 2022, which companies still run: `POST
//! /v1/algo/OWNER/NAME/VERSION` with a picture as a data URL, and `GET /v1/connector/data/...` for the
//! result. The second request goes to the same host as the first, whatever the answer says.

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

use super::memory::Remembered;
use super::words::quote;
use super::{
    About, Answer, Billed, Call, Color, FailureKind, HttpError, Provider, ProviderError, Readiness, Reply,
    Step, Trace,
};
use crate::config::{Algorithm, AlgorithmiaConfig, Common};
use crate::credit::{CallFacts, Price};
use crate::photo::{self, Gray, Limits, OutputFormat};
use crate::tasks;
use host::Host;
pub use host::reach;
use wire::Done;

/// For the way there and back, beside the time that the host may work.
pub const TRANSFER: Duration = Duration::from_secs(5);

/// Largest request that the protocol allows, in bytes.
const MOST_REQUEST: usize = 10 << 20;
/// Largest answer to a call that is read: it is a few lines.
const MOST_ANSWER: u64 = 1 << 20;
/// Largest result file that is fetched: the service itself gave out 15 MB at most.
const MOST_FILE: u64 = 32 << 20;
/// Longest time-out that the protocol allows, in seconds.
const MOST_SECONDS: u64 = 3000;
/// JPEG, because the way to the host costs more than the picture's last few percent.
const QUALITY: u8 = 95;
/// How much of a request is shown to who tries it out, in bytes.
const SHOWN: usize = 60;
/// Waits before a result that has been paid for is fetched once more.
const FETCH_WAITS: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(1200)];

/// A host that speaks Algorithmia's protocol, and one algorithm there.
pub struct Algorithmia {
    about: About,
    base: Option<Url>,
    algorithm: Algorithm,
    price: Price,
    timeout: Duration,
    /// How to reach it, or why that is not known.
    host: Result<Host, String>,
    remembered: Arc<Remembered>,
}

impl Algorithmia {
    /// Sets it up. Without an address or a key it is a provider that is not ready.
    pub fn new(
        name: &str,
        common: &Common,
        config: &AlgorithmiaConfig,
        price: &Price,
        remembered: Arc<Remembered>,
    ) -> Self {
        let Algorithm { owner, name: algorithm, version } = &config.algorithm;
        let about = About {
            name: name.to_owned(),
            kind: "algorithmia",
            model: format!("{owner}/{algorithm}"),
            version: version.clone().unwrap_or_else(|| "latest".to_owned()),
            leaves_machine: true,
            send_max_pixels: common.send_max_pixels,
            luma_lock: common.luma_lock,
            // Another host may run something else under the same name.
            settings: format!("jpeg {QUALITY} {}", config.base_url.as_ref().map_or("", Url::as_str)),
        };
        Self {
            about,
            base: config.base_url.clone(),
            algorithm: config.algorithm.clone(),
            price: price.clone(),
            timeout: common.timeout,
            host: Host::new(common, config),
            remembered,
        }
    }

    fn host(&self) -> Result<&Host, ProviderError> {
        self.host.as_ref().map_err(|why| ProviderError::new(FailureKind::NotReady, why.clone()))
    }

    /// Calls the algorithm. Whatever fails here after the request was sent may have cost something.
    async fn pipe(&self, call: &Call) -> Result<Done, ProviderError> {
        let (gray, deadline, trace) = (call.gray.clone(), call.deadline, &call.trace);
        let sent_pixels = u64::from(gray.width) * u64::from(gray.height);
        let facts = CallFacts { sent_pixels, timeout: self.timeout };
        let body = tasks::spawn_blocking(move || body(&gray)).await;
        let body =
            body.map_err(|_| ProviderError::new(FailureKind::Failed, "the picture could not be prepared"))??;
        let Algorithm { owner, name, version } = &self.algorithm;
        let path = ["v1", "algo", owner, name].into_iter().chain(version.as_deref());
        // The request can be shown without the key that it needs.
        let Some(base) = &self.base else { return Err(self.host().err().unwrap_or_else(no_address)) };
        let mut url = host::url(base, path)?;
        url.query_pairs_mut().append_pair("timeout", &self.seconds(deadline)?.to_string());
        trace.tell(Step::Request, || {
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
        let reply = host.http.send(request, MOST_ANSWER, deadline).await.map_err(|error| {
            let billed = if error.sent() { Billed::Unknown } else { Billed::No };
            error.failure().billed(billed)
        })?;
        let key = host.key.expose_secret();
        trace.tell(Step::Reply, || {
            let text = String::from_utf8_lossy(&reply.body);
            format!("status {}: {}", reply.status.as_u16(), quote(&text, key))
        });
        let done = wire::read(&self.about.name, &reply, &self.price, &facts, key)?;
        trace.tell(Step::Mapping, || {
            let cost = done.usage.credits.map_or("unknown".to_owned(), |credits| credits.to_string());
            let output = quote(&done.output, key);
            format!("`/result/output` is {output}; by the price, the call costs {cost} credits")
        });
        for alert in done.alerts.iter().map(|alert| quote(alert, key)) {
            if self.remembered.is_news(&alert) {
                let name = &self.about.name;
                tracing::warn!(provider = %name, "provider {name} wants you to know: {alert}");
            }
        }
        Ok(done)
    }

    /// How many seconds the host is told to work at most: what the configuration allows, and never so
    /// many that the answer would come too late. Less than half a second is not worth asking for.
    fn seconds(&self, deadline: Instant) -> Result<u64, ProviderError> {
        let left = deadline.saturating_duration_since(Instant::now());
        // Of a short time, the way there and back gets a share only.
        let work = left.saturating_sub(TRANSFER.min(left / 4)).min(self.timeout);
        match (work + Duration::from_millis(500)).as_secs().min(MOST_SECONDS) {
            0 if work < self.timeout => {
                Err(ProviderError::new(FailureKind::Timeout, "too little time is left for it"))
            }
            seconds => Ok(seconds.max(1)),
        }
    }

    /// Fetches a result. It has been paid for, so that a broken connection is tried again.
    async fn fetch(
        &self,
        host: &Host,
        uri: &str,
        deadline: Instant,
        trace: &Trace,
    ) -> Result<Bytes, ProviderError> {
        let bad = |message: String| ProviderError::new(FailureKind::BadAnswer, message);
        let segments =
            data_uri::segments(uri, &self.algorithm).map_err(|refusal| bad(refusal.to_string()))?;
        let path = ["v1", "connector", "data"].into_iter().chain(segments.iter().map(String::as_str));
        let url = host::url(&host.base, path)?;
        trace.tell(Step::Request, || format!("GET {url}, Authorization: (the key)"));
        let mut waits = FETCH_WAITS.into_iter();
        let reply = loop {
            let request = host.http.get(url.clone()).header(AUTHORIZATION, &host.authorization);
            let result = host.http.send(request, MOST_FILE, deadline).await;
            let broken = match &result {
                Err(HttpError::NoConnection(_) | HttpError::Broken(_) | HttpError::NoFirstByte(_)) => true,
                Err(_) => false,
                Ok(reply) => reply.status.is_server_error(),
            };
            match waits.next().filter(|_| broken) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => break result.map_err(|error| error.failure())?,
            }
        };
        trace.tell(Step::Reply, || format!("status {}, {} bytes", reply.status.as_u16(), reply.body.len()));
        check(reply).map_err(bad)
    }
}

fn no_address() -> ProviderError {
    ProviderError::new(FailureKind::NotReady, "it has no address")
}

/// The request's body: `{"image": "data:image/jpeg;base64,..."}`. Processor work.
fn body(gray: &Gray) -> Result<Bytes, ProviderError> {
    let jpeg = gray
        .encode(OutputFormat::Jpeg, QUALITY)
        .map_err(|error| ProviderError::new(FailureKind::Rejected, error.to_string()))?;
    let mut body = String::with_capacity(jpeg.len() * 4 / 3 + 64);
    body.push_str("{\"image\": \"data:image/jpeg;base64,");
    BASE64.encode_string(&jpeg, &mut body);
    body.push_str("\"}");
    if body.len() > MOST_REQUEST {
        let message = "the picture is larger than the 10 MiB that it takes: set a smaller `send_max_pixels`";
        return Err(ProviderError::new(FailureKind::Rejected, message));
    }
    Ok(body.into())
}

/// Whether the reply is a file that is a picture; if not, why.
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
impl Provider for Algorithmia {
    fn about(&self) -> &About {
        &self.about
    }

    fn readiness(&self) -> Readiness {
        match &self.host {
            Ok(_) => Readiness::Ready,
            Err(why) => Readiness::NotReady { why: why.clone(), retry_after: None },
        }
    }

    async fn colorize(&self, call: Call) -> Result<Answer, ProviderError> {
        let Done { output, usage, .. } = self.pipe(&call).await?;
        let host = self.host()?;
        let paid = |error: ProviderError| error.billed(Billed::Yes(usage));
        let picture = self.fetch(host, &output, call.deadline, &call.trace).await.map_err(paid)?;
        Ok(Answer { color: Color::Picture(picture), usage })
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
    fn a_request_larger_than_the_protocol_allows_is_not_made() {
        let fits = body(&noise(700)).unwrap();
        assert!(fits.len() < MOST_REQUEST);
        let input: serde_json::Value = serde_json::from_slice(&fits).unwrap();
        assert!(input["image"].as_str().unwrap().starts_with("data:image/jpeg;base64,/9j/"));
        let error = body(&noise(3600)).unwrap_err();
        assert_eq!((error.kind, error.billed), (FailureKind::Rejected, Billed::No), "{error}");
        assert!(error.message.contains("send_max_pixels"), "{error}");
    }
}
