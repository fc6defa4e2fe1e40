//! Panics of codecs become errors. A codec that panics on some picture has a defect, which is no reason to lose a
//! worker thread and to answer 500.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::PhotoError;

/// What a codec was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CodecStep {
    /// Reading a picture.
    Decode,
    /// Merging and writing one.
    Encode,
}

impl CodecStep {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Decode, Self::Encode];

    /// The label in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Encode => "encode",
        }
    }
}

/// Runs a codec for pictures of this format. The panic hook has logged a panic by the time it is an error here.
pub(crate) fn caught<T>(
    step: CodecStep,
    format: impl fmt::Display,
    work: impl FnOnce() -> Result<T, PhotoError>,
) -> Result<T, PhotoError> {
    // What a codec leaves half done is dropped with it: nothing outside looks at a sink or a buffer after an error.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let words = match step {
            CodecStep::Decode => format!(
                "PixColor failed while reading this {format} file because of a defect; the log has the details. Save the picture again, for \
                 example as PNG, and send that."
            ),
            CodecStep::Encode => format!(
                "PixColor failed while writing this picture as {format} because of a defect; the log has the details. Ask for another format."
            ),
        };
        Err(PhotoError::Panicked(step, words))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_that_says_which_format_failed_and_what_to_do() {
        for (step, format, advice) in [
            (CodecStep::Decode, "TIFF", "Save the picture again"),
            (CodecStep::Encode, "webp", "Ask for another format"),
        ] {
            let error = caught::<()>(step, format, || panic!("on purpose")).unwrap_err();
            assert!(matches!(error, PhotoError::Panicked(at, _) if at == step), "{error:?}");
            let words = error.to_string();
            assert!(words.contains(format) && words.contains(advice), "{words}");
            assert!(!words.contains("on purpose"), "the panic's own words are for the log: {words}");
        }
        assert_eq!(caught(CodecStep::Decode, "PNG", || Ok(1)), Ok(1));
    }
}
