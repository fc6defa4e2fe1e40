//! Amounts of credit, rates, quantities and money, all of them integers.
//!
//! Sums of floats are inexact, so every amount here is an integer that counts small units. Each kind of amount has its
//! own type. Decimals exist only where a person or a protocol writes them.

mod decimal;
mod money;
mod rate;

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

use decimal::{Decimal, NotDecimal};
use serde::{Deserialize, Serialize};

pub use money::{Currency, Money, Worth};
pub use rate::{Quantity, Rate, Round};

/// An amount of provider credit, in micro-credits.
///
/// Sums saturate at `MAX` instead of wrapping. `MAX` is more than a budget in the configuration can allow, so every
/// budget that applies refuses a reservation of `MAX`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Credits(i64);

impl Credits {
    pub const ZERO: Self = Self(0);
    /// About 9.2 million million credits.
    pub const MAX: Self = Self(i64::MAX);
    const PLACES: u32 = 6;

    pub const fn from_micro(micro: i64) -> Self {
        Self(micro)
    }

    pub const fn micro(self) -> i64 {
        self.0
    }

    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, at most `MAX`.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, which may be negative.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Credits {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::plus)
    }
}

/// A decimal with at most 6 decimal places, of which the last is not 0: `10`, `1.5`, `0.000001`.
impl fmt::Display for Credits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}", Decimal { units: self.0.unsigned_abs().into(), places: Self::PLACES })
    }
}

/// Parses a decimal, with an optional minus sign and without an exponent. A digit other than 0 after 6 decimal places
/// is an error.
impl FromStr for Credits {
    type Err = NotDecimal;

    fn from_str(text: &str) -> Result<Self, NotDecimal> {
        let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
        let micro = Decimal::exact(digits, Self::PLACES)?;
        // The smallest i64 has no positive counterpart and cannot be parsed back.
        i64::try_from(micro).map(|micro| Self(sign * micro)).map_err(|_| NotDecimal)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn credits_are_written_as_short_decimals() {
        for (micro, text) in [
            (0, "0"),
            (1, "0.000001"),
            (1_500_000, "1.5"),
            (-250_000, "-0.25"),
            (12_000_000, "12"),
            (i64::MIN, "-9223372036854.775808"),
        ] {
            assert_eq!(Credits::from_micro(micro).to_string(), text);
        }
    }

    #[test]
    fn invalid_amounts_are_rejected() {
        for text in
            ["", "-", ".", "1.", ".5", "1e3", "+1", " 1", "1,5", "0.0000001", "--1", "9223372036855", "١"]
        {
            assert_eq!(text.parse::<Credits>(), Err(NotDecimal), "{text:?}");
        }
    }

    #[test]
    fn sums_and_differences_saturate() {
        assert_eq!(Credits::MAX.plus(Credits(1)), Credits::MAX);
        assert_eq!([Credits::MAX, Credits::MAX].into_iter().sum::<Credits>(), Credits::MAX);
        assert_eq!(Credits(i64::MIN).minus(Credits(1)), Credits(i64::MIN));
    }

    proptest! {
        #[test]
        fn a_written_amount_is_read_back(micro in i64::MIN + 1..) {
            prop_assert_eq!(Credits(micro).to_string().parse(), Ok(Credits(micro)));
        }

        #[test]
        fn no_text_makes_parsing_panic(text in "\\PC*|[-0-9.]{0,40}") {
            if let Ok(amount) = text.parse::<Credits>() {
                prop_assert_eq!(amount.to_string().parse(), Ok(amount));
            }
        }
    }
}
