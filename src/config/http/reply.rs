//! How a reply is read: which replies are successes, where the result is, and how to poll for it.

use std::time::Duration;

use reqwest::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value as Json;

use super::hosts::HostPattern;
use crate::config::kinds::{List, One, Optional, OptionalSeconds, Parsed, Seconds, Size, kind};
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
    /// HTTP statuses that mean no work was begun and a retry makes sense.
    #[serde(default = "busy")]
    #[schemars(extend("x-must-be" = "a list of HTTP statuses such as [429, 503]"), inner(range(min = 100, max = 599)))]
    pub retry_on: Vec<u16>,
    pub success: Option<Equals>,
    /// JSON pointer to the host's error message, or a list of pointers of which the first match is used.
    #[serde(default, deserialize_with = "Pointers::deserialize")]
    #[schemars(with = "Pointers", extend("default" = null))]
    pub error: Vec<JsonPointer>,
    /// Maximum size of a reply and of an image.
    #[serde(default = "max_bytes", with = "Size")]
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
    /// The value of a success.
    // Numbers and booleans as text.
    #[serde(deserialize_with = "Scalar::deserialize")]
    #[schemars(with = "Scalar", extend("x-must-be" = "a text, a number, or true or false"))]
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
        /// JSON pointer to it; not for `raw`.
        #[serde(with = "One::<ReplyPointer>")]
        pointer: JsonPointer,
    },
    /// A `data:` URL in JSON.
    #[serde(rename = "json_data_url")]
    DataUrl {
        /// JSON pointer to it; not for `raw`.
        #[serde(with = "One::<ReplyPointer>")]
        pointer: JsonPointer,
    },
    /// The JSON contains the address of the image.
    #[serde(rename = "json_url")]
    Url {
        /// JSON pointer to it; not for `raw`.
        #[serde(with = "One::<ReplyPointer>")]
        pointer: JsonPointer,
        /// Hosts other than that of `base_url` from which it may be fetched. For `json_url` only.
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
    #[serde(deserialize_with = "Scalar::list")]
    #[schemars(with = "Vec<Scalar>", length(min = 1), extend("x-must-be" = "a list such as [\"succeeded\"]"))]
    pub done: Vec<String>,
    /// States that mean failure.
    #[serde(deserialize_with = "Scalar::list")]
    #[schemars(with = "Vec<Scalar>", length(min = 1), extend("x-must-be" = "a list such as [\"failed\"]"))]
    pub failed: Vec<String>,
    /// Seconds until the first poll; each further interval is 1.5 times as long.
    #[serde(default = "one_second", with = "Seconds")]
    #[schemars(range(min = 0.05, max = 60))]
    pub interval: Duration,
    /// Maximum interval, in seconds.
    #[serde(default = "five_seconds", with = "Seconds")]
    #[schemars(range(min = 0.05, max = 60))]
    pub max_interval: Duration,
    /// Time-out of polling, in seconds. Default: `timeout`.
    #[serde(default, with = "OptionalSeconds")]
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
    |text| JsonPointer::parse(text).ok_or_else(String::new)
);
kind!(
    ResultHost: HostPattern, "result-host", "a host", "cdn.example.com",
    |text| HostPattern::parse(text).ok_or_else(String::new)
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

/// One pointer or a list of pointers.
struct Pointers;

impl Pointers {
    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<JsonPointer>, D::Error> {
        let texts = match Json::deserialize(deserializer)? {
            Json::Array(texts) => texts,
            text => vec![text],
        };
        let parsed = texts.iter().map(|text| text.as_str().and_then(JsonPointer::parse));
        parsed.collect::<Option<_>>().ok_or_else(|| serde::de::Error::custom(ReplyPointer::NOUN))
    }
}

impl JsonSchema for Pointers {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Pointers".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = One::<ReplyPointer>::json_schema(generator);
        let must_be = format!("{} such as \"{}\"", ReplyPointer::NOUN, ReplyPointer::EXAMPLE);
        let list = json_schema!({ "type": "array", "items": one, "x-must-be": must_be });
        json_schema!({ "anyOf": [one, list], "x-must-be": must_be })
    }
}

/// A text, a number or a boolean, as text.
struct Scalar;

impl Scalar {
    fn text(value: Json) -> String {
        match value {
            Json::String(text) => text,
            plain => plain.to_string(),
        }
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        Json::deserialize(deserializer).map(Self::text)
    }

    fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
        Vec::deserialize(deserializer).map(|values| values.into_iter().map(Self::text).collect())
    }
}

impl JsonSchema for Scalar {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Scalar".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

impl ReplyConfig {
    pub(super) fn check(&self, place: &Place<'_>) {
        if self.retry_on.iter().any(|code| self.status.contains(code)) {
            let message = "`retry_on` has a status that is in `status`: it is one or the other";
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
            place.problem(&["failed"], "`failed` has a word that is in `done`: it is one or the other");
        }
        self.max_interval = self.max_interval.max(self.interval);
    }
}
