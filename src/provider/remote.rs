//! Shared by the remote kinds `algorithmia` and `http`: the host's time limit and fetching a paid result.

use std::future::Future;
use std::time::{Duration, Instant};

use reqwest::StatusCode;

use super::outgoing::FetchError;
use super::{FailureKind, HttpError, ProviderError, Reply};

/// The time for sending and receiving, in addition to the host's time for the work.
pub const TRANSFER: Duration = Duration::from_secs(5);

/// The delay before each retry when a paid result is fetched.
const FETCH_DELAYS: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(1200)];

/// The host's time limit in seconds: the configured `timeout`, or less if the deadline is near. If less than half a
/// second is left for the host's work, the call fails.
pub fn host_seconds(deadline: Instant, timeout: Duration) -> Result<u64, ProviderError> {
    let left = deadline.saturating_duration_since(Instant::now());
    // If little time is left, at most a quarter of it is for the transfer.
    let work = left.saturating_sub(TRANSFER.min(left / 4)).min(timeout);
    match (work + Duration::from_millis(500)).as_secs() {
        0 if work < timeout => {
            Err(ProviderError::new(FailureKind::Timeout, "too little time is left before the deadline"))
        }
        seconds => Ok(seconds.max(1)),
    }
}

/// Fetches a result. It is already paid for, so network errors and the statuses that `retry_on` selects are retried.
pub async fn fetch_paid<F>(
    fetch: impl Fn() -> F,
    retry_on: impl Fn(StatusCode) -> bool,
) -> Result<Reply, ProviderError>
where
    F: Future<Output = Result<Reply, FetchError>>,
{
    let mut delays = FETCH_DELAYS.into_iter();
    loop {
        let result = fetch().await;
        let retry = match &result {
            Err(FetchError::Http(error)) => {
                matches!(error, HttpError::NoConnection(_) | HttpError::Broken(_) | HttpError::NoFirstByte(_))
            }
            Err(_) => false,
            Ok(reply) => retry_on(reply.status),
        };
        match delays.next().filter(|_| retry) {
            Some(delay) => tokio::time::sleep(delay).await,
            None => return result.map_err(|error| error.failure()),
        }
    }
}
