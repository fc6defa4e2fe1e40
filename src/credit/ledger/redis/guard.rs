//! Whether the ledger in Redis can be trusted now: the server evicts no keys, and the account in it is the one that
//! this gateway knew. Every reservation checks both in its own script; a look checks them between reservations, so
//! that `/readyz` is true and a server that is mended is noticed.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redis::Script;

use super::epoch::{Epoch, EpochFile};
use super::keys;
use crate::credit::LedgerError;
use crate::shared::{CommandError, CommandPurpose, SharedRedis};
use crate::tasks::spawn_blocking;

/// How far a clock may be behind the latest reservation without a word, in seconds.
pub const SKEW: i64 = 300;

/// Why the ledger in a Redis that answers cannot be used. Continues "Redis at ADDRESS".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountTrouble {
    /// Keys may be evicted.
    #[error(
        "may evict keys, and forget credit that was counted: its maxmemory-policy is {policy}, with a maxmemory of \
         {maxmemory} bytes. Set maxmemory-policy to noeviction, or maxmemory to 0"
    )]
    Evicts {
        /// The policy.
        policy: String,
        /// The maximum, in bytes.
        maxmemory: String,
    },
    /// The settings cannot be read.
    #[error(
        "does not say whether it evicts keys: it refuses `INFO memory` ({0}). Give its user that permission with \
         `ACL SETUSER NAME +info`"
    )]
    Unreadable(String),
    /// There is no account.
    #[error(
        "has lost the credit ledger: it was emptied, or has started without its data. Restore the data, or run `pixcolor ledger accept-loss` to restart every budget"
    )]
    Lost,
    /// There is another account.
    #[error(
        "has another account of credit than the one that this gateway knew. Restore the data, or run \
         `pixcolor ledger accept-loss` to go on with the account that is there now"
    )]
    Replaced,
    /// The gateway does not know which account it knew.
    #[error(
        "may have another account of credit than the one that this gateway knew, because {path} cannot be read: \
         {why}. Make it readable, or run `pixcolor ledger accept-loss` to go on with the account that is there now"
    )]
    Forgotten {
        /// The file that remembers the account.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl AccountTrouble {
    /// The danger that `guard.lua` has answered, if it has answered one.
    pub fn read(answer: &[String]) -> Option<Self> {
        let word = |place: usize| answer.get(place).cloned().unwrap_or_default();
        Some(match answer.first()?.as_str() {
            "evicts" => Self::Evicts { policy: word(1), maxmemory: word(2) },
            "unreadable" => Self::Unreadable(word(1)),
            "lost" if word(1).is_empty() => Self::Lost,
            "lost" => Self::Replaced,
            _ => return None,
        })
    }

    /// Whether the file may say by now that the loss was accepted.
    const fn may_be_accepted(&self) -> bool {
        matches!(self, Self::Lost | Self::Replaced | Self::Forgotten { .. })
    }
}

/// What a gateway knows of the account in Redis.
pub struct AccountGuard {
    shared: SharedRedis,
    /// Where the epoch outlives the program.
    file: Option<EpochFile>,
    state: Mutex<State>,
    look: Script,
}

#[derive(Default)]
struct State {
    epoch: Option<Epoch>,
    /// Whether the file has that epoch.
    stored: bool,
    /// Whether it was logged that the file cannot be written.
    warned: bool,
    danger: Option<AccountTrouble>,
    /// Whether Redis's clock was behind the latest reservation.
    behind: bool,
}

impl AccountGuard {
    /// A guard that knows no account yet.
    pub fn new(shared: SharedRedis, file: Option<EpochFile>) -> Self {
        let look = Script::new(concat!(include_str!("guard.lua"), include_str!("look.lua")));
        Self { shared, file, state: Mutex::default(), look }
    }

    /// Why the ledger cannot be used, as of the last reservation or look.
    pub fn health(&self) -> Result<(), LedgerError> {
        self.lock().danger.as_ref().map_or(Ok(()), |danger| Err(self.error(danger)))
    }

    /// The epoch of the account that this gateway knows.
    pub async fn epoch(&self) -> Result<Epoch, LedgerError> {
        let known = self.lock().epoch;
        match known {
            Some(epoch) => Ok(epoch),
            None => self.look().await,
        }
    }

    /// Looks whether the ledger can be used. A gateway that knows no account takes the one that is there, and begins
    /// one where there is none.
    pub async fn look(&self) -> Result<Epoch, LedgerError> {
        let known = self.remembered().await.map_err(|danger| self.refuse(danger))?;
        let mut script = self.look.prepare_invoke();
        script.key(keys::epoch(&self.shared)).key(keys::latest(&self.shared));
        script.arg(known.map(|epoch| epoch.to_string()).unwrap_or_default());
        script.arg(Epoch::random().to_string());
        let answer: Vec<String> =
            self.shared.run(CommandPurpose::Ledger, &script).await.map_err(|trouble| unusable(&trouble))?;
        if let Some(danger) = AccountTrouble::read(&answer) {
            return Err(self.refuse(danger));
        }
        let epoch = answer.get(1).and_then(|text| Epoch::parse(text));
        let epoch = epoch.ok_or_else(|| unusable(&self.shared.confused("its epoch is not one")))?;
        self.warn_of_clock(answer.get(2).and_then(|seconds| seconds.parse().ok()).unwrap_or_default());
        self.store(epoch).await;
        self.lock().epoch = Some(epoch);
        self.accept();
        Ok(epoch)
    }

    /// Notes that a script has found the account as it should be.
    pub fn accept(&self) {
        if self.lock().danger.take().is_some() {
            tracing::info!(
                "the ledger in Redis at {} can be used again: providers that cost something are on",
                self.shared.address()
            );
        }
    }

    /// Notes a danger, and logs it unless it is the same as before.
    pub fn refuse(&self, danger: AccountTrouble) -> LedgerError {
        let error = self.error(&danger);
        let before = self.lock().danger.replace(danger.clone());
        if before != Some(danger) {
            tracing::error!("{error}");
        }
        error
    }

    /// The epoch that this process or its file remembers; the file wins while a loss could have been accepted.
    async fn remembered(&self) -> Result<Option<Epoch>, AccountTrouble> {
        let Some(file) = self.file.clone() else { return Ok(self.lock().epoch) };
        {
            let state = self.lock();
            let doubt = state.danger.as_ref().is_some_and(AccountTrouble::may_be_accepted);
            if state.epoch.is_some() && !doubt {
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

    /// Has the epoch in the file. Without it a loss is noticed only while the program runs.
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
                "{} cannot be written: {error}. If Redis loses the account of credit while this program does not \
                 run, it will not notice",
                path.display()
            );
        }
    }

    /// Warns, once, when Redis's clock is so many seconds behind the latest reservation.
    fn warn_of_clock(&self, seconds: i64) {
        let behind = seconds > SKEW;
        let warned = std::mem::replace(&mut self.lock().behind, behind);
        if behind && !warned {
            tracing::warn!(
                "the clock of Redis at {} is {seconds} seconds behind its latest reservation: budgets stay in the day \
                 and the month of that reservation until the clock has reached them. If the clock is right and was \
                 ahead before, run `pixcolor ledger accept-loss`",
                self.shared.address()
            );
        }
    }

    fn error(&self, danger: &AccountTrouble) -> LedgerError {
        LedgerError { reason: format!("Redis at {} {danger}", self.shared.address()) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A Redis that does not answer, or refuses.
pub fn unusable(trouble: &CommandError) -> LedgerError {
    LedgerError { reason: trouble.to_string() }
}
