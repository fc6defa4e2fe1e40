//! `pixcolor ledger accept-loss` for a ledger in Redis: continues after Redis has lost the account or has another one,
//! or after its clock was ahead.

use std::fmt;
use std::path::Path;

use time::OffsetDateTime;

use super::RedisLedger;
use super::epoch::{Epoch, EpochFile};
use super::guard::{SKEW, unusable};
use super::keys;
use crate::credit::LedgerError;
use crate::shared::{CommandError, CommandPurpose, SharedRedis};

/// The result of accepting a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptedLoss {
    account: AcceptedAccount,
    /// The time of the latest reservation, if it was in the future and was reset.
    rewound: Option<OffsetDateTime>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AcceptedAccount {
    /// The account that the gateways of the state folder knew: nothing was lost.
    Known,
    /// A new account.
    New,
    /// Another account that Redis already had.
    Other,
}

impl RedisLedger {
    /// Makes the gateways of a state folder accept the account that Redis has now, or starts a new account if there is
    /// none. A running gateway notices that by itself. Blocks while it reads and writes files.
    pub async fn accept_loss(shared: &SharedRedis, state_dir: &Path) -> Result<AcceptedLoss, LedgerError> {
        let account = accept_account(shared, state_dir).await?;
        let rewound = rewind(shared).await.map_err(|trouble| unusable(&trouble))?;
        Ok(AcceptedLoss { account, rewound })
    }
}

async fn accept_account(shared: &SharedRedis, state_dir: &Path) -> Result<AcceptedAccount, LedgerError> {
    let (key, new) = (keys::epoch(shared), Epoch::random());
    let mut commands = redis::pipe();
    commands.atomic().cmd("SET").arg(&key).arg(new.to_string()).arg("NX").ignore().get(&key);
    let (found,): (String,) =
        shared.query(CommandPurpose::Ledger, &commands).await.map_err(|trouble| unusable(&trouble))?;
    let damaged = || LedgerError { reason: format!("the key {key} in Redis holds no epoch: delete it") };
    let found = Epoch::parse(&found).ok_or_else(damaged)?;
    let file = EpochFile::new(state_dir);
    if file.read().is_ok_and(|known| known == Some(found)) {
        return Ok(AcceptedAccount::Known);
    }
    file.write(found).map_err(|error| LedgerError {
        reason: format!("{} cannot be written: {error}", file.path().display()),
    })?;
    Ok(if found == new { AcceptedAccount::New } else { AcceptedAccount::Other })
}

/// Deletes the time of the latest reservation if it is ahead of Redis's clock by more than `SKEW`, and returns that
/// time.
async fn rewind(shared: &SharedRedis) -> Result<Option<OffsetDateTime>, CommandError> {
    let key = keys::latest(shared);
    let mut commands = redis::pipe();
    commands.cmd("TIME").get(&key);
    let ((now, _), latest): ((i64, i64), Option<i64>) =
        shared.query(CommandPurpose::Ledger, &commands).await?;
    let Some(latest) = latest.filter(|latest| *latest - now > SKEW) else { return Ok(None) };
    let mut commands = redis::pipe();
    commands.del(&key).ignore();
    shared.query::<()>(CommandPurpose::Ledger, &commands).await?;
    Ok(OffsetDateTime::from_unix_timestamp(latest).ok())
}

impl fmt::Display for AcceptedLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.account {
            AcceptedAccount::Known => "has the account that this gateway knew.",
            AcceptedAccount::New => {
                "has no credit ledger: a new one begins, and every budget restarts. A running gateway continues within seconds. Run this command on every other replica, too."
            }
            AcceptedAccount::Other => {
                "has another credit ledger than this gateway knew: it is used from now on. A running gateway continues within seconds."
            }
        })?;
        match self.rewound {
            Some(rewound) => write!(
                f,
                " Its clock was at {rewound} before: budgets use today's date again, and a budget for a day does not count spending dated later."
            ),
            None if self.account == AcceptedAccount::Known => f.write_str(" Nothing was changed."),
            None => Ok(()),
        }
    }
}
