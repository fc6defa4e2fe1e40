//! Interprets samples by TIFF's photometric interpretation.

use super::layout::{Compression, number};
use super::{damaged, unsupported};
use crate::photo::PhotoError;
use crate::photo::decode::feed::Channels;
use crate::photo::decode::jpeg::ycc_to_rgb;
use crate::photo::ifd::{Directory, Field, tag};

pub(super) enum TiffColor {
    Gray {
        white_is_zero: bool,
    },
    Rgb,
    /// Red, green and blue of each index, 16 bits each.
    Palette(Vec<[u16; 3]>),
    /// Inks; 0 is no ink.
    Cmyk,
    Ycc(Ycc),
}

impl TiffColor {
    pub(super) fn of(
        directory: &Directory<'_>,
        compression: Compression,
        bits: u8,
        samples: usize,
    ) -> Result<Self, PhotoError> {
        let fax = matches!(compression, Compression::Group3 | Compression::Group4);
        let extra = directory.field(tag::EXTRA_SAMPLES).map_or(0, |field| field.count());
        // Without the tag, libtiff decides by the compression and the number of samples.
        let default = match samples.saturating_sub(extra) {
            1 if fax => 0,
            1 => 1,
            3 => 2,
            _ => u64::MAX,
        };
        let color = match number(directory, tag::PHOTOMETRIC, default)? {
            0 => Self::Gray { white_is_zero: true },
            1 => Self::Gray { white_is_zero: false },
            2 => Self::Rgb,
            3 if bits == 16 => return Err(unsupported("a palette of 16 bits")),
            3 => Self::Palette(palette(directory, bits)?),
            // Ink set 1 is CMYK; files with another ink set list the names of their inks.
            5 if number(directory, tag::INK_SET, 1)? == 1 => Self::Cmyk,
            5 => return Err(unsupported("inks other than CMYK")),
            6 => Self::Ycc(Ycc::of(directory, compression)?),
            8..=10 => return Err(unsupported("CIE L*a*b* colours")),
            32_844 | 32_845 => return Err(unsupported("LogLuv colours")),
            32_803 | 34_892 => return Err(unsupported("a camera's raw data")),
            u64::MAX => return Err(unsupported("the meaning of its samples is not given")),
            other => return Err(unsupported(format!("photometric interpretation {other}"))),
        };
        let right = match &color {
            Self::Gray { .. } | Self::Palette(_) => bits >= 8 || samples == 1,
            Self::Rgb | Self::Cmyk => bits >= 8 && samples >= color.samples(),
            Self::Ycc(_) => bits == 8 && samples == 3,
        };
        if !right {
            return Err(unsupported(format!("{samples} samples of {bits} bits in {}", color.name())));
        }
        Ok(color)
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Gray { .. } => "grey",
            Self::Rgb => "RGB",
            Self::Palette(_) => "a palette",
            Self::Cmyk => "CMYK",
            Self::Ycc(_) => "YCbCr",
        }
    }

    /// Number of samples of a pixel in the file, without extra samples.
    pub(super) fn samples(&self) -> usize {
        match self {
            Self::Gray { .. } | Self::Palette(_) => 1,
            Self::Rgb | Self::Ycc(_) => 3,
            Self::Cmyk => 4,
        }
    }

    /// The channels of a pixel after conversion.
    pub(super) fn channels(&self, alpha: bool) -> Channels {
        match (self, alpha) {
            (Self::Gray { .. }, false) => Channels::Gray,
            (Self::Gray { .. }, true) => Channels::GrayAlpha,
            (Self::Cmyk, _) => Channels::Cmyk,
            (_, false) => Channels::Rgb,
            (_, true) => Channels::Rgba,
        }
    }
}

/// Reads the colour map, which contains all red values, then all green, then all blue.
fn palette(directory: &Directory<'_>, bits: u8) -> Result<Vec<[u16; 3]>, PhotoError> {
    let map = directory.field(tag::COLOR_MAP).ok_or_else(|| damaged("its palette is missing"))?;
    let colors = 1_usize << bits;
    if map.count() != 3 * colors {
        return Err(damaged(format!("its palette has {} values, not {}", map.count(), 3 * colors)));
    }
    let value = |index| map.number(index).and_then(|value| u16::try_from(value).ok());
    let values = (0..3 * colors).map(value).collect::<Option<Vec<_>>>();
    let values = values.ok_or_else(|| damaged("its palette is cut off"))?;
    // Some programs write 8-bit values instead of 16-bit values.
    let scale = if values.iter().all(|&value| value < 256) { 257 } else { 1 };
    Ok((0..colors).map(|i| [0, 1, 2].map(|channel| values[channel * colors + i] * scale)).collect())
}

/// Converts luma and colour differences to RGB (TIFF 6.0, sections 20 and 21).
pub(super) struct Ycc {
    /// Number of pixels across and down that share their colour differences.
    pub(super) subsampling: (u32, u32),
    /// Whether the conversion is that of JFIF, as always for JPEG data.
    jfif: bool,
    /// Weights of red, green and blue in luma.
    weights: [f64; 3],
    /// The sample values of black and white for each component (the tag `ReferenceBlackWhite`).
    range: [[f64; 2]; 3],
}

impl Ycc {
    fn of(directory: &Directory<'_>, compression: Compression) -> Result<Self, PhotoError> {
        let jfif = compression == Compression::Jpeg;
        let real = |field: Option<Field<'_>>, index, default| {
            field.map_or(Some(default), |field| field.real(index)).filter(|value| value.is_finite())
        };
        let coefficients = directory.field(tag::YCC_COEFFICIENTS);
        let weights =
            [real(coefficients, 0, 0.299), real(coefficients, 1, 0.587), real(coefficients, 2, 0.114)];
        let reference = directory.field(tag::REFERENCE_BLACK_WHITE);
        let mut range = [[0.0, 255.0], [128.0, 255.0], [128.0, 255.0]];
        for (index, value) in range.as_flattened_mut().iter_mut().enumerate() {
            *value = real(reference, index, *value)
                .ok_or_else(|| damaged("its black and white values cannot be read"))?;
        }
        let [Some(red), Some(green), Some(blue)] = weights else {
            return Err(damaged("its colour weights cannot be read"));
        };
        if !green.is_normal() || range.iter().any(|[black, white]| !(white - black).is_normal()) {
            return Err(damaged("its colour weights or its black and white values are invalid"));
        }
        let subsampling = directory.field(tag::YCC_SUBSAMPLING);
        let factor = |index| match subsampling.map_or(Some(2), |field| field.number(index)) {
            Some(factor @ (1 | 2 | 4)) => Ok(factor as u32),
            _ => Err(damaged("its subsampling cannot be read")),
        };
        // JPEG data contains its own subsampling.
        let subsampling = if jfif { (1, 1) } else { (factor(0)?, factor(1)?) };
        Ok(Self { subsampling, jfif, weights: [red, green, blue], range })
    }

    pub(super) fn rgb(&self, codes: [u8; 3]) -> [u8; 3] {
        if self.jfif {
            return ycc_to_rgb(codes.map(f32::from));
        }
        let [red, green, blue] = self.weights;
        let level = |index: usize, span: f64| {
            let [black, white] = self.range[index];
            (f64::from(codes[index]) - black) * span / (white - black)
        };
        let (y, cb, cr) = (level(0, 255.0), level(1, 127.0), level(2, 127.0));
        let (r, b) = (y + cr * (2.0 - 2.0 * red), y + cb * (2.0 - 2.0 * blue));
        let g = y - (cb * blue * (2.0 - 2.0 * blue) + cr * red * (2.0 - 2.0 * red)) / green;
        [r, g, b].map(|value| (value + 0.5).clamp(0.0, 255.0) as u8)
    }
}
