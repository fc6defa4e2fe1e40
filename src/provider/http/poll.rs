//! Polls a job until it is done, it has failed, or the time is over. If the gateway gives up, it cancels the job,
//! provided that the first reply contains an address for that.

use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::header::HeaderMap;

use super::mapping::{MappedReply, ReplyImage};
use super::{HttpHost, HttpProvider};
use crate::config::PollConfig;
use crate::credit::{CallFacts, Usage};
use crate::provider::outgoing::OutgoingError;
use crate::provider::remote::TRANSFER;
use crate::provider::{Billed, FailureKind, HttpError, ProviderError, Reply, Step, Trace};

/// Time limit of the request that cancels a job.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// The largest accepted reply to the request that cancels a job, in bytes.
const CANCEL_MAX_BYTES: u64 = 64 << 10;

/// The addresses of a job, from the first reply.
pub struct PollJob {
    /// The address of the job's status.
    pub url: Option<String>,
    /// The address that cancels the job.
    pub cancel: Option<String>,
}

/// Waits until the picture is done. The job has begun, so the cost of a failure is unknown unless the host reports it.
pub async fn wait(
    http: &HttpProvider,
    host: &HttpHost,
    keys: &HeaderMap,
    job: PollJob,
    facts: CallFacts,
    deadline: Instant,
    trace: &Trace,
) -> Result<(ReplyImage, Usage), ProviderError> {
    let Some(poll) = &http.config.poll else {
        return Err(bad("its job is not done, and its provider file has no `[poll]` section".to_owned()));
    };
    let now = Instant::now();
    // Leaves time to fetch the result or to cancel the job.
    let left = deadline.saturating_duration_since(now);
    let end = deadline - TRANSFER.min(left / 4);
    let end = poll.deadline.map_or(end, |time| end.min(now + time));
    match poll_until_done(http, host, keys, poll, &job, facts, end, trace).await {
        Ok(done) => Ok(done),
        Err(PollError::Failed(error)) => Err(error),
        Err(PollError::GivenUp(error)) => {
            if let Some(cancel) = &job.cancel {
                cancel_job(host, keys, poll, cancel, deadline, trace).await;
            }
            Err(error)
        }
    }
}

enum PollError {
    /// The job failed at the host.
    Failed(ProviderError),
    /// The gateway stopped waiting; the job may still run.
    GivenUp(ProviderError),
}

#[allow(clippy::too_many_arguments, reason = "all belong to one call; a struct would only rename them")]
async fn poll_until_done(
    http: &HttpProvider,
    host: &HttpHost,
    keys: &HeaderMap,
    poll: &PollConfig,
    job: &PollJob,
    facts: CallFacts,
    end: Instant,
    trace: &Trace,
) -> Result<(ReplyImage, Usage), PollError> {
    let given_up = |message: String| PollError::GivenUp(bad(message));
    let url =
        job.url.as_deref().ok_or_else(|| given_up(format!("its answer has no text at `{}`", poll.url)))?;
    // Requests to this address carry the API key.
    let url = host.rules.read_own(url);
    let url =
        url.map_err(|refusal: OutgoingError| given_up(format!("the address of its job's status {refusal}")))?;
    let mut wait = poll.interval;
    let mut last = "its job was not done".to_owned();
    loop {
        if Instant::now() + wait >= end {
            let error = ProviderError::new(FailureKind::Timeout, format!("no result in time: {last}"));
            return Err(PollError::GivenUp(error.billed(Billed::Unknown)));
        }
        tokio::time::sleep(wait).await;
        wait = wait.mul_f64(1.5).min(poll.max_interval);
        let request = host.http.request(Method::GET, url.clone()).headers(keys.clone());
        let replied = host.http.send(request, http.mapping.max_reply_bytes(), end).await;
        if let Ok(reply) = &replied {
            trace.report(Step::Reply, || http.mapping.describe(reply));
        }
        match replied {
            Ok(reply) if is_temporary(&reply) => {
                last = format!("it answers with status {}", reply.status.as_u16());
                trace.report(Step::Mapping, || format!("{last}: polled again"));
                wait = wait.max(reply.retry_after().unwrap_or_default());
            }
            Ok(reply) => match http.read(reply, facts, trace).await {
                Ok(MappedReply::Done(image, usage)) => return Ok((image, usage)),
                Ok(MappedReply::Pending { .. }) => "its job was not done".clone_into(&mut last),
                Err(error) if error.billed == Billed::No => {
                    return Err(PollError::GivenUp(error.billed(Billed::Unknown)));
                }
                Err(error) => return Err(PollError::Failed(error)),
            },
            Err(
                error @ (HttpError::TooLarge(_)
                | HttpError::TooManyRedirects
                | HttpError::Redirected
                | HttpError::Forbidden(_)),
            ) => {
                return Err(PollError::GivenUp(error.failure().billed(Billed::Unknown)));
            }
            Err(error) => {
                trace.report(Step::Mapping, || format!("no reply: {error}; polling again"));
                last = error.to_string();
            }
        }
    }
}

/// Whether a reply is a temporary error of the host and says nothing about the job.
fn is_temporary(reply: &Reply) -> bool {
    reply.status.as_u16() == 429 || reply.status.is_server_error()
}

/// Cancels a job. Failures are only reported to the trace.
async fn cancel_job(
    host: &HttpHost,
    keys: &HeaderMap,
    poll: &PollConfig,
    address: &str,
    deadline: Instant,
    trace: &Trace,
) {
    let outcome = match host.rules.read_own(address) {
        Err(refusal) => format!("the address to cancel its job {refusal}"),
        Ok(url) => {
            let request = host.http.request(poll.cancel_method(), url).headers(keys.clone());
            let end = deadline.min(Instant::now() + CANCEL_TIMEOUT);
            match host.http.send(request, CANCEL_MAX_BYTES, end).await {
                Ok(reply) => format!("it answers the cancellation with status {}", reply.status.as_u16()),
                Err(error) => format!("its job could not be cancelled: {error}"),
            }
        }
    };
    trace.report(Step::Mapping, || outcome);
}

fn bad(message: String) -> ProviderError {
    ProviderError::new(FailureKind::BadAnswer, message).billed(Billed::Unknown)
}
