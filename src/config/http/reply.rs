//! How a reply is read: which replies are successes, where the result is, and how to poll for it.

use std::time::Duration;

use figment::value::Value;
use reqwest::Method;

use super::hosts::HostPattern;
use super::request::ToMethod;
use crate::config::reference::Words;
use crate::config::table::Table;
use crate::config::values::whole;
use crate::credit::price::JsonPointer;

const POINTER: &str = "a JSON pointer (RFC 6901) such as \"/data/0/url\"";
const STATUSES: &str = "a list of HTTP statuses such as [200, 201]";
const TEXTS: &str = "a list such as [\"succeeded\"]";
const SCALAR: &str = "a text, a number, or true or false";

const WORDS: Words = &[
    ("status", "HTTP statuses of a success."),
    ("retry_on", "HTTP statuses that mean no work was begun and a retry makes sense."),
    ("success", "What a success must contain in addition to its status."),
    (
        "error",
        "JSON pointer to the host's error message, or a list of pointers of which the first match is used.",
    ),
    ("max_bytes", "Maximum size of a reply and of an image."),
    (
        "output",
        "Where the image is: the reply itself (\"raw\"), or in JSON as base64, a `data:` URL or a URL.",
    ),
    ("pointer", "JSON pointer to it; not for `raw`."),
    ("hosts", "Hosts other than that of `base_url` from which it may be fetched. For `json_url` only."),
    (
        "auth",
        "Whether the request's headers are sent with that fetch, to the host of `base_url` only. For `json_url` only.",
    ),
];
const SUCCESS_WORDS: Words =
    &[("pointer", "JSON pointer to the value."), ("equals", "The value of a success.")];
const POLL_WORDS: Words = &[
    ("url", "JSON pointer to the polling URL in the first reply."),
    ("status", "JSON pointer to the state in a reply."),
    ("done", "States that mean success."),
    ("failed", "States that mean failure."),
    ("interval", "Seconds until the first poll; each further interval is 1.5 times as long."),
    ("max_interval", "Maximum interval, in seconds."),
    ("deadline", "Time-out of polling, in seconds. Default: `timeout`."),
    ("cancel", "JSON pointer to the cancel URL in the first reply, used after the time-out."),
    ("cancel_method", "HTTP method for cancelling."),
];

#[derive(Clone, Debug)]
pub struct ReplyConfig {
    pub status: Vec<u16>,
    /// Statuses that mean that the host has not begun the work and a retry makes sense.
    pub retry_on: Vec<u16>,
    /// A condition that a success must meet in addition to its status.
    pub success: Option<Equals>,
    pub output: ReplyOutput,
    /// Where an error message is; the first pointer that finds one counts.
    pub error: Vec<JsonPointer>,
    /// Maximum size of a reply and of a result, in bytes.
    pub max_bytes: u64,
}

/// A value that a reply must contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Equals {
    pub pointer: JsonPointer,
    /// The expected value; numbers and booleans as text.
    pub equals: String,
}

/// Where the result is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyOutput {
    /// The reply's body is the image.
    Raw,
    /// Base64 text in JSON.
    Base64(JsonPointer),
    /// A `data:` URL in JSON.
    DataUrl(JsonPointer),
    /// The JSON contains the address of the image.
    Url {
        pointer: JsonPointer,
        /// Whether to send the request's headers to that address. They are only ever sent to the host of `base_url`.
        auth: bool,
        /// Allowed hosts in addition to that of `base_url`.
        hosts: Vec<HostPattern>,
    },
}

/// How to poll for a result.
#[derive(Clone, Debug)]
pub struct PollConfig {
    /// Where the first reply contains the address to poll.
    pub url: JsonPointer,
    /// Where a reply contains the state of the work.
    pub status: JsonPointer,
    /// The states that mean success.
    pub done: Vec<String>,
    /// The states that mean failure.
    pub failed: Vec<String>,
    /// The first delay between polls; each further delay is 1.5 times as long.
    pub interval: Duration,
    /// The longest delay between polls.
    pub max_interval: Duration,
    /// How long to poll; none: until the call's time-out.
    pub deadline: Option<Duration>,
    /// Where the first reply contains the address that cancels the work.
    pub cancel: Option<JsonPointer>,
    pub cancel_method: Method,
}

#[derive(Clone, Copy)]
enum OutputWord {
    Raw,
    Base64,
    DataUrl,
    Url,
}

const OUTPUTS: [(&str, OutputWord); 4] = [
    ("raw", OutputWord::Raw),
    ("json_base64", OutputWord::Base64),
    ("json_data_url", OutputWord::DataUrl),
    ("json_url", OutputWord::Url),
];

const CANCEL_METHODS: [(&str, ToMethod); 3] =
    [("POST", || Method::POST), ("PUT", || Method::PUT), ("DELETE", || Method::DELETE)];

impl ReplyConfig {
    /// Returns none if the place of the result is missing or invalid; the problem is noted.
    pub(super) fn read(table: &mut Table<'_>) -> Option<Self> {
        table.describe(WORDS);
        let status = table.statuses("status", &[200, 201, 202]);
        let retry_on = table.statuses("retry_on", &[429, 503]);
        if retry_on.iter().any(|code| status.contains(code)) {
            table.problem(
                &["retry_on"],
                "`retry_on` has a status that is in `status`: it is one or the other",
            );
        }
        let success = table.has("success").then(|| table.table("success", equals));
        if success.is_none() {
            table.miss("success");
        }
        let error = table.pointers("error");
        let max_bytes = table.bytes("max_bytes", 32 << 20, 1024..=256 << 20);
        let output = match table.required_choice("output", &OUTPUTS) {
            Some(OutputWord::Raw) => Some(ReplyOutput::Raw),
            Some(word) => table.pointer("pointer").and_then(|pointer| match word {
                OutputWord::Raw => None,
                OutputWord::Base64 => Some(ReplyOutput::Base64(pointer)),
                OutputWord::DataUrl => Some(ReplyOutput::DataUrl(pointer)),
                OutputWord::Url => {
                    let host = ("a host", "cdn.example.com");
                    let hosts = table.list("hosts", Vec::new(), host, HostPattern::parse);
                    Some(ReplyOutput::Url { pointer, auth: table.flag("auth", false), hosts })
                }
            }),
            None => {
                table.accept_all();
                None
            }
        };
        let success = match success {
            Some(equals) => Some(equals?),
            None => None,
        };
        Some(Self { status, retry_on, success, output: output?, error, max_bytes })
    }
}

fn equals(table: &mut Table<'_>) -> Option<Equals> {
    table.describe(SUCCESS_WORDS);
    let pointer = table.pointer("pointer");
    let equals = table.required("equals", SCALAR, scalar);
    Some(Equals { pointer: pointer?, equals: equals? })
}

impl PollConfig {
    pub(super) fn read(table: &mut Table<'_>) -> Option<Self> {
        table.describe(POLL_WORDS);
        let (url, status) = (table.pointer("url"), table.pointer("status"));
        let words = |value: &Value| {
            let words = value.as_array()?.iter().map(scalar).collect::<Option<Vec<_>>>();
            words.filter(|words| !words.is_empty())
        };
        let (done, failed) = (table.required("done", TEXTS, words), table.required("failed", TEXTS, words));
        let interval = table.seconds("interval", Duration::from_secs(1), 0.05..=60.0);
        let max_interval = table.seconds("max_interval", Duration::from_secs(5), 0.05..=60.0);
        let deadline = table.optional_seconds("deadline", 0.1..=3600.0);
        let cancel = table.optional("cancel", POINTER, |value| JsonPointer::parse(value.as_str()?));
        let cancel_method =
            table.choice("cancel_method", &CANCEL_METHODS).map_or(Method::POST, |method| method());
        let both = |done: &Vec<String>| failed.iter().flatten().any(|word| done.contains(word));
        if done.as_ref().is_some_and(both) {
            table.problem(&["failed"], "`failed` has a word that is in `done`: it is one or the other");
        }
        Some(Self {
            url: url?,
            status: status?,
            done: done?,
            failed: failed?,
            interval,
            max_interval: max_interval.max(interval),
            deadline,
            cancel,
            cancel_method,
        })
    }
}

/// Converts a text, a number or a boolean to text.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(_, text) => Some(text.clone()),
        Value::Num(..) | Value::Bool(..) => serde_json::to_string(value).ok(),
        _ => None,
    }
}

impl Table<'_> {
    /// A required JSON pointer.
    pub(super) fn pointer(&mut self, key: &'static str) -> Option<JsonPointer> {
        self.required(key, POINTER, |value| JsonPointer::parse(value.as_str()?))
    }

    fn pointers(&mut self, key: &'static str) -> Vec<JsonPointer> {
        let read = self.optional(key, POINTER, |value| match value.as_array() {
            Some(items) => items.iter().map(|item| JsonPointer::parse(item.as_str()?)).collect(),
            None => Some(vec![JsonPointer::parse(value.as_str()?)?]),
        });
        read.unwrap_or_default()
    }

    fn statuses(&mut self, key: &'static str, default: &[u16]) -> Vec<u16> {
        let status = |value: &Value| {
            whole(value).and_then(|code| u16::try_from(code).ok()).filter(|code| (100..=599).contains(code))
        };
        let read = self.read(key, serde_json::json!(default), |value| {
            let codes = value.as_array().and_then(|codes| codes.iter().map(status).collect());
            codes.ok_or_else(|| STATUSES.to_owned())
        });
        read.unwrap_or_else(|| default.to_vec())
    }

    /// Reads an optional value.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        parse: impl Fn(&Value) -> Option<T>,
    ) -> Option<T> {
        self.read(key, serde_json::Value::Null, |value| parse(value).ok_or_else(|| wanted.to_owned()))
    }
}
