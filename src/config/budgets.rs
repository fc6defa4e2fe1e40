//! Reads caps on credit: `[budgets.NAME]`, each with a scope and a window, and the budgets of single API keys.

use std::collections::BTreeMap;

use super::price::decimal;
use super::problem::{dotted, nearest};
use super::provider::{MAX_NAME, ProviderConfig, is_name};
use super::reference::Words;
use super::table::Table;
use crate::credit::{Budget, BudgetScope, Budgets, Credits, Window, Worth};

/// The largest budget, in credits.
const MOST: i64 = 1_000_000_000_000;

const CREDITS: &str = "a number of credits from 0 to 1000000000000 with at most 6 decimals";
/// The first is the default.
const WINDOWS: [(&str, Window); 3] =
    [("month", Window::Month), ("day", Window::Day), ("total", Window::Total)];

const SCOPE: &str = "\"all\", \"client\" or \"provider:NAME\"";

const WORDS: Words = &[
    (
        "scope",
        "Which calls count: those of all clients together, of each client separately, or of one provider.",
    ),
    ("window", "The window after which the budget renews, in UTC; `total` never renews."),
    ("credits", "The cap. A call that could exceed it is not made."),
];

/// The keys of a budget inside `[keys.NAME]`; its scope is that API key.
const OWN_WORDS: Words = &[
    ("window", "The window after which the budget renews, in UTC."),
    ("credits", "The cap. A call for this key that could exceed it is not made."),
];

/// Reads all budgets and checks them against each other and the providers. `names` are the names of all providers,
/// including those with errors.
pub(super) fn read(
    table: &mut Table<'_>,
    names: &[String],
    providers: &BTreeMap<String, ProviderConfig>,
) -> Budgets {
    let mut budgets: Vec<Budget> = Vec::new();
    table.named("budgets", |name, table| {
        check_name(name, table);
        table.describe(WORDS);
        let scope = read_scope(table, names);
        let window = table.choice("window", &WINDOWS);
        let limit = table.required("credits", CREDITS, |value| limit(&decimal(value)?));
        let (Some(window), Some(limit)) = (window, limit) else { return };
        let same = |other: &&Budget| other.scope == scope && other.window == window;
        if let Some(other) = budgets.iter().find(same) {
            let other = &other.name;
            table.problem(
                &[],
                format!(
                    "`budgets.{name}` and `budgets.{other}` cap the same spending: {scope}, {window}. Remove one of them"
                ),
            );
        }
        budgets.push(Budget { name: name.to_owned(), scope, window, limit });
    });
    for budget in &budgets {
        warn_of_longer(table, budget, &budgets);
        warn_of_calls(table, &format!("budgets.{}", budget.name), budget, providers);
        warn_of_worths(table, budget, providers);
    }
    budgets.into()
}

/// Reads the budgets of one API key. A budget with the name of a per-client budget replaces it for this key. Returns
/// all budgets that apply to the key.
pub(super) fn read_own(
    table: &mut Table<'_>,
    budgets: &Budgets,
    providers: &BTreeMap<String, ProviderConfig>,
) -> Budgets {
    let mut own = budgets.to_vec();
    table.named("budgets", |name, table| {
        check_name(name, table);
        table.describe(OWN_WORDS);
        let path = dotted(&table.at(&[]));
        let other = budgets.iter().find(|budget| budget.name == name);
        if let Some(other) = other.filter(|budget| budget.scope != BudgetScope::Client) {
            let message = format!(
                "`{path}`: the budget `{name}` is not for each client, but for {}. Another name adds one",
                other.scope
            );
            table.problem(&[], message);
        }
        let usual = other.map_or(Window::Month, |budget| budget.window);
        let window = table.choice_or("window", &WINDOWS, usual);
        let limit = table.required("credits", CREDITS, |value| limit(&decimal(value)?));
        let Some(limit) = limit else { return };
        own.retain(|budget| budget.name != name);
        if let Some(same) =
            own.iter().find(|budget| budget.scope == BudgetScope::Client && budget.window == window)
        {
            let message = format!(
                "`{path}` and the budget `{}` cap the same spending, {window}. Remove one of them",
                same.name
            );
            table.problem(&[], message);
        }
        let budget = Budget { name: name.to_owned(), scope: BudgetScope::Client, window, limit };
        warn_of_calls(table, &path, &budget, providers);
        own.push(budget);
    });
    own.into()
}

fn check_name(name: &str, table: &Table<'_>) {
    if !is_name(name) {
        let message = format!(
            "a budget cannot be named {name:?}: a name is 1 to {MAX_NAME} of a-z, 0-9, `-` and single `_`, and \
             begins with a letter or a digit"
        );
        table.problem(&[], message);
    }
}

fn limit(text: &str) -> Option<Credits> {
    let most = Credits::from_micro(MOST * 1_000_000);
    text.parse().ok().filter(|amount| (Credits::ZERO..=most).contains(amount))
}

fn read_scope(table: &mut Table<'_>, providers: &[String]) -> BudgetScope {
    let parse = |text: &str| match (text, text.strip_prefix("provider:")) {
        ("all", _) => Some(BudgetScope::All),
        ("client", _) => Some(BudgetScope::Client),
        (_, name) => name.map(|name| BudgetScope::Provider(name.to_owned())),
    };
    let scope = table.parsed("scope", Some(BudgetScope::All), SCOPE, |value| parse(value.as_str()?));
    let scope = scope.unwrap_or(BudgetScope::All);
    if let BudgetScope::Provider(name) = &scope
        && !providers.contains(name)
    {
        let hint = nearest(name, providers.iter().map(String::as_str)).map_or_else(
            || format!("the providers are {}", providers.join(", ")),
            |meant| format!("did you mean `provider:{meant}`?"),
        );
        table.problem(&["scope"], format!("there is no provider `{name}`: {hint}"));
    }
    scope
}

/// Warns of a budget that can never be reached, because the budget of a longer window is smaller and is reached first.
fn warn_of_longer(table: &Table<'_>, budget: &Budget, budgets: &[Budget]) {
    let longer = |other: &&Budget| {
        other.scope == budget.scope && other.window > budget.window && other.limit < budget.limit
    };
    if let Some(other) = budgets.iter().find(longer) {
        table.warning(format!(
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
    table: &Table<'_>,
    path: &str,
    budget: &Budget,
    providers: &BTreeMap<String, ProviderConfig>,
) {
    for provider in concerned(budget, providers).filter(|provider| provider.most() > budget.limit) {
        table.warning(format!(
            "`{path}` is {} credits, and one call of provider `{}` may cost {}: it would never be called",
            budget.limit,
            provider.name,
            provider.most()
        ));
    }
}

/// Warns if one budget adds up credits of different monetary worth, because the sum has no meaning.
fn warn_of_worths(table: &Table<'_>, budget: &Budget, providers: &BTreeMap<String, ProviderConfig>) {
    let words = |worth: Option<Worth>| worth.map_or("unknown".to_owned(), |worth| worth.to_string());
    let mut each = concerned(budget, providers).map(|provider| (&provider.name, provider.price.worth));
    let Some((first, worth)) = each.next() else { return };
    if let Some((other, unlike)) = each.find(|(_, other)| *other != worth) {
        table.warning(format!(
            "`budgets.{}` adds credits of different worth: {} for one of provider `{first}`, {} for one of `{other}`",
            budget.name,
            words(worth),
            words(unlike)
        ));
    }
}
