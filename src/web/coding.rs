//! Content codings (RFC 9110, sections 8.4 and 12.5.3): texts are sent as brotli or gzip to clients that accept these.
//!
//! Pictures are never encoded, because their formats are compressed already. No encoded text contains a secret, which
//! its length could reveal.

use std::io::{self, Cursor, Write};
use std::sync::OnceLock;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use rocket::Request;
use rocket::response::Builder;

/// A content coding that this server can send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Identity,
    Gzip,
    Brotli,
}

/// How much time encoding may take.
#[derive(Clone, Copy)]
enum Effort {
    /// For a text that is encoded for each response: 2 ms for a page of 200 kB.
    Low,
    /// For a text that is encoded once: 10 ms for 20 kB. Brotli's next level would take twice as long to save 3 %.
    High,
}

/// Binary logarithm of brotli's window. A larger one takes more memory and makes none of our texts smaller.
const BROTLI_WINDOW: u32 = 18;

impl Coding {
    /// The coding of a text in the response to this request.
    pub fn of(request: &Request<'_>) -> Self {
        Self::preferred(request.headers().get("Accept-Encoding"))
    }

    /// The coding with the highest weight in the lines of `Accept-Encoding`; of several, the one with the smallest
    /// result. If none of our codings is acceptable, the header is disregarded, as RFC 9110 allows.
    fn preferred<'h>(lines: impl Iterator<Item = &'h str>) -> Self {
        let entries: Vec<(&str, u16)> = lines.flat_map(|line| line.split(',')).filter_map(weighted).collect();
        let weight = |name: &str| {
            entries.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, weight)| *weight)
        };
        let any = weight("*").unwrap_or(0);
        let brotli = weight("br").unwrap_or(any);
        let gzip = weight("gzip").or_else(|| weight("x-gzip")).unwrap_or(any);
        // An entry `*` makes no client prefer a text without a coding.
        let identity = weight("identity").unwrap_or(0);
        match brotli.max(gzip).max(identity) {
            0 => Self::Identity,
            best if best == brotli => Self::Brotli,
            best if best == gzip => Self::Gzip,
            _ => Self::Identity,
        }
    }

    /// The value of `Content-Encoding`; `None` for a text without a coding.
    const fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Brotli => Some("br"),
        }
    }
}

/// An entry of `Accept-Encoding` and its weight in thousandths; `None` if it is malformed.
fn weighted(entry: &str) -> Option<(&str, u16)> {
    let Some((name, parameter)) = entry.split_once(';') else { return Some((entry.trim(), 1000)) };
    let (q, value) = parameter.split_once('=')?;
    let weight = thousandths(value.trim())?;
    q.trim().eq_ignore_ascii_case("q").then_some((name.trim(), weight))
}

/// A weight, such as `0.25` or `1`, in thousandths.
fn thousandths(weight: &str) -> Option<u16> {
    let (whole, decimals) = weight.split_once('.').unwrap_or((weight, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let part: u16 = format!("{decimals:0<3}").parse().ok()?;
    match whole {
        "0" => Some(part),
        "1" if part == 0 => Some(1000),
        _ => None,
    }
}

fn gzip(text: &[u8], effort: Effort) -> io::Result<Vec<u8>> {
    let level = match effort {
        Effort::Low => 5,
        Effort::High => 9,
    };
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(text)?;
    encoder.finish()
}

fn brotli(text: &[u8], effort: Effort) -> io::Result<Vec<u8>> {
    let level = match effort {
        Effort::Low => 5,
        Effort::High => 10,
    };
    let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, level, BROTLI_WINDOW);
    encoder.write_all(text)?;
    Ok(encoder.into_inner())
}

/// The bytes of a response's body, in a coding.
#[derive(Clone)]
pub struct EncodedBody {
    bytes: Bytes,
    coding: Coding,
    /// Whether the coding depends on the request.
    varies: bool,
}

impl EncodedBody {
    /// Encodes a text for the response to this request.
    pub fn new(text: impl Into<Bytes>, request: &Request<'_>) -> Self {
        Self::encode(text.into(), Coding::of(request), Effort::Low)
    }

    /// Bytes without a coding, whatever the client accepts.
    pub fn uncoded(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), coding: Coding::Identity, varies: false }
    }

    /// Encodes a text. A coding that does not make the text smaller is not used.
    fn encode(text: Bytes, coding: Coding, effort: Effort) -> Self {
        let encoded = match coding {
            Coding::Identity => None,
            Coding::Gzip => gzip(&text, effort).ok(),
            Coding::Brotli => brotli(&text, effort).ok(),
        };
        match encoded.filter(|bytes| bytes.len() < text.len()) {
            Some(bytes) => Self { bytes: bytes.into(), coding, varies: true },
            None => Self { bytes: text, coding: Coding::Identity, varies: true },
        }
    }

    /// The entity tag of this form of a file with this version.
    pub fn entity_tag(&self, version: &str) -> String {
        match self.coding.name() {
            Some(name) => format!("\"{version}-{name}\""),
            None => format!("\"{version}\""),
        }
    }

    /// Sets `Vary`, which 304 has, too.
    pub fn set_vary(&self, response: &mut Builder<'_>) {
        if self.varies {
            response.raw_header("Vary", "Accept-Encoding");
        }
    }

    /// Makes this the body of a response, and sets the headers about its coding.
    pub fn write(self, response: &mut Builder<'_>) {
        self.set_vary(response);
        if let Some(name) = self.coding.name() {
            response.raw_header("Content-Encoding", name);
        }
        response.sized_body(self.bytes.len(), Cursor::new(self.bytes));
    }
}

/// A text that does not change. It is encoded when a client first asks for a coding, so that the start takes no longer.
pub struct StoredText {
    text: Bytes,
    gzip: OnceLock<EncodedBody>,
    brotli: OnceLock<EncodedBody>,
}

impl StoredText {
    pub const fn new(text: Bytes) -> Self {
        Self { text, gzip: OnceLock::new(), brotli: OnceLock::new() }
    }

    /// The text for the response to this request.
    pub fn encoded(&self, request: &Request<'_>) -> EncodedBody {
        let coding = Coding::of(request);
        let encode = || EncodedBody::encode(self.text.clone(), coding, Effort::High);
        match coding {
            Coding::Identity => encode(),
            Coding::Gzip => self.gzip.get_or_init(encode).clone(),
            Coding::Brotli => self.brotli.get_or_init(encode).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn prefers(lines: &[&str], coding: Coding) {
        assert_eq!(Coding::preferred(lines.iter().copied()), coding, "{lines:?}");
    }

    #[test]
    fn the_client_chooses_the_coding() {
        prefers(&[], Coding::Identity);
        prefers(&[""], Coding::Identity);
        prefers(&["deflate, zstd"], Coding::Identity);
        prefers(&["gzip, deflate, br, zstd"], Coding::Brotli);
        prefers(&["gzip"], Coding::Gzip);
        prefers(&["X-GZIP"], Coding::Gzip);
        prefers(&["gzip", "BR"], Coding::Brotli);
        prefers(&["*"], Coding::Brotli);
    }

    #[test]
    fn the_highest_weight_decides() {
        prefers(&["br;q=0.5, gzip;q=0.8"], Coding::Gzip);
        prefers(&["br ; q=0.123 , gzip;Q=0.122"], Coding::Brotli);
        prefers(&["br;q=0.4, gzip;q=0.4, identity;q=0.5"], Coding::Identity);
        prefers(&["identity, br"], Coding::Brotli);
        prefers(&["br;q=0, *"], Coding::Gzip);
        prefers(&["*;q=0.5, gzip;q=0.6"], Coding::Gzip);
        prefers(&["br;q=0, gzip;q=0"], Coding::Identity);
        prefers(&["br;q=1.000, gzip;q=0.999"], Coding::Brotli);
    }

    #[test]
    fn a_forbidden_identity_is_still_sent_if_no_coding_is_acceptable() {
        prefers(&["identity;q=0, br"], Coding::Brotli);
        prefers(&["identity;q=0, *"], Coding::Brotli);
        prefers(&["identity;q=0"], Coding::Identity);
        prefers(&["*;q=0"], Coding::Identity);
        prefers(&["*;q=0, gzip"], Coding::Gzip);
    }

    #[test]
    fn malformed_entries_are_ignored() {
        for entry in
            ["br;q=2", "br;q=-1", "br;q=", "br;q=0.1234", "br;q=1.5", "br;level=1", "br;q", ";", "br;q=+1"]
        {
            prefers(&[entry], Coding::Identity);
            prefers(&[&format!("{entry}, gzip;q=0.1")], Coding::Gzip);
        }
    }
}
