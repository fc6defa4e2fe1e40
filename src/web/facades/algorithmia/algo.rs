//! `POST /v1/algo/OWNER/NAME[/VERSION]`: calls an algorithm.

use std::time::{Duration, Instant};

use rocket::http::Status;
use rocket::{Responder, Route, post, routes};
use serde_json::Value;

use super::color::{self, Coloring};
use super::envelope::{AcceptedResponse, AlgoResponse, Failed, Made, OutputKind};
use super::input::{AlgoInput, RawInput};
use crate::config::Serves;
use crate::web::guards::Context;
use crate::web::problem::Problem;
use crate::web::request::single;

/// Default time-out of a call, in seconds.
const TIMEOUT: f64 = 300.0;
/// Maximum time-out that a caller can set, in seconds.
const MOST_TIMEOUT: f64 = 3000.0;

/// The routes of this file.
pub fn routes() -> Vec<Route> {
    routes![call, call_version]
}

/// The response to a call.
#[derive(Responder)]
#[allow(clippy::large_enum_variant)]
enum AlgoReply {
    Answer(AlgoResponse),
    Accepted(AcceptedResponse),
    Failed(Failed),
}

/// The query parameters of a call.
struct AlgoOptions {
    timeout: Vec<String>,
    stdout: Vec<String>,
    output: Vec<String>,
}

#[post("/v1/algo/<owner>/<name>?<timeout>&<stdout>&<output>", data = "<input>")]
async fn call(
    context: Context,
    owner: &str,
    name: &str,
    timeout: Vec<String>,
    stdout: Vec<String>,
    output: Vec<String>,
    input: Result<AlgoInput, Problem>,
) -> Result<AlgoReply, Problem> {
    run(context, [owner, name, "latest"], AlgoOptions { timeout, stdout, output }, input?).await
}

#[post("/v1/algo/<owner>/<name>/<version>?<timeout>&<stdout>&<output>", data = "<input>")]
#[allow(clippy::too_many_arguments)]
async fn call_version(
    context: Context,
    owner: &str,
    name: &str,
    version: &str,
    timeout: Vec<String>,
    stdout: Vec<String>,
    output: Vec<String>,
    input: Result<AlgoInput, Problem>,
) -> Result<AlgoReply, Problem> {
    run(context, [owner, name, version], AlgoOptions { timeout, stdout, output }, input?).await
}

async fn run(
    mut context: Context,
    [owner, name, version]: [&str; 3],
    options: AlgoOptions,
    input: AlgoInput,
) -> Result<AlgoReply, Problem> {
    let algorithm = format!("{owner}/{name}");
    let serves = context.snapshot.config.facades.algorithmia.algorithms.get(&algorithm);
    let serves = serves.filter(|_| is_version(version)).cloned().ok_or_else(|| {
        let version = if version == "latest" { String::new() } else { format!("/{version}") };
        Problem::new(Status::NotFound, format!("algorithm algo://{algorithm}{version} not found"))
    })?;
    let start = Instant::now();
    let limit = context.snapshot.config.limits.request;
    let deadline = start + timeout(single("timeout", options.timeout)?.as_deref())?.min(limit);
    let stdout = flag("stdout", single("stdout", options.stdout)?.as_deref())?;
    let output = output(single("output", options.output)?.as_deref())?;

    let call = Coloring { algorithm, serves, deadline };
    if output == OutputKind::Void {
        // The response is sent at once. The work continues even if the client disconnects.
        context.connection = None;
        let tasks = context.gateway.tasks().clone();
        tasks.spawn(async move {
            if let Err(problem) = work(&context, &call, input).await {
                tracing::info!("a call with output=void failed: {}", problem.detail);
            }
        });
        return Ok(AlgoReply::Accepted(AcceptedResponse));
    }
    Ok(match work(&context, &call, input).await {
        Err(problem) => AlgoReply::Failed(Failed(problem, start.elapsed().as_secs_f64())),
        Ok(AlgoResult { made, printed, alerts, headers }) => AlgoReply::Answer(AlgoResponse {
            made,
            duration: start.elapsed().as_secs_f64(),
            stdout: stdout.then_some(printed),
            alerts,
            raw: output == OutputKind::Raw,
            headers,
        }),
    })
}

/// The result of a call.
pub struct AlgoResult {
    pub made: Made,
    /// What the algorithm printed.
    pub printed: String,
    /// Warnings for the caller.
    pub alerts: Vec<String>,
    pub headers: Vec<rocket::http::Header<'static>>,
}

async fn work(context: &Context, call: &Coloring, input: AlgoInput) -> Result<AlgoResult, Problem> {
    match call.serves {
        Serves::Hello => hello(&input.raw),
        Serves::Route | Serves::Provider(_) => color::run(context, call, input).await,
    }
}

/// The example algorithm that new callers try first.
fn hello(given: &RawInput) -> Result<AlgoResult, Problem> {
    let name = match given.value()? {
        Some(Value::String(name)) => name,
        Some(value) => value.to_string(),
        None => return Err(Problem::bad_request("Send a name, as text or as JSON.")),
    };
    let made = Made::Text(format!("Hello {name}"));
    Ok(AlgoResult { made, printed: String::new(), alerts: Vec::new(), headers: Vec::new() })
}

/// Whether a version has a valid form: `1.1.5`, `1.1.*`, `latest`, `latestPrivate` or a git hash. Every version runs
/// the same algorithm.
fn is_version(version: &str) -> bool {
    let hash = version.len() == 40 && version.bytes().all(|b| b.is_ascii_hexdigit());
    let parts: Vec<&str> = version.split('.').collect();
    let number = |part: &&str| (1..=9).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let line = match parts.split_last() {
        Some((last, rest)) => {
            parts.len() <= 3
                && rest.iter().all(number)
                && (number(last) || (*last == "*" && !rest.is_empty()))
        }
        None => false,
    };
    hash || line || matches!(version, "latest" | "latestPrivate")
}

/// Reads the time-out.
fn timeout(word: Option<&str>) -> Result<Duration, Problem> {
    let Some(word) = word else { return Ok(Duration::from_secs_f64(TIMEOUT)) };
    let seconds = word.trim().parse().ok().filter(|seconds: &f64| *seconds > 0.0 && seconds.is_finite());
    seconds
        .map(|seconds| Duration::from_secs_f64(seconds.min(MOST_TIMEOUT)))
        .ok_or_else(|| Problem::bad_request("`timeout` must be a number of seconds, such as 300."))
}

/// Reads a flag in upper or lower case, because Python's clients send `True`.
fn flag(name: &str, word: Option<&str>) -> Result<bool, Problem> {
    match word.map(str::to_ascii_lowercase).as_deref() {
        None | Some("" | "false" | "0") => Ok(false),
        Some("true" | "1") => Ok(true),
        Some(_) => Err(Problem::bad_request(format!("`{name}` must be true or false."))),
    }
}

fn output(word: Option<&str>) -> Result<OutputKind, Problem> {
    match word.map(str::to_ascii_lowercase).as_deref() {
        None | Some("" | "default") => Ok(OutputKind::Envelope),
        Some("raw") => Ok(OutputKind::Raw),
        Some("void") => Ok(OutputKind::Void),
        Some(_) => Err(Problem::bad_request("`output` must be raw or void, or be left out.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_recognised_by_their_form() {
        for good in [
            "1.1.5",
            "1.1",
            "1",
            "1.*",
            "1.1.*",
            "latest",
            "latestPrivate",
            "0123456789abcdef0123456789abcdef01234567",
        ] {
            assert!(is_version(good), "{good}");
        }
        for bad in ["", "*", "1.1.5.2", "1..2", "v1", "1.*.2", "latest ", "..", "0x1"] {
            assert!(!is_version(bad), "{bad}");
        }
    }

    #[test]
    fn options_are_read_in_the_form_that_each_client_sends() {
        assert_eq!(timeout(None).unwrap(), Duration::from_secs(300));
        assert_eq!(timeout(Some("60")).unwrap(), Duration::from_secs(60));
        assert_eq!(timeout(Some("1e9")).unwrap(), Duration::from_secs(3000));
        for bad in ["", "0", "-1", "soon", "nan", "inf"] {
            assert_eq!(timeout(Some(bad)).unwrap_err().status, 400, "{bad}");
        }
        for (word, expected) in
            [(None, false), (Some("True"), true), (Some("true"), true), (Some("False"), false)]
        {
            assert_eq!(flag("stdout", word).unwrap(), expected);
        }
        assert!(flag("stdout", Some("yes")).is_err());
        assert_eq!(output(Some("RAW")).unwrap(), OutputKind::Raw);
        assert!(output(Some("binary")).is_err());
    }
}
