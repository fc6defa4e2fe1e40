//! Rates, the quantities they are multiplied with, and how a quantity is rounded first.

use std::fmt;
use std::time::Duration;

use super::Credits;
use super::decimal::{Decimal, NotDecimal};

/// 10^-9 units are the smallest part of a quantity.
const NANO: u64 = 1_000_000_000;

/// Credits for one unit of something, in units of 10^-12: a price of 0.15 for a million tokens is exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

impl Rate {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// A million credits for one unit: more is a mistake.
    pub const MAX: Self = Self(1_000_000 * 1_000_000_000_000);
    /// One credit for one unit.
    pub const ONE: Self = Self(1_000_000_000_000);
    const PLACES: u32 = 12;

    /// Reads a decimal with at most 12 places, from 0 to a million.
    pub fn parse(text: &str) -> Result<Self, NotDecimal> {
        let units = u64::try_from(Decimal::exact(text, Self::PLACES)?).map_err(|_| NotDecimal)?;
        Some(Self(units)).filter(|rate| *rate <= Self::MAX).ok_or(NotDecimal)
    }

    /// What a quantity costs, rounded up to the micro-credit: an account may be over by less than one,
    /// and never under.
    pub fn times(self, quantity: Quantity) -> Credits {
        // At most 10^18 of each, and 10^-21 credits for one of their product.
        let product = u128::from(self.0) * u128::from(quantity.0);
        Credits::from_micro(i64::try_from(product.div_ceil(1_000_000_000_000_000)).unwrap_or(i64::MAX))
    }

    /// In units of 10^-12.
    pub(super) const fn pico(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Decimal { units: self.0.into(), places: Self::PLACES })
    }
}

/// So many seconds, megapixels, tokens, in units of 10^-9.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity(u64);

impl Quantity {
    /// One.
    pub const ONE: Self = Self(NANO);
    /// A thousand million: 31 years of seconds. More is no measurement.
    pub const MAX: Self = Self(1_000_000_000 * NANO);
    const PLACES: u32 = 9;

    /// Reads a decimal, rounded up to 9 places.
    pub fn parse(text: &str) -> Result<Self, NotDecimal> {
        let units = u64::try_from(Decimal::rounded_up(text, Self::PLACES)?).map_err(|_| NotDecimal)?;
        Some(Self(units)).filter(|quantity| *quantity <= Self::MAX).ok_or(NotDecimal)
    }

    /// Reads a float as the shortest decimal that stands for it: what was in the JSON or TOML that it
    /// came from.
    pub fn from_float(float: f64) -> Result<Self, NotDecimal> {
        Self::parse(&float.to_string())
    }

    /// Seconds.
    pub fn seconds(time: Duration) -> Self {
        Self(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).min(Self::MAX.0))
    }

    /// Megapixels.
    pub fn megapixels(pixels: u64) -> Self {
        Self(pixels.saturating_mul(1000).min(Self::MAX.0))
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Decimal { units: self.0.into(), places: Self::PLACES })
    }
}

/// What becomes of the part of a quantity that is less than one unit, before it is priced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Round {
    /// It is priced as it is.
    #[default]
    Exact,
    /// It counts as a whole unit.
    Up,
    /// From a half on it counts as a whole unit.
    Nearest,
    /// It is free.
    Down,
}

impl Round {
    /// The quantity that is priced.
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
    fn the_price_of_a_million_tokens_is_exact_and_a_remainder_counts() {
        let rate = Rate::parse("0.00000015").unwrap();
        assert_eq!(rate.times(Quantity::parse("1000000").unwrap()).to_string(), "0.15");
        assert_eq!(rate.times(Quantity::parse("1").unwrap()).to_string(), "0.000001");
        assert_eq!(rate.times(Quantity::default()), Credits::ZERO);
        assert_eq!(Rate::MAX.times(Quantity::MAX), Credits::from_micro(i64::MAX));
    }

    #[test]
    fn what_is_absurd_is_no_rate_and_no_quantity() {
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
        /// Against the same sum in whole numbers of the smallest part.
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
        fn what_is_written_is_read_back(rate in 0..=Rate::MAX.0, quantity in 0..=Quantity::MAX.0) {
            prop_assert_eq!(Rate::parse(&Rate(rate).to_string()), Ok(Rate(rate)));
            prop_assert_eq!(Quantity::parse(&Quantity(quantity).to_string()), Ok(Quantity(quantity)));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*|[-0-9.e]{0,40}", float in any::<f64>()) {
            let _ = (Rate::parse(&text), Quantity::parse(&text), Quantity::from_float(float));
        }
    }
}
