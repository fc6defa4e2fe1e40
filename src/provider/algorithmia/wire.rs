//! Reads the protocol's responses: the result, the cost, and whether a retry may help.
//!
//! A response of the protocol is JSON at any status. If it contains an `error`, the `error` decides what failed;
//! otherwise the status decides. According to the service's documentation, calls that end with an `error` are never
//! charged. After a time-out, or a server error other than 503 without an `error` (such as a proxy's), it is unknown
//! whether the call was charged.

use reqwest::StatusCode;
use serde_json::Value;

use crate::credit::{CallFacts, Price, Usage};
use crate::provider::redact::quote;
use crate::provider::{Billed, FailureKind, ProviderError, Reply};

/// The result of a successful call.
#[derive(Clone, Debug, PartialEq)]
pub struct AlgorithmResult {
    /// The URI of the result file.
    pub output: String,
    pub usage: Usage,
    /// Alerts for the operator, such as a low balance, as received. API keys in them are not masked yet.
    pub alerts: Vec<String>,
}

/// Reads the response to a call.
pub fn read(
    provider: &str,
    reply: &Reply,
    price: &Price,
    facts: &CallFacts,
    key: &str,
) -> Result<AlgorithmResult, ProviderError> {
    let json: Option<Value> = serde_json::from_slice(&reply.body).ok();
    if let Some(error) = json.as_ref().and_then(|json| json.get("error")).filter(|error| !error.is_null()) {
        return Err(reported_failure(reply, error, key));
    }
    if !reply.status.is_success() {
        return Err(status_error(reply));
    }
    let json = json.ok_or_else(|| {
        ProviderError::new(FailureKind::BadAnswer, "its answer is not JSON").billed(Billed::Unknown)
    })?;
    // If the response lacks a number that the price needs, the cost is unknown. The ledger decides what to charge.
    let credits = price.actual(facts, Some(&json)).inspect_err(|unknown| {
        tracing::warn!(%provider, "the cost of a call of provider {provider} is unknown: {unknown}");
    });
    let usage = Usage { credits: credits.ok(), cpu: None };
    let invalid = |what: &str| {
        ProviderError::new(FailureKind::BadAnswer, format!("its answer has no {what}"))
            .billed(Billed::Yes(usage))
    };
    if json["metadata"]["content_type"] != "json" {
        return Err(invalid("result of `content_type` json"));
    }
    let output = json["result"]["output"].as_str().ok_or_else(|| invalid("text at `result.output`"))?;
    let alerts = json["metadata"]["alerts"].as_array().into_iter().flatten();
    Ok(AlgorithmResult {
        output: output.to_owned(),
        usage,
        alerts: alerts.filter_map(Value::as_str).map(str::to_owned).collect(),
    })
}

/// The failure that an `error` in the response reports.
fn reported_failure(reply: &Reply, error: &Value, key: &str) -> ProviderError {
    // Calls return {"message": ..., "error_type": ...}; the management API may return a bare string.
    let text = error["message"].as_str().or(error.as_str()).unwrap_or_default();
    let sort = error["error_type"].as_str().unwrap_or_default();
    let (kind, billed) = classify(reply.status, sort, text);
    let text = if text.is_empty() { "nothing" } else { text };
    ProviderError::new(kind, format!("it says: {}", quote(text, key)))
        .billed(billed)
        .retry_after(reply.retry_after())
}

/// Classifies a failure by `error_type` (documented since 2018), by the messages of the live service, and by status.
fn classify(status: StatusCode, sort: &str, text: &str) -> (FailureKind, Billed) {
    use FailureKind::{Busy, Denied, Failed, Rejected, Timeout, Unavailable};
    match (status.as_u16(), sort) {
        (401..=403, _) | (_, "PaymentRequiredError") => (Denied, Billed::No),
        _ if text.contains("authorization required") => (Denied, Billed::No),
        (429, _) => (Busy, Billed::No),
        _ if text.contains("max number of active calls") => (Busy, Billed::No),
        _ if text.starts_with("Failed to start algorithm") => (Unavailable, Billed::No),
        (504, _) | (_, "TimeoutError") => (Timeout, Billed::Unknown),
        _ if text.contains("did not complete within") => (Timeout, Billed::Unknown),
        (500..=599, _) => (Unavailable, Billed::No),
        (400 | 413 | 415, _) | (_, "InputError" | "UnsupportedError" | "TooLargeError" | "ParsingError") => {
            (Rejected, Billed::No)
        }
        _ => (Failed, Billed::No),
    }
}

/// The failure that an unsuccessful status reports if the body has no `error`, as in the response of a proxy.
fn status_error(reply: &Reply) -> ProviderError {
    use FailureKind::{Busy, Denied, Failed, Rejected, Timeout, Unavailable};
    let (kind, billed) = match reply.status.as_u16() {
        401..=403 => (Denied, Billed::No),
        400 | 413 | 415 => (Rejected, Billed::No),
        429 => (Busy, Billed::No),
        // With 503, the host refused the call before it ran. A 500 or 502 of a proxy may come after the call ran.
        503 => (Unavailable, Billed::No),
        504 => (Timeout, Billed::Unknown),
        500..=599 => (Failed, Billed::Unknown),
        _ => (Failed, Billed::No),
    };
    let message =
        format!("it answers with status {} and no error message of the protocol", reply.status.as_u16());
    ProviderError::new(kind, message).billed(billed).retry_after(reply.retry_after())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use reqwest::header::HeaderMap;
    use serde_json::json;

    use super::*;
    use crate::credit::Credits;

    fn read_it(reply: &Reply) -> Result<AlgorithmResult, ProviderError> {
        let config = crate::config::load(&crate::config::ConfigSource::default()).unwrap().config;
        let facts = CallFacts { sent_pixels: 1, timeout: Duration::from_secs(60) };
        read("algorithmia", reply, &config.providers["algorithmia"].price, &facts, "simKEY")
    }

    fn reply(status: u16, body: impl ToString) -> Reply {
        let status = StatusCode::from_u16(status).unwrap();
        Reply { status, headers: HeaderMap::new(), body: Bytes::from(body.to_string()) }
    }

    fn error(status: u16, body: impl ToString) -> ProviderError {
        read_it(&reply(status, body)).unwrap_err()
    }

    #[test]
    fn the_cost_is_unknown_without_a_valid_duration() {
        for (duration, micro) in [
            (json!(0.000183), Some(1_000_000)),
            (json!(17.489276079), Some(18_000_000)),
            (json!(-1), None),
            (json!(1e300), None),
            (json!("long"), None),
            (json!(null), None),
        ] {
            let metadata = json!({ "content_type": "json", "duration": duration });
            let body = json!({ "result": { "output": "data://a/b" }, "metadata": metadata });
            let credits = read_it(&reply(200, &body)).unwrap().usage.credits;
            assert_eq!(credits.map(Credits::micro), micro, "{duration}");
        }
    }

    #[test]
    fn a_recorded_response_of_the_live_service_is_read() {
        let text = r#"{"result":{"output":"data://.algo/deeplearning/ColorfulImageColorization/temp/DHuyYr-V0AAN6x2.png"},
                       "metadata":{"content_type":"json","duration":17.489276079,"alerts":["low balance"]}}"#;
        let done = read_it(&reply(200, text)).unwrap();
        assert_eq!(
            done.output,
            "data://.algo/deeplearning/ColorfulImageColorization/temp/DHuyYr-V0AAN6x2.png"
        );
        assert_eq!(done.usage.credits, Some(Credits::from_micro(18_000_000)));
        assert_eq!(done.alerts, ["low balance"]);
    }

    #[test]
    fn an_error_in_the_response_decides_at_any_status() {
        use FailureKind::*;
        let message = |text: &str| json!({ "error": { "message": text } });
        let typed = |sort: &str| json!({ "error": { "message": "m", "error_type": sort } });
        let failed_start = "Failed to start algorithm - Unable to load algorithm due to algorithm error";
        for (status, body, kind, billed, retryable) in [
            (200, message("apply() functions do not match"), Failed, Billed::No, false),
            (200, json!({ "error": "No such algorithm" }), Failed, Billed::No, false),
            (404, message("algorithm algo://a/b not found"), Failed, Billed::No, false),
            (200, message("authorization required"), Denied, Billed::No, false),
            (401, message("authorization required"), Denied, Billed::No, false),
            (402, message("no credit"), Denied, Billed::No, false),
            (200, typed("PaymentRequiredError"), Denied, Billed::No, false),
            (200, typed("InputError"), Rejected, Billed::No, false),
            (413, message("too large"), Rejected, Billed::No, false),
            (200, message("algorithm hit max number of active calls per session"), Busy, Billed::No, true),
            (429, message("slow down"), Busy, Billed::No, true),
            (200, message(failed_start), Unavailable, Billed::No, true),
            (500, typed("SystemError"), Unavailable, Billed::No, true),
            (200, message("algorithm did not complete within 60.0 seconds"), Timeout, Billed::Unknown, false),
            (504, message("m"), Timeout, Billed::Unknown, false),
            (200, json!({ "error": null, "result": 1 }), BadAnswer, Billed::Yes(Usage::default()), false),
        ] {
            let error = error(status, &body);
            assert_eq!(
                (error.kind, error.billed, error.is_retryable()),
                (kind, billed, retryable),
                "{status} {body}"
            );
        }
    }

    #[test]
    fn without_json_the_status_decides_and_the_body_is_not_quoted() {
        use FailureKind::*;
        for (status, kind, billed, retryable) in [
            (401, Denied, Billed::No, false),
            (404, Failed, Billed::No, false),
            (429, Busy, Billed::No, true),
            (500, Failed, Billed::Unknown, false),
            (502, Failed, Billed::Unknown, false),
            (503, Unavailable, Billed::No, true),
            (504, Timeout, Billed::Unknown, false),
            (200, BadAnswer, Billed::Unknown, false),
        ] {
            let error = error(status, "<h1>simKEY</h1>");
            assert_eq!(
                (error.kind, error.billed, error.is_retryable()),
                (kind, billed, retryable),
                "{status}"
            );
            assert!(!error.message.contains("simKEY"), "{error}");
        }
    }

    #[test]
    fn invalid_responses_to_successful_calls_are_billed() {
        for body in [
            json!({ "result": { "output": 5 }, "metadata": { "content_type": "json", "duration": 1.5 } }),
            json!({ "result": "x", "metadata": { "content_type": "json", "duration": 1.5 } }),
            json!({ "result": { "output": "data://a/b" }, "metadata": { "content_type": "text", "duration": 1.5 } }),
            json!({ "metadata": { "content_type": "json", "duration": 1.5 } }),
        ] {
            let error = error(200, &body);
            assert_eq!(error.kind, FailureKind::BadAnswer, "{body}");
            assert_eq!(error.billed.usage().credits, Some(Credits::from_micro(2_000_000)), "{body}");
        }
    }

    #[test]
    fn the_key_is_masked_in_a_quoted_message() {
        let error = error(401, json!({ "error": { "message": "bad key simKEY\nfor you" } }));
        assert_eq!(error.message, "it says: bad key (the key) for you");
    }
}
