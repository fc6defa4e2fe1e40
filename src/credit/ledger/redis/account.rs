//! Writes the account in Redis: reservations and settlements. `reading` reads it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use redis::{Script, ScriptInvocation};
use time::{Date, Duration, OffsetDateTime, Time};

use super::super::record::{ReserveRecord, SettleRecord};
use super::super::reservation::{ANONYMOUS_CLIENTS_A_DAY, ReservationRecord, is_anonymous};
use super::super::{LedgerError, ReserveRequest, SettleResult, Settlement};
use super::epoch::{Epoch, EpochFile};
use super::guard::{AccountGuard, AccountTrouble, unusable};
use super::keys::{self, OpenReservation};
use crate::credit::amount::Credits;
use crate::credit::budget::{Budget, BudgetAccount, Exhausted};
use crate::credit::experience::{CallHistory, RECENT, SizeClass};
use crate::credit::window::Clock;
use crate::shared::{CommandError, CommandPurpose, SharedRedis};

/// Maximum number of tries for a reservation. Each further try uses the day of Redis's clock or another reservation
/// number.
const TRIES: usize = 3;

/// Why a reservation failed for a reason other than a budget.
pub enum ReserveFailure {
    /// Redis failed. If the command was sent, the reservation may have been recorded.
    Redis(CommandError, ReservationRecord),
    /// The ledger cannot be used.
    Ledger(LedgerError),
}

impl From<LedgerError> for ReserveFailure {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

pub struct RedisAccount {
    pub(super) shared: SharedRedis,
    pub(super) guard: AccountGuard,
    clock: Option<Arc<dyn Clock>>,
    /// How far Redis's time is ahead of this machine's clock, in seconds, as of the last command that returned it.
    ahead: AtomicI64,
    owner: String,
    reserve: Script,
    settle: Script,
}

impl RedisAccount {
    /// `file` stores the epoch. Without `clock`, the time is that of Redis's own clock.
    pub fn new(shared: SharedRedis, clock: Option<Arc<dyn Clock>>, file: Option<EpochFile>) -> Self {
        Self {
            guard: AccountGuard::new(shared.clone(), file),
            shared,
            clock,
            ahead: AtomicI64::new(0),
            owner: uuid::Uuid::new_v4().to_string(),
            reserve: Script::new(concat!(include_str!("guard.lua"), include_str!("reserve.lua"))),
            settle: Script::new(include_str!("settle.lua")),
        }
    }

    /// The time of Redis, estimated without sending a command.
    pub fn now(&self) -> OffsetDateTime {
        self.clock().saturating_add(Duration::seconds(self.ahead.load(Ordering::Relaxed)))
    }

    fn clock(&self) -> OffsetDateTime {
        self.clock.as_ref().map_or_else(OffsetDateTime::now_utc, |clock| clock.now())
    }

    /// Redis's time, or the time of the latest reservation if that is later because the clock was set back.
    pub(super) async fn time(&self) -> Result<OffsetDateTime, CommandError> {
        let mut commands = redis::pipe();
        commands.cmd("TIME").get(keys::latest(&self.shared));
        let ((redis, _), latest): ((i64, i64), Option<i64>) =
            self.shared.query(CommandPurpose::Ledger, &commands).await?;
        let clock = self.clock.as_ref().map_or(redis, |clock| clock.now().unix_timestamp());
        self.set_time(latest.map_or(clock, |latest| latest.max(clock)));
        Ok(self.now())
    }

    fn set_time(&self, seconds: i64) {
        self.ahead.store(seconds.saturating_sub(self.clock().unix_timestamp()), Ordering::Relaxed);
    }

    /// Seconds until the keys of a day expire. Of Redis's time and this machine's, the earlier counts, so that nothing
    /// expires too early after a clock was set back.
    fn stored_for(&self, day: Date) -> u64 {
        keys::stored_for(day, self.now().min(self.clock())).as_secs()
    }

    /// Whether reservations are possible, as of the last reservation or check.
    pub fn health(&self) -> Result<(), LedgerError> {
        self.shared.health().map_err(|trouble| unusable(&trouble))?;
        self.guard.health()
    }

    /// Reserves credit. The inner error names a budget that has too little left.
    pub async fn reserve(
        &self,
        wish: ReserveRequest,
    ) -> Result<Result<ReservationRecord, Exhausted>, ReserveFailure> {
        let budgets = wish.budgets.clone();
        let mut ticket = ReservationRecord::new(number(), self.now(), wish);
        for _ in 0..TRIES {
            let concerned: Vec<(&Budget, BudgetAccount)> = budgets
                .iter()
                .filter_map(|budget| {
                    Some((budget, budget.account(&ticket.provider, ticket.client.as_deref())?))
                })
                .collect();
            let epoch = self.guard.epoch().await?;
            let answer = self
                .try_reserve(&ticket, &concerned, epoch)
                .await
                .map_err(|trouble| ReserveFailure::Redis(trouble, ticket.clone()))?;
            if let Some(trouble) = AccountTrouble::read(&answer) {
                return Err(self.guard.refuse(trouble).into());
            }
            self.guard.accept();
            let mut words = answer.into_iter();
            match words.next().as_deref() {
                Some("taken") => return Ok(Ok(ticket)),
                Some("refused") => {
                    let spent = words.map(|text| text.parse().unwrap_or(i64::MAX)).map(Credits::from_micro);
                    if let Some(exhausted) = refusal(&ticket, &concerned, spent) {
                        return Ok(Err(exhausted));
                    }
                }
                // The reservation with this number has ended, so another number is tried.
                Some("ended") => ticket.id = number(),
                _ => {
                    let now = words.next().and_then(|text| text.parse::<i64>().ok()).unwrap_or_default();
                    self.set_time(now);
                    ticket.at = self.now().truncate_to_second();
                }
            }
        }
        let trouble = self.shared.confused("its clock is at another day each time");
        Err(ReserveFailure::Redis(trouble, ticket))
    }

    async fn try_reserve(
        &self,
        ticket: &ReservationRecord,
        concerned: &[(&Budget, BudgetAccount)],
        epoch: Epoch,
    ) -> Result<Vec<String>, CommandError> {
        let day = ticket.at.date();
        let first_second = day.with_time(Time::MIDNIGHT).assume_utc().unix_timestamp();
        let clock = self.clock.as_ref().map(|clock| clock.now().unix_timestamp().to_string());
        let open =
            OpenReservation { owner: self.owner.clone(), reserve: ReserveRecord::from(ticket.clone()) };
        let record =
            serde_json::to_string(&open).map_err(|error| self.shared.confused(&error.to_string()))?;
        let mut script = self.reserve.prepare_invoke();
        for key in keys::spent(&self.shared, day) {
            script.key(key);
        }
        script.key(keys::open(&self.shared)).key(keys::ended(&self.shared, ticket.id));
        script.key(keys::epoch(&self.shared)).key(keys::latest(&self.shared));
        script.arg(epoch.to_string()).arg(clock.unwrap_or_default());
        script.arg(ticket.id).arg(record).arg(ticket.most.micro()).arg(first_second);
        script.arg(self.stored_for(day));
        let accounts = accounts(ticket);
        script.arg(accounts.len()).arg(accounts);
        for (budget, account) in concerned {
            let most_spent = budget.limit.minus(ticket.most).micro();
            // Lua counts keys from 1.
            script.arg(keys::index(budget.window) + 1).arg(keys::account(account)).arg(most_spent);
        }
        self.shared.run(CommandPurpose::Ledger, &script).await
    }

    /// Returns the reserved credit in full, because no call was made.
    pub async fn release(&self, ticket: &ReservationRecord) -> Result<(), CommandError> {
        let mut script = self.settle.prepare_invoke();
        self.ending_keys(&mut script, ticket);
        self.ending_args(&mut script, ticket, Credits::ZERO);
        self.shared.write(CommandPurpose::Ledger, &script).await
    }

    /// Replaces a reservation by the cost of the call.
    pub async fn settle(
        &self,
        ticket: &ReservationRecord,
        settlement: &Settlement,
    ) -> Result<(), CommandError> {
        let settled = SettleResult::new(ticket.most, settlement);
        let settle = SettleRecord::new(ReserveRecord::from(ticket.clone()), settled, settlement);
        let ReservationRecord { at, provider, client, pixels, .. } = ticket;
        let (day, size) = (at.date(), SizeClass::of(*pixels));

        let mut script = self.settle.prepare_invoke();
        self.ending_keys(&mut script, ticket);
        script.key(keys::by_client(&self.shared, day)).key(keys::by_provider(&self.shared, day));
        script.key(keys::days(&self.shared)).key(keys::experience(&self.shared));
        script.key(keys::recent(&self.shared, provider, size)).key(keys::named(&self.shared, day));
        self.ending_args(&mut script, ticket, settle.charged);

        let sums = keys::tally(&settle.tally());
        script.arg(day.to_string()).arg(sums.len());
        for (name, amount) in sums {
            script.arg(keys::field(provider, client.as_deref(), name));
            script.arg(keys::field(provider, None, name)).arg(amount);
        }
        // The history of this one call is what the script adds to the stored history.
        let mut experience = CallHistory::default();
        experience.count(settle.ended());
        let sums = keys::sums(&experience.sums);
        script.arg(sums.len());
        for (name, amount) in sums {
            script.arg(keys::field(provider, Some(size.label()), name)).arg(amount);
        }
        let sample = experience.recent.front().and_then(|sample| serde_json::to_string(sample).ok());
        script.arg(sample.unwrap_or_default()).arg(RECENT);
        let anonymous = client.as_deref().filter(|client| is_anonymous(client));
        script.arg(anonymous.map(|client| keys::field(provider, None, client)).unwrap_or_default());
        script.arg(if ticket.is_free_and_anonymous() { ANONYMOUS_CLIENTS_A_DAY } else { usize::MAX });
        // Only a paid call's settlement counts as proof that Redis accepts writes.
        match ticket.id {
            0 => self.shared.run(CommandPurpose::Ledger, &script).await,
            _ => self.shared.write(CommandPurpose::Ledger, &script).await,
        }
    }

    /// Adds the keys that `settle.lua` always needs.
    fn ending_keys(&self, script: &mut ScriptInvocation<'_>, ticket: &ReservationRecord) {
        for key in keys::spent(&self.shared, ticket.at.date()) {
            script.key(key);
        }
        script.key(keys::open(&self.shared)).key(keys::ended(&self.shared, ticket.id));
    }

    /// Adds the arguments that `settle.lua` always needs.
    fn ending_args(&self, script: &mut ScriptInvocation<'_>, ticket: &ReservationRecord, charged: Credits) {
        let id = if ticket.id == 0 { String::new() } else { ticket.id.to_string() };
        script.arg(id).arg(Credits::ZERO.minus(ticket.most).micro()).arg(charged.micro());
        script.arg(self.stored_for(ticket.at.date()));
        let accounts = accounts(ticket);
        script.arg(accounts.len()).arg(accounts);
    }
}

/// The fields of the accounts to which a call is charged.
fn accounts(ticket: &ReservationRecord) -> Vec<String> {
    BudgetAccount::of(&ticket.provider, ticket.client.as_deref())
        .map(|account| keys::account(&account))
        .collect()
}

/// A random number for a reservation; 0 is used for free calls only.
fn number() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().0
}

/// The error of the budget that has too little left; if there are several such budgets, of the one that renews last.
fn refusal(
    ticket: &ReservationRecord,
    concerned: &[(&Budget, BudgetAccount)],
    spent: impl Iterator<Item = Credits>,
) -> Option<Exhausted> {
    let refused = concerned.iter().zip(spent).filter_map(|((budget, _), spent)| {
        let left = budget.limit.minus(spent).max(Credits::ZERO);
        budget.refuses(ticket.most, left, budget.window.period(ticket.at.date()).end())
    });
    Exhausted::last(refused)
}

#[cfg(test)]
mod tests;
