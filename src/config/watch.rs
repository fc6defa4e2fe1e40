//! Notices that the configuration on disk has changed, so that it can be read again.
//!
//! Folders are watched, not files: editors save by renaming a new file over the old one, and Kubernetes swaps a
//! link (`..data`) to a folder of all files. The folder above is watched, too, for the day the configuration
//! folder itself is swapped. After each change everything is watched anew, because a folder's name may lead to
//! another folder now.
//!
//! A file that somebody has begun to write is waited for until it is closed, for a while; one that is half
//! written all the same is mostly not valid, and then nothing changes before the next event.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::source::{PROVIDERS, Source};

/// How long nothing more must happen for a change to be over.
const QUIET: Duration = Duration::from_millis(150);
/// How long a change may go on before it is looked at all the same.
const LONGEST: Duration = Duration::from_millis(1000);
/// Most events that wait to be looked at; which ones get lost beyond that does not matter.
const MOST_WAITING: usize = 256;

/// Watches where a configuration comes from.
pub struct Watch {
    source: Source,
    sender: mpsc::Sender<Event>,
    events: mpsc::Receiver<Event>,
    /// Stops when it is dropped.
    watching: Option<Watching>,
}

struct Watching {
    dir: PathBuf,
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Begins to watch. Looks at files: not for async threads.
    pub fn new(source: Source) -> Self {
        let (sender, events) = mpsc::channel(MOST_WAITING);
        let watching = watch(&source, &sender);
        Self { source, sender, events, watching }
    }

    /// Waits until something has changed, and the change is over. May be dropped and called again.
    pub async fn changed(&mut self) {
        let mut writing = BTreeSet::new();
        loop {
            let Some(event) = self.events.recv().await else { return std::future::pending().await };
            if self.concerns(&event, &mut writing) {
                break;
            }
        }
        let end = Instant::now() + LONGEST;
        let mut quiet = Instant::now() + QUIET;
        loop {
            let until = if writing.is_empty() { quiet.min(end) } else { end };
            match timeout_at(until, self.events.recv()).await {
                Ok(Some(event)) => {
                    if self.concerns(&event, &mut writing) {
                        quiet = Instant::now() + QUIET;
                    }
                }
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Watches what the names lead to now. To be called before the configuration is read again.
    pub async fn renew(&mut self) {
        let (source, sender) = (self.source.clone(), self.sender.clone());
        // One that cannot be had has said why.
        self.watching = tokio::task::spawn_blocking(move || watch(&source, &sender)).await.ok().flatten();
    }

    /// Whether an event is about the configuration, and which files are being written.
    fn concerns(&self, event: &Event, writing: &mut BTreeSet<PathBuf>) -> bool {
        let Some(Watching { dir, .. }) = &self.watching else { return true };
        if !event.paths.is_empty() && !event.paths.iter().any(|path| path.starts_with(dir)) {
            return false;
        }
        for path in &event.paths {
            match event.kind {
                EventKind::Modify(ModifyKind::Data(_)) => writing.insert(path.clone()),
                _ => writing.remove(path),
            };
        }
        true
    }
}

/// Watches the configuration folder, the one of providers in it, and the one above it, as far as they are
/// there; none when no folder is looked for.
fn watch(source: &Source, sender: &mpsc::Sender<Event>) -> Option<Watching> {
    let dir = std::path::absolute(source.place()?).ok()?;
    let sender = sender.clone();
    let tell = move |event: notify::Result<Event>| {
        // What went wrong may have been a change.
        let event = event.unwrap_or_else(|_| Event::new(EventKind::Any));
        if is_change(event.kind) {
            // If there is no room, events are waiting that will do.
            let _ = sender.try_send(event);
        }
    };
    let begun = notify::recommended_watcher(tell).and_then(|mut watcher| {
        for beside in [dir.join(PROVIDERS), dir.parent().unwrap_or(Path::new("/")).to_owned()] {
            // Neither needs to be there, or to be ours to look at.
            let _ = watcher.watch(&beside, RecursiveMode::NonRecursive);
        }
        match watcher.watch(&dir, RecursiveMode::NonRecursive) {
            Err(error) if dir.is_dir() => Err(error),
            _ => Ok(watcher),
        }
    });
    match begun {
        Ok(watcher) => Some(Watching { dir, _watcher: watcher }),
        Err(error) => {
            let dir = dir.display();
            tracing::warn!("changes in {dir} are not noticed ({error}): send SIGHUP after a change");
            None
        }
    }
}

/// Reading is no change, and we read.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}
