//! Where a result is: `data://` URIs, mapped to paths of the host that was called and of no other.

use crate::config::Algorithm;

/// Why a URI is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another host, or storage elsewhere.
    #[error("its result is not in its own storage (data://...), and nothing else is fetched")]
    Elsewhere,
    /// A path that no client would make.
    #[error("the path of its result is not a file's")]
    Path,
}

/// The segments of a file's path below `/v1/connector/data/`, still to be percent-encoded.
///
/// `.algo/temp/x` is what an algorithm itself may say; a caller has to insert whose algorithm it is.
pub fn segments(uri: &str, algorithm: &Algorithm) -> Result<Vec<String>, Refusal> {
    let path = uri.strip_prefix("data://").ok_or(Refusal::Elsewhere)?;
    let mut segments: Vec<String> = path.split('/').map(str::to_owned).collect();
    let bad = |segment: &String| {
        matches!(segment.as_str(), "" | "." | "..")
            || segment.contains(['\\', '%'])
            || segment.chars().any(char::is_control)
    };
    // A collection and a file in it, at least.
    if segments.len() < 2 || segments.iter().any(bad) {
        return Err(Refusal::Path);
    }
    if let [algo, short, ..] = segments.as_slice()
        && algo == ".algo"
        && matches!(short.as_str(), "temp" | "perm")
    {
        segments.splice(1..1, [algorithm.owner.clone(), algorithm.name.clone()]);
    }
    Ok(segments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_a_file_of_the_same_host() {
        let path = |uri: &str| segments(uri, &Algorithm::default()).map(|segments| segments.join("/"));
        let own = ".algo/deeplearning/ColorfulImageColorization/temp/x y.png";
        for (uri, expected) in [
            ("data://.algo/deeplearning/ColorfulImageColorization/temp/x y.png", own),
            ("data://.algo/temp/x y.png", own),
            ("data://.my/photos/a.png", ".my/photos/a.png"),
            ("data://me/photos/ä.png", "me/photos/ä.png"),
            ("data://.session/a.png", ".session/a.png"),
        ] {
            assert_eq!(path(uri).as_deref(), Ok(expected));
        }
        for elsewhere in [
            "https://evil.example/x.png",
            "//evil.example/x.png",
            "s3://bucket/x.png",
            "dropbox://x/y.png",
            "file:///etc/passwd",
            "data:image/png;base64,AAAA",
            "DATA://a/b",
            "",
        ] {
            assert_eq!(path(elsewhere), Err(Refusal::Elsewhere), "{elsewhere}");
        }
        for bad in [
            "data://",
            "data://x",
            "data:///etc/passwd",
            "data://a/../../algo/x",
            "data://a/./b",
            "data://a//b",
            "data://a/b/",
            "data://a\\b/c",
            "data://a/%2e%2e/b",
            "data://a/b\nc",
        ] {
            assert_eq!(path(bad), Err(Refusal::Path), "{bad:?}");
        }
    }
}
