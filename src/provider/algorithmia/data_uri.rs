//! Maps the `data://` URI of a result to a path on the host that was called.

use crate::config::Algorithm;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataUriError {
    #[error("its result is not in its own storage (data://...); results from other places are not fetched")]
    Elsewhere,
    #[error("the path of its result does not name a file")]
    Path,
}

/// The segments of a file's path below `/v1/connector/data/`, not yet percent-encoded.
///
/// An algorithm may return the short form `.algo/temp/x`; the algorithm's owner and name are then inserted.
pub fn segments(uri: &str, algorithm: &Algorithm) -> Result<Vec<String>, DataUriError> {
    let path = uri.strip_prefix("data://").ok_or(DataUriError::Elsewhere)?;
    let mut segments: Vec<String> = path.split('/').map(str::to_owned).collect();
    let bad = |segment: &String| {
        matches!(segment.as_str(), "" | "." | "..")
            || segment.contains(['\\', '%'])
            || segment.chars().any(char::is_control)
    };
    // At least a collection and a file in it.
    if segments.len() < 2 || segments.iter().any(bad) {
        return Err(DataUriError::Path);
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
    fn only_files_on_the_called_host_are_accepted() {
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
            assert_eq!(path(elsewhere), Err(DataUriError::Elsewhere), "{elsewhere}");
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
            assert_eq!(path(bad), Err(DataUriError::Path), "{bad:?}");
        }
    }
}
