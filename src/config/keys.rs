//! What a client's key has of its own: `[keys.NAME]`, limits and budgets in place of those for each key and
//! each client. Keys themselves are made by `pixcolor key`; one that has no table here is like any other.

use std::collections::BTreeMap;

use super::Config;
use super::budgets;
use super::limits::LimitsConfig;
use super::problem::dotted;
use super::provider::ProviderConfig;
use super::quota::QuotaConfig;
use super::reference::Words;
use super::table::Table;
use crate::credit::Budgets;
use crate::quota::{ClientBucket, is_key_name};

const WORDS: Words = &[
    (
        "limits",
        "Rate limits of this key, in place of those of the same name for each key, or in addition to them.",
    ),
    (
        "budgets",
        "Budgets of this key, in place of those of the same name for each client, or in addition to them.",
    ),
];

/// The keys that have something of their own. Their limits are with all others, in [`QuotaConfig`].
#[derive(Clone, Debug, Default)]
pub struct KeysConfig {
    /// Their names.
    pub names: Vec<String>,
    /// All budgets of each, by what the ledger calls it.
    budgets: BTreeMap<String, Budgets>,
}

impl KeysConfig {
    /// Reads what each key has; its limits go to `quota`.
    pub(super) fn read(
        table: &mut Table<'_>,
        quota: &mut QuotaConfig,
        sizes: &LimitsConfig,
        budgets: &Budgets,
        providers: &BTreeMap<String, ProviderConfig>,
    ) -> Self {
        let mut keys = Self::default();
        table.named("keys", |name, table| {
            if !is_key_name(name) {
                let message = format!("`{}`: no key can be named {name:?}", dotted(&table.at(&[])));
                table.problem(&[], message);
            }
            table.describe(WORDS);
            let key = ClientBucket::Key(name.to_owned());
            let own = budgets::read_own(table, budgets, providers);
            keys.budgets.insert(key.to_string(), own);
            keys.names.push(name.to_owned());
            quota.read_own(key, table, sizes);
        });
        keys
    }
}

impl Config {
    /// The budgets that count for a client, by what the ledger calls it; none is nobody's client.
    pub fn budgets_of(&self, account: Option<&str>) -> &Budgets {
        account.and_then(|account| self.keys.budgets.get(account)).unwrap_or(&self.budgets)
    }
}
