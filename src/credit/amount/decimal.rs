//! Converts decimals, as people and protocols write them, to integers of a small unit and back.

use std::fmt;

/// Maximum length of a text in bytes. Any `f64` written without an exponent is shorter.
const LONGEST: usize = 400;

/// The text is not a decimal number, or the number is out of range or has too many decimal places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a decimal number, out of range, or with too many decimal places")]
pub struct NotDecimal;

/// The decimal number `units` / 10^`places`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    pub units: u128,
    pub places: u32,
}

impl Decimal {
    /// Parses a decimal into units of 10^-`places`. A digit other than 0 after that many decimal places is an error.
    pub fn exact(text: &str, places: u32) -> Result<u128, NotDecimal> {
        match Self::cut(text, places)? {
            (units, false) => Ok(units),
            (_, true) => Err(NotDecimal),
        }
    }

    /// Parses a decimal into units of 10^-`places`, and rounds up if it has more decimal places.
    pub fn rounded_up(text: &str, places: u32) -> Result<u128, NotDecimal> {
        let (units, rest) = Self::cut(text, places)?;
        units.checked_add(rest.into()).ok_or(NotDecimal)
    }

    /// Parses a decimal up to this many decimal places. Also returns whether any digit after them is not zero.
    fn cut(text: &str, places: u32) -> Result<(u128, bool), NotDecimal> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if text.len() > LONGEST || !digits(whole) || !digits(fraction) {
            return Err(NotDecimal);
        }
        let (kept, rest) = fraction.split_at(fraction.len().min(places as usize));
        let mut units = 0_u128;
        let zeros = std::iter::repeat_n(b'0', (places as usize).saturating_sub(kept.len()));
        for digit in whole.bytes().chain(kept.bytes()).chain(zeros) {
            let next = units.checked_mul(10).and_then(|units| units.checked_add((digit - b'0').into()));
            units = next.ok_or(NotDecimal)?;
        }
        Ok((units, rest.bytes().any(|digit| digit != b'0')))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = 10_u128.pow(self.places);
        let (whole, fraction) = (self.units / one, self.units % one);
        if fraction == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{fraction:0places$}", places = self.places as usize);
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_is_read_to_the_last_place_and_beyond_it_rounded_up() {
        for (text, exact, up) in [
            ("0", Ok(0), Ok(0)),
            ("007.50", Ok(7500), Ok(7500)),
            ("1.234", Ok(1234), Ok(1234)),
            ("1.2340000", Ok(1234), Ok(1234)),
            ("1.2340001", Err(NotDecimal), Ok(1235)),
            ("0.0000001", Err(NotDecimal), Ok(1)),
            ("1.2.3", Err(NotDecimal), Err(NotDecimal)),
            ("400000000000000000000000000000000000", Err(NotDecimal), Err(NotDecimal)),
        ] {
            assert_eq!(Decimal::exact(text, 3), exact, "{text}");
            assert_eq!(Decimal::rounded_up(text, 3), up, "{text}");
        }
        assert_eq!(Decimal::exact(&"0".repeat(401), 3), Err(NotDecimal));
        // The smallest float, written in full.
        assert_eq!(Decimal::rounded_up(&f64::from_bits(1).to_string(), 9), Ok(1));
    }
}
