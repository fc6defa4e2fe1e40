//! The `traceparent` header of W3C Trace Context. A request's trace context is passed on to providers, and its trace ID
//! is logged. PixColor exports no spans.

use std::fmt;

/// The only flag that is passed on: sampled.
const SAMPLED: u8 = 1;

/// A position in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace: u128,
    span: u64,
    flags: u8,
}

impl TraceParent {
    /// Parses a header (section 3.2): lower-case hexadecimal digits, and no ID that consists of zeros only. Of a header
    /// of a later version, only the fields of version 00 are read. `None` if the header is invalid and must not be
    /// passed on.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split('-');
        let version = hex(fields.next()?, 2).filter(|version| *version != 0xff)?;
        let (trace, span) = (hex(fields.next()?, 32)?, hex(fields.next()?, 16)?);
        let flags = hex(fields.next()?, 2)?;
        let whole = version > 0 || fields.next().is_none();
        let parent =
            Self { trace, span: u64::try_from(span).ok()?, flags: u8::try_from(flags).ok()? & SAMPLED };
        (whole && parent.trace != 0 && parent.span != 0).then_some(parent)
    }

    /// A new position in the same trace, for an outgoing request; `None` if the system has no random numbers.
    pub fn child(self) -> Option<Self> {
        let span = getrandom::u64().ok().filter(|span| *span != 0)?;
        Some(Self { span, ..self })
    }

    /// The trace ID in hexadecimal.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

fn hex(text: &str, digits: usize) -> Option<u128> {
    let all = text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    all.then(|| u128::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_example_of_the_recommendation_is_parsed_and_written() {
        let parent = TraceParent::parse(EXAMPLE).unwrap();
        assert_eq!(parent.to_string(), EXAMPLE);
        assert_eq!(parent.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let child = parent.child().unwrap().to_string();
        assert_eq!((&child[..36], &child[52..]), (&EXAMPLE[..36], &EXAMPLE[52..]));
        assert_ne!(child, EXAMPLE);
    }

    #[test]
    fn the_known_part_of_a_later_version_is_used() {
        for later in [
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-09-what-the-future-will-be-like",
        ] {
            assert_eq!(TraceParent::parse(later).unwrap().to_string(), EXAMPLE, "{later}");
        }
    }

    #[test]
    fn a_malformed_header_is_none() {
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-+0f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceParent::parse(bad), None, "{bad}");
        }
    }
}
