//! Encodes TIFF files strip by strip, compressed with deflate after the horizontal predictor (TIFF 6.0, section 14).
//!
//! The crate `tiff` writes the directory. The strips are compressed here, because the crate compresses only pictures
//! that are in memory as a whole.

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use tiff::encoder::{DirectoryEncoder, TiffEncoder, TiffKindStandard};
use tiff::tags::{
    CompressionMethod, ExtraSamples, PhotometricInterpretation, PlanarConfiguration, Predictor, Tag,
};
use tiff::{TiffError, TiffResult};

use super::{EncodeOptions, Picture, unwritable};
use crate::photo::{Depth, OutputFormat, PhotoError};

/// Bytes of a strip before compression, except that a strip has at least one row. libtiff recommends 8 KiB, but larger
/// strips compress better.
const STRIP: usize = 256 * 1024;

/// Level 1 is twice as fast as the default, and the files of photographs are hardly larger.
const LEVEL: u32 = 1;

type File = Cursor<Vec<u8>>;
type Directory<'d, 'f> = DirectoryEncoder<'d, &'f mut File, TiffKindStandard>;

pub(super) fn write(picture: Picture<'_>, options: &EncodeOptions) -> Result<Vec<u8>, PhotoError> {
    file(picture, options).map_err(|error| match error {
        TiffError::IntSizeError => unwritable(OutputFormat::Tiff, "it would have more than 4 GiB"),
        error => unwritable(OutputFormat::Tiff, error),
    })
}

fn file(picture: Picture<'_>, options: &EncodeOptions) -> TiffResult<Vec<u8>> {
    let mut file = File::default();
    let mut encoder = TiffEncoder::new(&mut file)?;
    let mut directory = encoder.image_directory()?;
    options.tags.write_tiff(&mut directory)?;
    match options.depth {
        Depth::Eight => strips::<u8>(&mut directory, picture, &mut *picture.source.rows()),
        Depth::Sixteen => strips::<u16>(&mut directory, picture, &mut *picture.source.wide_rows()),
    }?;
    directory.finish()?;
    Ok(file.into_inner())
}

/// Writes the rows of a picture, and the tags that describe them.
fn strips<T: Sample>(
    directory: &mut Directory<'_, '_>,
    picture: Picture<'_>,
    rows: &mut dyn FnMut(usize, &mut [T]),
) -> TiffResult<()> {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let channels = if picture.alpha.is_some() { 4 } else { 3 };
    let row_samples = width * channels;
    let per_strip = (STRIP / (row_samples * size_of::<T>())).clamp(1, height);
    let mut rgb = vec![T::default(); width * 3];
    let mut row = vec![T::default(); row_samples];
    let (mut offsets, mut lengths) = (Vec::<u32>::new(), Vec::<u32>::new());
    let mut compressed = Vec::new();
    let mut bytes = Vec::with_capacity(row_samples * size_of::<T>());
    for top in (0..height).step_by(per_strip) {
        compressed.clear();
        let mut strip = ZlibEncoder::new(&mut compressed, Compression::new(LEVEL));
        for y in top..(top + per_strip).min(height) {
            rows(y, &mut rgb);
            interleave(&rgb, picture.alpha(y), &mut row);
            predict(&mut row, channels);
            bytes.clear();
            T::extend(&row, &mut bytes);
            strip.write_all(&bytes)?;
        }
        strip.finish()?;
        offsets.push(u32::try_from(directory.write_data(&compressed[..])?)?);
        lengths.push(compressed.len() as u32);
    }
    directory.write_tag(Tag::ImageWidth, picture.width)?;
    directory.write_tag(Tag::ImageLength, picture.height)?;
    directory.write_tag(Tag::BitsPerSample, &vec![T::BITS; channels][..])?;
    directory.write_tag(Tag::Compression, CompressionMethod::Deflate.to_u16())?;
    directory.write_tag(Tag::PhotometricInterpretation, PhotometricInterpretation::RGB.to_u16())?;
    directory.write_tag(Tag::StripOffsets, &offsets[..])?;
    directory.write_tag(Tag::SamplesPerPixel, channels as u16)?;
    directory.write_tag(Tag::RowsPerStrip, per_strip as u32)?;
    directory.write_tag(Tag::StripByteCounts, &lengths[..])?;
    directory.write_tag(Tag::PlanarConfiguration, PlanarConfiguration::Chunky.to_u16())?;
    directory.write_tag(Tag::Predictor, Predictor::Horizontal.to_u16())?;
    if picture.alpha.is_some() {
        directory.write_tag(Tag::ExtraSamples, ExtraSamples::UnassociatedAlpha.to_u16())?;
    }
    Ok(())
}

/// A sample of 8 or 16 bits.
trait Sample: Copy + Default {
    const BITS: u16;
    fn of_alpha(alpha: u8) -> Self;
    /// The wrapping difference, as the predictor requires.
    fn minus(self, other: Self) -> Self;
    /// Appends samples in the byte order of the file, which is the processor's.
    fn extend(samples: &[Self], bytes: &mut Vec<u8>);
}

impl Sample for u8 {
    const BITS: u16 = 8;

    fn of_alpha(alpha: u8) -> Self {
        alpha
    }

    fn minus(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }

    fn extend(samples: &[Self], bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(samples);
    }
}

impl Sample for u16 {
    const BITS: u16 = 16;

    fn of_alpha(alpha: u8) -> Self {
        Self::from(alpha) * 257
    }

    fn minus(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }

    fn extend(samples: &[Self], bytes: &mut Vec<u8>) {
        bytes.extend(samples.iter().flat_map(|sample| sample.to_ne_bytes()));
    }
}

/// Copies a row, with its opacity after the colours of each pixel.
fn interleave<T: Sample>(rgb: &[T], alpha: Option<&[u8]>, row: &mut [T]) {
    let Some(alpha) = alpha else { return row.copy_from_slice(rgb) };
    let pixels = row.as_chunks_mut().0.iter_mut().zip(rgb.as_chunks().0);
    for ((pixel, &[red, green, blue]), &alpha) in pixels.zip(alpha) {
        *pixel = [red, green, blue, T::of_alpha(alpha)];
    }
}

/// Replaces each sample by its difference from the pixel before.
fn predict<T: Sample>(row: &mut [T], channels: usize) {
    for i in (channels..row.len()).rev() {
        row[i] = row[i].minus(row[i - channels]);
    }
}
