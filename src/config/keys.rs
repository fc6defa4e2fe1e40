//! Settings of single API keys: `[keys.NAME]` holds rate limits and budgets that replace the general ones per key and
//! per client. `pixcolor key` creates the keys; a key without a table has the general limits.

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
        "Rate limits of this key. A limit with the same name as one for each key replaces it; any other is added.",
    ),
    (
        "budgets",
        "Budgets of this key. A budget with the same name as one for each client replaces it; any other is added.",
    ),
];

/// The API keys with settings of their own. Their rate limits are stored with all others, in [`QuotaConfig`].
#[derive(Clone, Debug, Default)]
pub struct KeysConfig {
    pub names: Vec<String>,
    /// All budgets of each key, by the key's account in the ledger.
    budgets: BTreeMap<String, Budgets>,
}

impl KeysConfig {
    /// Reads all keys' tables; adds their rate limits to `quota`.
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
    /// The budgets that apply to a client, given by its account in the ledger; none for requests without a client.
    pub fn budgets_of(&self, account: Option<&str>) -> &Budgets {
        account.and_then(|account| self.keys.budgets.get(account)).unwrap_or(&self.budgets)
    }
}
