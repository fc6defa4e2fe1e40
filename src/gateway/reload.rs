//! Another configuration while the gateway runs: the whole of it is in force, or nothing changes and the
//! reason can be seen.
//!
//! What has memory stays where it is and goes on by name; requests that have begun keep the snapshot they have.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Gateway, Snapshot};
use crate::config::{self, ConfigSource, Loaded, ReportedValues, changed};

/// Most keys that are named in the log.
const MOST_NAMED: usize = 8;

/// What is known of configurations that were read.
#[derive(Default)]
pub struct ReloadStatus {
    /// What the keys were worth that count from the start.
    started: ReportedValues,
    last: Mutex<LastReload>,
}

#[derive(Default)]
struct LastReload {
    values: ReportedValues,
    /// The folder that they came from.
    dir: Option<PathBuf>,
    /// Why the last one could not be used.
    trouble: Option<String>,
}

impl ReloadStatus {
    /// Begins with the configuration and the server's settings that are in force.
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

/// A configuration that can be used.
struct PreparedSnapshot {
    snapshot: Snapshot,
    values: ReportedValues,
    dir: Option<PathBuf>,
    /// Keys that have changed but count from the next start.
    later: Vec<String>,
}

impl Gateway {
    /// Reads the configuration again and swaps it in, or says why not.
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
                self.memory.in_force(now.names());
                let changes = self.reloads.last(|last| {
                    let changes = changed(&last.values, &values);
                    *last = LastReload { values, dir, trouble: None };
                    changes
                });
                tracing::info!("the configuration was read again: {}", in_words(&changes));
                for key in later {
                    tracing::warn!("`{key}` has changed, but that counts from the next start only");
                }
            }
            Err(why) => {
                tracing::error!(
                    "the configuration stays as it was, because the new one cannot be used: {why}"
                );
                // Anybody may see it.
                let why = source.without_folder(&why);
                self.reloads.last(|last| last.trouble = Some(why));
            }
        }
        self.metrics.config_reload(worked);
    }

    /// Why the configuration on disk is not the one in force; none when it is, as far as known.
    pub fn configuration_trouble(&self) -> Option<String> {
        self.reloads.last(|last| last.trouble.clone())
    }

    fn prepare(&self, source: &ConfigSource) -> Result<PreparedSnapshot, String> {
        let words = |error: &dyn std::fmt::Display| error.to_string();
        let loaded = config::load(source).map_err(|error| words(&error))?;
        let dir = loaded.dir.clone();
        if let Some(gone) = self.reloads.last(|last| last.dir.clone()).filter(|_| dir.is_none()) {
            // What is built in lets in everybody, which the operator's own may not have done.
            return Err(format!("the configuration in {} is not there any more", gone.display()));
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
        named if named.len() <= MOST_NAMED => format!("changed: {}", named.join(", ")),
        named => {
            let more = named.len() - MOST_NAMED;
            format!("changed: {} and {more} more", named[..MOST_NAMED].join(", "))
        }
    }
}
