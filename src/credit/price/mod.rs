//! What a call costs: a list of terms, each a rate times something that is known beforehand or found in
//! the reply.
//!
//! A price answers two questions. *Before* a call: what is the most that it may cost? That is reserved.
//! *After* it: what did it cost? If the reply lacks a number that the price needs, nobody knows: that is
//! an answer of its own, and never 0.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::amount::{Credits, Money, Quantity, Rate, Round, Worth};

/// What the calls of a provider cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// What is added up.
    pub terms: Vec<PriceTerm>,
    /// The least that a call costs.
    pub minimum: Credits,
    /// What a credit is worth in money, if that is known.
    pub worth: Option<Worth>,
}

/// One thing that costs: a rate, for each of something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceTerm {
    /// For each of what.
    pub per: PricedUnit,
    /// Credits for one.
    pub rate: Rate,
    /// How its quantity is rounded first.
    pub round: Round,
    /// The least that it comes to.
    pub minimum: Credits,
}

/// What a rate is for one of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PricedUnit {
    /// A call.
    Call,
    /// A million pixels of the picture that is sent.
    Megapixel,
    /// One of a number in the reply.
    Number {
        /// Where in the reply.
        pointer: JsonPointer,
        /// What it cannot be above.
        most: QuantityBound,
    },
}

/// What bounds a number before the reply is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuantityBound {
    /// It is seconds of work, and the provider is told how long it may work.
    Timeout,
    /// The price list, or the request, limits it to so many.
    Units(Quantity),
}

/// A place in a JSON document (RFC 6901): empty for the whole, or `/a/0/b`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPointer(String);

impl JsonPointer {
    /// None if it is not one: the parts begin with `/`, and `~` is only in `~0` and `~1`.
    pub fn parse(text: &str) -> Option<Self> {
        let escaped = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        ((text.is_empty() || text.starts_with('/')) && escaped).then(|| Self(text.to_owned()))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JsonPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is known of a call before it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallFacts {
    /// Pixels of the picture that is sent.
    pub sent_pixels: u64,
    /// How long the provider may work, as it is told.
    pub timeout: Duration,
}

/// Why nobody knows what a call has cost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownCost {
    /// There is no JSON to look into.
    #[error("its reply has no JSON, and the price needs `{pointer}` in it")]
    NoReply {
        /// The place.
        pointer: String,
    },
    /// There is nothing at the place.
    #[error("its reply has nothing at `{pointer}`, which the price needs")]
    Missing {
        /// The place.
        pointer: String,
    },
    /// There is something at the place, but nothing that can be counted with.
    #[error("its reply has no number from 0 to {} at `{pointer}`, which the price needs", Quantity::MAX)]
    NotCountable {
        /// The place.
        pointer: String,
    },
}

impl Price {
    /// Nothing costs anything.
    pub const FREE: Self = Self { terms: Vec::new(), minimum: Credits::ZERO, worth: None };

    /// Whether every call costs nothing, whatever happens.
    pub fn is_free(&self) -> bool {
        self.minimum.is_zero()
            && self.terms.iter().all(|term| term.minimum.is_zero() && term.rate == Rate::ZERO)
    }

    /// Whether the cost is known before the call: nothing in the reply counts.
    pub fn is_fixed(&self) -> bool {
        self.terms.iter().all(|term| !matches!(term.per, PricedUnit::Number { .. }))
    }

    /// The most that a call may cost: what is reserved.
    pub fn most(&self, call: &CallFacts) -> Credits {
        let terms = self.terms.iter().map(|term| term.cost(term.per.most(call)));
        terms.sum::<Credits>().max(self.minimum)
    }

    /// The least that a call costs.
    pub fn least(&self, call: &CallFacts) -> Credits {
        let terms = self.terms.iter().map(|term| term.cost(term.per.least(call)));
        terms.sum::<Credits>().max(self.minimum)
    }

    /// What a call has cost. `reply` is the provider's JSON, if it gave any.
    pub fn actual(&self, call: &CallFacts, reply: Option<&Value>) -> Result<Credits, UnknownCost> {
        let terms = self.terms.iter().map(|term| Ok(term.cost(term.per.measured(call, reply)?)));
        Ok(terms.sum::<Result<Credits, UnknownCost>>()?.max(self.minimum))
    }

    /// What a call that has cost `charged` was cheaper for the size of its picture, had otherwise one of
    /// `full_pixels` been sent: nothing where megapixels cost nothing. Where the minimum hides what the rest
    /// of the call came to, it is the least that it can have been.
    pub fn saved_by_size(&self, charged: Credits, sent_pixels: u64, full_pixels: u64) -> Credits {
        let sum = |per: PricedUnit, quantity: Quantity| -> Credits {
            self.terms.iter().filter(|term| term.per == per).map(|term| term.cost(quantity)).sum()
        };
        let by_size = |pixels| sum(PricedUnit::Megapixel, Quantity::megapixels(pixels));
        let rest = match charged > self.minimum {
            true => charged.minus(by_size(sent_pixels)),
            false => sum(PricedUnit::Call, Quantity::ONE),
        };
        rest.plus(by_size(full_pixels)).max(self.minimum).minus(charged).max(Credits::ZERO)
    }

    /// What credit at this price is worth in money.
    pub fn money(&self, credits: Credits) -> Option<Money> {
        self.worth.map(|worth| worth.of(credits))
    }
}

impl PriceTerm {
    fn cost(&self, quantity: Quantity) -> Credits {
        self.rate.times(self.round.apply(quantity)).max(self.minimum)
    }
}

impl PricedUnit {
    fn most(&self, call: &CallFacts) -> Quantity {
        match self {
            Self::Call => Quantity::ONE,
            Self::Megapixel => Quantity::megapixels(call.sent_pixels),
            Self::Number { most: QuantityBound::Timeout, .. } => Quantity::seconds(call.timeout),
            Self::Number { most: QuantityBound::Units(units), .. } => *units,
        }
    }

    fn least(&self, call: &CallFacts) -> Quantity {
        match self {
            Self::Call | Self::Megapixel => self.most(call),
            Self::Number { .. } => Quantity::default(),
        }
    }

    fn measured(&self, call: &CallFacts, reply: Option<&Value>) -> Result<Quantity, UnknownCost> {
        match self {
            Self::Call | Self::Megapixel => Ok(self.most(call)),
            Self::Number { pointer, .. } => number(reply, pointer),
        }
    }
}

/// A number in the reply; some hosts write it as text.
fn number(reply: Option<&Value>, JsonPointer(pointer): &JsonPointer) -> Result<Quantity, UnknownCost> {
    let pointer = || pointer.clone();
    let reply = reply.ok_or_else(|| UnknownCost::NoReply { pointer: pointer() })?;
    let quantity = match reply.pointer(&pointer()) {
        None | Some(Value::Null) => return Err(UnknownCost::Missing { pointer: pointer() }),
        Some(Value::Number(number)) => number.as_f64().and_then(|float| Quantity::from_float(float).ok()),
        Some(Value::String(text)) => Quantity::parse(text.trim()).ok(),
        Some(_) => None,
    };
    quantity.ok_or_else(|| UnknownCost::NotCountable { pointer: pointer() })
}

#[cfg(test)]
mod tests;
