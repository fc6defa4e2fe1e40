//! The one place that knows all kinds of provider, and the order of what is put around them.

use std::sync::Arc;
use std::time::Duration;

use super::Provider;
use super::algorithmia::{self, Algorithmia};
use super::breaker::Breaker;
use super::limit::Limit;
use super::memory::Memory;
use super::onnx::{Onnx, OnnxError};
use super::retry::Retry;
use super::timed::Timed;
use crate::config::{KindConfig, ProviderConfig};

/// Why a provider could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("provider `{name}`: {source}")]
pub struct BuildError {
    name: String,
    source: OnnxError,
}

/// Sets up the provider that a configuration describes. May read files: not for async threads.
///
/// Around a provider elsewhere, from the outside: a limit, so that waiting for a place is nobody's
/// time-out and a place is held while a call is made again; retry; a breaker, which sees every try; and
/// around each try of every provider its time-out.
pub fn build(config: &ProviderConfig, memory: &Memory) -> Result<Arc<dyn Provider>, BuildError> {
    let (name, common) = (&config.name, &config.common);
    let remembered = memory.of(name);
    let failed = |source| BuildError { name: name.clone(), source };
    let (kind, transfer): (Arc<dyn Provider>, Duration) = match &config.kind {
        KindConfig::Onnx(onnx) => (Arc::new(Onnx::load(name, common, onnx).map_err(failed)?), Duration::ZERO),
        KindConfig::Algorithmia(host) => {
            (Arc::new(Algorithmia::new(name, common, host, remembered.clone())), algorithmia::TRANSFER)
        }
    };
    let mut provider: Arc<dyn Provider> = Arc::new(Timed::new(kind, common.timeout + transfer));
    if let Some(remote) = config.kind.remote() {
        if remote.breaker.failures > 0 {
            provider = Arc::new(Breaker::new(provider, remote.breaker, remembered.clone()));
        }
        if remote.retries > 0 {
            provider = Arc::new(Retry::new(provider, remote.retries, remembered.clone()));
        }
        let queue = remembered.queue(remote.concurrency, remote.queue);
        provider = Arc::new(Limit::new(provider, queue));
    }
    Ok(provider)
}
