//! Reads and checks the tags that describe a TIFF's pixels. The error for an unsupported kind of TIFF names the kind.

use super::color::TiffColor;
use super::{damaged, unsupported};
use crate::photo::PhotoError;
use crate::photo::ifd::{Directory, Field, tag};

/// Maximum samples of a pixel, and maximum bytes in a row of a strip or tile.
const MAX_SAMPLES: u64 = 32;
const MAX_ROW: u64 = 4 << 20;

/// Minimum side of a tile; the standard requires multiples of 16.
const MIN_TILE: u64 = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Group3,
    Group4,
    Lzw,
    Jpeg,
    Deflate,
    PackBits,
}

/// The position and meaning of a pixel's opacity.
#[derive(Clone, Copy)]
pub(super) struct Alpha {
    /// Index of the sample within a pixel.
    pub(super) sample: usize,
    /// Whether the colours are premultiplied by the opacity.
    pub(super) associated: bool,
}

/// The arrangement of the pixels in the file.
pub(super) struct TiffLayout<'a> {
    pub(super) directory: Directory<'a>,
    pub(super) width: u32,
    pub(super) height: u32,
    /// Width and height of a strip or tile.
    pub(super) unit: (u32, u32),
    pub(super) compression: Compression,
    pub(super) bits: u8,
    /// Number of samples of a pixel in the file.
    pub(super) samples: usize,
    /// Whether the samples are stored in separate planes, each with its own strips or tiles.
    pub(super) planar: bool,
    /// Whether each sample is stored as the difference from the previous pixel.
    pub(super) predicted: bool,
    /// Whether the lowest bit of a byte comes first.
    pub(super) low_bit_first: bool,
    pub(super) color: TiffColor,
    pub(super) alpha: Option<Alpha>,
    offsets: Field<'a>,
    byte_counts: Option<Field<'a>>,
}

impl<'a> TiffLayout<'a> {
    pub(super) fn of(directory: Directory<'a>) -> Result<Self, PhotoError> {
        let number = |wanted, default| number(&directory, wanted, default);
        let (width, height) = directory.size().ok_or_else(|| damaged("it has no size"))?;
        let samples = number(tag::SAMPLES, 1)?;
        if samples == 0 || samples > MAX_SAMPLES {
            return Err(unsupported(format!("{samples} samples per pixel")));
        }
        let samples = samples as usize;
        check_sample_format(&directory, samples)?;
        let bits = bits(&directory, samples)?;
        let compression = compression(&directory)?;
        if matches!(compression, Compression::Group3 | Compression::Group4) && (bits, samples) != (1, 1) {
            return Err(unsupported("a fax with more than one bit per pixel"));
        }
        let color = TiffColor::of(&directory, compression, bits, samples)?;
        let tiled = directory.field(tag::TILE_WIDTH).is_some();
        let (unit, offsets, byte_counts) = if tiled {
            let sides = (number(tag::TILE_WIDTH, 0)?, number(tag::TILE_HEIGHT, 0)?);
            if sides.0 == 0 || sides.1 == 0 {
                return Err(damaged("its tiles have no size"));
            }
            if sides.0.min(sides.1) < MIN_TILE {
                return Err(unsupported(format!("tiles of {} x {} pixels", sides.0, sides.1)));
            }
            (sides, tag::TILE_OFFSETS, tag::TILE_BYTE_COUNTS)
        } else {
            let rows = number(tag::ROWS_PER_STRIP, height.into())?.min(height.into());
            if rows == 0 {
                return Err(damaged("its strips have no rows"));
            }
            ((width.into(), rows), tag::STRIP_OFFSETS, tag::STRIP_BYTE_COUNTS)
        };
        let planar = samples > 1 && number(tag::PLANAR, 1)? == 2;
        let side = |side: u64| u32::try_from(side).unwrap_or(u32::MAX);
        let layout = Self {
            directory,
            width,
            height,
            unit: (side(unit.0), side(unit.1)),
            compression,
            bits,
            samples,
            planar,
            predicted: predicted(&directory, compression, bits)?,
            // JPEG has its own bit order.
            low_bit_first: compression != Compression::Jpeg && number(tag::FILL_ORDER, 1)? == 2,
            alpha: alpha(&directory, &color, samples)?,
            color,
            offsets: directory.field(offsets).ok_or_else(|| damaged("it has no strips or tiles"))?,
            byte_counts: directory.field(byte_counts),
        };
        if unit.0.saturating_mul(samples as u64 * u64::from(bits)) / 8 > MAX_ROW {
            return Err(unsupported("strips or tiles with more than 4 MiB per row"));
        }
        if let TiffColor::Ycc(ycc) = &layout.color
            && ycc.subsampling != (1, 1)
            && planar
        {
            return Err(unsupported("subsampled colour in separate planes"));
        }
        Ok(layout)
    }

    /// Number of strips or tiles across and down.
    pub(super) fn units(&self) -> (u32, u32) {
        (self.width.div_ceil(self.unit.0), self.height.div_ceil(self.unit.1))
    }

    /// Number of samples of a pixel in one strip or tile.
    pub(super) fn samples_together(&self) -> usize {
        if self.planar { 1 } else { self.samples }
    }

    /// Number of bytes in one decompressed row of a strip or tile.
    pub(super) fn row_bytes(&self) -> usize {
        (self.unit.0 as usize * self.samples_together() * usize::from(self.bits)).div_ceil(8)
    }

    /// Indices of the samples that are used: the colours and opacity.
    pub(super) fn wanted(&self) -> Vec<usize> {
        (0..self.color.samples()).chain(self.alpha.map(|alpha| alpha.sample)).collect()
    }

    /// The data of a strip or tile. It ends at its length, or at the end of the file if there is no valid length. The
    /// length of uncompressed data is ignored, because the number of pixels determines it.
    pub(super) fn data(&self, unit: usize) -> Option<&'a [u8]> {
        let at = self.offsets.number(unit).filter(|&at| at > 0)?;
        let rest = self.directory.file.bytes.get(usize::try_from(at).ok()?..)?;
        let length = self.byte_counts.and_then(|counts| counts.number(unit)).filter(|&length| length > 0);
        match length.map(usize::try_from) {
            Some(Ok(length)) if self.compression != Compression::None && length < rest.len() => {
                Some(&rest[..length])
            }
            _ => Some(rest),
        }
    }
}

/// The first number of a tag, or `default` if the tag is absent. A tag without a number is an error.
pub(super) fn number(directory: &Directory<'_>, wanted: u32, default: u64) -> Result<u64, PhotoError> {
    directory.field(wanted).map_or(Ok(default), |field| {
        field.number(0).ok_or_else(|| damaged(format!("its tag {wanted} cannot be read")))
    })
}

/// The value that all samples share, or `None` if they differ. A single value applies to all samples.
fn shared(
    directory: &Directory<'_>,
    wanted: u32,
    samples: usize,
    default: u64,
) -> Result<Option<u64>, PhotoError> {
    let first = number(directory, wanted, default)?;
    let field = directory.field(wanted);
    let count = field.map_or(1, |field| field.count().min(samples));
    Ok((0..count).all(|i| field.is_none_or(|field| field.number(i) == Some(first))).then_some(first))
}

fn bits(directory: &Directory<'_>, samples: usize) -> Result<u8, PhotoError> {
    match shared(directory, tag::BITS, samples, 1)? {
        Some(bits @ (1 | 2 | 4 | 8 | 16)) => Ok(bits as u8),
        Some(bits) => Err(unsupported(format!("{bits} bits per sample"))),
        None => Err(unsupported("samples that differ in bits")),
    }
}

fn check_sample_format(directory: &Directory<'_>, samples: usize) -> Result<(), PhotoError> {
    match shared(directory, tag::SAMPLE_FORMAT, samples, 1)? {
        // Unsigned or undefined.
        Some(1 | 4) => Ok(()),
        Some(2) => Err(unsupported("signed samples")),
        Some(3) => Err(unsupported("floating-point samples")),
        _ => Err(unsupported("samples that are not whole numbers")),
    }
}

fn compression(directory: &Directory<'_>) -> Result<Compression, PhotoError> {
    const TWO_DIMENSIONS: u64 = 1;
    const UNCOMPRESSED_MODE: u64 = 2;
    let name = match number(directory, tag::COMPRESSION, 1)? {
        1 => return Ok(Compression::None),
        3 if number(directory, tag::T4_OPTIONS, 0)? & (TWO_DIMENSIONS | UNCOMPRESSED_MODE) == 0 => {
            return Ok(Compression::Group3);
        }
        4 => return Ok(Compression::Group4),
        5 => return Ok(Compression::Lzw),
        7 => return Ok(Compression::Jpeg),
        8 | 32_946 => return Ok(Compression::Deflate),
        32_773 => return Ok(Compression::PackBits),
        2 | 32_771 => "CCITT run lengths",
        3 => "two-dimensional CCITT group 3",
        6 => "the old form of JPEG",
        33_003 | 33_005 | 34_712 => "JPEG 2000",
        34_676 | 34_677 => "SGI LogLuv",
        34_887 => "LERC",
        34_925 => "LZMA",
        50_000 => "Zstandard",
        50_001 => "WebP",
        50_002 | 52_546 => "JPEG XL",
        other => return Err(unsupported(format!("compression {other}"))),
    };
    Err(unsupported(format!("compressed with {name}")))
}

/// Only LZW and deflate have a predictor; for other compressions the tag is ignored.
fn predicted(directory: &Directory<'_>, compression: Compression, bits: u8) -> Result<bool, PhotoError> {
    if !matches!(compression, Compression::Lzw | Compression::Deflate) {
        return Ok(false);
    }
    match number(directory, tag::PREDICTOR, 1)? {
        1 => Ok(false),
        2 if bits >= 8 => Ok(true),
        2 => Err(unsupported(format!("a predictor with {bits} bits per sample"))),
        3 => Err(unsupported("a floating-point predictor")),
        other => Err(unsupported(format!("predictor {other}"))),
    }
}

/// The first extra sample that is an opacity. A sample without a stated meaning is ignored, except that without the tag
/// `ExtraSamples` the fourth of four RGB samples is opacity, as in Pillow.
fn alpha(directory: &Directory<'_>, color: &TiffColor, samples: usize) -> Result<Option<Alpha>, PhotoError> {
    const ASSOCIATED: u64 = 1;
    const UNASSOCIATED: u64 = 2;
    let colors = color.samples();
    let Some(extra) = directory.field(tag::EXTRA_SAMPLES) else {
        let fourth = matches!(color, TiffColor::Rgb) && samples == 4;
        return Ok(fourth.then_some(Alpha { sample: 3, associated: false }));
    };
    if colors + extra.count() > samples {
        return Err(unsupported(format!("{samples} samples per pixel, {} of them extra", extra.count())));
    }
    // Opacity of CMYK pictures is ignored, as in libtiff.
    if matches!(color, TiffColor::Cmyk) {
        return Ok(None);
    }
    let kinds = (0..extra.count()).map(|i| (colors + i, extra.number(i)));
    let mut alphas = kinds.filter(|(_, kind)| matches!(kind, Some(ASSOCIATED | UNASSOCIATED)));
    Ok(alphas.next().map(|(sample, kind)| Alpha {
        sample,
        // Palette indices cannot be premultiplied.
        associated: kind == Some(ASSOCIATED) && !matches!(color, TiffColor::Palette(_)),
    }))
}
