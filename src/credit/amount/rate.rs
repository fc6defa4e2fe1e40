//! Rates, the quantities that are multiplied by them, and the rounding of quantities.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Credits;
use super::decimal::{Decimal, NotDecimal};

/// The number of steps in one unit of a quantity: a quantity is counted in steps of 10^-9.
const NANO: u64 = 1_000_000_000;

/// Credits per unit, in steps of 10^-12, so that 0.15 per million tokens is exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

impl Rate {
    pub const ZERO: Self = Self(0);
    /// A million credits per unit. A higher rate is rejected, because it is surely a mistake.
    pub const MAX: Self = Self(1_000_000 * 1_000_000_000_000);
    pub const ONE: Self = Self(1_000_000_000_000);
    const PLACES: u32 = 12;

    /// Parses a decimal with at most 12 places, from 0 to a million.
    pub fn parse(text: &str) -> Result<Self, NotDecimal> {
        let units = u64::try_from(Decimal::exact(text, Self::PLACES)?).map_err(|_| NotDecimal)?;
        Some(Self(units)).filter(|rate| *rate <= Self::MAX).ok_or(NotDecimal)
    }

    /// The cost of a quantity: the product, rounded up to whole micro-credits, and at most `Credits::MAX`.
    pub fn times(self, quantity: Quantity) -> Credits {
        // Each factor is at most 10^18, so the product cannot overflow. The product is in steps of 10^-21 credits.
        let product = u128::from(self.0) * u128::from(quantity.0);
        Credits::from_micro(i64::try_from(product.div_ceil(1_000_000_000_000_000)).unwrap_or(i64::MAX))
    }

    pub(super) const fn pico(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Decimal { units: self.0.into(), places: Self::PLACES })
    }
}

/// A quantity of seconds, megapixels or tokens, in steps of 10^-9.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity(u64);

impl Quantity {
    pub const ONE: Self = Self(NANO);
    /// A thousand million, which is 31 years if the unit is seconds. A larger number cannot be a real measurement.
    pub const MAX: Self = Self(1_000_000_000 * NANO);
    const PLACES: u32 = 9;

    /// Parses a decimal from 0 to `MAX`, and rounds it up to 9 decimal places.
    pub fn parse(text: &str) -> Result<Self, NotDecimal> {
        let units = u64::try_from(Decimal::rounded_up(text, Self::PLACES)?).map_err(|_| NotDecimal)?;
        Some(Self(units)).filter(|quantity| *quantity <= Self::MAX).ok_or(NotDecimal)
    }

    /// Converts a float through the shortest decimal that reads back as the same float. If the JSON or TOML has a
    /// decimal of at most 15 digits, the two are equal.
    pub fn from_float(float: f64) -> Result<Self, NotDecimal> {
        Self::parse(&float.to_string())
    }

    pub fn seconds(time: Duration) -> Self {
        Self(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).min(Self::MAX.0))
    }

    pub fn megapixels(pixels: u64) -> Self {
        Self(pixels.saturating_mul(1000).min(Self::MAX.0))
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Decimal { units: self.0.into(), places: Self::PLACES })
    }
}

/// Rounding of a quantity to whole units before it is priced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Round {
    /// Not rounded.
    #[default]
    Exact,
    /// Up to the next whole unit.
    Up,
    /// Halves round up.
    Nearest,
    /// Down to the last whole unit.
    Down,
}

impl Round {
    /// Returns the rounded quantity, which is the one that is priced.
    pub fn apply(self, quantity: Quantity) -> Quantity {
        let (whole, part) = (quantity.0 / NANO, quantity.0 % NANO);
        let one_more = match self {
            Self::Exact => return quantity,
            Self::Up => part > 0,
            Self::Nearest => part >= NANO / 2,
            Self::Down => false,
        };
        Quantity((whole + u64::from(one_more)) * NANO)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_quantity_is_rounded_as_the_price_list_says() {
        for (quantity, up, nearest, down) in [
            ("0", "0", "0", "0"),
            ("0.000000001", "1", "0", "0"),
            ("2.5", "3", "3", "2"),
            ("7", "7", "7", "7"),
        ] {
            let quantity = Quantity::parse(quantity).unwrap();
            let rounded = |round: Round| round.apply(quantity).to_string();
            assert_eq!(rounded(Round::Up), up);
            assert_eq!(rounded(Round::Nearest), nearest);
            assert_eq!(rounded(Round::Down), down);
            assert_eq!(rounded(Round::Exact), quantity.to_string());
        }
        assert_eq!(Round::Up.apply(Quantity::MAX), Quantity::MAX);
    }

    #[test]
    fn the_price_of_a_million_tokens_is_exact_and_a_remainder_is_rounded_up() {
        let rate = Rate::parse("0.00000015").unwrap();
        assert_eq!(rate.times(Quantity::parse("1000000").unwrap()).to_string(), "0.15");
        assert_eq!(rate.times(Quantity::parse("1").unwrap()).to_string(), "0.000001");
        assert_eq!(rate.times(Quantity::default()), Credits::ZERO);
        assert_eq!(Rate::MAX.times(Quantity::MAX), Credits::from_micro(i64::MAX));
    }

    #[test]
    fn rates_and_quantities_out_of_range_are_rejected() {
        assert_eq!(Rate::parse("1000000"), Ok(Rate::MAX));
        assert_eq!(Quantity::parse("1000000000"), Ok(Quantity::MAX));
        for text in ["1000000.000000000001", "0.0000000000001", "-1", "inf", "NaN", "1e3"] {
            assert_eq!(Rate::parse(text), Err(NotDecimal), "{text}");
        }
        for float in [1e9 + 1.0, -1.0, -f64::MIN_POSITIVE, f64::NAN, f64::INFINITY, f64::MAX] {
            assert_eq!(Quantity::from_float(float), Err(NotDecimal), "{float}");
        }
        assert_eq!(Quantity::from_float(17.489_276_079).map(|q| q.to_string()), Ok("17.489276079".into()));
        assert_eq!(Quantity::from_float(0.1 + 0.2).map(|q| q.to_string()), Ok("0.300000001".into()));
        assert_eq!(Quantity::seconds(Duration::MAX), Quantity::MAX);
        assert_eq!(Quantity::megapixels(u64::MAX), Quantity::MAX);
    }

    proptest! {
        /// Compares the cost with the exact product, in steps of 10^-21 credits.
        #[test]
        fn a_cost_is_the_product_rounded_up(rate in 0..=Rate::MAX.0, quantity in 0..=Quantity::MAX.0) {
            let micro = u128::try_from(Rate(rate).times(Quantity(quantity)).micro()).unwrap();
            let exact = u128::from(rate) * u128::from(quantity);
            if micro < i64::MAX as u128 {
                prop_assert!(micro * 1_000_000_000_000_000 >= exact);
                prop_assert!(exact + 1_000_000_000_000_000 > micro * 1_000_000_000_000_000);
            } else {
                prop_assert!(exact > (i64::MAX as u128 - 1) * 1_000_000_000_000_000);
            }
        }

        #[test]
        fn more_never_costs_less(rate in 0..=Rate::MAX.0, one in 0..=Quantity::MAX.0, two in 0..=Quantity::MAX.0) {
            let (less, more) = (Quantity(one.min(two)), Quantity(one.max(two)));
            for round in [Round::Exact, Round::Up, Round::Nearest, Round::Down] {
                prop_assert!(Rate(rate).times(round.apply(less)) <= Rate(rate).times(round.apply(more)));
            }
        }

        #[test]
        fn a_written_rate_or_quantity_is_read_back(rate in 0..=Rate::MAX.0, quantity in 0..=Quantity::MAX.0) {
            prop_assert_eq!(Rate::parse(&Rate(rate).to_string()), Ok(Rate(rate)));
            prop_assert_eq!(Quantity::parse(&Quantity(quantity).to_string()), Ok(Quantity(quantity)));
        }

        #[test]
        fn no_text_makes_parsing_panic(text in "\\PC*|[-0-9.e]{0,40}", float in any::<f64>()) {
            let _ = (Rate::parse(&text), Quantity::parse(&text), Quantity::from_float(float));
        }
    }
}
