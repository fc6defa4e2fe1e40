//! The one place that knows all kinds of provider.

use std::sync::Arc;

use super::Provider;
use super::onnx::{Onnx, OnnxError};
use crate::config::{KindConfig, ProviderConfig};

/// Why a provider could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("provider `{name}`: {source}")]
pub struct BuildError {
    name: String,
    source: OnnxError,
}

/// Sets up the provider that a configuration describes. May read files: not for async threads.
pub fn build(config: &ProviderConfig) -> Result<Arc<dyn Provider>, BuildError> {
    match &config.kind {
        KindConfig::Onnx(onnx) => Onnx::load(&config.name, &config.common, onnx)
            .map(|provider| Arc::new(provider) as Arc<dyn Provider>)
            .map_err(|source| BuildError { name: config.name.clone(), source }),
    }
}
