//! What a call costs: amounts of credit, and what one call consumed.

use std::fmt;
use std::time::Duration;

/// An amount of provider credit, in micro-credits: money is integers, never floats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Credits(i64);

impl Credits {
    /// No credit at all.
    pub const ZERO: Self = Self(0);

    /// An amount given in millionths of a credit.
    pub const fn from_micro(micro: i64) -> Self {
        Self(micro)
    }

    /// The amount in millionths of a credit.
    pub const fn micro(self) -> i64 {
        self.0
    }
}

/// Decimal, with at most 6 places and no trailing zeros: `0`, `1.5`, `0.000001`.
impl fmt::Display for Credits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, fraction) = (self.0.unsigned_abs() / 1_000_000, self.0.unsigned_abs() % 1_000_000);
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        let digits = format!("{fraction:06}");
        write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

/// What one provider call consumed. Unknown is `None`, never 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Credit charged for the call; `None` when the provider did not say what it must.
    pub credits: Option<Credits>,
    /// Processor time spent on this machine, by the thread's clock; `None` for remote providers.
    pub cpu: Option<Duration>,
}

impl Usage {
    /// Both together: unknown credit makes the sum unknown.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let credits = self.credits.zip(other.credits);
        let cpu = [self.cpu, other.cpu].into_iter().flatten().reduce(Duration::saturating_add);
        Self { credits: credits.map(|(one, two)| Credits(one.0.saturating_add(two.0))), cpu }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_stays_unknown_in_a_sum() {
        let known = Usage { credits: Some(Credits(2)), cpu: Some(Duration::from_secs(1)) };
        let remote = Usage { credits: Some(Credits(3)), cpu: None };
        let unknown = Usage { credits: None, cpu: Some(Duration::from_secs(2)) };
        assert_eq!(
            known.plus(remote),
            Usage { credits: Some(Credits(5)), cpu: Some(Duration::from_secs(1)) }
        );
        assert_eq!(known.plus(unknown), Usage { credits: None, cpu: Some(Duration::from_secs(3)) });
    }

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
}
