//! The totals of all records, in memory, and what may still be reserved.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

use time::{Date, OffsetDateTime};

use super::ReserveRequest;
use super::record::{Record, ReserveRecord, SettleRecord};
use super::reservation::{ANONYMOUS_CLIENTS_A_DAY, ReservationRecord, is_anonymous};
use crate::credit::amount::Credits;
use crate::credit::budget::{Budget, BudgetAccount, BudgetStatus, Exhausted};
use crate::credit::experience::{CallHistory, SizeClass};
use crate::credit::usage::{Tally, UsageRow};
use crate::credit::window::{Period, Window, last_month};

type RowKey = (Date, String, Option<String>);

#[derive(Debug, Default)]
pub struct LedgerState {
    rows: BTreeMap<RowKey, Tally>,
    /// Credit charged to each client on days whose rows no longer contain clients.
    clients: BTreeMap<String, Credits>,
    experience: BTreeMap<(String, SizeClass), CallHistory>,
    open: BTreeMap<u64, ReserveRecord>,
    /// Charged and reserved credit by account and period, with which budgets are compared. It is derived from the
    /// fields above. Its numbers are wider than `Credits`, so that sums of extreme amounts are exact.
    spent: HashMap<(BudgetAccount, Period), i128>,
    last_id: u64,
    /// The time of the latest record that reserved or charged credit. Budgets never use an earlier time.
    latest: Option<OffsetDateTime>,
}

impl LedgerState {
    /// Grants a request if every budget that applies allows it. This changes nothing until the record is applied.
    pub fn admit(&self, wish: ReserveRequest, clock: OffsetDateTime) -> Result<ReservationRecord, Exhausted> {
        let now = self.now(clock);
        let client = wish.client.as_deref();
        let refused = wish.budgets.iter().filter_map(|budget| {
            let period = budget.window.period(now.date());
            let spent = self.spent(budget.account(&wish.provider, client)?, period);
            let left = budget.limit.minus(spent).max(Credits::ZERO);
            budget.refuses(wish.most, left, period.end())
        });
        match Exhausted::last(refused) {
            Some(exhausted) => Err(exhausted),
            None => Ok(ReservationRecord::new(self.last_id + 1, now, wish)),
        }
    }

    /// Applies a record.
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::Reserve(reserve) => {
                self.last_id = self.last_id.max(reserve.id);
                self.charge(&reserve, reserve.most.micro().into());
                self.open.insert(reserve.id, reserve);
            }
            Record::Release { id } => self.release(id),
            Record::Settle(settle) => self.settle(&settle),
            Record::Day { day, provider, client, tally } => {
                if !tally.credits.is_zero() {
                    self.see(day.midnight().assume_utc());
                }
                self.add(day, &provider, client.as_deref(), tally.credits.micro().into());
                self.rows.entry((day, provider, client)).or_default().add(&tally);
            }
            Record::Client { client, credits } => {
                self.add_to(BudgetAccount::Client(client.clone()), Period::Total, credits.micro().into());
                let sum = self.clients.entry(client).or_default();
                *sum = sum.plus(credits);
            }
            Record::Experience { provider, size, sums, recent } => {
                let recent = recent.into();
                self.experience.insert((provider, size), CallHistory { sums, recent });
            }
        }
    }

    fn release(&mut self, id: u64) {
        if let Some(reserve) = self.open.remove(&id) {
            self.charge(&reserve, -i128::from(reserve.most.micro()));
        }
    }

    /// Counts the call, even if its reservation was lost.
    fn settle(&mut self, settle: &SettleRecord) {
        let ReserveRecord { id, at, provider, client, .. } = &settle.reserve;
        self.release(*id);
        self.charge(&settle.reserve, settle.charged.micro().into());
        let key = (at.date(), provider.clone(), client.clone());
        self.rows.entry(key).or_default().add(&settle.tally());
        let experience =
            self.experience.entry((provider.clone(), SizeClass::of(settle.reserve.pixels))).or_default();
        experience.count(settle.ended());
    }

    /// The time that counts: the clock's, or that of the latest record if the clock was set back.
    pub fn now(&self, clock: OffsetDateTime) -> OffsetDateTime {
        self.latest.map_or(clock, |latest| latest.max(clock))
    }

    /// The time of the latest record that reserved or charged credit.
    pub const fn latest(&self) -> Option<OffsetDateTime> {
        self.latest
    }

    /// Notes the time of a record that reserved or charged credit.
    pub fn see(&mut self, time: OffsetDateTime) {
        self.latest = self.latest.max(Some(time));
    }

    /// All credit charged and reserved.
    pub fn total(&self) -> Credits {
        self.spent(BudgetAccount::All, Period::Total)
    }

    /// Makes the numbers of new reservations continue after those that `other` has used.
    pub fn number_after(&mut self, other: &Self) {
        self.last_id = self.last_id.max(other.last_id);
    }

    /// Moves spending that is dated after `now` to `now`. Used when a clock that was ahead has been corrected.
    pub fn rewind(self, now: OffsetDateTime) -> Self {
        let mut state = Self { last_id: self.last_id, ..Self::default() };
        for mut record in self.records() {
            match &mut record {
                Record::Day { day, .. } => *day = now.date().min(*day),
                Record::Reserve(reserve) => reserve.at = now.truncate_to_second().min(reserve.at),
                _ => {}
            }
            state.apply(record);
        }
        state
    }

    fn charge(&mut self, reserve: &ReserveRecord, micro: i128) {
        if micro != 0 {
            self.see(reserve.at);
        }
        self.add(reserve.at.date(), &reserve.provider, reserve.client.as_deref(), micro);
    }

    fn add(&mut self, day: Date, provider: &str, client: Option<&str>, micro: i128) {
        for account in BudgetAccount::of(provider, client) {
            for window in Window::ALL {
                self.add_to(account.clone(), window.period(day), micro);
            }
        }
    }

    fn add_to(&mut self, account: BudgetAccount, period: Period, micro: i128) {
        if micro != 0 {
            *self.spent.entry((account, period)).or_default() += micro;
        }
    }

    fn spent(&self, account: BudgetAccount, period: Period) -> Credits {
        let micro = self.spent.get(&(account, period)).copied().unwrap_or_default();
        Credits::from_micro(i64::try_from(micro).unwrap_or(i64::MAX))
    }

    /// The status of budgets on a day, or on the day of the latest record if that is later. Without a client, budgets
    /// per client are left out.
    pub fn standing(&self, budgets: &[Budget], client: Option<&str>, day: Date) -> Vec<BudgetStatus> {
        let day = self.latest.map_or(day, |latest| latest.date().max(day));
        let standing = |budget: &Budget| {
            let account = budget.account(budget.provider(), client)?;
            let period = budget.window.period(day);
            let reserved = self.open.values().filter(|open| {
                let mut accounts = BudgetAccount::of(&open.provider, open.client.as_deref());
                accounts.any(|one| one == account) && budget.window.period(open.at.date()) == period
            });
            let reserved = reserved.map(|open| open.most).sum();
            let spent = self.spent(account, period).minus(reserved);
            Some(BudgetStatus { budget: budget.clone(), spent, reserved, renews: period.end() })
        };
        budgets.iter().filter_map(standing).collect()
    }

    /// Removes the client of a free call if the usage of its day already names `ANONYMOUS_CLIENTS_A_DAY` other clients
    /// without an API key.
    pub fn limit_names(&self, ticket: &mut ReservationRecord) {
        let day = ticket.at.date();
        let key = (day, ticket.provider.clone(), ticket.client.clone());
        if !ticket.is_free_and_anonymous() || self.rows.contains_key(&key) {
            return;
        }
        let rows = self.rows.range((day, String::new(), None)..).take_while(|((of, ..), _)| *of == day);
        let named = rows.filter(|((.., client), _)| client.as_deref().is_some_and(is_anonymous));
        if named.count() >= ANONYMOUS_CLIENTS_A_DAY {
            ticket.client = None;
        }
    }

    pub fn usage(&self, days: &RangeInclusive<Date>) -> Vec<UsageRow> {
        let rows = self.rows.iter().filter(|((day, _, _), _)| days.contains(day));
        let row = |((day, provider, client), tally): (&RowKey, &Tally)| UsageRow {
            day: *day,
            provider: provider.clone(),
            client: client.clone(),
            tally: *tally,
        };
        rows.map(row).collect()
    }

    /// Cost and time of past calls.
    pub const fn experience(&self) -> &BTreeMap<(String, SizeClass), CallHistory> {
        &self.experience
    }

    /// Reservations without a settlement, the oldest first.
    pub fn open(&self) -> impl Iterator<Item = &ReserveRecord> {
        self.open.values()
    }

    /// Removes the clients of days before last month from the totals, because no window and no report needs them. The
    /// total charge of each client stays. If `today` is later than the latest record that reserved or
    /// charged credit, the day of that record counts.
    pub fn fold(&mut self, today: Date) {
        let today = self.latest.map_or(Date::MIN, |latest| latest.date()).min(today);
        let kept = self.rows.split_off(&(last_month(today), String::new(), None));
        for ((day, provider, client), tally) in std::mem::replace(&mut self.rows, kept) {
            if let Some(client) = client.filter(|_| !tally.credits.is_zero()) {
                let sum = self.clients.entry(client).or_default();
                *sum = sum.plus(tally.credits);
            }
            self.rows.entry((day, provider, None)).or_default().add(&tally);
        }
        let oldest = last_month(today);
        self.spent.retain(|(_, period), _| match period {
            Period::Day(day) => *day >= oldest,
            Period::Month(year, month) => (*year, u8::from(*month)) >= (oldest.year(), oldest.month().into()),
            Period::Total => true,
        });
    }

    /// Records that give the same totals, without a record for each settled call.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        let days = self.rows.iter().map(|((day, provider, client), tally)| Record::Day {
            day: *day,
            provider: provider.clone(),
            client: client.clone(),
            tally: *tally,
        });
        let clients = self
            .clients
            .iter()
            .map(|(client, credits)| Record::Client { client: client.clone(), credits: *credits });
        let experience = self.experience.iter().map(|((provider, size), experience)| Record::Experience {
            provider: provider.clone(),
            size: *size,
            sums: experience.sums,
            recent: experience.recent.iter().copied().collect(),
        });
        let open = self.open.values().cloned().map(Record::Reserve);
        days.chain(clients).chain(experience).chain(open)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use time::macros::datetime;

    use super::*;
    use crate::credit::budget::BudgetScope;
    use crate::credit::ledger::{SettleResult, Settlement};

    /// Calls of two providers on 400 days, by two clients and without a client, with every kind of settlement.
    fn busy() -> LedgerState {
        let mut state = LedgerState::default();
        let start = datetime!(2026-01-15 23:59:59 UTC);
        for n in 0..1600_i32 {
            let most = Credits::from_micro(1000 + i64::from(n));
            let wish = ReserveRequest {
                provider: ["a", "b"][n as usize % 2].into(),
                client: [Some("x"), Some("y"), None][n as usize % 3].map(Into::into),
                most,
                pixels: 1 << (n % 26),
                sent_pixels: 1,
                budgets: Arc::new([]),
            };
            let at = start + time::Duration::hours(6 * i64::from(n));
            let reserve = ReserveRecord::from(state.admit(wish, at).unwrap());
            state.apply(Record::Reserve(reserve.clone()));
            let credits = match n % 7 {
                0 => continue,
                1 => None,
                2 => Some(Credits::ZERO),
                3 => Some(most.plus(most)),
                _ => Some(Credits::from_micro(i64::from(n))),
            };
            let settlement = Settlement { credits, colored: n % 5 > 0, ..Settlement::UNKNOWN };
            let settled = SettleResult::new(most, &settlement);
            state.apply(Record::Settle(SettleRecord::new(reserve, settled, &settlement)));
        }
        state
    }

    fn budgets() -> Vec<Budget> {
        let scopes = [
            BudgetScope::All,
            BudgetScope::Provider("a".into()),
            BudgetScope::Provider("b".into()),
            BudgetScope::Client,
        ];
        let each = scopes.into_iter().flat_map(|scope| Window::ALL.map(|window| (scope.clone(), window)));
        each.map(|(scope, window)| Budget {
            name: format!("{scope} {window}"),
            scope,
            window,
            limit: Credits::MAX,
        })
        .collect()
    }

    fn all_standings(state: &LedgerState, today: Date) -> Vec<BudgetStatus> {
        let clients = [None, Some("x"), Some("y")].into_iter();
        clients.flat_map(|client| state.standing(&budgets(), client, today)).collect()
    }

    fn by_provider(state: &LedgerState) -> BTreeMap<(Date, String), Tally> {
        let mut sums = BTreeMap::<_, Tally>::new();
        for row in state.usage(&(Date::MIN..=Date::MAX)) {
            sums.entry((row.day, row.provider)).or_default().add(&row.tally);
        }
        sums
    }

    #[test]
    fn a_rewritten_ledger_has_the_same_totals_in_every_window_and_on_every_day() {
        let mut state = busy();
        // A day about a month before the last call, and the day of the last call, so that rows are merged and open
        // reservations stay.
        for today in [time::macros::date!(2027 - 01 - 20), time::macros::date!(2027 - 02 - 18)] {
            let (standings, days) = (all_standings(&state, today), by_provider(&state));
            assert!(standings.iter().filter(|standing| !standing.spent.is_zero()).count() > 20);
            state.fold(today);
            assert_eq!(all_standings(&state, today), standings);
            assert_eq!(by_provider(&state), days);

            let mut read = LedgerState::default();
            state.records().for_each(|record| read.apply(record));
            assert_eq!(all_standings(&read, today), standings);
            assert_eq!(by_provider(&read), days);
            assert_eq!(read.experience(), state.experience());
            assert!(read.open().eq(state.open()) && read.open().count() > 200);
        }
        assert!(state.records().count() < 1600);
        let named = |row: &&UsageRow| row.client.is_some();
        let oldest = state.usage(&(Date::MIN..=Date::MAX)).iter().filter(named).map(|row| row.day).min();
        assert_eq!(oldest, Some(time::macros::date!(2027 - 01 - 01)));
    }

    #[test]
    fn when_a_clock_that_was_ahead_is_corrected_its_later_spending_counts_today() {
        let (ahead, right) = (datetime!(2099-01-01 12:00 UTC), datetime!(2026-11-29 12:00 UTC));
        let mut state = busy();
        let before = state.total();
        let wish = |most| ReserveRequest {
            provider: "a".into(),
            client: None,
            most: Credits::from_micro(most),
            pixels: 1,
            sent_pixels: 1,
            budgets: Arc::new([]),
        };
        for most in [30, 0] {
            let reserve = ReserveRecord::from(state.admit(wish(most), ahead).unwrap());
            let settlement = Settlement { credits: Some(Credits::from_micro(most)), ..Settlement::FREE };
            let settled = SettleResult::new(reserve.most, &settlement);
            state.apply(Record::Settle(SettleRecord::new(reserve, settled, &settlement)));
        }
        assert_eq!(state.admit(wish(1), right).unwrap().at, ahead);
        assert_eq!(state.standing(&budgets()[..1], None, right.date())[0].spent, Credits::from_micro(30));
        let state = state.rewind(right);
        assert_eq!(state.now(right), right);
        assert_eq!(state.total(), before.plus(Credits::from_micro(30)));
        let on = |day| state.standing(&budgets()[..1], None, day)[0].spent.micro();
        assert!(on(right.date()) > 30, "{}", on(right.date()));
    }

    #[test]
    fn a_call_whose_reservation_was_lost_still_counts() {
        let mut state = LedgerState::default();
        let at = datetime!(2026-03-01 12:00 UTC);
        let most = Credits::from_micro(10);
        let reserve =
            ReserveRecord { id: 3, at, provider: "a".into(), client: None, most, pixels: 1, sent_pixels: 1 };
        let settlement = Settlement { credits: Some(Credits::from_micro(4)), ..Settlement::FREE };
        state.apply(Record::Settle(SettleRecord::new(
            reserve,
            SettleResult::new(most, &settlement),
            &settlement,
        )));
        let [standing] = state.standing(&budgets()[..1], None, at.date()).try_into().unwrap();
        assert_eq!((standing.spent, standing.reserved), (Credits::from_micro(4), Credits::ZERO));
    }

    #[test]
    fn of_several_budgets_the_one_that_renews_last_is_named() {
        let state = LedgerState::default();
        let at = datetime!(2026-03-01 12:00 UTC);
        let mut budgets = budgets();
        for (index, expected) in [(0, "all day"), (4, "provider:a month"), (2, "all total"), (3, "all total")]
        {
            budgets[index].limit = Credits::ZERO;
            let wish = ReserveRequest {
                provider: "a".into(),
                client: None,
                most: Credits::from_micro(1),
                pixels: 1,
                sent_pixels: 1,
                budgets: budgets.clone().into(),
            };
            assert_eq!(state.admit(wish, at).unwrap_err().budget, expected);
        }
    }
}
