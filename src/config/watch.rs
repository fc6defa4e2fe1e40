//! Notices that the configuration on disk has changed, so that it can be read again.
//!
//! Folders are watched, not files: editors save by renaming a new file over the old one, and Kubernetes swaps a
//! link (`..data`) to a folder of all files. Of what happens there only these count: files of a configuration
//! (`*.toml`), names like `..data`, files that the configuration names (networks, recipes, secrets), and every
//! link on the way to any of these, wherever it is. Others may write beside them as they like. After each change
//! everything is watched anew, because a name may lead to another place now.
//!
//! A file that somebody has begun to write is waited for until it is closed, for a while; one that is half
//! written all the same is mostly not valid, and then nothing changes before the next event.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::load;
use super::places::{Places, places};
use super::source::ConfigSource;
use crate::tasks;

/// How long nothing more must happen for a change to be over.
const QUIET: Duration = Duration::from_millis(150);
/// How long a change may go on before it is looked at all the same.
const LONGEST: Duration = Duration::from_millis(1000);
/// Most events that wait to be looked at; which ones get lost beyond that does not matter.
const MOST_WAITING: usize = 256;

/// Watches where a configuration comes from.
pub struct Watch {
    source: ConfigSource,
    sender: mpsc::Sender<Event>,
    events: mpsc::Receiver<Event>,
    /// Stops when it is dropped.
    _watcher: Option<RecommendedWatcher>,
    /// Files that the last configuration which could be read has named.
    named: BTreeSet<PathBuf>,
}

impl Watch {
    /// Begins to watch. Looks at files: not for async threads.
    pub fn new(source: ConfigSource) -> Self {
        let (sender, events) = mpsc::channel(MOST_WAITING);
        let named = named(&source).unwrap_or_default();
        let watcher = watch(&source, &named, &sender);
        Self { source, sender, events, _watcher: watcher, named }
    }

    /// Waits until something has changed, and the change is over. May be dropped and called again.
    pub async fn changed(&mut self) {
        let mut writing = BTreeSet::new();
        let Some(event) = self.events.recv().await else { return std::future::pending().await };
        note(&event, &mut writing);
        let end = Instant::now() + LONGEST;
        let mut quiet = Instant::now() + QUIET;
        loop {
            let until = if writing.is_empty() { quiet.min(end) } else { end };
            match timeout_at(until, self.events.recv()).await {
                Ok(Some(event)) => {
                    note(&event, &mut writing);
                    quiet = Instant::now() + QUIET;
                }
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Watches what the names lead to now. To be called before the configuration is read again.
    pub async fn renew(&mut self) {
        let (source, sender, known) = (self.source.clone(), self.sender.clone(), self.named.clone());
        let renewed = tasks::spawn_blocking(move || {
            // What cannot be read names nothing, and is mended in one of the files that are known.
            let named = named(&source).unwrap_or(known);
            (watch(&source, &named, &sender), named)
        });
        if let Ok((watcher, named)) = renewed.await {
            // One that cannot be had has said why.
            (self._watcher, self.named) = (watcher, named);
        }
    }
}

/// Notes which files are being written.
fn note(event: &Event, writing: &mut BTreeSet<PathBuf>) {
    for path in &event.paths {
        match event.kind {
            EventKind::Modify(ModifyKind::Data(_)) => writing.insert(path.clone()),
            _ => writing.remove(path),
        };
    }
}

/// The files that a configuration names; none if it cannot be read.
fn named(source: &ConfigSource) -> Option<BTreeSet<PathBuf>> {
    load(source).ok().map(|loaded| loaded.files)
}

/// Watches every folder that holds something that counts, as far as they are there; none when no folder is looked
/// for, or it cannot be watched.
fn watch(
    source: &ConfigSource,
    named: &BTreeSet<PathBuf>,
    sender: &mpsc::Sender<Event>,
) -> Option<RecommendedWatcher> {
    let dir = source.place()?;
    let places = Arc::new(places(&dir, named));
    let (sender, counting) = (sender.clone(), places.clone());
    let tell = move |event: notify::Result<Event>| {
        // What went wrong may have been a change.
        let event = event.unwrap_or_else(|_| Event::new(EventKind::Any));
        if is_change(event.kind) && concerns(&event, &counting) {
            // If there is no room, events are waiting that will do.
            let _ = sender.try_send(event);
        }
    };
    let unwatched = |dir: &Path, error: &notify::Error| {
        let dir = dir.display();
        tracing::warn!("changes in {dir} are not noticed ({error}): send SIGHUP after a change");
    };
    let mut watcher = notify::recommended_watcher(tell).inspect_err(|error| unwatched(&dir, error)).ok()?;
    for folder in places.folders() {
        match watcher.watch(folder, RecursiveMode::NonRecursive) {
            // The folder above it is watched all the same, so that it is noticed when this one can be read again.
            Err(error) if places.is_own(folder) && folder.is_dir() => unwatched(folder, &error),
            // None of the others needs to be there, or to be ours to look at.
            _ => {}
        }
    }
    Some(watcher)
}

/// Whether an event is about the configuration.
fn concerns(event: &Event, places: &Places) -> bool {
    event.paths.is_empty() || event.paths.iter().any(|path| places.count(path))
}

/// Reading is no change, and we read.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}
