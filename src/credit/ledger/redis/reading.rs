//! Reads the account in Redis: budgets, usage and the history of calls.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

use redis::{FromRedisValue, Value};
use time::{Date, Duration};

use super::super::record::ReserveRecord;
use super::super::reservation::ReservationRecord;
use super::account::RedisAccount;
use super::keys::{self, OpenReservation};
use crate::credit::amount::Credits;
use crate::credit::budget::{Budget, BudgetAccount, BudgetStatus};
use crate::credit::experience::{CallHistory, CallSample, SizeClass};
use crate::credit::usage::{Tally, UsageRow};
use crate::credit::window::last_month;
use crate::shared::{CommandError, CommandPurpose};

/// After this time, a reservation counts as abandoned, because every request ends within an hour.
const ABANDONED: Duration = Duration::hours(24);

impl RedisAccount {
    /// The status of budgets, and the abandoned reservations.
    pub async fn standing(
        &self,
        budgets: &[Budget],
        client: Option<&str>,
    ) -> Result<(Vec<BudgetStatus>, Vec<ReservationRecord>), CommandError> {
        let now = self.time().await?;
        let account = |budget: &Budget| budget.account(budget.provider(), client);
        let concerned: Vec<(&Budget, BudgetAccount)> =
            budgets.iter().filter_map(|budget| Some((budget, account(budget)?))).collect();
        let spent = keys::spent(&self.shared, now.date());
        let mut commands = redis::pipe();
        commands.atomic().hvals(keys::open(&self.shared));
        for (budget, account) in &concerned {
            commands.hget(&spent[keys::index(budget.window)], keys::account(account));
        }
        let mut answers = self.ask(&commands).await?.into_iter();
        let open: Vec<String> = self.next(&mut answers)?;
        let open = open
            .iter()
            .map(|record| serde_json::from_str(record).map(|OpenReservation { reserve, .. }| reserve));
        let open: Vec<ReserveRecord> =
            open.collect::<Result<_, _>>().map_err(|error| self.confused(&error))?;

        let mut standings = Vec::new();
        for (budget, account) in concerned {
            let charged: Option<i64> = self.next(&mut answers)?;
            let period = budget.window.period(now.date());
            let reserved = open.iter().filter(|open| {
                let mut accounts = BudgetAccount::of(&open.provider, open.client.as_deref());
                accounts.any(|one| one == account) && budget.window.period(open.at.date()) == period
            });
            let reserved = reserved.map(|open| open.most).sum();
            let spent = Credits::from_micro(charged.unwrap_or_default()).minus(reserved);
            standings.push(BudgetStatus { budget: budget.clone(), spent, reserved, renews: period.end() });
        }
        let abandoned =
            open.into_iter().filter(|open| now - open.at > ABANDONED).map(ReservationRecord::from);
        Ok((standings, abandoned.collect()))
    }

    /// The usage of these days, in order of day, provider and client.
    pub async fn usage(&self, days: &RangeInclusive<Date>) -> Result<Vec<UsageRow>, CommandError> {
        let named = last_month(self.time().await?.date());
        let mut commands = redis::pipe();
        commands.smembers(keys::days(&self.shared));
        let known: Vec<String> = self.next(&mut self.ask(&commands).await?.into_iter())?;
        let format = time::macros::format_description!("[year]-[month]-[day]");
        let known = known.iter().filter_map(|day| Date::parse(day, &format).ok());
        let known: Vec<Date> = known.filter(|day| days.contains(day)).collect();
        if known.is_empty() {
            return Ok(Vec::new());
        }
        let mut commands = redis::pipe();
        for day in &known {
            let by_client = *day >= named;
            commands.hgetall(match by_client {
                true => keys::by_client(&self.shared, *day),
                false => keys::by_provider(&self.shared, *day),
            });
        }
        let mut answers = self.ask(&commands).await?.into_iter();
        let mut rows = BTreeMap::<_, Tally>::new();
        for day in known {
            let sums: HashMap<String, i64> = self.next(&mut answers)?;
            for (field, value) in &sums {
                let Some((provider, client, name)) = keys::read_field(field) else { continue };
                let row = (day, provider.to_owned(), client.map(str::to_owned));
                keys::read_tally(rows.entry(row).or_default(), name, *value);
            }
        }
        let row = |((day, provider, client), tally)| UsageRow { day, provider, client, tally };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Cost and time of earlier calls, by provider and size of the photo.
    pub async fn experience(&self) -> Result<BTreeMap<(String, SizeClass), CallHistory>, CommandError> {
        let mut commands = redis::pipe();
        commands.hgetall(keys::experience(&self.shared));
        let sums: HashMap<String, i64> = self.next(&mut self.ask(&commands).await?.into_iter())?;
        let mut all = BTreeMap::<_, CallHistory>::new();
        for (field, value) in &sums {
            let Some((provider, Some(size), name)) = keys::read_field(field) else { continue };
            let Some(size) = SizeClass::ALL.into_iter().find(|known| known.label() == size) else { continue };
            let experience = all.entry((provider.to_owned(), size)).or_default();
            keys::read_sums(&mut experience.sums, name, *value);
        }
        if all.is_empty() {
            return Ok(all);
        }
        let mut commands = redis::pipe();
        for (provider, size) in all.keys() {
            commands.lrange(keys::recent(&self.shared, provider, *size), 0, -1);
        }
        let mut answers = self.ask(&commands).await?.into_iter();
        for experience in all.values_mut() {
            let samples: Vec<String> = self.next(&mut answers)?;
            let samples = samples.iter().filter_map(|sample| serde_json::from_str::<CallSample>(sample).ok());
            samples.for_each(|sample| experience.remember(sample));
        }
        Ok(all)
    }

    async fn ask(&self, commands: &redis::Pipeline) -> Result<Vec<Value>, CommandError> {
        self.shared.query(CommandPurpose::Ledger, commands).await
    }

    /// The next of several replies, converted to `T`.
    fn next<T: FromRedisValue>(&self, answers: &mut impl Iterator<Item = Value>) -> Result<T, CommandError> {
        redis::from_redis_value(answers.next().unwrap_or(Value::Nil)).map_err(|error| self.confused(&error))
    }

    fn confused(&self, error: &dyn std::fmt::Display) -> CommandError {
        self.shared.confused(&format!("the ledger there is damaged: {error}"))
    }
}
