//! The upload memory that an arriving upload takes. The amount grows with the bytes that arrive; `Content-Length` alone
//! takes nothing. So a client that announces a large upload and sends little cannot block other clients.

use std::sync::Arc;
use std::time::Duration;

use rocket::http::Status;

use super::pace::Pace;
use super::problem::Problem;
use crate::gateway::Gateway;
use crate::quota::{Admission, ShareExceeded, ShareLimits};

/// `Retry-After` of a rejected upload: most uploads take seconds.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// How long an upload waits for other uploads to return memory before it is rejected.
const PATIENCE: Duration = Duration::from_secs(5);

/// The least amount that an upload takes once a byte has arrived, unless a smaller size is announced. In bytes.
const LEAST: u64 = 8 << 10;

/// The memory of an admitted upload.
pub struct UploadMemory {
    admission: Arc<Admission>,
    most: ShareLimits,
    /// The announced size in bytes, or the maximum size if none is announced.
    announced: u64,
    gateway: Arc<Gateway>,
    pace: Pace,
}

impl UploadMemory {
    /// Takes no memory yet. The upload will have at most `announced` bytes, and `pace` counts those that have arrived.
    pub const fn new(
        admission: Arc<Admission>,
        most: ShareLimits,
        announced: u64,
        gateway: Arc<Gateway>,
        pace: Pace,
    ) -> Self {
        Self { admission, most, announced, gateway, pace }
    }

    /// Takes memory for twice the bytes that have arrived if these bytes exceed the memory taken so far. Waits up to
    /// [`PATIENCE`] if no memory is left.
    pub async fn hold(&self) -> Result<(), Problem> {
        let (share, arrived) = (&self.admission.share, self.pace.arrived());
        if arrived <= share.amount() {
            return Ok(());
        }
        let wanted = arrived.saturating_mul(2).max(LEAST).min(self.announced.max(arrived));
        let grown = share.grow(wanted, self.most, PATIENCE).await;
        grown.map_err(|why| share_exceeded(&self.gateway, why))
    }

    /// The admission of the upload, which must be held until the upload's bytes are dropped.
    pub fn admission(&self) -> Arc<Admission> {
        self.admission.clone()
    }

    /// Returns the memory that the arrived bytes do not need.
    pub fn settle(self) {
        let share = &self.admission.share;
        // Shrinking a share never fails.
        let _ = share.resize(self.pace.arrived().min(share.amount()), self.most);
    }
}

/// The response to an upload that would exceed a bound on memory.
pub fn share_exceeded(gateway: &Gateway, why: ShareExceeded) -> Problem {
    let (bound, detail) = match why {
        ShareExceeded::All => ("upload_memory", "The server has no memory left for further uploads."),
        ShareExceeded::Client => ("client_upload_memory", "Wait for the answers to your other uploads."),
    };
    gateway.metrics().crowded(bound);
    Problem::new(Status::ServiceUnavailable, detail).retry_after(Some(RETRY_AFTER))
}
