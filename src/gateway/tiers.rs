//! The one place that knows all caches, and puts those in front of each other that are configured; and all
//! ledgers and limits, in this process or shared with other replicas.

use std::sync::Arc;

use super::flight::{RedisFlights, ReplicaFlights};
use crate::cache::{
    BackgroundWrites, BucketCache, BucketOptions, Cache, CacheError, CacheObserver, Credentials, DiskCache,
    DiskOptions, MemoryCache, Tier, TieredCache,
};
use crate::config::{CacheConfig, Config, StoreConfig, StoreCredentials, WhenDown};
use crate::credit::ledger::{FileOptions, RedisLedger};
use crate::credit::{FileLedger, Ledger, SystemClock};
use crate::observe::Metrics;
use crate::provider::HttpClient;
use crate::quota::{InProcess, InRedis, Quota};
use crate::shared::SharedRedis;
use crate::tasks::Tasks;

/// The tiers as configured. Looks at everything on the disk: not for async threads. A disk or a store that
/// cannot be used is warned of; results are then paid for again after a restart, or by another gateway,
/// which is better than not to start.
///
/// With `behind`, these tasks write to the store and `put` does not wait for it; without, what `put` has
/// returned for can be read by every gateway on the store, so that a flight that others wait for elsewhere
/// may end.
pub fn open_cache(
    config: &CacheConfig,
    behind: Option<&Tasks>,
    observer: Arc<dyn CacheObserver>,
) -> Arc<dyn Cache> {
    let mut tiers: Vec<(Tier, Arc<dyn Cache>)> = Vec::new();
    if config.enabled && config.memory > 0 {
        tiers.push((Tier::Memory, Arc::new(MemoryCache::new(config.memory, config.ttl, observer.clone()))));
    }
    match open_disk(config, observer.clone()) {
        Some(Ok(disk)) => tiers.push((Tier::Disk, Arc::new(disk))),
        Some(Err(error)) => {
            tracing::warn!("results are not kept on disk, because `cache.dir` cannot be used: {error}");
        }
        None => {}
    }
    match open_store(config, observer.clone()) {
        Some(Ok(store)) => tiers.push((Tier::Store, Arc::new(store))),
        Some(Err(error)) => {
            tracing::warn!("results are not shared, because `cache.store` cannot be used: {error}");
        }
        None => {}
    }
    Arc::new(TieredCache::new(tiers, behind.map(|tasks| BackgroundWrites::new(tasks.clone())), observer))
}

/// What is kept by the gateway and outlives a configuration.
pub struct CacheStores {
    /// What was made before.
    pub cache: Arc<dyn Cache>,
    /// What it has cost.
    pub ledger: Arc<dyn Ledger>,
    /// What clients have had.
    pub rates: Box<dyn Quota>,
    /// What other replicas are having made.
    pub elsewhere: Option<Box<dyn ReplicaFlights>>,
    /// What replicas share; none is one process by itself.
    pub shared: Option<SharedRedis>,
    /// What runs.
    pub tasks: Tasks,
}

impl CacheStores {
    /// Everything as configured. Reads and writes files: not for async threads. Connects to nobody yet. An error
    /// means that there can be no thread.
    pub fn open(config: &Config, metrics: &Metrics) -> std::io::Result<Self> {
        let tasks = Tasks::default();
        let shared =
            config.shared.options().map(|options| SharedRedis::new(options, Arc::new(metrics.clone())));
        // Where replicas share flights, what has landed must be in the store.
        let behind = Some(&tasks).filter(|_| shared.is_none());
        let cache = open_cache(&config.cache, behind, Arc::new(metrics.clone()));
        let ledger: Arc<dyn Ledger> = match &shared {
            Some(shared) => {
                Arc::new(RedisLedger::in_folder(shared.clone(), tasks.clone(), &config.state_dir))
            }
            None => open_ledger(config)?,
        };
        let rates = open_rates(config, shared.as_ref());
        let elsewhere =
            shared.clone().map(|shared| -> Box<dyn ReplicaFlights> { Box::new(RedisFlights::new(shared)) });
        Ok(Self { cache, ledger, rates, elsewhere, shared, tasks })
    }
}

/// The memory of limits on rates.
fn open_rates(config: &Config, shared: Option<&SharedRedis>) -> Box<dyn Quota> {
    let here = || -> Box<dyn Quota> { Box::new(InProcess::new()) };
    let Some(shared) = shared else { return here() };
    let meanwhile = match config.shared.quota_when_down {
        WhenDown::Process => Some(here()),
        WhenDown::Off => None,
    };
    Box::new(InRedis::new(shared.clone(), meanwhile))
}

/// The ledger of this machine. Reads and writes files: not for async threads. While it cannot be used its `health` says
/// why, and providers that cost something are off. An error means that there can be no thread.
fn open_ledger(config: &Config) -> std::io::Result<Arc<dyn Ledger>> {
    let ledger = FileLedger::open(&config.state_dir, Arc::new(SystemClock), FileOptions::default())?;
    Ok(Arc::new(ledger))
}

/// The tier on disk alone; none when it is not configured.
pub fn open_disk(
    config: &CacheConfig,
    observer: Arc<dyn CacheObserver>,
) -> Option<Result<DiskCache, CacheError>> {
    let dir = config.dir.clone().filter(|_| config.enabled && config.max_bytes > 0)?;
    let options = DiskOptions { max_bytes: config.max_bytes, ttl: config.ttl, ..DiskOptions::default() };
    Some(DiskCache::open(dir, options, observer))
}

/// The store alone; none when it is not configured. Asks it nothing yet.
pub fn open_store(
    config: &CacheConfig,
    observer: Arc<dyn CacheObserver>,
) -> Option<Result<BucketCache, CacheError>> {
    let store = config.store.clone().filter(|_| config.enabled)?;
    let name = store.to_string();
    let client = match HttpClient::bare(store.timeout) {
        Ok(client) => client,
        Err(why) => return Some(Err(CacheError::Store { store: name, why })),
    };
    let StoreConfig { bucket, prefix, endpoint, region, credentials, timeout, pause } = store;
    let credentials = match credentials {
        StoreCredentials::Key { id, secret, token } => {
            let (Some(id), Some(secret)) = (id.expose().cloned(), secret.expose().cloned()) else {
                let why = "its key has no value".to_owned();
                return Some(Err(CacheError::Store { store: name, why }));
            };
            Credentials::Key { id, secret, token: token.and_then(|token| token.expose().cloned()) }
        }
        StoreCredentials::Role(settings) => Credentials::Role(settings),
    };
    let endpoint = endpoint.map(String::from);
    let options =
        BucketOptions { bucket, prefix, endpoint, region, credentials, ttl: config.ttl, timeout, pause };
    Some(BucketCache::open(options, client, observer))
}
