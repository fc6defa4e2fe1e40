//! Opens the configured cache tiers, ledger and rate limits, for one process or shared by replicas. All implementations
//! are listed here.

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

/// Opens the configured tiers. This reads the whole cache folder, so it must not run on an async thread. A folder or
/// bucket that cannot be used is logged and left out: then results may be paid for again, but the gateway starts.
///
/// With `behind`, writes to the bucket run in the background, as tasks of `behind`. Without it, `put` returns only when
/// every replica can read the entry, as flights across replicas need.
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
            tracing::warn!("results are not cached on disk, because `cache.dir` cannot be used: {error}");
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

/// The gateway's state that outlives a reload.
pub struct CacheStores {
    pub cache: Arc<dyn Cache>,
    pub ledger: Arc<dyn Ledger>,
    pub rates: Box<dyn Quota>,
    /// Flights across replicas; `None` for a single gateway.
    pub replica_flights: Option<Box<dyn ReplicaFlights>>,
    /// The Redis that replicas share; `None` for a single gateway.
    pub shared: Option<SharedRedis>,
    pub tasks: Tasks,
}

impl CacheStores {
    /// Opens everything as configured. This reads and writes files, so it must not run on an async thread. It opens no
    /// connection yet. An error means that a thread cannot be started.
    pub fn open(config: &Config, metrics: &Metrics) -> std::io::Result<Self> {
        let tasks = Tasks::default();
        let shared =
            config.shared.options().map(|options| SharedRedis::new(options, Arc::new(metrics.clone())));
        // If replicas share flights, a result must be in the bucket when its flight ends.
        let behind = Some(&tasks).filter(|_| shared.is_none());
        let cache = open_cache(&config.cache, behind, Arc::new(metrics.clone()));
        let ledger: Arc<dyn Ledger> = match &shared {
            Some(shared) => {
                Arc::new(RedisLedger::in_folder(shared.clone(), tasks.clone(), &config.state_dir))
            }
            None => open_ledger(config)?,
        };
        let rates = open_rates(config, shared.as_ref());
        let replica_flights =
            shared.clone().map(|shared| -> Box<dyn ReplicaFlights> { Box::new(RedisFlights::new(shared)) });
        Ok(Self { cache, ledger, rates, replica_flights, shared, tasks })
    }
}

fn open_rates(config: &Config, shared: Option<&SharedRedis>) -> Box<dyn Quota> {
    let here = || -> Box<dyn Quota> { Box::new(InProcess::new()) };
    let Some(shared) = shared else { return here() };
    let meanwhile = match config.shared.quota_when_down {
        WhenDown::Process => Some(here()),
        WhenDown::Off => None,
    };
    Box::new(InRedis::new(shared.clone(), meanwhile))
}

/// Opens the ledger file. It reads and writes files, so it must not run on an async thread. If the file cannot be used,
/// the ledger's `health` says why and providers that cost credit are off. An error means that a thread cannot be
/// started.
fn open_ledger(config: &Config) -> std::io::Result<Arc<dyn Ledger>> {
    let ledger = FileLedger::open(&config.state_dir, Arc::new(SystemClock), FileOptions::default())?;
    Ok(Arc::new(ledger))
}

/// Opens the disk tier only; `None` if it is not configured.
pub fn open_disk(
    config: &CacheConfig,
    observer: Arc<dyn CacheObserver>,
) -> Option<Result<DiskCache, CacheError>> {
    let dir = config.dir.clone().filter(|_| config.enabled && config.max_bytes > 0)?;
    let options = DiskOptions { max_bytes: config.max_bytes, ttl: config.ttl, ..DiskOptions::default() };
    Some(DiskCache::open(dir, options, observer))
}

/// Opens the bucket only; `None` if it is not configured. It sends no request yet.
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
