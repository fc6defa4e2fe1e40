//! A cache in a bucket that several machines share, over the S3 protocol.
//!
//! An entry is the object `PREFIX/SUBJECT/VARIANT.KIND`, in the same format as a file of the disk cache, and is checked
//! in the same way. A slow or failed bucket must delay a client's request by a bounded time only: each request to the
//! bucket has a time-out, and after a failure the circuit opens for a while. The bucket's own lifecycle rules bound its
//! size; only the time to live is checked here.
//!
//! `put` waits for the response to its `PUT` request. From then on, S3 returns the object to every reader
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel>).

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{HttpClient, HttpConnector};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig,
};
use secrecy::{ExposeSecret, SecretString};

use super::entry::{self, HEADER};
use super::{
    Cache, CacheError, CacheEvent, CacheKey, CacheObserver, CacheSubject, Entry, Hit, Tier, TierStats,
};
use crate::circuit::{Circuit, CircuitPhase, CircuitPolicy};
use crate::hex::hex;
use crate::tasks;

/// Maximum size of an object that is read or written, in bytes: far above any rendition.
const MOST: u64 = 1 << 30;

/// How long the circuit stays open after the first failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Maximum number of retries of a failed request, within its time-out.
const RETRIES: usize = 2;

/// Time-out for each request that lists objects or removes several. No client waits for these requests.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many objects one request removes: the maximum that S3 allows.
const BATCH: usize = 1000;

/// The bucket and how to use it.
#[derive(Clone, Debug)]
pub struct BucketOptions {
    pub bucket: String,
    /// The prefix of all object names; may be empty.
    pub prefix: String,
    /// The URL of the store; `None` means Amazon S3 in `region`.
    pub endpoint: Option<String>,
    /// The region for signing requests.
    pub region: String,
    pub credentials: Credentials,
    /// The time to live; `None` is unlimited.
    pub ttl: Option<Duration>,
    /// Time-out for reading or writing an entry.
    pub timeout: Duration,
    /// The maximum pause after failures.
    pub pause: Duration,
}

#[derive(Clone, Debug)]
pub enum Credentials {
    Key {
        id: SecretString,
        secret: SecretString,
        /// The token of a temporary key.
        token: Option<SecretString>,
    },
    /// The role of this machine or container. Its credentials are fetched from where these settings of AWS's tools
    /// (names and values) say, or, without such settings, from the metadata service.
    Role(Vec<(String, String)>),
}

pub struct BucketCache {
    store: AmazonS3,
    prefix: Path,
    /// The name in messages.
    name: String,
    ttl: Option<Duration>,
    timeout: Duration,
    circuit: Circuit<String>,
    observer: Arc<dyn CacheObserver>,
}

impl BucketCache {
    /// Prepares access to a bucket; sends no request. `client` sends later requests. This client must not decompress
    /// responses, because that would hide the size of objects.
    pub fn open(
        options: BucketOptions,
        client: reqwest::Client,
        observer: Arc<dyn CacheObserver>,
    ) -> Result<Self, CacheError> {
        let BucketOptions { bucket, prefix, endpoint, region, credentials, ttl, timeout, pause } = options;
        let mut name = format!("s3://{bucket}");
        if !prefix.is_empty() {
            name = format!("{name}/{prefix}");
        }
        let unusable = |error: Error| CacheError::Store { store: name.clone(), why: words(&error) };
        let backoff = BackoffConfig {
            init_backoff: Duration::from_millis(20),
            max_backoff: Duration::from_millis(200),
            base: 2.0,
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(region)
            .with_retry(RetryConfig { backoff, max_retries: RETRIES, retry_timeout: timeout })
            .with_http_connector(Connector(client));
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        match credentials {
            Credentials::Key { id, secret, token } => {
                builder = builder
                    .with_access_key_id(id.expose_secret())
                    .with_secret_access_key(secret.expose_secret());
                if let Some(token) = token {
                    builder = builder.with_token(token.expose_secret());
                }
            }
            Credentials::Role(settings) => {
                for (setting, value) in settings {
                    let setting = setting.to_lowercase().parse().map_err(unusable)?;
                    builder = builder.with_config(setting, value);
                }
            }
        }
        let store = builder.build().map_err(unusable)?;
        let prefix = Path::parse(prefix).map_err(|error| unusable(error.into()))?;
        let logged = name.clone();
        let policy = CircuitPolicy::first_failure(FIRST_PAUSE, pause);
        let circuit = Circuit::new(policy, move |from, to| {
            if (from, to) == (CircuitPhase::HalfOpen, CircuitPhase::Closed) {
                tracing::info!("{logged} works again");
            }
        });
        Ok(Self { store, prefix, name, ttl, timeout, circuit, observer })
    }

    fn under(&self, subject: &CacheSubject) -> Path {
        self.prefix.clone().join(hex(subject))
    }

    fn path(&self, key: &CacheKey) -> Path {
        let (variant, kind) = (hex(&key.variant), key.kind.label());
        self.under(&key.subject).join(format!("{variant}.{kind}"))
    }

    /// The key of an object; `None` if the object is not an entry of this cache.
    fn key(&self, path: &Path) -> Option<CacheKey> {
        let mut parts = path.prefix_match(&self.prefix)?;
        let (subject, name) = (parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        CacheKey::parse(&format!("{}-{}", subject.as_ref(), name.as_ref()))
    }

    fn failed(&self, why: String) -> CacheError {
        CacheError::Store { store: self.name.clone(), why }
    }

    /// Awaits a response for at most `most`. `None` means that the object does not exist.
    async fn ask<T>(
        &self,
        most: Duration,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<Option<T>, CacheError> {
        match tokio::time::timeout(most, work).await {
            Ok(Ok(answer)) => Ok(Some(answer)),
            Ok(Err(error @ Error::NotFound { .. })) if code(&error) != Some("NoSuchBucket".into()) => {
                Ok(None)
            }
            Ok(Err(error)) => Err(self.failed(words(&error))),
            Err(_) => Err(self.failed(format!("no answer within {} s", most.as_secs_f64()))),
        }
    }

    /// Makes a request unless the circuit is open, and reports the outcome to the circuit.
    async fn unless_paused<T>(
        &self,
        work: impl Future<Output = Result<T, CacheError>>,
    ) -> Result<T, CacheError> {
        let pass = self.circuit.enter(Instant::now()).map_err(|open| CacheError::Paused {
            store: self.name.clone(),
            left: open.left,
            why: open.reason.unwrap_or_default(),
        })?;
        let result = work.await;
        let outcome = result.as_ref().map(|_| ()).map_err(|error| match error {
            CacheError::Store { why, .. } => why.clone(),
            other => other.to_string(),
        });
        pass.end(outcome, Instant::now());
        result
    }

    async fn read(&self, key: &CacheKey) -> Result<Option<Entry>, CacheError> {
        let path = self.path(key);
        let object = async {
            let object = self.store.get(&path).await?;
            match object.meta.size {
                0..=MOST => object.bytes().await.map(Some),
                _ => Ok(None),
            }
        };
        let Some(bytes) = self.ask(self.timeout, object).await? else { return Ok(None) };
        let (key, ttl) = (*key, self.ttl);
        let opened = match bytes {
            Some(bytes) => blocking(move || entry::open(&bytes, &key)).await?,
            None => Err("it is too large"),
        };
        match opened {
            Ok(entry) if !entry.expired(ttl) => return Ok(Some(entry)),
            Ok(_) => {}
            Err(why) => {
                tracing::warn!("{}/{path} is damaged and is removed: {why}", self.name);
                self.observer.event(Tier::Store, CacheEvent::Damaged);
            }
        }
        self.ask(self.timeout, self.store.delete(&path)).await?;
        Ok(None)
    }

    async fn write(&self, key: &CacheKey, entry: Entry) -> Result<(), CacheError> {
        let (key, path) = (*key, self.path(key));
        let payload = blocking(move || {
            let header = Bytes::from_owner(entry::header(&key, &entry));
            PutPayload::from_iter([header, entry.bytes])
        })
        .await?;
        match self.ask(self.timeout, self.store.put(&path, payload)).await? {
            Some(_) => Ok(()),
            None => Err(self.failed("there is no such bucket".to_owned())),
        }
    }

    /// The next object of a listing that is an entry.
    async fn next(&self, list: &mut ObjectListing<'_>) -> Result<Option<(CacheKey, ObjectMeta)>, CacheError> {
        while let Some(object) = self.ask(PATIENCE, list.try_next()).await?.flatten() {
            if let Some(key) = self.key(&object.location) {
                return Ok(Some((key, object)));
            }
        }
        Ok(None)
    }

    async fn delete(&self, paths: Vec<Path>) -> Result<(), CacheError> {
        let paths = futures::stream::iter(paths.into_iter().map(Ok)).boxed();
        let deleted = self.store.delete_stream(paths).try_for_each(|_| async { Ok(()) });
        self.ask(PATIENCE, deleted).await.map(drop)
    }

    /// Lists all entries, removes those that are `unwanted`, and counts the others.
    async fn clean(&self, unwanted: impl Fn(&ObjectMeta) -> bool + Sync) -> Result<TierStats, CacheError> {
        let mut stats = TierStats { tier: Tier::Store, entries: 0, bytes: 0 };
        let mut batch = Vec::new();
        let mut list = self.store.list(Some(&self.prefix));
        while let Some((_, object)) = self.next(&mut list).await? {
            if unwanted(&object) {
                batch.push(object.location);
            } else {
                stats.entries += 1;
                stats.bytes += object.size;
            }
            if batch.len() == BATCH {
                self.delete(std::mem::take(&mut batch)).await?;
            }
        }
        if !batch.is_empty() {
            self.delete(batch).await?;
        }
        self.observer.size_changed(stats);
        Ok(stats)
    }
}

type ObjectListing<'s> = futures::stream::BoxStream<'s, Result<ObjectMeta, Error>>;

#[async_trait]
impl Cache for BucketCache {
    async fn get(&self, key: &CacheKey) -> Result<Option<Hit>, CacheError> {
        let cached = self.unless_paused(self.read(key)).await?;
        let hit = cached.map(|entry| Hit { entry, tier: Tier::Store });
        self.observer.event(Tier::Store, if hit.is_some() { CacheEvent::Hit } else { CacheEvent::Miss });
        Ok(hit)
    }

    async fn put(&self, key: &CacheKey, entry: Entry) -> Result<(), CacheError> {
        if entry.expired(self.ttl) || (entry.bytes.len() + HEADER) as u64 > MOST {
            return Ok(());
        }
        self.unless_paused(self.write(key, entry)).await
    }

    async fn remove(&self, key: &CacheKey) -> Result<bool, CacheError> {
        let path = self.path(key);
        let there = self.ask(self.timeout, self.store.head(&path)).await?.is_some();
        if there {
            self.ask(self.timeout, self.store.delete(&path)).await?;
        }
        Ok(there)
    }

    async fn list(&self, subject: &CacheSubject) -> Result<Vec<CacheKey>, CacheError> {
        let mut list = self.store.list(Some(&self.under(subject)));
        let mut keys = Vec::new();
        while let Some((key, _)) = self.next(&mut list).await? {
            keys.push(key);
        }
        Ok(keys)
    }

    async fn clear(&self) -> Result<(), CacheError> {
        self.clean(|_| true).await.map(drop)
    }

    async fn sweep(&self) -> Result<Vec<TierStats>, CacheError> {
        // An entry is created before it is stored. If it was stored longer ago than the time to live, it has expired.
        let last = self.ttl.and_then(|ttl| SystemTime::now().checked_sub(ttl));
        let expired =
            |object: &ObjectMeta| last.is_some_and(|last| SystemTime::from(object.last_modified) < last);
        Ok(vec![self.clean(expired).await?])
    }
}

/// Runs work on a blocking thread, because hashing a large value takes a while.
async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> Result<R, CacheError> {
    tasks::spawn_blocking(work).await.map_err(|_| CacheError::Stopped)
}

/// Makes requests with the HTTP client that it contains.
#[derive(Debug)]
struct Connector(reqwest::Client);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

/// The code of an S3 error, such as `NoSuchBucket`
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>).
fn code(error: &Error) -> Option<String> {
    let text = error.to_string();
    let (_, rest) = text.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    (code.len() <= 64 && code.chars().all(|c| c.is_ascii_alphanumeric())).then(|| code.to_owned())
}

/// A short description of an error. The full text would contain addresses and details of our request.
fn words(error: &Error) -> String {
    let code = code(error);
    match (error, code) {
        (Error::PermissionDenied { .. } | Error::Unauthenticated { .. }, code) => {
            let code = code.map_or_else(String::new, |code| format!(" ({code})"));
            format!("it refuses the key or the role, which may lack a permission{code}")
        }
        (_, Some(code)) if code == "NoSuchBucket" => "there is no such bucket".to_owned(),
        (_, Some(code)) => format!("it answered {code}"),
        (error, None) => {
            let mut innermost: &dyn std::error::Error = error;
            while let Some(source) = innermost.source() {
                innermost = source;
            }
            // Text after a `<` or a line break is left out, because it may be the error page of a proxy.
            innermost
                .to_string()
                .split(['<', '\n'])
                .next()
                .unwrap_or_default()
                .trim()
                .chars()
                .take(200)
                .collect()
        }
    }
}
