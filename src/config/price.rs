//! The price of a provider's calls: terms, a minimum, and the worth of a credit.

use schemars::{JsonSchema, Schema};
use serde::Deserialize;

use super::kinds::{One, Optional, kind};
use super::place::Place;
use super::schema::describe_tag;
use crate::credit::amount::{Quantity, Rate, Round};
use crate::credit::price::{JsonPointer, PriceTerm, PricedUnit, QuantityBound};
use crate::credit::{Credits, Currency, Price, Worth};

/// Maximum number of terms of a price; more are a mistake.
const MOST_TERMS: usize = 16;
/// The largest allowed `minimum`, in credits.
const MOST_MINIMUM: i64 = 1_000_000;

/// The price of the provider's calls. Required for kind `http`; `price.terms = []` means free.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct PriceConfig {
    /// The terms of the price; a call costs their sum, in credits.
    #[schemars(extend("default" = []))]
    terms: Vec<TermConfig>,
    /// Minimum credits of a call.
    #[serde(with = "One::<MinimumCredits>")]
    minimum: Credits,
    /// Value of one credit in `currency`, for showing money next to credits.
    #[serde(with = "Optional::<RateNumber>")]
    worth: Option<Rate>,
    /// Currency of `worth`.
    #[serde(with = "Optional::<CurrencyCode>")]
    currency: Option<Currency>,
}

/// One term; each unit has its own keys.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
// The type is in the schema of each unit.
#[schemars(transform = |schema: &mut Schema| { schema.as_object_mut().map(|node| node.shift_remove("type")); })]
struct TermConfig {
    /// Credits per unit.
    #[serde(with = "One::<RateNumber>")]
    rate: Rate,
    #[serde(flatten)]
    unit: UnitConfig,
}

/// The unit of a term.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "per", rename_all = "lowercase")]
#[schemars(transform = describe_tag(
    "per",
    "The unit of the rate: a call, a sent megapixel, or a second or unit of the number at `pointer`."
))]
enum UnitConfig {
    Call,
    Megapixel(Adjust),
    Second {
        /// JSON pointer to the quantity in the reply.
        #[serde(with = "One::<QuantityPointer>")]
        pointer: JsonPointer,
        /// The largest quantity to expect, used for the reservation. For seconds the default is `timeout`.
        #[serde(default, with = "Optional::<UnitNumber>")]
        most: Option<Quantity>,
        #[serde(flatten)]
        adjust: Adjust,
    },
    Unit {
        /// JSON pointer to the quantity in the reply.
        #[serde(with = "One::<QuantityPointer>")]
        pointer: JsonPointer,
        /// The largest quantity to expect, used for the reservation. For seconds the default is `timeout`.
        #[serde(with = "One::<UnitNumber>")]
        most: Quantity,
        #[serde(flatten)]
        adjust: Adjust,
    },
}

/// How the quantity and the cost of a term are adjusted.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Adjust {
    /// Rounding of the quantity before it is multiplied.
    round: Round,
    /// Minimum credits of this term.
    #[serde(with = "One::<MinimumCredits>")]
    minimum: Credits,
}

kind!(
    RateNumber: Rate, "rate" number, "a number from 0 to 1000000 with at most 12 decimals", "",
    |text| Rate::parse(text).ok()
);
kind!(
    MinimumCredits: Credits, "minimum-credits" number,
    "a number of credits from 0 to 1000000 with at most 6 decimals", "",
    |text| credits(text, MOST_MINIMUM)
);
kind!(
    UnitNumber: Quantity, "quantity" number, "a number above 0 and at most 1000000000", "",
    |text| Quantity::parse(text).ok().filter(|units| *units > Quantity::default())
);
kind!(
    QuantityPointer: JsonPointer, "quantity-pointer", "a JSON pointer (RFC 6901)", "/metadata/duration",
    |text| JsonPointer::parse(text)
);
kind!(
    CurrencyCode: Currency, "currency", "three capital letters (ISO 4217)", "USD",
    |text| Currency::parse(text)
);

/// Parses an amount of at most `most` credits.
pub(super) fn credits(text: &str, most: i64) -> Option<Credits> {
    let most = Credits::from_micro(most * 1_000_000);
    text.parse().ok().filter(|amount| (Credits::ZERO..=most).contains(amount))
}

impl PriceConfig {
    pub(super) fn into_price(self, place: &Place<'_>) -> Price {
        if self.terms.len() > MOST_TERMS {
            place.problem(&["terms"], format!("a price has at most {MOST_TERMS} terms"));
        }
        let keys = place.names(&[]);
        let is_set = |key: &str| keys.iter().any(|set| set == key);
        for (key, other) in [("worth", "currency"), ("currency", "worth")] {
            if is_set(key) && !is_set(other) {
                place.wrong(&[key], format!("needs `{other}`: an amount and its currency"));
            }
        }
        let worth = self.worth.zip(self.currency).map(|(one, currency)| Worth { one, currency });
        Price { terms: self.terms.into_iter().map(PriceTerm::from).collect(), minimum: self.minimum, worth }
    }
}

impl From<TermConfig> for PriceTerm {
    fn from(term: TermConfig) -> Self {
        let (per, Adjust { round, minimum }) = match term.unit {
            UnitConfig::Call => (PricedUnit::Call, Adjust::default()),
            UnitConfig::Megapixel(adjust) => (PricedUnit::Megapixel, adjust),
            UnitConfig::Second { pointer, most, adjust } => {
                let most = most.map_or(QuantityBound::Timeout, QuantityBound::Units);
                (PricedUnit::Number { pointer, most }, adjust)
            }
            UnitConfig::Unit { pointer, most, adjust } => {
                (PricedUnit::Number { pointer, most: QuantityBound::Units(most) }, adjust)
            }
        };
        Self { per, rate: term.rate, round, minimum }
    }
}
