//! State of providers that survives a reload of the configuration, by provider name: the circuit breaker, the queue of
//! calls, the alerts that were already logged, and the loaded network.
//!
//! A reload builds new providers. If this state were inside them, a reload would forget that a host is down and would
//! allow twice as many concurrent calls as the limit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::breaker::ProviderCircuit;
use super::onnx::{OnnxError, OnnxProvider};
use crate::config::BreakerConfig;
use crate::observe::Metrics;
use crate::queue::Queue;

/// The maximum number of distinct alerts that are logged for one provider. It bounds the memory that a host can take.
const MAX_ALERTS: usize = 32;

/// State of all providers. Clones are cheap and share the state.
#[derive(Clone)]
pub struct ProviderMemory {
    metrics: Metrics,
    by_name: Arc<Mutex<BTreeMap<String, Arc<ProviderState>>>>,
}

/// State of one provider.
pub struct ProviderState {
    name: String,
    /// One circuit for each combination of address, settings and keys that is in use, the latest last.
    circuits: Mutex<Vec<(EndpointDigest, Weak<ProviderCircuit>)>>,
    pub(super) metrics: Metrics,
    queue: Mutex<Option<(LimitSize, Arc<Queue>)>>,
    alerts: Mutex<BTreeSet<String>>,
    /// What the network in use was loaded from (see `OnnxProvider::source`), and the network.
    network: Mutex<(String, Weak<OnnxProvider>)>,
}

/// SHA-256 of a provider's address, settings and keys.
pub type EndpointDigest = [u8; 32];

#[derive(Clone, Copy, PartialEq, Eq)]
struct LimitSize {
    concurrency: u32,
    waiting: usize,
}

impl ProviderMemory {
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics, by_name: Arc::default() }
    }

    pub(super) fn state(&self, name: &str) -> Arc<ProviderState> {
        let mut all = lock(&self.by_name);
        let new = || {
            Arc::new(ProviderState {
                name: name.to_owned(),
                circuits: Mutex::default(),
                metrics: self.metrics.clone(),
                queue: Mutex::default(),
                alerts: Mutex::default(),
                network: Mutex::default(),
            })
        };
        all.entry(name.to_owned()).or_insert_with(new).clone()
    }

    /// Records that the output guard rejected the image of a call, or that the call panicked, so that the circuit
    /// breaker counts the call as failed.
    pub fn record_refused_output(&self, name: &str) {
        if let Some(state) = lock(&self.by_name).get(name) {
            state.with_latest_circuit(|circuit| circuit.record_refused_output());
        }
    }

    /// Keeps only the providers of a new configuration. The state and the gauges of all other providers are dropped,
    /// and calls to them that are still under way no longer set gauges.
    pub fn retain<'n>(&self, names: impl Iterator<Item = &'n str>) {
        let names: BTreeSet<&str> = names.collect();
        lock(&self.by_name).retain(|name, state| {
            let there = names.contains(name.as_str());
            state.show(there);
            if !there {
                self.metrics.forget_provider(name);
            }
            there
        });
    }

    /// Shows the balance of a provider's account as a metric, if the provider is still configured.
    pub fn set_balance(&self, name: &str, left: Option<f64>) {
        let all = lock(&self.by_name);
        if all.contains_key(name) {
            self.metrics.balance(name, left);
        }
    }
}

impl ProviderState {
    /// The circuit for this address, these settings and keys. After a change of one of them a new circuit starts
    /// closed, because the change may have fixed the cause of the failures.
    pub(super) fn circuit(&self, endpoint: EndpointDigest, config: BreakerConfig) -> Arc<ProviderCircuit> {
        let mut circuits = lock(&self.circuits);
        circuits.retain(|(_, circuit)| circuit.strong_count() > 0);
        let found = circuits.iter().position(|(of, _)| *of == endpoint).map(|index| circuits.remove(index));
        let circuit = found.and_then(|(_, circuit)| circuit.upgrade());
        let circuit = circuit
            .unwrap_or_else(|| Arc::new(ProviderCircuit::new(&self.name, self.metrics.clone(), config)));
        circuits.push((endpoint, Arc::downgrade(&circuit)));
        circuit
    }

    /// Shows only the latest circuit in the metrics, or none if the provider is no longer configured.
    fn show(&self, there: bool) {
        let circuits: Vec<_> =
            lock(&self.circuits).iter().filter_map(|(_, circuit)| circuit.upgrade()).collect();
        let Some((latest, earlier)) = circuits.split_last() else { return };
        earlier.iter().for_each(|circuit| circuit.show(false));
        latest.show(there);
    }

    fn with_latest_circuit(&self, f: impl FnOnce(&ProviderCircuit)) {
        let latest = lock(&self.circuits).iter().rev().find_map(|(_, circuit)| circuit.upgrade());
        if let Some(circuit) = latest {
            f(&circuit);
        }
    }

    /// The queue for `concurrency` concurrent calls and `waiting` queued ones. A new queue is made only if the numbers
    /// changed.
    pub(super) fn queue(&self, concurrency: u32, waiting: usize) -> Arc<Queue> {
        let size = LimitSize { concurrency, waiting };
        let mut current = lock(&self.queue);
        if let Some((_, queue)) = current.as_ref().filter(|(current, _)| *current == size) {
            return queue.clone();
        }
        let queue = Arc::new(Queue::new(concurrency, waiting));
        *current = Some((size, queue.clone()));
        queue
    }

    /// The network in use if it was loaded from the same files and settings, otherwise a new one. Loading takes time
    /// and memory, and a second queue would allow twice as many concurrent pictures.
    pub(super) fn network(
        &self,
        from: String,
        load: impl FnOnce() -> Result<OnnxProvider, OnnxError>,
    ) -> Result<Arc<OnnxProvider>, OnnxError> {
        let mut current = lock(&self.network);
        if let Some(network) = current.1.upgrade().filter(|_| current.0 == from) {
            return Ok(network);
        }
        let network = Arc::new(load()?);
        *current = (from, Arc::downgrade(&network));
        Ok(network)
    }

    /// Records an alert. Returns whether it is new and should be logged. Digits are ignored, because a balance changes
    /// with every call.
    pub(super) fn is_new_alert(&self, text: &str) -> bool {
        let text: String = text.chars().filter(|c| !c.is_ascii_digit()).collect();
        let mut logged = lock(&self.alerts);
        logged.len() < MAX_ALERTS && logged.insert(text)
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The data behind these locks is consistent after every statement, so a poisoned lock is harmless.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
