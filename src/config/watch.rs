//! Watches the configuration on disk, so that a change reloads it.
//!
//! The watcher observes folders, not files: editors save by renaming a new file over the old one, and Kubernetes
//! replaces a link (`..data`) to the folder that contains all files. Only these names matter: configuration files
//! (`*.toml`), names like `..data`, files that the configuration names (networks, recipes, secrets), and every link in
//! the path of one of these. Other files in the same folders are ignored. After each change the watches are created
//! again, because a link may have a new target.
//!
//! The watcher waits a limited time until a file that is being written is closed. If the file is still
//! incomplete then, it is usually invalid, and the old configuration stays in effect until the next event.

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

/// A change is complete when no event follows for this long.
const QUIET: Duration = Duration::from_millis(150);
/// A change is handled after this time even if events continue.
const LONGEST: Duration = Duration::from_millis(1000);
/// Size of the event queue. Further events may be dropped, because one queued event is enough to cause a reload.
const MOST_WAITING: usize = 256;

pub struct Watch {
    source: ConfigSource,
    sender: mpsc::Sender<Event>,
    events: mpsc::Receiver<Event>,
    /// Dropping it stops the watches.
    _watcher: Option<RecommendedWatcher>,
    /// The files that the last valid configuration names.
    named: BTreeSet<PathBuf>,
}

impl Watch {
    /// Starts to watch. Blocks on files, so async threads must not call it.
    pub fn new(source: ConfigSource) -> Self {
        let (sender, events) = mpsc::channel(MOST_WAITING);
        let named = named(&source).unwrap_or_default();
        let watcher = watch(&source, &named, &sender);
        Self { source, sender, events, _watcher: watcher, named }
    }

    /// Waits until a change is complete. The future may be dropped and the method called again.
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

    /// Watches the current targets of all paths. Must be called before the configuration is read again.
    pub async fn renew(&mut self) {
        let (source, sender, known) = (self.source.clone(), self.sender.clone(), self.named.clone());
        let renewed = tasks::spawn_blocking(move || {
            // If the configuration is not valid, the previously named files stay watched, because the error may be in
            // one of them.
            let named = named(&source).unwrap_or(known);
            (watch(&source, &named, &sender), named)
        });
        if let Ok((watcher, named)) = renewed.await {
            // If no watcher was created, `watch` has logged the reason.
            (self._watcher, self.named) = (watcher, named);
        }
    }
}

/// Updates the set of files that are being written.
fn note(event: &Event, writing: &mut BTreeSet<PathBuf>) {
    for path in &event.paths {
        match event.kind {
            EventKind::Modify(ModifyKind::Data(_)) => writing.insert(path.clone()),
            _ => writing.remove(path),
        };
    }
}

/// The files that the configuration names; `None` if the configuration is not valid.
fn named(source: &ConfigSource) -> Option<BTreeSet<PathBuf>> {
    load(source).ok().map(|loaded| loaded.files)
}

/// Watches every existing folder that contains a path of the configuration. Returns `None` if the source
/// has no folder or no watcher can be created.
fn watch(
    source: &ConfigSource,
    named: &BTreeSet<PathBuf>,
    sender: &mpsc::Sender<Event>,
) -> Option<RecommendedWatcher> {
    let dir = source.place()?;
    let places = Arc::new(places(&dir, named));
    let (sender, counting) = (sender.clone(), places.clone());
    let tell = move |event: notify::Result<Event>| {
        // An error of the watcher may hide a change, so it counts as a change.
        let event = event.unwrap_or_else(|_| Event::new(EventKind::Any));
        if is_change(event.kind) && concerns(&event, &counting) {
            // If the queue is full, the waiting events already cause a reload.
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
            // The parent folder is still watched, so a change that makes this folder readable is noticed.
            Err(error) if places.is_own(folder) && folder.is_dir() => unwatched(folder, &error),
            // Other folders need not exist or be readable.
            _ => {}
        }
    }
    Some(watcher)
}

/// Whether an event affects the configuration.
fn concerns(event: &Event, places: &Places) -> bool {
    event.paths.is_empty() || event.paths.iter().any(|path| places.count(path))
}

/// Whether an event of this kind is a change. Reading is not a change; the gateway itself reads these files.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}
