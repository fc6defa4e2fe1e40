//! Turns panics of codecs into errors. A panic is a defect in a codec; it must not end a worker thread or cause a
//! 500 response.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::PhotoError;

/// The step in which a codec panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CodecStep {
    Decode,
    Encode,
}

impl CodecStep {
    pub const ALL: [Self; 2] = [Self::Decode, Self::Encode];

    pub const fn label(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Encode => "encode",
        }
    }
}

/// Runs a codec for images of this format and turns a panic into an error. The panic hook logs the panic first.
pub(crate) fn caught<T>(
    step: CodecStep,
    format: impl fmt::Display,
    work: impl FnOnce() -> Result<T, PhotoError>,
) -> Result<T, PhotoError> {
    // Partial results are dropped with the codec: no caller reads a sink or buffer after an error.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let words = match step {
            CodecStep::Decode => format!(
                "PixColor failed while reading this {format} file because of a defect; the log has the details. Save \
                 the picture again, for example as PNG, and send that."
            ),
            CodecStep::Encode => format!(
                "PixColor failed while writing this picture as {format} because of a defect; the log has the details. \
                 Ask for another format."
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
            assert!(!words.contains("on purpose"), "the panic's message belongs only in the log: {words}");
        }
        assert_eq!(caught(CodecStep::Decode, "PNG", || Ok(1)), Ok(1));
    }
}
