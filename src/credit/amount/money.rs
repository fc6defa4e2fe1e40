//! The value of credit in money.

use std::fmt;

use super::Credits;
use super::decimal::Decimal;
use super::rate::Rate;

/// A currency, identified by its three-letter code (ISO 4217).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Parses three capital letters; whether the currency exists is not checked.
    pub fn parse(text: &str) -> Option<Self> {
        let letters: [u8; 3] = text.as_bytes().try_into().ok()?;
        letters.iter().all(u8::is_ascii_uppercase).then_some(Self(letters))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|letter| write!(f, "{}", char::from(*letter)))
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The value of one credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Worth {
    pub one: Rate,
    pub currency: Currency,
}

/// An amount of money, in millionths of the currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money {
    pub micro: i64,
    pub currency: Currency,
}

impl Worth {
    /// The value of an amount of credit, to the nearest millionth. Only for display: budgets count credit.
    pub fn of(&self, credits: Credits) -> Money {
        let pico = i128::from(credits.micro()) * i128::from(self.one.pico());
        let half = 500_000_000_000 * pico.signum();
        let micro = (pico + half) / 1_000_000_000_000;
        let end = if micro < 0 { i64::MIN } else { i64::MAX };
        Money { micro: i64::try_from(micro).unwrap_or(end), currency: self.currency }
    }
}

impl Money {
    /// The amount as a decimal with at most 6 decimal places, without the currency.
    pub fn amount(&self) -> String {
        Credits::from_micro(self.micro).to_string()
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount(), self.currency)
    }
}

/// The value of one credit, such as `0.0001 USD`.
impl fmt::Display for Worth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", Decimal { units: self.one.pico().into(), places: 12 }, self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_credits_of_algorithmia_are_a_dollar() {
        let worth = Worth { one: Rate::parse("0.0001").unwrap(), currency: Currency::parse("USD").unwrap() };
        for (credits, money) in [
            ("10000", "1 USD"),
            ("61", "0.0061 USD"),
            ("-61", "-0.0061 USD"),
            ("0.004999", "0 USD"),
            ("0.005", "0.000001 USD"),
        ] {
            assert_eq!(worth.of(credits.parse().unwrap()).to_string(), money);
        }
        assert_eq!(worth.to_string(), "0.0001 USD");
        let most = Worth { one: Rate::MAX, ..worth };
        assert_eq!(most.of(Credits::MAX).micro, i64::MAX);
        for bad in ["", "US", "usd", "USDT", "US$", "€€"] {
            assert_eq!(Currency::parse(bad), None, "{bad}");
        }
    }
}
