//! Reads caps on credit: `[budgets.NAME]`, each with a scope and a window, and the budgets of single API keys.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::kinds::{One, kind};
use super::place::Place;
use super::price::credits;
use super::problem::ValueOrigin;
use super::provider::{ProviderConfig, check_name, provider_hint};
use crate::credit::{Budget, BudgetScope, Budgets, Credits, Window, Worth};

/// The largest budget, in credits.
const MOST: i64 = 1_000_000_000_000;

/// A cap on credit. Any number of budgets, each with its own name.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(super) struct BudgetConfig {
    /// Which calls count: those of all clients together, of each client separately, or of one provider.
    #[serde(default = "all_calls", with = "One::<Scope>")]
    scope: BudgetScope,
    /// The window after which the budget renews, in UTC; `total` never renews.
    #[serde(default)]
    window: Window,
    /// The cap. A call that could exceed it is not made.
    #[serde(with = "One::<BudgetCredits>")]
    credits: Credits,
}

/// A budget inside `[keys.NAME]`; its scope is that API key.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(super) struct KeyBudgetConfig {
    /// The window after which the budget renews, in UTC. Default: that of the budget it replaces, or `month`.
    window: Option<Window>,
    /// The cap. A call for this key that could exceed it is not made.
    #[serde(with = "One::<BudgetCredits>")]
    credits: Credits,
}

fn all_calls() -> BudgetScope {
    BudgetScope::All
}

kind!(
    Scope: BudgetScope, "budget-scope", "\"all\", \"client\" or \"provider:NAME\"", "",
    |text| match (text, text.strip_prefix("provider:")) {
        ("all", _) => Some(BudgetScope::All),
        ("client", _) => Some(BudgetScope::Client),
        (_, provider) => provider.map(|name| BudgetScope::Provider(name.to_owned())),
    }
);
kind!(
    BudgetCredits: Credits, "budget-credits" number,
    "a number of credits from 0 to 1000000000000 with at most 6 decimals", "",
    |text| credits(text, MOST)
);

/// Checks all budgets against each other and the providers. `names` are the names of all providers, including those
/// with errors.
pub(super) fn checked(
    configured: BTreeMap<String, BudgetConfig>,
    place: &Place<'_>,
    names: &[String],
    providers: &BTreeMap<String, ProviderConfig>,
) -> Budgets {
    let mut budgets: Vec<Budget> = Vec::new();
    for (name, BudgetConfig { scope, window, credits: limit }) in configured {
        let place = place.at(&[&name]);
        check_name("a budget", &name, &place);
        check_scope(&scope, &place, names);
        if let Some(Budget { name: other, .. }) =
            budgets.iter().find(|other| other.scope == scope && other.window == window)
        {
            place.problem(
                &[],
                format!(
                    "`budgets.{name}` and `budgets.{other}` cap the same spending: {scope}, {window}. Remove one of them"
                ),
            );
        }
        budgets.push(Budget { name, scope, window, limit });
    }
    for budget in &budgets {
        warn_of_longer(place, budget, &budgets);
        warn_of_calls(place, &format!("budgets.{}", budget.name), budget, providers);
        warn_of_worths(place, budget, providers);
    }
    budgets.into()
}

/// Checks the budgets of one API key. A budget with the name of a per-client budget replaces it for this key. Returns
/// all budgets that apply to the key.
pub(super) fn checked_own(
    configured: BTreeMap<String, KeyBudgetConfig>,
    place: &Place<'_>,
    budgets: &Budgets,
    providers: &BTreeMap<String, ProviderConfig>,
) -> Budgets {
    let mut own = budgets.to_vec();
    for (name, KeyBudgetConfig { window, credits: limit }) in configured {
        let place = place.at(&[&name]);
        check_name("a budget", &name, &place);
        let path = place.key(&[]);
        let other = budgets.iter().find(|budget| budget.name == name);
        if let Some(other) = other.filter(|budget| budget.scope != BudgetScope::Client) {
            let message = format!(
                "`{path}`: the budget `{name}` is not for each client, but for {}. Another name adds one",
                other.scope
            );
            place.problem(&[], message);
        }
        let window = window.unwrap_or_else(|| {
            let usual = other.map(|budget| budget.window).unwrap_or_default();
            place.report("window", usual.label().into(), ValueOrigin::Default);
            usual
        });
        own.retain(|budget| budget.name != name);
        if let Some(same) =
            own.iter().find(|budget| budget.scope == BudgetScope::Client && budget.window == window)
        {
            let message = format!(
                "`{path}` and the budget `{}` cap the same spending, {window}. Remove one of them",
                same.name
            );
            place.problem(&[], message);
        }
        let budget = Budget { name, scope: BudgetScope::Client, window, limit };
        warn_of_calls(&place, &path, &budget, providers);
        own.push(budget);
    }
    own.into()
}

fn check_scope(scope: &BudgetScope, place: &Place<'_>, providers: &[String]) {
    if let BudgetScope::Provider(name) = scope
        && !providers.contains(name)
    {
        let hint = provider_hint(name, providers, "provider:");
        place.problem(&["scope"], format!("there is no provider `{name}`: {hint}"));
    }
}

/// Warns of a budget that can never be reached, because the budget of a longer window is smaller and is reached first.
fn warn_of_longer(place: &Place<'_>, budget: &Budget, budgets: &[Budget]) {
    let longer = |other: &&Budget| {
        other.scope == budget.scope && other.window > budget.window && other.limit < budget.limit
    };
    if let Some(other) = budgets.iter().find(longer) {
        place.warning(format!(
            "`budgets.{}` allows {} credits each {}, which is more than `budgets.{}` allows: {} each {}",
            budget.name, budget.limit, budget.window, other.name, other.limit, other.window
        ));
    }
}

/// The providers with a price whose calls count in a budget. A provider without an address is only a template and
/// does not count.
fn concerned<'p>(
    budget: &'p Budget,
    providers: &'p BTreeMap<String, ProviderConfig>,
) -> impl Iterator<Item = &'p ProviderConfig> {
    let counts = |name: &str| match &budget.scope {
        BudgetScope::Provider(only) => only == name,
        BudgetScope::All | BudgetScope::Client => true,
    };
    providers.values().filter(move |provider| {
        counts(&provider.name) && provider.kind.has_address() && !provider.price.is_free()
    })
}

/// Warns of a budget that is smaller than the reservation for one call: the provider would never be called.
fn warn_of_calls(
    place: &Place<'_>,
    path: &str,
    budget: &Budget,
    providers: &BTreeMap<String, ProviderConfig>,
) {
    for provider in concerned(budget, providers).filter(|provider| provider.most() > budget.limit) {
        place.warning(format!(
            "`{path}` is {} credits, and one call of provider `{}` may cost {}: it would never be called",
            budget.limit,
            provider.name,
            provider.most()
        ));
    }
}

/// Warns if one budget adds up credits of different monetary worth, because the sum has no meaning.
fn warn_of_worths(place: &Place<'_>, budget: &Budget, providers: &BTreeMap<String, ProviderConfig>) {
    let words = |worth: Option<Worth>| worth.map_or("unknown".to_owned(), |worth| worth.to_string());
    let mut each = concerned(budget, providers).map(|provider| (&provider.name, provider.price.worth));
    let Some((first, worth)) = each.next() else { return };
    if let Some((other, unlike)) = each.find(|(_, other)| *other != worth) {
        place.warning(format!(
            "`budgets.{}` adds credits of different worth: {} for one of provider `{first}`, {} for one of `{other}`",
            budget.name,
            words(worth),
            words(unlike)
        ));
    }
}
