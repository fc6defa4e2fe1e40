//! A cache in a folder, bounded in bytes; the least recently used entries are evicted first.
//!
//! The folder is the only persistent state. The file of an entry is renamed to its final name when it is complete. Its
//! header contains the key, and its modification time is the time of the last use. So a process may be killed at any
//! moment, and several processes may share the folder: each process scans it after writing a sixteenth of the bound.
//! A single process never exceeds the bound. Each further process may exceed it by a sixteenth of the bound, or by the
//! largest entry if that is more.

mod folder;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use super::entry::{self, HEADER, ReadError};
use super::{
    Cache, CacheError, CacheEvent, CacheKey, CacheObserver, CacheSubject, Entry, Hit, Tier, TierStats,
};
use crate::files::there;
use crate::tasks;
use folder::{EntryFile, Folder};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskOptions {
    /// Maximum bytes of all entries with their headers.
    pub max_bytes: u64,
    /// The time to live; `None` keeps entries until space is needed.
    pub ttl: Option<Duration>,
    /// The minimum time between two updates of an entry's last use.
    pub touch_every: Duration,
}

impl Default for DiskOptions {
    /// 10 GiB, unlimited time to live, and one minute between updates of the last use.
    fn default() -> Self {
        Self { max_bytes: 10 << 30, ttl: None, touch_every: Duration::from_secs(60) }
    }
}

#[derive(Clone)]
pub struct DiskCache(Arc<Inner>);

struct Inner {
    folder: Folder,
    options: DiskOptions,
    usage: Mutex<FolderUsage>,
    observer: Arc<dyn CacheObserver>,
}

/// The number and size of the entries at the last scan, updated with this process's later changes. Changes that other
/// processes make are counted at the next scan.
#[derive(Debug, Default)]
struct FolderUsage {
    entries: u64,
    bytes: u64,
    /// Bytes of entries that are being written.
    reserved: u64,
    /// Bytes written since the last scan.
    written: u64,
}

impl DiskCache {
    /// Opens or creates a folder and scans it. Blocks on the disk.
    pub fn open(
        folder: PathBuf,
        options: DiskOptions,
        observer: Arc<dyn CacheObserver>,
    ) -> Result<Self, CacheError> {
        let folder = Folder::open(folder.clone()).map_err(CacheError::io(&folder))?;
        let inner = Inner { folder, options, usage: Mutex::default(), observer };
        inner.sweep()?;
        Ok(Self(Arc::new(inner)))
    }

    /// Runs file operations on a blocking thread.
    async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<R, CacheError> + Send + 'static,
    ) -> Result<R, CacheError> {
        let inner = self.0.clone();
        tasks::spawn_blocking(move || work(&inner)).await.unwrap_or(Err(CacheError::Stopped))
    }
}

#[async_trait]
impl Cache for DiskCache {
    async fn get(&self, key: &CacheKey) -> Result<Option<Hit>, CacheError> {
        let key = *key;
        let cached = self.run(move |disk| disk.read(&key)).await?;
        let hit = cached.map(|entry| Hit { entry, tier: Tier::Disk });
        self.0.observer.event(Tier::Disk, if hit.is_some() { CacheEvent::Hit } else { CacheEvent::Miss });
        Ok(hit)
    }

    async fn put(&self, key: &CacheKey, entry: Entry) -> Result<(), CacheError> {
        let key = *key;
        self.run(move |disk| disk.write(&key, &entry)).await
    }

    async fn remove(&self, key: &CacheKey) -> Result<bool, CacheError> {
        let key = *key;
        self.run(move |disk| disk.remove(&disk.folder.file(&key))).await
    }

    async fn list(&self, subject: &CacheSubject) -> Result<Vec<CacheKey>, CacheError> {
        let subject = *subject;
        self.run(move |disk| disk.folder.list(&subject).map_err(CacheError::io(disk.folder.path()))).await
    }

    async fn clear(&self) -> Result<(), CacheError> {
        self.run(|disk| {
            let files = disk.folder.scan().map_err(CacheError::io(disk.folder.path()))?;
            files.iter().try_for_each(|file| disk.remove(&file.path).map(drop))
        })
        .await?;
        self.sweep().await.map(drop)
    }

    async fn sweep(&self) -> Result<Vec<TierStats>, CacheError> {
        self.run(|disk| disk.sweep().map(|stats| vec![stats])).await
    }
}

impl Inner {
    fn usage(&self) -> MutexGuard<'_, FolderUsage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, key: &CacheKey) -> Result<Option<Entry>, CacheError> {
        let path = self.folder.file(key);
        let io = || CacheError::io(&path);
        let Some(mut file) = there(File::open(&path)).map_err(io())? else { return Ok(None) };
        match entry::read(&mut file, key) {
            Ok(entry) if entry.expired(self.options.ttl) => {
                self.remove(&path)?;
                Ok(None)
            }
            Ok(entry) => {
                self.touch(&file);
                Ok(Some(entry))
            }
            Err(ReadError::Io(error)) => Err(io()(error)),
            Err(ReadError::Damaged(why)) => {
                let path = path.display();
                tracing::warn!("{path} is damaged and is removed: {why}");
                self.observer.event(Tier::Disk, CacheEvent::Damaged);
                self.remove(&self.folder.file(key))?;
                Ok(None)
            }
        }
    }

    /// Records the use of an entry, if the recorded use is at least `touch_every` ago. If that fails, the entry may be
    /// evicted too early.
    fn touch(&self, file: &File) {
        let used = file.metadata().and_then(|data| data.modified());
        let now = SystemTime::now();
        if used.is_ok_and(|used| now.duration_since(used).is_ok_and(|ago| ago >= self.options.touch_every)) {
            let _ = file.set_modified(now);
        }
    }

    fn write(&self, key: &CacheKey, entry: &Entry) -> Result<(), CacheError> {
        let bytes = (HEADER + entry.bytes.len()) as u64;
        if entry.expired(self.options.ttl) || !self.reserve(bytes)? {
            return Ok(());
        }
        let stored = self.folder.write([&entry::header(key, entry), &entry.bytes]).and_then(|part| {
            let stored = self.folder.prepare(key).and_then(|()| self.publish(&part, key, bytes));
            if stored.is_err() {
                let _ = fs::remove_file(part);
            }
            stored
        });
        let mut usage = self.usage();
        usage.reserved -= bytes;
        if stored.is_ok() {
            self.observer.size_changed(usage.stats());
        }
        drop(usage);
        stored.and_then(|()| self.folder.sync(key)).map_err(CacheError::io(&self.folder.file(key)))
    }

    /// Renames a written file to its final name and counts it.
    fn publish(&self, part: &Path, key: &CacheKey, bytes: u64) -> std::io::Result<()> {
        let path = self.folder.file(key);
        let mut usage = self.usage();
        let before = fs::metadata(&path).map(|data| data.len()).ok();
        fs::rename(part, &path)?;
        usage.entries += u64::from(before.is_none());
        usage.bytes = (usage.bytes + bytes).saturating_sub(before.unwrap_or(0));
        usage.written += bytes;
        Ok(())
    }

    /// Reserves space for an entry, and evicts other entries if necessary; returns whether there is enough space.
    fn reserve(&self, bytes: u64) -> Result<bool, CacheError> {
        let most = self.options.max_bytes;
        let mut usage = self.usage();
        if usage.reserved + bytes > most {
            return Ok(false);
        }
        // A scan is slow. So a sixteenth of the bound is freed at once, and the next scan follows only after many more
        // entries.
        let step = most / 16;
        if usage.bytes + usage.reserved + bytes > most || usage.written + bytes > step {
            let wanted = usage.reserved + bytes.max(step);
            self.evict(&mut usage, most.saturating_sub(wanted))?;
        }
        usage.reserved += bytes;
        Ok(true)
    }

    fn sweep(&self) -> Result<TierStats, CacheError> {
        let mut usage = self.usage();
        let most = self.options.max_bytes.saturating_sub(usage.reserved);
        self.evict(&mut usage, most)
    }

    /// Scans the folder. Removes expired entries, and then the least recently used ones until at most `most` bytes
    /// remain.
    fn evict(&self, usage: &mut FolderUsage, most: u64) -> Result<TierStats, CacheError> {
        let mut files = self.folder.scan().map_err(CacheError::io(self.folder.path()))?;
        files.sort_unstable_by_key(|file| file.used);
        usage.written = 0;
        usage.entries = files.len() as u64;
        usage.bytes = files.iter().map(|file| file.bytes).sum();
        let now = SystemTime::now();
        for EntryFile { path, bytes, used } in files {
            // An entry is created before it is used. So if its last use is longer ago than the time to live, it has
            // expired. It may have expired earlier; the exact time in the header is checked when the entry is read.
            let expired =
                self.options.ttl.is_some_and(|ttl| now.duration_since(used).is_ok_and(|ago| ago >= ttl));
            if !expired && usage.bytes <= most {
                break;
            }
            if folder::remove(&path).map_err(CacheError::io(&path))? && !expired {
                self.observer.event(Tier::Disk, CacheEvent::Evicted);
            }
            usage.entries -= 1;
            usage.bytes -= bytes;
        }
        self.observer.size_changed(usage.stats());
        Ok(usage.stats())
    }

    /// Removes a file and updates the size; returns whether it existed.
    fn remove(&self, path: &Path) -> Result<bool, CacheError> {
        let mut usage = self.usage();
        let Some(data) = there(fs::metadata(path)).map_err(CacheError::io(path))? else { return Ok(false) };
        let removed = folder::remove(path).map_err(CacheError::io(path))?;
        if removed {
            usage.entries = usage.entries.saturating_sub(1);
            usage.bytes = usage.bytes.saturating_sub(data.len());
            self.observer.size_changed(usage.stats());
        }
        Ok(removed)
    }
}

impl FolderUsage {
    fn stats(&self) -> TierStats {
        TierStats { tier: Tier::Disk, entries: self.entries, bytes: self.bytes }
    }
}
