//! The way out when Redis has lost the account of credit, or has another one: `pixcolor ledger accept-loss`.

use std::fmt;
use std::path::Path;

use super::RedisLedger;
use super::epoch::{Epoch, EpochFile};
use super::guard::unusable;
use super::keys;
use crate::credit::LedgerError;
use crate::shared::{Purpose, Shared};

/// The account that the gateways of a state folder go on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptedLoss {
    /// The one that they knew: nothing was lost.
    Known,
    /// A new one.
    New,
    /// Another one that was there already.
    Other,
}

impl RedisLedger {
    /// Makes the account that Redis has now the one that the gateways of a state folder know; begins one where there
    /// is none. A gateway that runs notices it by itself. Reads and writes files: not for async threads that others
    /// need.
    pub async fn accept_loss(shared: &Shared, state_dir: &Path) -> Result<AcceptedLoss, LedgerError> {
        let (key, new) = (keys::epoch(shared), Epoch::random());
        let mut commands = redis::pipe();
        commands.atomic().cmd("SET").arg(&key).arg(new.to_string()).arg("NX").ignore().get(&key);
        let (found,): (String,) =
            shared.query(Purpose::Ledger, &commands).await.map_err(|trouble| unusable(&trouble))?;
        let damaged = || LedgerError { reason: format!("the key {key} in Redis holds no epoch: delete it") };
        let found = Epoch::parse(&found).ok_or_else(damaged)?;
        let file = EpochFile::new(state_dir);
        if file.read().is_ok_and(|known| known == Some(found)) {
            return Ok(AcceptedLoss::Known);
        }
        file.write(found).map_err(|error| LedgerError {
            reason: format!("{} cannot be written: {error}", file.path().display()),
        })?;
        Ok(if found == new { AcceptedLoss::New } else { AcceptedLoss::Other })
    }
}

impl fmt::Display for AcceptedLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Known => "has the account that this gateway knew. Nothing was changed.",
            Self::New => {
                "has no account of credit: a new one begins, and with it every budget. A gateway that runs goes on \
                 within seconds. Run this command on every other replica, too."
            }
            Self::Other => {
                "has another account of credit than this gateway knew: it counts from now on. A gateway that runs \
                 goes on within seconds."
            }
        })
    }
}
