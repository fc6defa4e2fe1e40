//! Kind `http`: any HTTP API that a provider file describes. `picture` prepares the picture for the host, `request`
//! fills in the templates of the request, `mapping` reads the reply, and `poll` waits for a job that is not done yet.
//! Addresses in a reply are checked by `outgoing`.
//!
//! Each part reports its steps to the trace, for people who write provider files.

mod balance;
mod mapping;
mod pick;
mod picture;
mod poll;
mod request;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use url::Url;

pub use balance::balances;
pub use picture::Letterbox;

use super::outgoing::{self, AddressPolicy, Names, Rules, System};
use super::remote::{TRANSFER, fetch_paid, host_seconds};
use super::{
    Billed, Call, FailureKind, HttpClient, HttpTimeouts, Provider, ProviderError, ProviderInfo,
    ProviderResponse, Readiness, Reply, Step, Trace,
};
use crate::config::{BodyConfig, Common, HttpConfig, JsonTemplate, ReplyOutput, RequestPart};
use crate::credit::{CallFacts, Price};
use crate::photo::Gray;
use crate::tasks;
use mapping::{MappedReply, ReplyImage, ReplyMapping};
use picture::PreparedImage;
use request::{RenderedRequest, TemplateValues};

/// The IP addresses that are allowed for the host and for the hosts of its results.
pub fn reach(config: &HttpConfig) -> AddressPolicy {
    if config.allow_private { AddressPolicy::Private } else { AddressPolicy::Public }
}

pub struct HttpProvider {
    info: ProviderInfo,
    config: Arc<HttpConfig>,
    mapping: Arc<ReplyMapping>,
    timeout: Duration,
    /// The error says why the provider is not ready.
    host: Result<HttpHost, String>,
}

struct HttpHost {
    /// For requests to the host itself.
    http: HttpClient,
    /// For fetching results from addresses in the host's replies.
    fetcher: HttpClient,
    /// Which addresses in replies are allowed.
    rules: Rules,
}

impl HttpHost {
    /// The error is a message for the operator.
    fn new(common: &Common, config: &HttpConfig) -> Result<Self, String> {
        if let Some(missing) = config.missing() {
            return Err(missing);
        }
        let own = config.base_url.clone().ok_or("it has no address")?;
        let reach = reach(config);
        outgoing::literal(&own, reach).map_err(|why| format!("its `base_url` is not allowed: {why}"))?;
        let hosts = match &config.reply.output {
            ReplyOutput::Url { hosts, .. } => hosts.clone(),
            ReplyOutput::Raw | ReplyOutput::Base64 { .. } | ReplyOutput::DataUrl { .. } => Vec::new(),
        };
        let first_byte = config.remote.first_byte_timeout.unwrap_or(common.timeout + TRANSFER);
        let times = HttpTimeouts { connect: config.remote.connect_timeout, first_byte };
        let http = HttpClient::new(times, reach)?;
        let fetcher = HttpClient::without_redirects(times, Names::new(Arc::new(System), reach))?;
        Ok(Self { http, fetcher, rules: Rules { own, hosts, reach } })
    }
}

impl HttpProvider {
    /// If its address or a secret is missing, the provider is not ready.
    pub fn new(name: &str, common: &Common, config: &HttpConfig, price: &Price) -> Self {
        let max_pixels = config.accepts.max_pixels.unwrap_or(u64::MAX);
        let info = ProviderInfo {
            name: name.to_owned(),
            kind: "http",
            model: config.model.clone(),
            version: config.version.clone(),
            leaves_machine: true,
            send_max_pixels: common.send_max_pixels.min(max_pixels),
            luma_lock: common.luma_lock,
            settings: settings(config),
        };
        let shared = Arc::new(config.clone());
        let mapping = Arc::new(ReplyMapping::new(shared.clone(), price));
        Self { info, config: shared, mapping, timeout: common.timeout, host: HttpHost::new(common, config) }
    }

    /// The request for a picture, written as text with secrets masked. CPU-bound.
    fn preview(&self, base: &Url, gray: &Gray) -> Result<String, ProviderError> {
        let picture = picture::prepare(gray, &self.config.accepts)?;
        let seconds = self.timeout.as_secs();
        let values = TemplateValues { config: &self.config, picture: Some(&picture), seconds, shown: true };
        values.render(base).map(|rendered| rendered.to_string())
    }

    /// The request with its picture, the headers that contain secrets, and the photo's position in the picture.
    async fn rendered(
        &self,
        host: &HttpHost,
        gray: Arc<Gray>,
        deadline: Instant,
    ) -> Result<(RenderedRequest, HeaderMap, Option<picture::Letterbox>), ProviderError> {
        let (config, base, seconds) =
            (self.config.clone(), host.rules.own.clone(), host_seconds(deadline, self.timeout)?);
        let work = tasks::spawn_blocking(move || {
            let picture: PreparedImage = picture::prepare(&gray, &config.accepts)?;
            let values = TemplateValues { config: &config, picture: Some(&picture), seconds, shown: false };
            Ok((values.render(&base)?, values.keys()?, picture.frame))
        });
        let failed = |_| Err(ProviderError::new(FailureKind::Failed, "the picture could not be prepared"));
        work.await.unwrap_or_else(failed)
    }

    /// Reads a reply on a blocking thread, because it may be large.
    async fn read(
        &self,
        reply: Reply,
        facts: CallFacts,
        trace: &Trace,
    ) -> Result<MappedReply, ProviderError> {
        let mapping = self.mapping.clone();
        let trace = trace.clone();
        let read = tasks::spawn_blocking(move || mapping.read(&reply, &facts, &trace));
        let failed = |_| {
            let message = "its answer could not be read";
            Err(ProviderError::new(FailureKind::Failed, message).billed(Billed::Unknown))
        };
        read.await.unwrap_or_else(failed)
    }

    /// Fetches a result. It is already paid for, so network and server errors are retried.
    async fn fetch(
        &self,
        host: &HttpHost,
        address: &str,
        keys: &HeaderMap,
        deadline: Instant,
        trace: &Trace,
    ) -> Result<Bytes, ProviderError> {
        let auth = matches!(self.config.reply.output, ReplyOutput::Url { auth: true, .. });
        let url = if auth { host.rules.read_own(address) } else { host.rules.read(address) };
        let url = url.map_err(|refusal| {
            ProviderError::new(FailureKind::BadAnswer, format!("the address of its result {refusal}"))
        })?;
        let none = HeaderMap::new();
        let (keys, max_bytes) = (if auth { keys } else { &none }, self.config.reply.max_bytes);
        // The trace leaves out the path, which may contain a signature.
        trace.report(Step::Request, || format!("GET the result at {}", url.host_str().unwrap_or_default()));
        let fetch = || host.rules.fetch(&host.fetcher, &url, keys, max_bytes, deadline);
        // Some hosts send the address shortly before the file exists, so 404 is retried too.
        let retry_on = |status: StatusCode| status.is_server_error() || status == StatusCode::NOT_FOUND;
        let reply = fetch_paid(fetch, retry_on).await?;
        trace.report(Step::Reply, || self.mapping.describe(&reply));
        if reply.status != StatusCode::OK {
            let message = format!("its result cannot be fetched: status {}", reply.status.as_u16());
            return Err(ProviderError::new(FailureKind::BadAnswer, message));
        }
        Ok(reply.body)
    }
}

/// Every setting that may change pixels, besides model and version: the host, the pictures that it accepts, the whole
/// request, and where the reply contains the picture.
fn settings(config: &HttpConfig) -> String {
    let request = &config.request;
    let mut parts = vec![
        config.base_url.as_ref().map_or("", Url::as_str).to_owned(),
        config.accepts.settings(),
        request.method().to_string(),
        request.path.to_string(),
    ];
    parts.extend(request.query.iter().map(|(name, value)| format!("{name}={value}")));
    parts.extend(request.headers().map(|(name, value)| format!("{name}: {value}")));
    match &request.body {
        BodyConfig::Raw => parts.push("raw".to_owned()),
        BodyConfig::Multipart { fields } => parts.extend(fields.iter().map(|field| match field.part() {
            Some(RequestPart::Text(text)) => format!("{}={text}", field.name),
            Some(RequestPart::File(name)) => format!("{}=file {name}", field.name),
            None => field.name.clone(),
        })),
        BodyConfig::Json { json: template } => parts.push(template_json(template).to_string()),
    }
    parts.push(match &config.reply.output {
        ReplyOutput::Raw => "raw".to_owned(),
        ReplyOutput::Base64 { pointer }
        | ReplyOutput::DataUrl { pointer }
        | ReplyOutput::Url { pointer, .. } => pointer.to_string(),
    });
    serde_json::Value::from(parts).to_string()
}

/// A template as JSON, with its `{{...}}` fields not filled in.
fn template_json(template: &JsonTemplate) -> serde_json::Value {
    match template {
        JsonTemplate::Plain(value) => value.clone(),
        JsonTemplate::Text(text) => text.to_string().into(),
        JsonTemplate::List(parts) => parts.iter().map(template_json).collect(),
        JsonTemplate::Object(parts) => parts
            .iter()
            .map(|(name, part)| (name.clone(), template_json(part)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

#[async_trait]
impl Provider for HttpProvider {
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
        let facts = CallFacts {
            sent_pixels: u64::from(call.gray.width) * u64::from(call.gray.height),
            timeout: self.timeout,
        };
        let trace = &call.trace;
        // The report masks API keys, so it can be made even if they are missing.
        if let Some(base) = &self.config.base_url {
            trace.report(Step::Request, || {
                self.preview(base, &call.gray).unwrap_or_else(|error| error.to_string())
            });
            call.may_begin().await?;
        }
        let host =
            self.host.as_ref().map_err(|why| ProviderError::new(FailureKind::NotReady, why.clone()))?;
        let (rendered, keys, frame) = self.rendered(host, call.gray.clone(), call.deadline).await?;
        let reply =
            host.http.send(rendered.request(&host.http), self.mapping.max_reply_bytes(), call.deadline).await;
        let reply = reply.map_err(|error| {
            trace.report(Step::Reply, || format!("none: {error}"));
            error.failure().billed(if error.sent() { Billed::Unknown } else { Billed::No })
        })?;
        trace.report(Step::Reply, || self.mapping.describe(&reply));
        let (image, usage) = match self.read(reply, facts, trace).await? {
            MappedReply::Done(image, usage) => (image, usage),
            MappedReply::Pending { url, cancel } => {
                let job = poll::PollJob { url, cancel };
                poll::wait(self, host, &keys, job, facts, call.deadline, trace).await?
            }
        };
        // The host has done its work, so the call is billed even if it fails now.
        let paid = |error: ProviderError| {
            error.billed(usage.credits.map_or(Billed::Unknown, |_| Billed::Yes(usage)))
        };
        let file = match image {
            ReplyImage::File(file) => file,
            ReplyImage::Address(address) => {
                self.fetch(host, &address, &keys, call.deadline, trace).await.map_err(paid)?
            }
        };
        trace.report(Step::Mapping, || format!("the result has {} bytes", file.len()));
        let color = picture::finish(file, frame);
        let color = color.map_err(|why| paid(ProviderError::new(FailureKind::BadAnswer, why)))?;
        Ok(ProviderResponse { color, usage })
    }
}
