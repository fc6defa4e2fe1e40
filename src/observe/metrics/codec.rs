//! Panics of codecs, each of which is a defect.

use prometheus::IntCounterVec;

use super::Metrics;
use super::make::Make;
use crate::photo::CodecStep;

pub(super) struct Codecs {
    panics: IntCounterVec,
}

impl Codecs {
    pub(super) fn new(make: &Make<'_>) -> Result<Self, prometheus::Error> {
        let panics = make.counter(
            "pixcolor_codec_panics_total",
            "Panics of codecs that were caught, by step: decode (an upload, a provider's answer or a cached value), or \
             encode (merging included). Each is a defect; the log says where.",
            &["step"],
        )?;
        // An alert watches for the first event, so the counter must exist at 0.
        for step in CodecStep::ALL {
            panics.with_label_values(&[step.label()]);
        }
        Ok(Self { panics })
    }
}

impl Metrics {
    pub fn codec_panic(&self, step: CodecStep) {
        self.0.codec.panics.with_label_values(&[step.label()]).inc();
    }
}
