//! The price of a call: a list of terms, each a rate times a quantity that is known before the call or is in the
//! reply.
//!
//! Before a call a price gives the most that the call may cost; that amount is reserved. After the call it gives the
//! actual cost. If the reply lacks a number that the price needs, the cost is unknown, which is an error and never 0.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::amount::{Credits, Money, Quantity, Rate, Round, Worth};

/// The price of a provider's calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// The cost of a call is the sum of the terms, and at least `minimum`.
    pub terms: Vec<PriceTerm>,
    /// The least that a call costs.
    pub minimum: Credits,
    /// The value of a credit in money, if configured.
    pub worth: Option<Worth>,
}

/// One part of a price: a rate per unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceTerm {
    pub per: PricedUnit,
    /// Credits per unit.
    pub rate: Rate,
    /// How the quantity is rounded before it is multiplied.
    pub round: Round,
    /// The least that this term costs.
    pub minimum: Credits,
}

/// The unit of a rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PricedUnit {
    Call,
    /// A million pixels of the image that is sent.
    Megapixel,
    /// A number in the provider's reply, such as seconds or tokens.
    Number {
        pointer: JsonPointer,
        /// The upper bound of the number.
        most: QuantityBound,
    },
}

/// The upper bound of a number in the reply, for the reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuantityBound {
    /// The number is seconds of work, which the time-out of the call limits.
    Timeout,
    /// A fixed limit, from the price list or the request.
    Units(Quantity),
}

/// A JSON Pointer (RFC 6901) such as `/a/0/b`; the empty pointer is the whole document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPointer(String);

impl JsonPointer {
    /// Parses a pointer: each part must begin with `/`, and `~` may occur only in `~0` and `~1`.
    pub fn parse(text: &str) -> Option<Self> {
        let escaped = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        ((text.is_empty() || text.starts_with('/')) && escaped).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JsonPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is known about a call before it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallFacts {
    /// Pixels of the image that is sent.
    pub sent_pixels: u64,
    /// The time that the request allows the provider to work.
    pub timeout: Duration,
}

/// Why the cost of a call is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownCost {
    #[error("its reply has no JSON, and the price needs `{pointer}` in it")]
    NoReply { pointer: String },
    #[error("its reply has nothing at `{pointer}`, which the price needs")]
    Missing { pointer: String },
    #[error("its reply has no number from 0 to {} at `{pointer}`, which the price needs", Quantity::MAX)]
    NotCountable { pointer: String },
}

impl Price {
    /// The price of a provider whose calls are free.
    pub const FREE: Self = Self { terms: Vec::new(), minimum: Credits::ZERO, worth: None };

    /// Whether every call is free, whatever its reply.
    pub fn is_free(&self) -> bool {
        self.minimum.is_zero()
            && self.terms.iter().all(|term| term.minimum.is_zero() && term.rate == Rate::ZERO)
    }

    /// Whether the cost is known before the call, because no term depends on the reply.
    pub fn is_fixed(&self) -> bool {
        self.terms.iter().all(|term| !matches!(term.per, PricedUnit::Number { .. }))
    }

    /// The most that a call may cost: the amount to reserve.
    pub fn most(&self, call: &CallFacts) -> Credits {
        let terms = self.terms.iter().map(|term| term.cost(term.per.most(call)));
        terms.sum::<Credits>().max(self.minimum)
    }

    /// The least that a call costs.
    pub fn least(&self, call: &CallFacts) -> Credits {
        let terms = self.terms.iter().map(|term| term.cost(term.per.least(call)));
        terms.sum::<Credits>().max(self.minimum)
    }

    /// The actual cost of a call. `reply` is the provider's JSON, if there is any.
    pub fn actual(&self, call: &CallFacts, reply: Option<&Value>) -> Result<Credits, UnknownCost> {
        let terms = self.terms.iter().map(|term| Ok(term.cost(term.per.measured(call, reply)?)));
        Ok(terms.sum::<Result<Credits, UnknownCost>>()?.max(self.minimum))
    }

    /// How much more a call that cost `charged` would have cost with an image of `full_pixels` instead of
    /// `sent_pixels`. Zero if the price has no term per megapixel. If only the minimum was charged, the cost of
    /// terms that depend on the reply is unknown, and the result is a lower bound.
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

    /// The value of credit in money; `None` if the price has no `worth`.
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

/// Reads a number from the reply; some APIs send it as a string.
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
