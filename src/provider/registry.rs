//! The one place that knows all kinds of provider, and the order of what is put around them.

use std::sync::Arc;
use std::time::Duration;

use super::Provider;
use super::algorithmia::{self, Algorithmia};
use super::breaker::Breaker;
use super::exec::Exec;
use super::http::{self, Http};
use super::limit::Limit;
use super::memory::Memory;
use super::onnx::{Onnx, OnnxError};
use super::retry::Retry;
use super::timed::Timed;
use crate::config::{KindConfig, ProviderConfig, RemoteConfig};

/// Why what a configuration describes could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A provider's network cannot be used.
    #[error("provider `{name}`: {source}")]
    Network {
        /// The provider.
        name: String,
        /// What is wrong with it.
        source: OnnxError,
    },
    /// Nothing can be fetched for clients.
    #[error("pictures cannot be fetched for clients: {0}")]
    Inputs(String),
}

/// Sets up the provider that a configuration describes; what it remembers is in `memory`. May read files:
/// not for async threads.
pub fn build(config: &ProviderConfig, memory: &Memory) -> Result<Arc<dyn Provider>, BuildError> {
    let (name, common) = (&config.name, &config.common);
    let failed = |source| BuildError::Network { name: name.clone(), source };
    let (kind, transfer): (Arc<dyn Provider>, Duration) = match &config.kind {
        KindConfig::Onnx(onnx) => {
            let load = || Onnx::load(name, common, onnx, &config.price);
            (
                memory.of(name).network(Onnx::source(common, onnx, &config.price), load).map_err(failed)?,
                Duration::ZERO,
            )
        }
        KindConfig::Algorithmia(host) => (
            Arc::new(Algorithmia::new(name, common, host, &config.price, memory.of(name))),
            algorithmia::TRANSFER,
        ),
        KindConfig::Http(api) => (Arc::new(Http::new(name, common, api, &config.price)), http::TRANSFER),
        KindConfig::Exec(exec) => {
            let queue = memory.of(name).queue(exec.places(), exec.queue);
            (Arc::new(Exec::new(name, common, exec, &config.price, queue)), Duration::ZERO)
        }
    };
    let timed = Arc::new(Timed::new(kind, common.timeout + transfer));
    Ok(match config.kind.remote() {
        Some(remote) => guarded(timed, remote, memory),
        None => timed,
    })
}

/// Puts around a provider what stands before one elsewhere. From the outside: a limit, so that waiting for
/// a place is nobody's time-out, and a place is kept while a call is made again; retry; and a breaker,
/// which sees every try.
pub fn guarded(inner: Arc<dyn Provider>, remote: &RemoteConfig, memory: &Memory) -> Arc<dyn Provider> {
    let remembered = memory.of(&inner.about().name);
    let mut provider = inner;
    if remote.breaker.failures > 0 {
        provider = Arc::new(Breaker::new(provider, remote.breaker, remembered.clone()));
    }
    if remote.retries > 0 {
        provider = Arc::new(Retry::new(provider, remote.retries, remembered.clone()));
    }
    Arc::new(Limit::new(provider, remembered.queue(remote.concurrency, remote.queue)))
}
