//! Reads a reply: the picture, the picture's address, a job that is not done yet, or a failure with its message and
//! cost. Sends nothing.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use reqwest::header::CONTENT_TYPE;
use secrecy::ExposeSecret;
use serde_json::Value;

use super::pick::Picker;
use crate::config::{HttpConfig, PollConfig, ReplyOutput};
use crate::credit::price::{JsonPointer, PricedUnit};
use crate::credit::{CallFacts, Price, Usage};
use crate::provider::redact::{masked, quote};
use crate::provider::{Billed, FailureKind, ProviderError, Reply, Step, Trace};

/// Reads the replies of one provider.
pub struct ReplyMapping {
    config: Arc<HttpConfig>,
    price: Price,
    picker: Picker,
}

/// The meaning of a successful reply.
#[derive(Clone, Debug, PartialEq)]
pub enum MappedReply {
    Done(ReplyImage, Usage),
    /// The job is not done yet.
    Pending {
        /// The address of the job's status. The first reply must contain it; later replies need not.
        url: Option<String>,
        /// The address that cancels the job.
        cancel: Option<String>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyImage {
    File(Bytes),
    Address(String),
}

impl ReplyMapping {
    pub fn new(config: Arc<HttpConfig>, price: &Price) -> Self {
        let reply = &config.reply;
        let mut pointers: Vec<&JsonPointer> = reply.error.iter().collect();
        pointers.extend(reply.success.as_ref().map(|success| &success.pointer));
        pointers.extend(match &reply.output {
            ReplyOutput::Raw => None,
            ReplyOutput::Base64 { pointer }
            | ReplyOutput::DataUrl { pointer }
            | ReplyOutput::Url { pointer, .. } => Some(pointer),
        });
        if let Some(PollConfig { url, status, cancel, .. }) = &config.poll {
            pointers.extend([url, status].into_iter().chain(cancel));
        }
        pointers.extend(price.terms.iter().filter_map(|term| match &term.per {
            PricedUnit::Number { pointer, .. } => Some(pointer),
            PricedUnit::Call | PricedUnit::Megapixel => None,
        }));
        let picker = Picker::new(pointers);
        Self { config, price: price.clone(), picker }
    }

    /// The largest accepted reply, in bytes. Base64 is a third longer than the picture.
    pub fn max_reply_bytes(&self) -> u64 {
        let max_bytes = self.config.reply.max_bytes;
        match self.config.reply.output {
            ReplyOutput::Raw | ReplyOutput::Url { .. } => max_bytes,
            ReplyOutput::Base64 { .. } | ReplyOutput::DataUrl { .. } => max_bytes / 3 * 4 + (1 << 20),
        }
    }

    /// Reads a reply. CPU-bound.
    pub fn read(
        &self,
        reply: &Reply,
        facts: &CallFacts,
        trace: &Trace,
    ) -> Result<MappedReply, ProviderError> {
        let status = reply.status.as_u16();
        let rules = &self.config.reply;
        if !rules.status.contains(&status) {
            trace.report(Step::Mapping, || format!("status {status} is not a success"));
            return Err(self.status_error(reply, trace));
        }
        trace.report(Step::Mapping, || format!("status {status} is a success"));
        let bad = |message: String, billed: Billed| {
            ProviderError::new(FailureKind::BadAnswer, message).billed(billed)
        };
        let json = self.picker.read(&reply.body);
        // If the reply lacks a number that the price needs, the cost is unknown. While a job runs, this is normal.
        let credits = self.price.actual(facts, json.as_ref());
        let warn_if_unknown = || {
            if let Err(unknown) = &credits {
                let model = &self.config.model;
                tracing::warn!(%model, "the cost of a call of {model} is unknown: {unknown}");
            }
        };
        let usage = Usage { credits: credits.as_ref().ok().copied(), cpu: None };
        let billed = usage.credits.map_or(Billed::Unknown, |_| Billed::Yes(usage));
        if rules.output == ReplyOutput::Raw {
            warn_if_unknown();
            trace.report(Step::Mapping, || format!("the picture is the reply, {} bytes", reply.body.len()));
            return Ok(MappedReply::Done(ReplyImage::File(reply.body.clone()), usage));
        }
        let Some(json) = json else {
            return Err(bad("its answer is not JSON".to_owned(), Billed::Unknown));
        };
        if let Some(success) = &rules.success {
            let value = text(&json, &success.pointer);
            trace.report(Step::Mapping, || {
                format!(
                    "{} is {}, wanted {}",
                    success.pointer,
                    self.cleaned(value.as_deref()),
                    success.equals
                )
            });
            if value.as_ref() != Some(&success.equals) {
                return Err(self.reported_failure(&json, trace).billed(billed));
            }
        }
        if let Some(poll) = &self.config.poll {
            let value = text(&json, &poll.status);
            let shown = self.cleaned(value.as_deref());
            let missing = || bad(format!("its answer has nothing at `{}`", poll.status), Billed::Unknown);
            let value = value.ok_or_else(missing)?;
            if poll.failed.contains(&value) {
                trace.report(Step::Mapping, || format!("{} is {shown}: it has failed", poll.status));
                return Err(self.reported_failure(&json, trace).billed(billed));
            }
            if !poll.done.contains(&value) {
                trace.report(Step::Mapping, || format!("{} is {shown}: not done yet", poll.status));
                let cancel = poll.cancel.as_ref().and_then(|pointer| text(&json, pointer));
                return Ok(MappedReply::Pending { url: text(&json, &poll.url), cancel });
            }
            trace.report(Step::Mapping, || format!("{} is {shown}: it is done", poll.status));
        }
        let image = self.image(&json, trace).map_err(|why| bad(why, billed))?;
        warn_if_unknown();
        trace.report(Step::Mapping, || match &credits {
            Ok(credits) => format!("it cost {credits} credits"),
            Err(unknown) => format!("its cost is unknown: {unknown}"),
        });
        Ok(MappedReply::Done(image, usage))
    }

    fn image(&self, json: &Value, trace: &Trace) -> Result<ReplyImage, String> {
        let at = |pointer: &JsonPointer| {
            let text = json.pointer(pointer.as_str()).and_then(Value::as_str);
            text.ok_or_else(|| format!("its answer has no text at `{pointer}`"))
        };
        let decode = |pointer: &JsonPointer, text: &str| {
            let wrong = |_| format!("its answer has no base64 at `{pointer}`");
            // Some hosts break base64 into lines.
            let broken = text.contains(['\n', '\r', ' ']);
            let joined = if broken { text.split_whitespace().collect() } else { String::new() };
            let text = if broken { joined.as_str() } else { text };
            BASE64.decode(text).map(Bytes::from).map_err(wrong)
        };
        Ok(match &self.config.reply.output {
            // `read` has already returned for this kind of output.
            ReplyOutput::Raw => return Err("its answer is not a picture".to_owned()),
            ReplyOutput::Base64 { pointer } => {
                let file = decode(pointer, at(pointer)?)?;
                trace.report(Step::Mapping, || {
                    format!("{pointer} is a picture in base64, {} bytes", file.len())
                });
                ReplyImage::File(file)
            }
            ReplyOutput::DataUrl { pointer } => {
                let data = at(pointer)?.strip_prefix("data:").and_then(|rest| rest.split_once(','));
                let data = data.and_then(|(kind, data)| kind.ends_with(";base64").then_some(data));
                let data =
                    data.ok_or_else(|| format!("its answer has no data URL in base64 at `{pointer}`"))?;
                let file = decode(pointer, data)?;
                trace.report(Step::Mapping, || format!("{pointer} is a data URL, {} bytes", file.len()));
                ReplyImage::File(file)
            }
            ReplyOutput::Url { pointer, .. } => {
                let address = at(pointer)?;
                // The trace leaves out the path, which may contain a signature.
                let host = url::Url::parse(address).ok().and_then(|url| url.host_str().map(str::to_owned));
                trace.report(Step::Mapping, || {
                    format!("{pointer} is an address at {}", host.as_deref().unwrap_or("its own host"))
                });
                ReplyImage::Address(address.to_owned())
            }
        })
    }

    /// The error for an unsuccessful status.
    fn status_error(&self, reply: &Reply, trace: &Trace) -> ProviderError {
        use FailureKind::{BadAnswer, Busy, Denied, Failed, Rejected, Timeout, Unavailable};
        let status = reply.status.as_u16();
        let (kind, billed) = match status {
            503 if self.config.reply.retry_on.contains(&503) => (Unavailable, Billed::No),
            _ if self.config.reply.retry_on.contains(&status) => (Busy, Billed::No),
            401..=403 => (Denied, Billed::No),
            400 | 413 | 415 | 422 => (Rejected, Billed::No),
            408 | 504 => (Timeout, Billed::Unknown),
            404..=499 => (Failed, Billed::No),
            500..=599 => (Failed, Billed::Unknown),
            _ => (BadAnswer, Billed::Unknown),
        };
        let value = self.picker.read(&reply.body).and_then(|json| self.error_message(&json, trace));
        let message = match value {
            Some(value) => format!("it answers with status {status} and says: {value}"),
            None => format!("it answers with status {status} and no message"),
        };
        ProviderError::new(kind, message).billed(billed).retry_after(reply.retry_after())
    }

    /// The error for a failure that the host reports with a successful status.
    fn reported_failure(&self, json: &Value, trace: &Trace) -> ProviderError {
        let value = self.error_message(json, trace).unwrap_or_else(|| "no message".to_owned());
        ProviderError::new(FailureKind::Failed, format!("it reports a failure: {value}"))
    }

    /// The host's message about a failure.
    fn error_message(&self, json: &Value, trace: &Trace) -> Option<String> {
        let pointers = &self.config.reply.error;
        let (pointer, value) = pointers.iter().find_map(|pointer| Some((pointer, text(json, pointer)?)))?;
        let value = self.cleaned(Some(&value));
        trace.report(Step::Mapping, || format!("{pointer} says: {value}"));
        Some(value)
    }

    /// A host's text as one short line. Keys are masked, because some hosts repeat them.
    fn cleaned(&self, value: Option<&str>) -> String {
        let Some(value) = value else { return "missing".to_owned() };
        let keys = self.config.secrets.values().filter_map(|secret| secret.expose());
        let keys: Vec<&str> = keys.map(|key| key.expose_secret()).collect();
        quote(&masked(value, &keys, "(the key)"), "")
    }

    /// A reply for the trace: status, media type, size, and the beginning of a text.
    pub fn describe(&self, reply: &Reply) -> String {
        let media_type = reply.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let text_types = ["text/", "json", "xml", "urlencoded"];
        let is_text =
            media_type.is_none_or(|kind| text_types.iter().any(|kind_of_text| kind.contains(kind_of_text)));
        let text = std::str::from_utf8(&reply.body).ok().filter(|text| is_text && !text.is_empty());
        let text = text.map_or(String::new(), |text| format!(": {}", self.cleaned(Some(text))));
        let media_type = self.cleaned(Some(media_type.unwrap_or("no media type")));
        format!("status {}, {media_type}, {} bytes{text}", reply.status.as_u16(), reply.body.len())
    }
}

/// The text, number or boolean at `pointer`, as text.
fn text(json: &Value, pointer: &JsonPointer) -> Option<String> {
    match json.pointer(pointer.as_str())? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests;
