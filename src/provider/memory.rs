//! What providers remember beyond a change of the configuration, by provider name: whether the breaker
//! is open, how many calls are under way, which news the operator has been told already.
//!
//! Providers are built anew with every configuration. Were this inside them, saving a file would forget
//! that a host is down, and let twice as many calls through as its limit says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::breaker::ProviderCircuit;
use super::onnx::{Onnx, OnnxError};
use crate::config::BreakerConfig;
use crate::observe::Metrics;
use crate::queue::Queue;

/// Most different news of one provider that are told; a host that invents new ones is not listened to.
const MOST_NEWS: usize = 32;

/// What all providers remember. Cheap to clone; clones are the same memory.
#[derive(Clone)]
pub struct Memory {
    metrics: Metrics,
    by_name: Arc<Mutex<BTreeMap<String, Arc<Remembered>>>>,
}

/// What one provider remembers.
pub struct Remembered {
    name: String,
    /// Whether it is called at all: one circuit for each way to ask it that is in use, the latest last.
    circuits: Mutex<Vec<(Way, Weak<ProviderCircuit>)>>,
    /// Where its calls are counted.
    pub(super) metrics: Metrics,
    queue: Mutex<Option<(Size, Arc<Queue>)>>,
    news: Mutex<BTreeSet<String>>,
    /// The network that is in use, and what it was loaded from.
    network: Mutex<(String, Weak<Onnx>)>,
}

/// Whom a provider asks, how, and with which keys, as a digest.
pub type Way = [u8; 32];

#[derive(Clone, Copy, PartialEq, Eq)]
struct Size {
    places: u32,
    waiting: usize,
}

impl Memory {
    /// Nothing remembered yet.
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics, by_name: Arc::default() }
    }

    /// What the provider of this name remembers.
    pub(super) fn of(&self, name: &str) -> Arc<Remembered> {
        let mut all = lock(&self.by_name);
        let new = || {
            Arc::new(Remembered {
                name: name.to_owned(),
                circuits: Mutex::default(),
                metrics: self.metrics.clone(),
                queue: Mutex::default(),
                news: Mutex::default(),
                network: Mutex::default(),
            })
        };
        all.entry(name.to_owned()).or_insert_with(new).clone()
    }

    /// The guard refused what a call answered: for the breaker that call has failed.
    pub fn refused(&self, name: &str) {
        if let Some(remembered) = lock(&self.by_name).get(name) {
            remembered.latest(|circuit| circuit.record_refused_output());
        }
    }

    /// These are the providers from now on: what is known of others is forgotten, and no call of theirs that
    /// is still under way shows anything any more.
    pub fn in_force<'n>(&self, names: impl Iterator<Item = &'n str>) {
        let names: BTreeSet<&str> = names.collect();
        lock(&self.by_name).retain(|name, remembered| {
            let there = names.contains(name.as_str());
            remembered.show(there);
            if !there {
                self.metrics.forget_provider(name);
            }
            there
        });
    }

    /// What is left on a provider's account, if it says so and is still there.
    pub fn balance(&self, name: &str, left: Option<f64>) {
        let all = lock(&self.by_name);
        if all.contains_key(name) {
            self.metrics.balance(name, left);
        }
    }
}

impl Remembered {
    /// The circuit for this way to ask. With another address or another key it is another one: what was wrong
    /// may be mended.
    pub(super) fn circuit(&self, way: Way, config: BreakerConfig) -> Arc<ProviderCircuit> {
        let mut kept = lock(&self.circuits);
        kept.retain(|(_, circuit)| circuit.strong_count() > 0);
        let found = kept.iter().position(|(kept, _)| *kept == way).map(|index| kept.remove(index));
        let circuit = found.and_then(|(_, circuit)| circuit.upgrade());
        let circuit = circuit
            .unwrap_or_else(|| Arc::new(ProviderCircuit::new(&self.name, self.metrics.clone(), config)));
        kept.push((way, Arc::downgrade(&circuit)));
        circuit
    }

    /// Shows the latest circuit and no other; or none at all.
    fn show(&self, there: bool) {
        let circuits: Vec<_> =
            lock(&self.circuits).iter().filter_map(|(_, circuit)| circuit.upgrade()).collect();
        let Some((latest, earlier)) = circuits.split_last() else { return };
        earlier.iter().for_each(|circuit| circuit.show(false));
        latest.show(there);
    }

    fn latest(&self, look: impl FnOnce(&ProviderCircuit)) {
        let latest = lock(&self.circuits).iter().rev().find_map(|(_, circuit)| circuit.upgrade());
        if let Some(circuit) = latest {
            look(&circuit);
        }
    }

    /// The queue for this many calls at once; another only when the numbers have changed.
    pub(super) fn queue(&self, places: u32, waiting: usize) -> Arc<Queue> {
        let wanted = Size { places, waiting };
        let mut kept = lock(&self.queue);
        if let Some((_, queue)) = kept.as_ref().filter(|(size, _)| *size == wanted) {
            return queue.clone();
        }
        let queue = Arc::new(Queue::new(places, waiting));
        *kept = Some((wanted, queue.clone()));
        queue
    }

    /// The network that is in use if it was loaded from the same; else it is loaded. Loading takes time and
    /// memory, and another queue would let twice as many pictures through.
    pub(super) fn network(
        &self,
        from: String,
        load: impl FnOnce() -> Result<Onnx, OnnxError>,
    ) -> Result<Arc<Onnx>, OnnxError> {
        let mut kept = lock(&self.network);
        if let Some(network) = kept.1.upgrade().filter(|_| kept.0 == from) {
            return Ok(network);
        }
        let network = Arc::new(load()?);
        *kept = (from, Arc::downgrade(&network));
        Ok(network)
    }

    /// Whether the operator has not been told this yet. Numbers do not make it news: a balance changes
    /// with every call.
    pub(super) fn is_news(&self, text: &str) -> bool {
        let text: String = text.chars().filter(|c| !c.is_ascii_digit()).collect();
        let mut told = lock(&self.news);
        told.len() < MOST_NEWS && told.insert(text)
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
