//! Decodes images in data URLs (RFC 2397). JSON bodies, the Algorithmia facade and the web page of 2017 use them.

use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{DecodeError, Engine};
use bytes::Bytes;

use super::problem::Problem;

/// Base64 with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The error for text that is not a data URL.
pub fn not_a_data_url() -> Problem {
    Problem::bad_request("Send the picture as a data URL: `data:image/jpeg;base64,...`.")
}

/// Decodes a base64 data URL; white space in the base64 is ignored. Fails if the image is empty or larger than `limit`
/// bytes.
pub fn decode(url: &str, limit: u64) -> Result<Bytes, Problem> {
    let url = url.trim();
    let prefix = url.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("data:"));
    let (head, body) = prefix.and(url.split_once(',')).ok_or_else(not_a_data_url)?;
    if !head.to_ascii_lowercase().ends_with(";base64") {
        return Err(not_a_data_url());
    }
    let folded: String;
    let body = match body.bytes().any(|byte| byte.is_ascii_whitespace()) {
        true => {
            folded = body.split_ascii_whitespace().collect();
            &folded
        }
        false => body,
    };
    if (body.trim_end_matches('=').len() as u64) * 3 / 4 > limit {
        return Err(Problem::too_large(limit));
    }
    let bytes = BASE64
        .decode(body)
        .map_err(|error| Problem::bad_request(format!("The base64 in the data URL {}.", flaw(&error))))?;
    if bytes.is_empty() {
        return Err(Problem::empty_picture());
    }
    Ok(bytes.into())
}

/// The reason why base64 is invalid, as the end of a sentence.
fn flaw(error: &DecodeError) -> String {
    match error {
        DecodeError::InvalidByte(at, byte) => {
            let shown = char::from(*byte).escape_default();
            format!("has the character `{shown}`, which is not base64, at byte {} of its data", at + 1)
        }
        DecodeError::InvalidLength(_)
        | DecodeError::InvalidLastSymbol { .. }
        | DecodeError::InvalidPadding => "is cut off or padded wrongly at its end".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_urls_of_browsers_and_people_are_decoded() {
        for url in [
            "data:image/png;base64,AAEC",
            "DATA:image/png;name=x;BASE64,AAEC",
            "data:;base64,AAEC",
            " data:image/png;base64,AA\r\nEC\n",
        ] {
            assert_eq!(decode(url, 3).unwrap(), [0, 1, 2][..], "{url}");
        }
        assert_eq!(decode("data:;base64,AA==", 1).unwrap(), [0][..]);
        assert_eq!(decode("data:;base64,AA", 1).unwrap(), [0][..]);
    }

    #[test]
    fn an_invalid_data_url_is_rejected_with_the_right_status() {
        for (url, status) in [
            ("", 400),
            ("hello", 400),
            ("data:image/png,AAEC", 400),
            ("data:image/png;base64", 400),
            ("data:image/png;base64,", 415),
            ("data:image/png;base64,A*EC", 400),
            ("http://example.org/a.png", 400),
            ("dätä:;base64,AAEC", 400),
            ("data:;base64,AAECAw==", 413),
        ] {
            assert_eq!(decode(url, 3).unwrap_err().status, status, "{url}");
        }
    }
}
