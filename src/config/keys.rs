//! Settings of single API keys: `[keys.NAME]` contains rate limits and budgets that apply to this key in addition to
//! the general ones, or in place of one with the same name. `pixcolor key` creates the keys; a key without a table has
//! only the general limits.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Config;
use super::budgets::{self, KeyBudgetConfig};
use super::limits::LimitsConfig;
use super::place::Place;
use super::provider::ProviderConfig;
use super::quota::{ByKey, LimitConfig, QuotaConfig};
use crate::credit::Budgets;
use crate::quota::{ClientBucket, is_key_name};

/// Limits and budgets of one API key. NAME is the name of the key, as given to `pixcolor key new`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct KeyConfig {
    /// Rate limits of this key. A limit that has the name of a general limit with `by = "key"` replaces it; a limit
    /// with a new name is added.
    #[schemars(extend("default" = {}))]
    limits: BTreeMap<String, LimitConfig<ByKey>>,
    /// Budgets of this key. A budget that has the name of a general budget with `scope = "client"` replaces it; a
    /// budget with a new name is added.
    #[schemars(extend("default" = {}))]
    budgets: BTreeMap<String, KeyBudgetConfig>,
}

/// The API keys with settings of their own. Their rate limits are stored with all others, in [`QuotaConfig`].
#[derive(Clone, Debug, Default)]
pub struct KeysConfig {
    pub names: Vec<String>,
    /// All budgets of each key, by the key's account in the ledger.
    budgets: BTreeMap<String, Budgets>,
}

impl KeysConfig {
    /// Checks all keys' tables; adds their rate limits to `quota`.
    pub(super) fn checked(
        configured: BTreeMap<String, KeyConfig>,
        place: &Place<'_>,
        quota: &mut QuotaConfig,
        sizes: &LimitsConfig,
        budgets: &Budgets,
        providers: &BTreeMap<String, ProviderConfig>,
    ) -> Self {
        let mut keys = Self::default();
        for (name, config) in configured {
            let place = place.at(&[&name]);
            if !is_key_name(&name) {
                place.problem(&[], format!("`{}`: no key can be named {name:?}", place.key(&[])));
            }
            let key = ClientBucket::Key(name.clone());
            let own = budgets::checked_own(config.budgets, &place.at(&["budgets"]), budgets, providers);
            keys.budgets.insert(key.to_string(), own);
            keys.names.push(name);
            quota.add_own(key, config.limits, &place.at(&["limits"]), sizes);
        }
        keys
    }
}

impl Config {
    /// The budgets that apply to a client. `account` is the client's account in the ledger; `None` for a request
    /// without a client.
    pub fn budgets_of(&self, account: Option<&str>) -> &Budgets {
        account.and_then(|account| self.keys.budgets.get(account)).unwrap_or(&self.budgets)
    }
}
