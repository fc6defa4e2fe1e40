//! Reads the price of a provider's calls: terms, a minimum, and the worth of a credit.

use std::fmt::Display;

use figment::value::Value;
use serde_json::Value as Json;

use super::problem::dotted;
use super::reference::Words;
use super::table::Table;
use crate::credit::amount::{Quantity, Rate, Round};
use crate::credit::price::{JsonPointer, PriceTerm, PricedUnit, QuantityBound};
use crate::credit::{Credits, Currency, Price, Worth};

/// Maximum number of terms of a price; more are a mistake.
const MOST_TERMS: usize = 16;
/// The largest minimum, in credits.
const MOST_MINIMUM: i64 = 1_000_000;

const RATE: &str = "a number from 0 to 1000000 with at most 12 decimals";
const MINIMUM: &str = "a number of credits from 0 to 1000000 with at most 6 decimals";
const UNITS: &str = "a number above 0 and at most 1000000000";
const POINTER: &str = "a JSON pointer (RFC 6901) such as \"/metadata/duration\"";
const CURRENCY: &str = "three capital letters (ISO 4217) such as \"USD\"";

/// The units of a rate, by their word in the configuration.
const PER: [(&str, PerWord); 4] = [
    ("call", PerWord::Call),
    ("megapixel", PerWord::Megapixel),
    ("second", PerWord::Second),
    ("unit", PerWord::Unit),
];

#[derive(Clone, Copy)]
enum PerWord {
    Call,
    Megapixel,
    Second,
    Unit,
}

const WORDS: Words = &[
    ("terms", "The terms of the price; a call costs their sum, in credits."),
    ("minimum", "Minimum credits of a call."),
    ("worth", "Value of one credit in `currency`, for showing money next to credits."),
    ("currency", "Currency of `worth`."),
];

const TERM_WORDS: Words = &[
    (
        "per",
        "The unit of the rate: a call, a sent megapixel, or a second or unit of the number at `pointer`.",
    ),
    ("rate", "Credits per unit."),
    ("pointer", "JSON pointer to the quantity in the reply."),
    (
        "most",
        "The largest quantity to expect, used for the reservation. For seconds the default is `timeout`.",
    ),
    ("round", "Rounding of the quantity before it is multiplied."),
    ("minimum", "Minimum credits of this term."),
];

/// Reads a price; unset parts are taken from `default`.
pub(super) fn read(table: &mut Table<'_>, default: &Price) -> Price {
    table.describe(WORDS);
    let minimum = table.decimal("minimum", Some(default.minimum), MINIMUM, minimum).unwrap_or_default();
    let worth = read_worth(table, default.worth);
    let shown = default.terms.iter().map(term_json).collect();
    let terms = table.tables("terms", Json::Array(shown), read_term);
    if terms.as_ref().is_some_and(|terms| terms.len() > MOST_TERMS) {
        table.problem(&["terms"], format!("a price has at most {MOST_TERMS} terms"));
    }
    Price { terms: terms.unwrap_or_else(|| default.terms.clone()), minimum, worth }
}

fn read_worth(table: &mut Table<'_>, default: Option<Worth>) -> Option<Worth> {
    let one = table.decimal("worth", default.map(|worth| worth.one), RATE, rate);
    let currency = |value: &Value| value.as_str().and_then(Currency::parse);
    let currency = table.parsed("currency", default.map(|worth| worth.currency), CURRENCY, currency);
    for (key, other) in [("worth", "currency"), ("currency", "worth")] {
        if table.has(key) && !table.has(other) && default.is_none() {
            let name = dotted(&table.at(&[key]));
            table.problem(&[key], format!("`{name}` needs `{other}`: an amount and its currency"));
        }
    }
    Some(Worth { one: one?, currency: currency? })
}

/// Reads one term. Each kind of term has its own keys.
fn read_term(table: &mut Table<'_>) -> Option<PriceTerm> {
    table.describe(TERM_WORDS);
    let Some(word) = table.required_choice("per", &PER) else {
        table.accept_all();
        return None;
    };
    let rate = table.required("rate", RATE, |value| rate(&decimal(value)?));
    let per = match word {
        PerWord::Call => {
            return Some(PriceTerm {
                per: PricedUnit::Call,
                rate: rate?,
                round: Round::Exact,
                minimum: Credits::ZERO,
            });
        }
        PerWord::Megapixel => Some(PricedUnit::Megapixel),
        PerWord::Second | PerWord::Unit => {
            let pointer = table.required("pointer", POINTER, |value| JsonPointer::parse(value.as_str()?));
            let most = match word {
                PerWord::Unit => table.required("most", UNITS, |value| units(&decimal(value)?)),
                _ => table.decimal("most", None, UNITS, units),
            };
            let most = match (word, most) {
                (_, Some(units)) => Some(QuantityBound::Units(units)),
                (PerWord::Second, None) => Some(QuantityBound::Timeout),
                _ => None,
            };
            pointer.zip(most).map(|(pointer, most)| PricedUnit::Number { pointer, most })
        }
    };
    let rounds =
        [("exact", Round::Exact), ("up", Round::Up), ("nearest", Round::Nearest), ("down", Round::Down)];
    let round = table.choice("round", &rounds).unwrap_or_default();
    let minimum = table.decimal("minimum", Some(Credits::ZERO), MINIMUM, minimum).unwrap_or_default();
    Some(PriceTerm { per: per?, rate: rate?, round, minimum })
}

fn rate(text: &str) -> Option<Rate> {
    Rate::parse(text).ok()
}

fn minimum(text: &str) -> Option<Credits> {
    let most = Credits::from_micro(MOST_MINIMUM * 1_000_000);
    text.parse().ok().filter(|amount| (Credits::ZERO..=most).contains(amount))
}

fn units(text: &str) -> Option<Quantity> {
    Quantity::parse(text).ok().filter(|units| *units > Quantity::default())
}

/// A number as the operator wrote it: the shortest decimal that parses to this float.
pub(super) fn decimal(value: &Value) -> Option<String> {
    let number = value.to_num()?;
    let float = number.to_f64().map(|float| float.to_string());
    float
        .or_else(|| number.to_i128().map(|whole| whole.to_string()))
        .or_else(|| number.to_u128().map(|whole| whole.to_string()))
}

/// Converts a decimal to JSON.
fn json(amount: &impl Display) -> Json {
    serde_json::from_str(&amount.to_string()).unwrap_or_default()
}

/// A term as written in the configuration.
fn term_json(term: &PriceTerm) -> Json {
    let mut json_term = serde_json::Map::new();
    let (word, pointer) = match &term.per {
        PricedUnit::Call => ("call", None),
        PricedUnit::Megapixel => ("megapixel", None),
        PricedUnit::Number { pointer, most: QuantityBound::Timeout } => ("second", Some((pointer, None))),
        PricedUnit::Number { pointer, most: QuantityBound::Units(units) } => {
            ("unit", Some((pointer, Some(units))))
        }
    };
    let mut set = |key: &str, value: Json| json_term.insert(key.to_owned(), value);
    set("per", word.into());
    set("rate", json(&term.rate));
    if let Some((pointer, most)) = pointer {
        set("pointer", pointer.to_string().into());
        most.map(|most| set("most", json(most)));
    }
    match term.round {
        Round::Exact => None,
        Round::Up => set("round", "up".into()),
        Round::Nearest => set("round", "nearest".into()),
        Round::Down => set("round", "down".into()),
    };
    if !term.minimum.is_zero() {
        set("minimum", json(&term.minimum));
    }
    json_term.into()
}

impl Table<'_> {
    /// Reads a decimal number from its text, without rounding to a float.
    pub(super) fn decimal<T: Display + Copy>(
        &mut self,
        key: &'static str,
        default: Option<T>,
        wanted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let shown = default.map_or(Json::Null, |default| json(&default));
        let parse =
            |value: &Value| decimal(value).and_then(|text| parse(&text)).ok_or_else(|| wanted.to_owned());
        self.read(key, shown, parse).or(default)
    }

    /// Reads a value with `parse`.
    pub(super) fn parsed<T: Display>(
        &mut self,
        key: &'static str,
        default: Option<T>,
        wanted: &str,
        parse: impl Fn(&Value) -> Option<T>,
    ) -> Option<T> {
        let shown = default.as_ref().map_or(Json::Null, |default| default.to_string().into());
        self.read(key, shown, |value| parse(value).ok_or_else(|| wanted.to_owned())).or(default)
    }

    /// Reads a required value with `parse`.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        parse: impl Fn(&Value) -> Option<T>,
    ) -> Option<T> {
        if self.has(key) {
            let read = self.read(key, Json::Null, |value| parse(value).ok_or_else(|| wanted.to_owned()));
            self.tell_needed();
            return read;
        }
        self.miss(key);
        self.problem(&[], format!("`{}` has no `{key}`: it must be {wanted}", dotted(&self.at(&[]))));
        None
    }
}
