//! Builds providers of all kinds from the configuration and wraps them in their decorators.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use super::Provider;
use super::algorithmia::{self, AlgorithmiaProvider};
use super::breaker::CircuitBreaker;
use super::exec::ProgramProvider;
use super::http::{self, HttpProvider};
use super::limit::ConcurrencyLimit;
use super::memory::{EndpointDigest, ProviderMemory};
use super::onnx::{OnnxError, OnnxProvider};
use super::outgoing::{ForbiddenAddress, literal};
use super::remote::TRANSFER;
use super::retry::Retry;
use super::timed::Timed;
use crate::config::{KindConfig, ProviderConfig, RemoteConfig, Secret};

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("provider `{name}`: {source}")]
    Network { name: String, source: OnnxError },
    #[error("pictures cannot be fetched for clients: {0}")]
    Inputs(String),
}

/// Builds a provider. Its state that survives reloads is in `memory`. May read files, so it must not run on an async
/// thread.
pub fn build(config: &ProviderConfig, memory: &ProviderMemory) -> Result<Arc<dyn Provider>, BuildError> {
    let (name, common) = (&config.name, &config.common);
    let failed = |source| BuildError::Network { name: name.clone(), source };
    let (kind, transfer): (Arc<dyn Provider>, Duration) = match &config.kind {
        KindConfig::Onnx(onnx) => {
            let load = || OnnxProvider::load(name, common, onnx, &config.price);
            (
                memory
                    .state(name)
                    .network(OnnxProvider::source(common, onnx, &config.price), load)
                    .map_err(failed)?,
                Duration::ZERO,
            )
        }
        KindConfig::Algorithmia(host) => (
            Arc::new(AlgorithmiaProvider::new(name, common, host, &config.price, memory.state(name))),
            TRANSFER,
        ),
        KindConfig::Http(api) => (Arc::new(HttpProvider::new(name, common, api, &config.price)), TRANSFER),
        KindConfig::Exec(exec) => {
            let queue = memory.state(name).queue(exec.places(), exec.queue);
            (Arc::new(ProgramProvider::new(name, common, exec, &config.price, queue)), Duration::ZERO)
        }
    };
    let timed = Arc::new(Timed::new(kind, common.timeout + transfer));
    Ok(match config.kind.remote() {
        Some(remote) => decorate(timed, remote, memory, endpoint_digest(&config.kind)),
        None => timed,
    })
}

/// Checks the address of a provider, without a DNS lookup. Returns why requests to it are forbidden; otherwise `None`.
pub fn forbidden(config: &ProviderConfig) -> Option<ForbiddenAddress> {
    let (address, reach) = match &config.kind {
        KindConfig::Algorithmia(host) => (&host.base_url, algorithmia::reach(host)),
        KindConfig::Http(api) => (&api.base_url, http::reach(api)),
        KindConfig::Exec(_) | KindConfig::Onnx(_) => return None,
    };
    literal(address.as_ref()?, reach).err()
}

/// The digest of a provider's address, settings and keys.
fn endpoint_digest(kind: &KindConfig) -> EndpointDigest {
    let secrets: Vec<&Secret> = match kind {
        KindConfig::Algorithmia(host) => vec![&host.api_key],
        KindConfig::Http(api) => api.secrets.values().collect(),
        KindConfig::Exec(_) | KindConfig::Onnx(_) => Vec::new(),
    };
    let keys = secrets.into_iter().map(|secret| secret.expose().map_or("", |key| key.expose_secret()));
    let mut hash = Sha256::new();
    // The debug output contains no keys.
    for part in [format!("{kind:?}").as_str()].into_iter().chain(keys) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

/// Wraps a remote provider in a concurrency limit, retries and a circuit breaker, from the outside in. The limit is
/// outermost, so that time in the queue does not count towards the time-out and a retry keeps its slot. The circuit
/// breaker is innermost, so that it sees every attempt.
pub fn decorated(
    inner: Arc<dyn Provider>,
    remote: &RemoteConfig,
    memory: &ProviderMemory,
) -> Arc<dyn Provider> {
    decorate(inner, remote, memory, EndpointDigest::default())
}

fn decorate(
    inner: Arc<dyn Provider>,
    remote: &RemoteConfig,
    memory: &ProviderMemory,
    endpoint: EndpointDigest,
) -> Arc<dyn Provider> {
    let state = memory.state(&inner.info().name);
    let mut provider = inner;
    if remote.breaker.failures > 0 {
        provider =
            Arc::new(CircuitBreaker::new(provider, remote.breaker, state.circuit(endpoint, remote.breaker)));
    }
    if remote.retries > 0 {
        provider = Arc::new(Retry::new(provider, remote.retries, state.clone()));
    }
    Arc::new(ConcurrencyLimit::new(provider, state.queue(remote.concurrency, remote.queue)))
}
