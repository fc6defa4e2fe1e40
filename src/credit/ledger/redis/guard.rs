//! Checks that the ledger in Redis can be used: the server evicts no keys, and its account is the one that this
//! gateway knows. The script of every reservation checks both. A periodic check does so between reservations, so that
//! `/readyz` is up to date and a repaired server is noticed.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redis::Script;

use super::epoch::{Epoch, EpochFile};
use super::keys;
use crate::credit::LedgerError;
use crate::shared::{CommandError, CommandPurpose, SharedRedis};
use crate::tasks::spawn_blocking;

/// How far in seconds Redis's clock may be behind the latest reservation without a warning.
pub const SKEW: i64 = 300;

/// Why the ledger cannot be used although Redis answers. The messages continue "Redis at ADDRESS".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountTrouble {
    /// Redis may evict keys.
    #[error(
        "may evict keys, and so lose the record of what was spent: its maxmemory-policy is {policy}, with a maxmemory of \
         {maxmemory} bytes. Set maxmemory-policy to noeviction, or maxmemory to 0"
    )]
    Evicts {
        policy: String,
        /// In bytes.
        maxmemory: String,
    },
    /// The memory settings of Redis cannot be read; the text says why.
    #[error(
        "does not say whether it evicts keys: it refuses `INFO memory` ({0}). Give its user that permission with \
         `ACL SETUSER NAME +info`"
    )]
    Unreadable(String),
    /// Redis has no account, but the gateway knew one.
    #[error(
        "has lost the credit ledger: it was emptied, or has started without its data. Restore the data, or run `pixcolor ledger accept-loss` to restart every budget"
    )]
    Lost,
    /// Redis has another account than the one that the gateway knew.
    #[error(
        "has another credit account than the one that this gateway knew. Restore the data, or run \
         `pixcolor ledger accept-loss` to continue with the account that Redis has now"
    )]
    Replaced,
    /// The epoch file cannot be read, so the gateway does not know its account.
    #[error(
        "may have another credit account than the one that this gateway knew, because {path} cannot be read: \
         {why}. Make it readable, or run `pixcolor ledger accept-loss` to continue with the account that Redis has now"
    )]
    Forgotten {
        /// The epoch file.
        path: PathBuf,
        why: String,
    },
}

impl AccountTrouble {
    /// Parses a script's answer; `None` if `guard.lua` found no trouble.
    pub fn read(answer: &[String]) -> Option<Self> {
        let word = |index: usize| answer.get(index).cloned().unwrap_or_default();
        Some(match answer.first()?.as_str() {
            "evicts" => Self::Evicts { policy: word(1), maxmemory: word(2) },
            "unreadable" => Self::Unreadable(word(1)),
            "lost" if word(1).is_empty() => Self::Lost,
            "lost" => Self::Replaced,
            _ => return None,
        })
    }

    /// Whether `pixcolor ledger accept-loss` may have changed the epoch file since the trouble was noticed.
    const fn may_be_accepted(&self) -> bool {
        matches!(self, Self::Lost | Self::Replaced | Self::Forgotten { .. })
    }
}

/// What this gateway knows about the account in Redis.
pub struct AccountGuard {
    shared: SharedRedis,
    /// The file that stores the epoch across restarts.
    file: Option<EpochFile>,
    state: Mutex<State>,
    look: Script,
}

#[derive(Default)]
struct State {
    epoch: Option<Epoch>,
    /// Whether the file contains this epoch.
    stored: bool,
    /// Whether it was logged that the file cannot be written.
    warned: bool,
    trouble: Option<AccountTrouble>,
    /// Whether Redis's clock was behind the latest reservation at the last check.
    behind: bool,
}

impl AccountGuard {
    pub fn new(shared: SharedRedis, file: Option<EpochFile>) -> Self {
        let look = Script::new(concat!(include_str!("guard.lua"), include_str!("look.lua")));
        Self { shared, file, state: Mutex::default(), look }
    }

    /// The result of the last reservation or check.
    pub fn health(&self) -> Result<(), LedgerError> {
        self.lock().trouble.as_ref().map_or(Ok(()), |trouble| Err(self.error(trouble)))
    }

    /// The epoch of the account that this gateway knows. If it knows none, calls [`Self::look`].
    pub async fn epoch(&self) -> Result<Epoch, LedgerError> {
        let known = self.lock().epoch;
        match known {
            Some(epoch) => Ok(epoch),
            None => self.look().await,
        }
    }

    /// Checks whether the ledger can be used. A gateway that knows no account adopts the one in Redis, or starts a new
    /// one if there is none. Returns the epoch of the account.
    pub async fn look(&self) -> Result<Epoch, LedgerError> {
        let known = self.remembered().await.map_err(|trouble| self.refuse(trouble))?;
        let mut script = self.look.prepare_invoke();
        script.key(keys::epoch(&self.shared)).key(keys::latest(&self.shared));
        script.arg(known.map(|epoch| epoch.to_string()).unwrap_or_default());
        script.arg(Epoch::random().to_string());
        let answer: Vec<String> =
            self.shared.run(CommandPurpose::Ledger, &script).await.map_err(|trouble| unusable(&trouble))?;
        if let Some(trouble) = AccountTrouble::read(&answer) {
            return Err(self.refuse(trouble));
        }
        let epoch = answer.get(1).and_then(|text| Epoch::parse(text));
        let epoch = epoch.ok_or_else(|| unusable(&self.shared.confused("its epoch is invalid")))?;
        self.warn_of_clock(answer.get(2).and_then(|seconds| seconds.parse().ok()).unwrap_or_default());
        self.store(epoch).await;
        self.lock().epoch = Some(epoch);
        self.accept();
        Ok(epoch)
    }

    /// Records that a script found no trouble.
    pub fn accept(&self) {
        if self.lock().trouble.take().is_some() {
            tracing::info!(
                "the ledger in Redis at {} can be used again: providers that cost something are on",
                self.shared.address()
            );
        }
    }

    /// Records a trouble, and logs it if it is new.
    pub fn refuse(&self, trouble: AccountTrouble) -> LedgerError {
        let error = self.error(&trouble);
        let before = self.lock().trouble.replace(trouble.clone());
        if before != Some(trouble) {
            tracing::error!("{error}");
        }
        error
    }

    /// The epoch from memory or from the file. The file is read again while an operator may have accepted a loss.
    async fn remembered(&self) -> Result<Option<Epoch>, AccountTrouble> {
        let Some(file) = self.file.clone() else { return Ok(self.lock().epoch) };
        {
            let state = self.lock();
            let reread = state.trouble.as_ref().is_some_and(AccountTrouble::may_be_accepted);
            if state.epoch.is_some() && !reread {
                return Ok(state.epoch);
            }
        }
        let path = file.path().to_owned();
        let read =
            spawn_blocking(move || file.read()).await.unwrap_or_else(|error| Err(io::Error::other(error)));
        let mut state = self.lock();
        match (read, state.epoch) {
            (Ok(Some(epoch)), _) => {
                state.stored = true;
                Ok(Some(epoch))
            }
            (Ok(None) | Err(_), Some(epoch)) => {
                state.stored = false;
                Ok(Some(epoch))
            }
            (Ok(None), None) => Ok(None),
            (Err(error), None) => Err(AccountTrouble::Forgotten { path, why: error.to_string() }),
        }
    }

    /// Stores the epoch in the file. Without the file a loss is noticed only while the program runs.
    async fn store(&self, epoch: Epoch) {
        let Some(file) = self.file.clone() else { return };
        if self.lock().stored {
            return;
        }
        let path = file.path().to_owned();
        let written = spawn_blocking(move || file.write(epoch)).await;
        let written = written.unwrap_or_else(|error| Err(io::Error::other(error)));
        let mut state = self.lock();
        state.stored = written.is_ok();
        if let Err(error) = written
            && !std::mem::replace(&mut state.warned, true)
        {
            tracing::warn!(
                "{} cannot be written: {error}. If Redis loses the credit account while this gateway does not run, \
                 the gateway will not notice the loss",
                path.display()
            );
        }
    }

    /// Warns once if Redis's clock is more than `SKEW` seconds behind the latest reservation.
    fn warn_of_clock(&self, seconds: i64) {
        let behind = seconds > SKEW;
        let warned = std::mem::replace(&mut self.lock().behind, behind);
        if behind && !warned {
            tracing::warn!(
                "the clock of Redis at {} is {seconds} seconds behind its latest reservation: budgets stay in the day \
                 and the month of that reservation until the clock has reached that time. If the clock is right and \
                 was ahead before, run `pixcolor ledger accept-loss`",
                self.shared.address()
            );
        }
    }

    fn error(&self, trouble: &AccountTrouble) -> LedgerError {
        LedgerError { reason: format!("Redis at {} {trouble}", self.shared.address()) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error if Redis does not answer, refuses a command, or sends an unexpected reply.
pub fn unusable(trouble: &CommandError) -> LedgerError {
    LedgerError { reason: trouble.to_string() }
}
