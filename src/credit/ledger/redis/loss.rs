//! What an operator does when Redis has lost the account of credit, or has another one.

use std::path::Path;

use super::epoch::{Epoch, EpochFile};
use super::guard::unusable;
use super::keys;
use crate::credit::LedgerError;
use crate::shared::{Purpose, Shared};

/// What the gateways of a state folder go on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptedLoss {
    /// The account that they knew: nothing was lost.
    Nothing,
    /// A new account.
    New,
    /// Another account that was there already.
    Other,
}

/// Makes the account that Redis has now the one that the gateways of this state folder know; begins one where there
/// is none. A gateway that runs notices it by itself.
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
        return Ok(AcceptedLoss::Nothing);
    }
    file.write(found).map_err(|error| LedgerError {
        reason: format!("{} cannot be written: {error}", file.path().display()),
    })?;
    Ok(if found == new { AcceptedLoss::New } else { AcceptedLoss::Other })
}
