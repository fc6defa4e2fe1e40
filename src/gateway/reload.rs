//! Reloads the configuration while the gateway runs. A reload takes effect as a whole, or it changes nothing and
//! reports the reason.
//!
//! Requests that have started keep their snapshot. State outside the snapshot survives; state of providers is stored by
//! provider name.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Gateway, Snapshot};
use crate::config::{self, ConfigSource, Loaded, ReportedValues, changed};

/// The maximum number of changed keys that the log names.
const MAX_NAMED: usize = 8;

/// The values that were read at the start and by the last successful reload, and why the last reload failed.
#[derive(Default)]
pub struct ReloadStatus {
    /// Values of the keys that take effect only at a start.
    started: ReportedValues,
    last: Mutex<LastReload>,
}

#[derive(Default)]
struct LastReload {
    values: ReportedValues,
    /// The configuration folder.
    dir: Option<PathBuf>,
    /// Why the last reload failed; `None` if it succeeded.
    trouble: Option<String>,
}

impl ReloadStatus {
    /// `server`: the server settings with which the gateway started.
    pub fn new(loaded: &Loaded, server: ReportedValues) -> Self {
        let mut started = server;
        started.extend(loaded.values_at_start());
        Self {
            started,
            last: Mutex::new(LastReload { values: loaded.values(), dir: loaded.dir.clone(), trouble: None }),
        }
    }

    fn last<T>(&self, look: impl FnOnce(&mut LastReload) -> T) -> T {
        look(&mut self.last.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A validated configuration with its providers.
struct PreparedSnapshot {
    snapshot: Snapshot,
    values: ReportedValues,
    dir: Option<PathBuf>,
    /// Changed keys that take effect only at the next start.
    later: Vec<String>,
}

impl Gateway {
    /// Reads the configuration again and replaces the snapshot, or logs why it cannot be used.
    pub async fn reload(self: &Arc<Self>, source: &Arc<ConfigSource>) {
        let (gateway, from) = (self.clone(), source.clone());
        let prepared = self.tasks.spawn_blocking(move || gateway.prepare(&from)).await;
        let prepared = prepared.unwrap_or_else(|_| Err("reading it stopped unexpectedly".to_owned()));
        let worked = prepared.is_ok();
        match prepared {
            Ok(PreparedSnapshot { snapshot, values, dir, later }) => {
                snapshot.count_paid(&self.metrics);
                let now = Arc::new(snapshot);
                self.snapshot.store(now.clone());
                self.memory.retain(now.names());
                let changes = self.reloads.last(|last| {
                    let changes = changed(&last.values, &values);
                    *last = LastReload { values, dir, trouble: None };
                    changes
                });
                tracing::info!("the configuration was read again: {}", in_words(&changes));
                for key in later {
                    tracing::warn!("`{key}` has changed, which takes effect only at the next start");
                }
            }
            Err(why) => {
                tracing::error!(
                    "the configuration stays as it was, because the new one cannot be used: {why}"
                );
                // Clients may see this text, so it must not contain the folder's path.
                let why = source.without_folder(&why);
                self.reloads.last(|last| last.trouble = Some(why));
            }
        }
        self.metrics.config_reload(worked);
    }

    /// Why the last reload failed; `None` after a successful reload and before the first one.
    pub fn reload_error(&self) -> Option<String> {
        self.reloads.last(|last| last.trouble.clone())
    }

    fn prepare(&self, source: &ConfigSource) -> Result<PreparedSnapshot, String> {
        let words = |error: &dyn std::fmt::Display| error.to_string();
        let loaded = config::load(source).map_err(|error| words(&error))?;
        let dir = loaded.dir.clone();
        if let Some(gone) = self.reloads.last(|last| last.dir.clone()).filter(|_| dir.is_none()) {
            // The built-in configuration admits every client, and the operator's own was perhaps stricter.
            return Err(format!("the configuration folder {} no longer exists", gone.display()));
        }
        let mut now = config::server_values(source).map_err(|error| words(&error))?;
        now.extend(loaded.values_at_start());
        let (report, values) = (loaded.to_json(), loaded.values());
        loaded.warn();
        let snapshot = Snapshot::build(loaded.config, report, &self.memory).map_err(|error| words(&error))?;
        Ok(PreparedSnapshot { snapshot, values, dir, later: changed(&self.reloads.started, &now) })
    }
}

fn in_words(changes: &[String]) -> String {
    match changes {
        [] => "no key has changed".to_owned(),
        named if named.len() <= MAX_NAMED => format!("changed: {}", named.join(", ")),
        named => {
            let more = named.len() - MAX_NAMED;
            format!("changed: {} and {more} more", named[..MAX_NAMED].join(", "))
        }
    }
}
