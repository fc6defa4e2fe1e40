//! Runs codecs off the async threads, and counts their panics.

use tokio::task::JoinError;

use super::{Error, Gateway};
use crate::observe::Metrics;
use crate::photo::PhotoError;
use crate::tasks::Tasks;

/// Runs a codec. The outer error means that the work panicked outside the codec.
pub async fn run<R: Send + 'static>(
    tasks: &Tasks,
    metrics: &Metrics,
    work: impl FnOnce() -> Result<R, PhotoError> + Send + 'static,
) -> Result<Result<R, PhotoError>, JoinError> {
    let done = tasks.spawn_blocking(work).await?;
    if let Err(PhotoError::Panicked(step, _)) = &done {
        metrics.codec_panic(*step);
    }
    Ok(done)
}

impl Gateway {
    pub(super) async fn codec<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<R, PhotoError> + Send + 'static,
    ) -> Result<R, Error> {
        Ok(run(&self.tasks, &self.metrics, work).await.map_err(|_| Error::Internal)??)
    }
}
