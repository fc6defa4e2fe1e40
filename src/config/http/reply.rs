//! How a reply is read: which replies are successes, where the result is, and how to poll for it.

use std::time::Duration;

use reqwest::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value as Json;

use super::hosts::HostPattern;
use crate::config::kinds::{Kind, List, One, Optional, Parsed, Seconds, Size, kind};
use crate::config::place::Place;
use crate::config::schema::describe_tag;
use crate::credit::price::JsonPointer;

/// The reply.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct ReplyConfig {
    /// HTTP statuses of a success.
    #[serde(default = "success")]
    #[schemars(extend("x-must-be" = "a list of HTTP statuses such as [200, 201]"), inner(range(min = 100, max = 599)))]
    pub status: Vec<u16>,
    /// HTTP statuses that mean that the host has not begun to work and that a retry makes sense.
    #[serde(default = "busy")]
    #[schemars(extend("x-must-be" = "a list of HTTP statuses such as [429, 503]"), inner(range(min = 100, max = 599)))]
    pub retry_on: Vec<u16>,
    pub success: Option<Equals>,
    /// JSON pointer to the host's error message, or a list of pointers of which the first match is used.
    #[serde(default, deserialize_with = "pointers")]
    #[schemars(schema_with = "pointers_schema", extend("default" = null))]
    pub error: Vec<JsonPointer>,
    /// Maximum size of a reply and of an image.
    #[serde(default = "max_bytes", with = "One::<Size>")]
    #[schemars(range(min = 1024, max = 256u64 << 20))]
    pub max_bytes: u64,
    #[serde(flatten)]
    pub output: ReplyOutput,
}

/// What a success must contain in addition to its status.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Equals {
    /// JSON pointer to the value.
    #[serde(with = "One::<ReplyPointer>")]
    pub pointer: JsonPointer,
    /// The value that means success.
    // Numbers and booleans as text.
    #[serde(deserialize_with = "scalar")]
    #[schemars(schema_with = "scalar_schema", extend("x-must-be" = "a text, a number, or true or false"))]
    pub equals: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "output")]
#[schemars(transform = describe_tag(
    "output",
    "Where the image is: the reply itself (\"raw\"), or in JSON as base64, a `data:` URL or a URL."
))]
pub enum ReplyOutput {
    /// The reply's body is the image.
    #[serde(rename = "raw")]
    Raw,
    /// Base64 text in JSON.
    #[serde(rename = "json_base64")]
    Base64 {
        /// JSON pointer to the image. Not for `raw`.
        #[serde(with = "One::<ReplyPointer>")]
        pointer: JsonPointer,
    },
    /// A `data:` URL in JSON.
    #[serde(rename = "json_data_url")]
    DataUrl {
        /// JSON pointer to the image. Not for `raw`.
        #[serde(with = "One::<ReplyPointer>")]
        pointer: JsonPointer,
    },
    /// The JSON contains the address of the image.
    #[serde(rename = "json_url")]
    Url {
        /// JSON pointer to the image. Not for `raw`.
        #[serde(with = "One::<ReplyPointer>")]
        pointer: JsonPointer,
        /// Hosts other than that of `base_url` from which the image may be fetched. For `json_url` only.
        #[serde(default, with = "List::<ResultHost>")]
        hosts: Vec<HostPattern>,
        /// Whether the request's headers are also sent when the image is fetched from its URL. They are sent only to
        /// the host of `base_url`. For `json_url` only.
        #[serde(default)]
        auth: bool,
    },
}

/// Polling, for a host whose first reply does not always contain the image.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct PollConfig {
    /// JSON pointer to the polling URL in the first reply.
    #[serde(with = "One::<ReplyPointer>")]
    pub url: JsonPointer,
    /// JSON pointer to the state in a reply.
    #[serde(with = "One::<ReplyPointer>")]
    pub status: JsonPointer,
    /// States that mean success.
    #[serde(deserialize_with = "scalars")]
    #[schemars(schema_with = "scalars_schema", length(min = 1), extend("x-must-be" = "a list such as [\"succeeded\"]"))]
    pub done: Vec<String>,
    /// States that mean failure.
    #[serde(deserialize_with = "scalars")]
    #[schemars(schema_with = "scalars_schema", length(min = 1), extend("x-must-be" = "a list such as [\"failed\"]"))]
    pub failed: Vec<String>,
    /// Seconds until the first poll; each further interval is 1.5 times as long.
    #[serde(default = "one_second", with = "One::<Seconds>")]
    #[schemars(range(min = 0.05, max = 60))]
    pub interval: Duration,
    /// Maximum interval, in seconds.
    #[serde(default = "five_seconds", with = "One::<Seconds>")]
    #[schemars(range(min = 0.05, max = 60))]
    pub max_interval: Duration,
    /// Time-out of polling, in seconds. Default: `timeout`.
    #[serde(default, with = "Optional::<Seconds>")]
    #[schemars(range(min = 0.1, max = 3600))]
    pub deadline: Option<Duration>,
    /// JSON pointer to the cancel URL in the first reply, used after the time-out.
    #[serde(default, with = "Optional::<ReplyPointer>")]
    pub cancel: Option<JsonPointer>,
    /// HTTP method for cancelling.
    #[serde(default)]
    cancel_method: CancelMethod,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum CancelMethod {
    #[default]
    Post,
    Put,
    Delete,
}

kind!(
    ReplyPointer: JsonPointer, "reply-pointer", "a JSON pointer (RFC 6901)", "/data/0/url",
    |text| JsonPointer::parse(text)
);
kind!(
    ResultHost: HostPattern, "result-host", "a host", "cdn.example.com",
    |text| HostPattern::parse(text)
);

fn success() -> Vec<u16> {
    vec![200, 201, 202]
}

fn busy() -> Vec<u16> {
    vec![429, 503]
}

const fn max_bytes() -> u64 {
    32 << 20
}

const fn one_second() -> Duration {
    Duration::from_secs(1)
}

const fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

/// Reads one pointer or a list of pointers.
fn pointers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<JsonPointer>, D::Error> {
    let texts = match Json::deserialize(deserializer)? {
        Json::Array(texts) => texts,
        text => vec![text],
    };
    let parsed = texts.iter().map(|text| text.as_str().and_then(JsonPointer::parse));
    parsed.collect::<Option<_>>().ok_or_else(|| serde::de::Error::custom(ReplyPointer::NOUN))
}

fn pointers_schema(_: &mut SchemaGenerator) -> Schema {
    let one = ReplyPointer::schema();
    let must_be = format!("{} such as \"{}\"", ReplyPointer::NOUN, ReplyPointer::EXAMPLE);
    let list = json_schema!({ "type": "array", "items": one, "x-must-be": must_be });
    json_schema!({ "anyOf": [one, list], "x-must-be": must_be })
}

/// A text, a number or a boolean, as text.
#[derive(Deserialize)]
#[serde(from = "Json")]
struct Scalar(String);

impl From<Json> for Scalar {
    fn from(value: Json) -> Self {
        match value {
            Json::String(text) => Self(text),
            plain => Self(plain.to_string()),
        }
    }
}

fn scalar<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Scalar::deserialize(deserializer).map(|value| value.0)
}

fn scalars<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Vec::deserialize(deserializer).map(|values| values.into_iter().map(|Scalar(text)| text).collect())
}

fn scalar_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "number", "boolean"] })
}

fn scalars_schema(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": scalar_schema(generator) })
}

impl ReplyConfig {
    pub(super) fn check(&self, place: &Place<'_>) {
        if self.retry_on.iter().any(|code| self.status.contains(code)) {
            let message = "`retry_on` has a status that is also in `status`: remove it from one of them";
            place.problem(&["retry_on"], message);
        }
    }
}

impl PollConfig {
    pub const fn cancel_method(&self) -> Method {
        match self.cancel_method {
            CancelMethod::Post => Method::POST,
            CancelMethod::Put => Method::PUT,
            CancelMethod::Delete => Method::DELETE,
        }
    }

    pub(super) fn check(&mut self, place: &Place<'_>) {
        if self.failed.iter().any(|word| self.done.contains(word)) {
            let message = "`failed` has a word that is also in `done`: remove it from one of them";
            place.problem(&["failed"], message);
        }
        self.max_interval = self.max_interval.max(self.interval);
    }
}
