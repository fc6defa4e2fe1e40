//! The output guard: is the answer a picture, the same picture, and coloured?
//!
//! A provider's answer is not to be trusted: it may be an error page, somebody else's picture, or the
//! grey one sent back. What does not pass is never merged, stored or shown, and the next provider is
//! asked.

use crate::photo::{Chroma, Grey, Limits, Rgb, luma_correlation};
use crate::provider::Colour;

/// Least correlation of the answer's luminance with the picture that was sent.
const LEAST_CORRELATION: f64 = 0.9;

/// Least mean chroma (distance from grey in CIE a\*b\*) of a picture that counts as coloured. A JPEG of a
/// grey picture stays below 0.5; the palest sepia is above 3.
const LEAST_CHROMA: f64 = 1.0;

/// Most that the aspect of the answer may differ, as a factor: sides are rounded, to multiples of 8 by
/// some models.
const MOST_STRETCH: f64 = 1.1;

/// Colour that has passed.
pub enum Checked {
    /// To be laid on the photo's own luminance.
    Chroma(Chroma),
    /// To be shown as it is, at the photo's size.
    Own(Rgb),
}

/// Why an answer did not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// Not a picture this program can read.
    NotAPicture,
    /// Of another shape.
    Aspect,
    /// Of something else, or damaged.
    Luminance,
    /// Still grey.
    Grey,
}

impl Flaw {
    /// The label in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::NotAPicture => "not_a_picture",
            Self::Aspect => "aspect",
            Self::Luminance => "luminance",
            Self::Grey => "grey",
        }
    }

    /// In words.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotAPicture => "its answer is not a picture",
            Self::Aspect => "its answer has another shape than the picture sent",
            Self::Luminance => "its answer shows another picture than the one sent",
            Self::Grey => "its answer is as grey as the picture sent",
        }
    }
}

/// Checks an answer against the picture that was sent. Decodes: not for async threads.
pub fn check(sent: &Grey, colour: Colour, luma_lock: bool, limits: &Limits) -> Result<Checked, Flaw> {
    let rgb = match colour {
        // A network in this process cannot answer with another picture; it may find nothing to colour.
        Colour::Chroma(chroma) => return Ok(Checked::Chroma(chroma)),
        Colour::Picture(bytes) => Rgb::decode(&bytes, limits).map_err(|_| Flaw::NotAPicture)?,
    };
    let aspect = |width: u32, height: u32| f64::from(width) / f64::from(height.max(1));
    let stretch = aspect(rgb.width, rgb.height) / aspect(sent.width, sent.height);
    if !(1.0 / MOST_STRETCH..=MOST_STRETCH).contains(&stretch) {
        return Err(Flaw::Aspect);
    }
    if luma_correlation(sent, &rgb.grey()) < LEAST_CORRELATION {
        return Err(Flaw::Luminance);
    }
    let chroma = rgb.chroma().map_err(|_| Flaw::NotAPicture)?;
    if chroma.mean_chroma() < LEAST_CHROMA {
        return Err(Flaw::Grey);
    }
    Ok(if luma_lock { Checked::Chroma(chroma) } else { Checked::Own(rgb) })
}
