//! Kind `sepia`: the same warm tone everywhere.

use std::time::Instant;

use async_trait::async_trait;
use cpu_time::ThreadTime;
use pixcolor::credit::{Credits, Usage};
use pixcolor::photo::Chroma;
use pixcolor::provider::{
    Call, FailureKind, Provider, ProviderColor, ProviderError, ProviderInfo, ProviderResponse, Readiness,
    Step,
};

pub struct Sepia {
    info: ProviderInfo,
    /// CIE a\* and b\*.
    tone: (f32, f32),
}

impl Sepia {
    pub fn new(name: &str, tone: (f32, f32)) -> Self {
        let info = ProviderInfo {
            name: name.to_owned(),
            kind: "sepia",
            model: "sepia".to_owned(),
            version: "1".to_owned(),
            leaves_machine: false,
            send_max_pixels: 500_000,
            luma_lock: true,
            // Everything that changes pixels belongs here, because it is part of cache keys.
            settings: format!("{tone:?}"),
        };
        Self { info, tone }
    }
}

#[async_trait]
impl Provider for Sepia {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn readiness(&self) -> Readiness {
        Readiness::Ready
    }

    async fn colorize(&self, call: Call) -> Result<ProviderResponse, ProviderError> {
        if call.deadline <= Instant::now() {
            return Err(ProviderError::new(
                FailureKind::Timeout,
                "the deadline had passed before the call began",
            ));
        }
        call.trace.report(Step::Request, || format!("{} x {} pixels", call.gray.width, call.gray.height));
        call.may_begin().await?;
        let start = ThreadTime::now();
        // Chroma planes may have any size: one value covers the whole picture.
        let chroma = Chroma::new(1, 1, vec![self.tone.0], vec![self.tone.1])
            .map_err(|error| ProviderError::new(FailureKind::Failed, error.to_string()))?;
        let usage = Usage { credits: Some(Credits::ZERO), cpu: Some(start.elapsed()) };
        Ok(ProviderResponse { color: ProviderColor::Chroma(chroma), usage })
    }
}
