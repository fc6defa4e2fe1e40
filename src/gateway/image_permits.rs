//! Memory permits for decoding the images that providers return. Such an image is untrusted input: 150 KB can decode to
//! 50 megapixels, and dozens can arrive at once. The image's header decides, before decoding, whether the image is
//! accepted and how many permits it needs.
//!
//! The photo keeps its decoder permit while the provider's image waits for a permit. The two kinds of permits are
//! separate, so that a photo that waits for its provider's image cannot block that image.

use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;

use super::guard::GuardFailure;
use crate::config::LimitsConfig;
use crate::photo::{Gray, Limits, PhotoError, read_head};
use crate::provider::ProviderColor;
use crate::queue::Queue;

/// Pixels that one permit stands for.
const PIXELS_PER_PERMIT: u64 = 65_536;

/// Divisor of `limits.decoding_pixels`: all providers' images in memory together may have a quarter of the pixels that
/// photos may have. Most of these images are small. An image that needs more than all permits is decoded alone.
const DIVISOR: u64 = 4;

/// The most pixels that a provider may return for each pixel that was sent. Common upscaling models return at most four
/// times the width and height.
const MAX_ENLARGEMENT: u64 = 16;

/// The pixels that an image may have even if the picture sent was small: generative models have fixed output sizes.
const MIN_PIXELS: u64 = 2048 * 2048;

pub struct ImagePermits(Queue);

/// The right to decode one image and to have it in memory. Dropping it frees the memory for other images.
pub struct ImagePermit {
    /// The limits for decoding the image.
    pub limits: Limits,
    _permits: Option<OwnedSemaphorePermit>,
}

/// Why an image gets no permit.
pub enum NoImagePermit {
    /// The image's header shows that the output guard would refuse it.
    Refused(GuardFailure),
    /// No permit became free before the deadline.
    Late,
}

impl ImagePermits {
    pub fn new(limits: &LimitsConfig) -> Self {
        let permits = (limits.decoding_pixels / DIVISOR).div_ceil(PIXELS_PER_PERMIT);
        // The queue needs no bound: each waiting request holds a decoder permit, and the number of these is bounded.
        Self(Queue::new(u32::try_from(permits).unwrap_or(u32::MAX), usize::MAX))
    }

    /// A permit for a provider's result. `full`: the photo's number of pixels if luma-lock is off, because then a
    /// larger result is useful; else 0.
    pub async fn for_result(
        &self,
        sent: &Gray,
        color: &ProviderColor,
        full: u64,
        limits: Limits,
        deadline: Instant,
    ) -> Result<ImagePermit, NoImagePermit> {
        let pixels = u64::from(sent.width) * u64::from(sent.height);
        let (file, sent) = match color {
            ProviderColor::Chroma(_) => return Ok(ImagePermit { limits, _permits: None }),
            ProviderColor::Picture(file) => (file, pixels),
            ProviderColor::Framed(file, frame) => (file, frame.pixels()),
        };
        let most = sent.saturating_mul(MAX_ENLARGEMENT).max(MIN_PIXELS).max(full);
        let limits = Limits { max_pixels: limits.max_pixels.min(most), ..limits };
        self.for_file(file, limits, deadline).await
    }

    /// A permit for an image file within these limits.
    pub async fn for_file(
        &self,
        file: &[u8],
        limits: Limits,
        deadline: Instant,
    ) -> Result<ImagePermit, NoImagePermit> {
        let head = read_head(file, &limits).map_err(|error| match error {
            PhotoError::TooManyPixels(_) => NoImagePermit::Refused(GuardFailure::TooLarge),
            _ => NoImagePermit::Refused(GuardFailure::NotAPicture),
        })?;
        let permits = u32::try_from(head.pixels().div_ceil(PIXELS_PER_PERMIT)).unwrap_or(u32::MAX);
        let permits = self.0.enter(permits, deadline).await.map_err(|_| NoImagePermit::Late)?;
        Ok(ImagePermit { limits, _permits: Some(permits) })
    }
}
