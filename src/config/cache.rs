//! Settings of the cache, which stores results so that no provider is paid twice for one photo.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

use super::kinds::{One, Optional, Seconds, Size};
use super::place::Place;
use super::store::{Bucket, BucketUrl, S3Config, StoreConfig};

/// Whether one client's result may answer another client's request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CacheSharing {
    /// Clients share results. The key is computed from the photo, so only a client that has the photo can look it up.
    #[default]
    All,
    /// Each client (API key, or else address) gets only its own results.
    Client,
}

/// The cache of results. A repeated upload costs nothing.
// The tiers are created when the program starts.
#[derive(Clone, Debug, Deserialize, JsonSchema, SmartDefault)]
#[serde(default)]
pub struct CacheConfig {
    /// Whether results are cached.
    #[default = true]
    pub enabled: bool,
    /// Size of the memory cache, in bytes; 0 disables it.
    #[serde(with = "One::<Size>")]
    #[schemars(range(min = 0, max = 1u64 << 40))]
    #[default(64 << 20)]
    pub memory: u64,
    /// Folder of the disk cache. Without a home folder there is no default and no disk cache.
    #[schemars(extend("format" = "path"))]
    pub dir: Option<PathBuf>,
    /// Size of the disk cache, in bytes; 0 disables it.
    #[serde(with = "One::<Size>")]
    #[schemars(range(min = 0, max = 1u64 << 50))]
    #[default(4 << 30)]
    pub max_bytes: u64,
    /// A bucket in S3 or a compatible store that several gateways share. Its lifecycle rules limit its size.
    #[serde(rename = "store", with = "Optional::<BucketUrl>")]
    bucket: Option<Bucket>,
    s3: S3Config,
    /// The bucket and its connection; none without a bucket.
    #[serde(skip)]
    pub store: Option<StoreConfig>,
    /// Seconds until a result expires; 0 keeps results until space is needed.
    #[serde(with = "Optional::<Seconds>")]
    #[schemars(range(min = 0, max = 3_200_000_000u64))]
    #[default(Some(Duration::from_secs(30 * 24 * 3600)))]
    pub ttl: Option<Duration>,
    /// Whether clients share cached results ("all") or each client sees only its own ("client").
    pub share: CacheSharing,
}

impl CacheConfig {
    pub(super) fn complete(&mut self, place: &Place<'_>) {
        self.ttl = self.ttl.filter(|ttl| !ttl.is_zero());
        self.store = self.s3.checked(self.bucket.clone(), place);
        if self.enabled && self.max_bytes > 0 && self.dir.is_none() {
            let message = "HOME is not set, so results are cached in memory only: set `cache.dir`, or \
                           `cache.max_bytes` to 0";
            place.warning(message.to_owned());
        }
    }
}
