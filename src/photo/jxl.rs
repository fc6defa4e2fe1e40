//! Reads the headers of JPEG XL files (ISO/IEC 18181), without decoding.

use jxl_bitstream::{Bitstream, ContainerParser, ParseEvent};
use jxl_oxide::color::{ColourEncoding, EnumColourEncoding, Primaries, TransferFunction, WhitePoint};
use jxl_oxide::frame::{Encoding, FrameType};
use jxl_oxide::image::ImageMetadata;
use jxl_oxide::{FrameHeader, ImageHeader, RenderingIntent};
use jxl_oxide_common::Bundle;

/// Maximum bytes in which the headers are searched; they have a few dozen.
const HEADERS: usize = 64 << 10;

/// The rows of a picture that are decoded at a time, if it can be decoded in parts. Groups have 256 rows.
pub(super) const BAND: u32 = 256;

/// Bytes of a pixel while it is decoded as floating-point numbers: its samples, and as much for the filters.
const FLOATS: u64 = 26;

/// Bytes for tables and for the smallest unit that is decoded, a group.
const FIXED: u64 = 8_000_000;

/// The limit if a file does not say before its compressed profile what its first frame is like.
const UNKNOWN: u64 = 150_000_000;

/// The header of a file, and that of its first frame, if it directly follows.
pub(super) struct JxlHeader {
    pub(super) image: ImageHeader,
    frame: Option<FrameHeader>,
}

pub(super) fn header(bytes: &[u8]) -> Option<JxlHeader> {
    let codestream = start_of_codestream(bytes);
    let mut bits = Bitstream::new(&codestream);
    let image = ImageHeader::parse(&mut bits, ()).ok()?;
    // A profile or a preview comes before the first frame. Both are compressed.
    let frame = (!image.metadata.colour_encoding.want_icc() && image.metadata.preview.is_none())
        .then(|| {
            bits.zero_pad_to_byte().ok()?;
            FrameHeader::parse(&mut bits, &image).ok()
        })
        .flatten();
    Some(JxlHeader { image, frame })
}

/// The parts of the codestream, which may be in boxes; up to the first damaged box.
pub(super) fn codestream(bytes: &[u8]) -> Vec<&[u8]> {
    let mut parser = ContainerParser::new();
    let parts = parser.feed_bytes(bytes).map_while(Result::ok).filter_map(|event| match event {
        ParseEvent::Codestream(part) => Some(part),
        _ => None,
    });
    parts.collect()
}

/// The first bytes of the codestream.
fn start_of_codestream(bytes: &[u8]) -> Vec<u8> {
    codestream(bytes).into_iter().flatten().take(HEADERS).copied().collect()
}

impl JxlHeader {
    /// Width and height of the upright picture; the decoder applies the orientation.
    pub(super) fn size(&self) -> (u32, u32) {
        (self.image.width_with_orientation(), self.image.height_with_orientation())
    }

    pub(super) fn has_alpha(&self) -> bool {
        self.image.metadata.alpha().is_some()
    }

    /// Maximum bytes that the decoder may use, without the results, for a file of this length.
    pub(super) fn decoder_limit(&self, file: u64) -> u64 {
        let (width, height) = self.size();
        let pixels = u64::from(width) * u64::from(height);
        let extra = self.image.metadata.ec_info.len() as u64;
        let bytes = match &self.frame {
            None => (pixels * (FLOATS + 8 * extra)).min(UNKNOWN),
            // A band and its neighbours, and the means of the blocks of the whole picture.
            Some(frame) if is_decoded_in_bands(&self.image, frame) => {
                u64::from(width) * u64::from(height.min(2 * BAND + BAND / 2)) * FLOATS + 2 * pixels
            }
            Some(frame) if is_lossless(&self.image, frame) => {
                let channels = if self.image.metadata.grayscale() { 1 } else { 3 } + extra;
                // The decoder allocates every sample twice, although it usually needs half of that.
                2 * pixels * channels * if self.image.metadata.modular_16bit_buffers { 2 } else { 4 }
            }
            Some(_) => pixels * (FLOATS + 8 * extra),
        };
        // The decoder has a copy of the file.
        bytes + pixels / 2 + file + FIXED
    }
}

/// Whether a picture can be decoded in bands, which takes little memory: it is one frame of blocks of coefficients,
/// without opacity, noise and parts of other frames.
pub(super) fn is_decoded_in_bands(image: &ImageHeader, frame: &FrameHeader) -> bool {
    frame.encoding == Encoding::VarDct
        && image.metadata.ec_info.is_empty()
        && is_only_frame(frame)
        && frame.upsampling == 1
        && !(frame.flags.noise()
            || frame.flags.patches()
            || frame.flags.splines()
            || frame.flags.use_lf_frame())
}

/// Whether a picture's samples are stored as integers that need no conversion.
fn is_lossless(image: &ImageHeader, frame: &FrameHeader) -> bool {
    frame.encoding == Encoding::Modular
        && !image.metadata.xyb_encoded
        && !frame.do_ycbcr
        && is_only_frame(frame)
        && wanted_encoding(&image.metadata).is_none_or(|(_, is_stored)| is_stored)
}

/// The kind of sRGB that the decoder converts a picture to, and whether the picture has it already. `None` for a
/// picture whose colours only its profile describes.
pub(super) fn wanted_encoding(metadata: &ImageMetadata) -> Option<(EnumColourEncoding, bool)> {
    let stored = match &metadata.colour_encoding {
        ColourEncoding::Enum(stored) => Some(stored),
        ColourEncoding::IccProfile(_) if metadata.xyb_encoded => None,
        ColourEncoding::IccProfile(_) => return None,
    };
    // With another intent the decoder would convert sRGB to sRGB.
    let intent = stored.map_or(RenderingIntent::Relative, |stored| stored.rendering_intent);
    let wanted = match metadata.grayscale() {
        true => EnumColourEncoding::gray_srgb(intent),
        false => EnumColourEncoding::srgb(intent),
    };
    let same = stored.is_some_and(|stored| {
        matches!(stored.tf, TransferFunction::Srgb)
            && matches!(stored.white_point, WhitePoint::D65)
            && (metadata.grayscale() || matches!(stored.primaries, Primaries::Srgb))
    });
    Some((wanted, same && !metadata.xyb_encoded))
}

fn is_only_frame(frame: &FrameHeader) -> bool {
    frame.frame_type == FrameType::RegularFrame && frame.is_last && !frame.have_crop
}
