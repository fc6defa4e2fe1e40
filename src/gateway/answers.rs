//! Places for providers' answers while they are decoded. An answer is not to be trusted: 150 KB can be 50
//! megapixels, and dozens come at once. What its header says decides, before anything is decoded, whether it is
//! looked at and how large a place it takes.
//!
//! The photo keeps its own place meanwhile. These are others, so that answers never wait for photos that wait
//! for them.

use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;

use super::guard::GuardFailure;
use crate::config::LimitsConfig;
use crate::photo::{Gray, Limits, PhotoError, read_head};
use crate::provider::ProviderColor;
use crate::queue::Queue;

/// Pixels that one place stands for.
const PIXELS_PER_PLACE: u64 = 65_536;

/// Of the pixels that photos may have in memory at once, answers may have one in so many beside them: mostly they
/// are small, and a single larger one is decoded alone.
const SHARE: u64 = 4;

/// How many times the pixels that were sent an answer may have: four times as wide and as high, as the largest of
/// the usual enlargers give.
const MOST_ENLARGED: u64 = 16;

/// Pixels that an answer may have whatever was sent: models that draw anew have sizes of their own.
const ALWAYS: u64 = 2048 * 2048;

/// The places.
pub struct ImagePermits(Queue);

/// Room for an answer; free again when it is dropped.
pub struct ImagePermit {
    /// What it may be when it is decoded.
    pub limits: Limits,
    _places: Option<OwnedSemaphorePermit>,
}

/// Why an answer gets no room.
pub enum NoImagePermit {
    /// It is not worth it.
    Refused(GuardFailure),
    /// Others took all of it until the deadline.
    Late,
}

impl ImagePermits {
    /// As many as these limits allow.
    pub fn new(limits: &LimitsConfig) -> Self {
        let places = (limits.decoding_pixels / SHARE).div_ceil(PIXELS_PER_PLACE);
        // Who waits has a photo in memory, of which there are so many and no more.
        Self(Queue::new(u32::try_from(places).unwrap_or(u32::MAX), usize::MAX))
    }

    /// Room for the answer to a picture that was sent. `full` are the pixels that may be of use beyond what was
    /// sent: those of the photo, where the answer itself is shown.
    pub async fn room(
        &self,
        sent: &Gray,
        color: &ProviderColor,
        full: u64,
        limits: Limits,
        deadline: Instant,
    ) -> Result<ImagePermit, NoImagePermit> {
        let pixels = u64::from(sent.width) * u64::from(sent.height);
        let (file, sent) = match color {
            ProviderColor::Chroma(_) => return Ok(ImagePermit { limits, _places: None }),
            ProviderColor::Picture(file) => (file, pixels),
            ProviderColor::Framed(file, frame) => (file, frame.pixels()),
        };
        let most = sent.saturating_mul(MOST_ENLARGED).max(ALWAYS).max(full);
        let limits = Limits { max_pixels: limits.max_pixels.min(most), ..limits };
        self.of(file, limits, deadline).await
    }

    /// Room for a file within limits.
    pub async fn of(
        &self,
        file: &[u8],
        limits: Limits,
        deadline: Instant,
    ) -> Result<ImagePermit, NoImagePermit> {
        let head = read_head(file, &limits).map_err(|error| match error {
            PhotoError::TooManyPixels(_) => NoImagePermit::Refused(GuardFailure::TooLarge),
            _ => NoImagePermit::Refused(GuardFailure::NotAPicture),
        })?;
        let places = u32::try_from(head.pixels().div_ceil(PIXELS_PER_PLACE)).unwrap_or(u32::MAX);
        let places = self.0.enter(places, deadline).await.map_err(|_| NoImagePermit::Late)?;
        Ok(ImagePermit { limits, _places: Some(places) })
    }
}
