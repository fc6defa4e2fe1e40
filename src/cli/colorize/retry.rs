//! Tries a picture again: when the gateway says so (`Retry-After`), and after a lost connection.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::super::CliError;
use super::super::remote::RemoteError;
use super::work::{ColoredPicture, Interrupted};
use crate::credit::Credits;
use crate::gateway::{self, Attempt};
use crate::provider::FailureKind;

/// A longer wait is an error: a budget is used up until tomorrow, for example.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// How long a picture is tried again while the gateway or the providers are busy.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Pauses after lost connections. A gateway restarts within their sum.
const PAUSES: [u64; 7] = [1, 2, 4, 8, 15, 30, 30];

/// What an error says about another attempt.
pub enum NextAttempt {
    /// It would fail in the same way.
    Never,
    After(Duration),
    /// After a pause that grows.
    Soon,
}

/// An error that says whether another attempt makes sense.
pub trait Retriable: Into<CliError> {
    fn next_attempt(&self) -> NextAttempt;

    /// What the failed attempt cost; `None` if that is unknown.
    fn cost(&self) -> Option<Credits>;
}

/// A picture that was not coloured.
pub struct Failed {
    pub error: CliError,
    /// What all attempts cost; `None` if that is unknown.
    pub cost: Option<Credits>,
}

impl Retriable for RemoteError {
    fn next_attempt(&self) -> NextAttempt {
        match self {
            Self::Refused { .. } => NextAttempt::Never,
            Self::Later { after, .. } => NextAttempt::After(*after),
            Self::Lost { .. } => NextAttempt::Soon,
        }
    }

    fn cost(&self) -> Option<Credits> {
        match self {
            Self::Refused { called, .. } | Self::Lost { called, .. } => (!called).then_some(Credits::ZERO),
            Self::Later { .. } => Some(Credits::ZERO),
        }
    }
}

impl Retriable for gateway::Error {
    fn next_attempt(&self) -> NextAttempt {
        // Without a call nothing was paid.
        let waits = |attempt: &Attempt| matches!(attempt.kind, FailureKind::NotReady | FailureKind::Busy);
        match self {
            Self::Busy { retry_after, .. } => NextAttempt::After(*retry_after),
            Self::NoProvider { attempts } if attempts.iter().all(waits) => {
                let after = attempts.iter().filter_map(|attempt| attempt.retry_after).min();
                after.map_or(NextAttempt::Never, NextAttempt::After)
            }
            _ => NextAttempt::Never,
        }
    }

    fn cost(&self) -> Option<Credits> {
        match self {
            Self::NoProvider { attempts } => attempts
                .iter()
                .try_fold(Credits::ZERO, |sum, attempt| Some(sum.plus(attempt.billed.usage().credits?))),
            // The call may still go on.
            Self::Deadline { .. } | Self::Internal => None,
            _ => Some(Credits::ZERO),
        }
    }
}

/// Of something that happens before the first call.
impl From<CliError> for Failed {
    fn from(error: CliError) -> Self {
        Self { error, cost: Some(Credits::ZERO) }
    }
}

/// Decides how long to wait after each failed attempt at one picture.
struct Patience {
    pauses: std::array::IntoIter<u64, { PAUSES.len() }>,
}

impl Patience {
    fn new() -> Self {
        Self { pauses: PAUSES.into_iter() }
    }

    /// The pause before the next attempt; `None`: there is none. `elapsed`: since the first attempt.
    fn pause(&mut self, next: NextAttempt, elapsed: Duration) -> Option<Duration> {
        match next {
            NextAttempt::Never => None,
            NextAttempt::After(after) => {
                Some(after).filter(|after| *after <= LONGEST_WAIT && elapsed < PATIENCE)
            }
            NextAttempt::Soon => self.pauses.next().map(Duration::from_secs),
        }
    }
}

/// Calls `color` until it succeeds or another attempt makes no sense.
pub async fn color<E: Retriable>(
    color: impl AsyncFn() -> Result<ColoredPicture, E>,
    stop: &CancellationToken,
) -> Result<ColoredPicture, Failed> {
    let (start, mut patience) = (Instant::now(), Patience::new());
    let mut cost = Some(Credits::ZERO);
    loop {
        let error = match color().await {
            // A failed attempt may have paid for colour that is now in the gateway's cache.
            Ok(colored) => {
                let credits = colored.credits.zip(cost).map(|(credits, cost)| credits.plus(cost));
                return Ok(ColoredPicture { credits, ..colored });
            }
            Err(error) => error,
        };
        cost = cost.zip(error.cost()).map(|(sum, cost)| sum.plus(cost));
        let Some(pause) = patience.pause(error.next_attempt(), start.elapsed()) else {
            return Err(Failed { error: error.into(), cost });
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = stop.cancelled() => return Err(Failed { error: Interrupted.into(), cost }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(errors: &[RemoteError], elapsed: u64) -> Vec<Option<u64>> {
        let mut patience = Patience::new();
        let pause = |error: &RemoteError| {
            patience.pause(error.next_attempt(), Duration::from_secs(elapsed)).map(|pause| pause.as_secs())
        };
        errors.iter().map(pause).collect()
    }

    #[test]
    fn the_gateway_decides_when_a_picture_is_tried_again() {
        let later =
            |seconds| RemoteError::Later { after: Duration::from_secs(seconds), message: String::new() };
        assert_eq!(pauses(&[later(60), later(90)], 0), [Some(60), Some(90)]);
        assert_eq!(pauses(&[later(60)], 3600), [None], "an hour is enough");
        assert_eq!(pauses(&[later(86_400)], 0), [None], "a budget of a day is used up");
        assert_eq!(pauses(&[RemoteError::Refused { message: String::new(), called: false }], 0), [None]);
    }

    #[test]
    fn a_lost_connection_is_tried_again_at_growing_intervals() {
        let lost = RemoteError::Lost { message: String::new(), called: true };
        let all = pauses(&vec![lost; 8], 0);
        assert!(all[..7].is_sorted() && all[..7].iter().all(Option::is_some) && all[7].is_none(), "{all:?}");
    }

    #[tokio::test]
    async fn a_signal_ends_the_waiting() {
        let stop = CancellationToken::new();
        stop.cancel();
        let failed = color(async || Err(RemoteError::Lost { message: String::new(), called: true }), &stop)
            .await
            .unwrap_err();
        assert!(failed.error.is::<Interrupted>() && failed.cost.is_none());
    }
}
