//! Caches to test, values to put into them, and an observer that records events.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use bytes::Bytes;
use pixcolor::cache::{
    BucketCache, BucketOptions, Cache, CacheEvent, CacheKey, CacheObserver, Credentials, DiskCache,
    DiskOptions, Entry, EntryKind, MemoryCache, Tier, TierStats, TieredCache,
};
use pixcolor::provider::HttpClient;
use tempfile::TempDir;

use super::s3::S3;

/// The events that a cache reported.
#[derive(Default)]
pub struct Log {
    events: Mutex<HashMap<(Tier, CacheEvent), u64>>,
    sizes: Mutex<HashMap<Tier, TierStats>>,
}

impl CacheObserver for Log {
    fn event(&self, tier: Tier, event: CacheEvent) {
        *self.events.lock().unwrap().entry((tier, event)).or_default() += 1;
    }

    fn size_changed(&self, stats: TierStats) {
        self.sizes.lock().unwrap().insert(stats.tier, stats);
    }
}

impl Log {
    pub fn count(&self, tier: Tier, event: CacheEvent) -> u64 {
        self.events.lock().unwrap().get(&(tier, event)).copied().unwrap_or(0)
    }

    pub fn size(&self, tier: Tier) -> TierStats {
        self.sizes.lock().unwrap()[&tier]
    }
}

/// A cache under test.
pub struct Setup {
    pub cache: Arc<dyn Cache>,
    pub log: Arc<Log>,
    /// The cache's folder, removed when the test ends.
    pub folder: Option<TempDir>,
}

/// Opens a cache with this size limit in bytes and this time to live.
pub type Make = fn(u64, Option<Duration>) -> Setup;

pub const LARGE: u64 = 64 << 20;

pub fn memory(max_bytes: u64, ttl: Option<Duration>) -> Setup {
    let log = Arc::new(Log::default());
    Setup { cache: Arc::new(MemoryCache::new(max_bytes, ttl, log.clone())), log, folder: None }
}

pub fn disk(max_bytes: u64, ttl: Option<Duration>) -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(Log::default());
    let cache = Arc::new(open(folder.path(), max_bytes, ttl, &log));
    Setup { cache, log, folder: Some(folder) }
}

/// A memory and a disk tier, each with this size limit.
pub fn tiered(max_bytes: u64, ttl: Option<Duration>) -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(Log::default());
    let slow = Arc::new(open(folder.path(), max_bytes, ttl, &log));
    let fast = Arc::new(MemoryCache::new(max_bytes, ttl, log.clone()));
    let cache = TieredCache::new(vec![(Tier::Memory, fast), (Tier::Disk, slow)], None, log.clone());
    Setup { cache: Arc::new(cache), log, folder: Some(folder) }
}

/// The object store that most tests share; `None` if the store's program is not installed.
pub static STORE: LazyLock<Option<S3>> = LazyLock::new(S3::start);

/// A cache in a bucket, under a prefix that no other test uses. It has no size limit.
pub fn objects(_: u64, ttl: Option<Duration>) -> Setup {
    static USED: AtomicU32 = AtomicU32::new(0);
    let log = Arc::new(Log::default());
    let prefix = format!("test/{}", USED.fetch_add(1, Ordering::Relaxed));
    let options = BucketOptions { prefix, ttl, ..options(STORE.as_ref().unwrap()) };
    Setup { cache: Arc::new(open_objects(options, &log)), log, folder: None }
}

/// The options for the bucket of an object store.
pub fn options(store: &S3) -> BucketOptions {
    let (id, secret) = (store.key.0.as_str(), store.key.1.as_str());
    BucketOptions {
        bucket: "photos".to_owned(),
        prefix: String::new(),
        endpoint: Some(store.url()),
        region: "us-east-1".to_owned(),
        credentials: Credentials::Key { id: id.into(), secret: secret.into(), token: None },
        ttl: None,
        timeout: Duration::from_secs(10),
        pause: Duration::from_secs(1),
    }
}

pub fn open_objects(options: BucketOptions, log: &Arc<Log>) -> BucketCache {
    let client = HttpClient::bare(options.timeout).unwrap();
    BucketCache::open(options, client, log.clone()).unwrap()
}

/// Opens a disk cache that records every use of a value.
pub fn open(folder: &Path, max_bytes: u64, ttl: Option<Duration>, log: &Arc<Log>) -> DiskCache {
    let options = DiskOptions { max_bytes, ttl, touch_every: Duration::ZERO };
    DiskCache::open(folder.to_owned(), options, log.clone()).unwrap()
}

/// A different key for each number. The numbers 4n to 4n + 3 share a subject.
pub fn key(number: u32) -> CacheKey {
    let mut subject = [0x5a; 32];
    subject[..4].copy_from_slice(&(number / 4).wrapping_mul(0x9e37_79b9).to_le_bytes());
    let mut variant = [0xc3; 32];
    variant[..4].copy_from_slice(&number.to_le_bytes());
    CacheKey { subject, kind: EntryKind::ALL[number as usize % 4], variant }
}

/// `length` pseudorandom bytes that depend on `number` and `version`.
pub fn value(number: u32, version: u32, length: usize) -> Bytes {
    let mut state = u64::from(number) << 32 | u64::from(version) | 1 << 63;
    let next = move || {
        // Marsaglia's xorshift64*.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

impl Setup {
    pub async fn put(&self, number: u32, bytes: Bytes) {
        self.cache.put(&key(number), Entry::new(bytes)).await.unwrap();
    }

    pub async fn get(&self, number: u32) -> Option<Bytes> {
        self.cache.get(&key(number)).await.unwrap().map(|hit| hit.entry.bytes)
    }

    pub async fn bytes(&self) -> u64 {
        self.cache.sweep().await.unwrap().iter().map(|stats| stats.bytes).max().unwrap_or(0)
    }

    pub fn path(&self) -> &Path {
        self.folder.as_ref().unwrap().path()
    }
}

/// Every file in a folder and its subfolders, with its size, except `CACHEDIR.TAG`.
pub fn files(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Other processes may remove files at the same time.
        match std::fs::metadata(&path) {
            Ok(data) if data.is_dir() => found.extend(files(&path)),
            Ok(data) if !path.ends_with("CACHEDIR.TAG") => found.push((path, data.len())),
            _ => {}
        }
    }
    found
}
