//! What is kept of coloured pictures, so that nothing is paid for twice.

use std::path::PathBuf;
use std::time::Duration;

use super::reference::Words;
use super::source::ConfigSource;
use super::store::StoreConfig;
use super::table::Table;

const WORDS: Words = &[
    ("enabled", "Whether results are cached."),
    ("memory", "Size of the memory cache, in bytes; 0 disables it."),
    ("dir", "Folder of the disk cache. Without a home folder there is no default and no disk cache."),
    ("max_bytes", "Size of the disk cache, in bytes; 0 disables it."),
    (
        "store",
        "A bucket in S3 or a compatible store that several gateways share. Its lifecycle rules limit its size.",
    ),
    ("s3", "Connection to the bucket of `cache.store`. Defaults come from AWS's own variables."),
    ("ttl", "Seconds until a result expires; 0 keeps results until space is needed."),
    (
        "share",
        "Whether clients share cached results (\"all\") or each client sees only its own (\"client\").",
    ),
];

/// Whether what was made for one client may answer another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheSharing {
    /// Yes: the key is the content, and knowing it means having the picture.
    #[default]
    All,
    /// No: each client, by its key or else its address, finds only its own.
    Client,
}

/// Settings of the cache. Its tiers are set up when the program starts.
#[derive(Clone, Debug)]
pub struct CacheConfig {
    /// Whether anything is kept at all.
    pub enabled: bool,
    /// Most bytes in memory; 0 keeps nothing there.
    pub memory: u64,
    /// The folder on disk, made when it is not there; none keeps nothing on disk.
    pub dir: Option<PathBuf>,
    /// Most bytes on disk; 0 keeps nothing there.
    pub max_bytes: u64,
    /// What other gateways share; none shares nothing. It is bounded by its own rules.
    pub store: Option<StoreConfig>,
    /// How long a result is kept; none is until there is no more room.
    pub ttl: Option<Duration>,
    /// Who may be answered with it.
    pub share: CacheSharing,
}

impl CacheConfig {
    const MEMORY: u64 = 64 << 20;
    const MAX_BYTES: u64 = 4 << 30;
    /// 30 days.
    const TTL: Duration = Duration::from_secs(30 * 24 * 3600);

    pub(super) fn read(source: &ConfigSource, table: &mut Table<'_>) -> Self {
        const SHARES: [(&str, CacheSharing); 2] =
            [("all", CacheSharing::All), ("client", CacheSharing::Client)];
        const CENTURY: f64 = 3.2e9;
        table.describe(WORDS);
        let config = Self {
            enabled: table.flag("enabled", true),
            memory: table.bytes("memory", Self::MEMORY, 0..=1 << 40),
            dir: table.path("dir", source.cache_dir()),
            max_bytes: table.bytes("max_bytes", Self::MAX_BYTES, 0..=1 << 50),
            store: StoreConfig::read(table),
            ttl: Some(table.seconds("ttl", Self::TTL, 0.0..=CENTURY)).filter(|ttl| !ttl.is_zero()),
            share: table.choice("share", &SHARES).unwrap_or_default(),
        };
        if config.enabled && config.max_bytes > 0 && config.dir.is_none() {
            let message = "HOME is not set, so results are cached in memory only: set `cache.dir`, or \
                           `cache.max_bytes` to 0";
            table.warning(message.to_owned());
        }
        config
    }
}
