//! Decodes JPEG XL files; of an animation, the first frame.

use jxl_oxide::{AllocTracker, CropInfo, ExtraChannelType, InitializeResult, JxlImage, PixelFormat};

use image::metadata::Orientation;

use super::feed::Channels;
use super::sink::RowPosition;
use super::{DecodeSummary, DecoderInfo, Feed, InputFormat, PhotoError, Sink, broken};
use crate::photo::ImageHeader;
use crate::photo::jxl::{self, BAND, is_decoded_in_bands, wanted_encoding};

type Error = Box<dyn std::error::Error + Send + Sync>;

pub(super) fn decode(
    bytes: &[u8],
    head: ImageHeader,
    sink: &mut dyn Sink,
) -> Result<DecodeSummary, PhotoError> {
    let limit = jxl::header(bytes).map_or(0, |header| header.decoder_limit(bytes.len() as u64));
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut image = open(bytes, limit)
        .map_err(|error| failed(error, head))?
        .ok_or_else(|| broken(InputFormat::Jxl, "it ends too early"))?;
    let metadata = &image.image_header().metadata;
    if (image.width(), image.height()) != (head.width, head.height) {
        return Err(broken(InputFormat::Jxl, "its size is contradictory"));
    }
    if image.num_loaded_keyframes() == 0 {
        return Err(broken(InputFormat::Jxl, "it ends too early"));
    }
    let channels = match image.pixel_format() {
        PixelFormat::Gray => Channels::Gray,
        PixelFormat::Graya => Channels::GrayAlpha,
        PixelFormat::Rgb => Channels::Rgb,
        PixelFormat::Rgba => Channels::Rgba,
        PixelFormat::Cmyk | PixelFormat::Cmyka => return Err(unsupported("with CMYK colours")),
    };
    let premultiplied = metadata
        .ec_info
        .iter()
        .any(|channel| matches!(channel.ty, ExtraChannelType::Alpha { alpha_associated: true }));
    // The decoder converts to sRGB, except from a profile.
    let encoding = wanted_encoding(metadata);
    let profiled = encoding.is_none();
    if let Some((encoding, _)) = encoding {
        image.request_color_encoding(encoding);
    }
    let source = DecoderInfo {
        width: head.width,
        height: head.height,
        channels,
        icc: image.original_icc().filter(|_| profiled).map(<[u8]>::to_vec),
        // The decoder applies the orientation.
        orientation: Orientation::NoTransforms,
    };
    let mut feed = Feed::new(source, sink);
    let premultiplied = premultiplied && matches!(channels, Channels::GrayAlpha | Channels::Rgba);
    rows(&mut image, head, channels.samples(), premultiplied, &mut feed)?;
    Ok(feed.finish())
}

/// Reads the codestream without the boxes around it: the decoder would decompress boxes of metadata of any size. `None`
/// for a file that ends in its header.
fn open(bytes: &[u8], limit: usize) -> Result<Option<JxlImage>, Error> {
    let mut file = JxlImage::builder().alloc_tracker(AllocTracker::with_limit(limit)).build_uninit();
    // The decoder recognises the codestream by the first two bytes that it gets, which may be in different boxes.
    let parts = jxl::codestream(bytes);
    let start: Vec<u8> = parts.iter().copied().flatten().take(2).copied().collect();
    file.feed_bytes(&start)?;
    let mut skip = start.len();
    for part in parts {
        let skipped = skip.min(part.len());
        skip -= skipped;
        file.feed_bytes(&part[skipped..])?;
    }
    Ok(match file.try_init()? {
        InitializeResult::Initialized(image) => Some(image),
        InitializeResult::NeedMoreData(_) => None,
    })
}

/// Decodes the first frame and passes its rows to the feed.
fn rows(
    image: &mut JxlImage,
    head: ImageHeader,
    samples: usize,
    premultiplied: bool,
    feed: &mut Feed<'_>,
) -> Result<(), PhotoError> {
    let in_bands = image.num_loaded_frames() == 1
        && image.frame_header(0).is_some_and(|frame| is_decoded_in_bands(image.image_header(), frame));
    let band = if in_bands { BAND } else { head.height };
    let mut row = vec![0_u16; head.width as usize * samples];
    for top in (0..head.height).step_by(band as usize) {
        let height = band.min(head.height - top);
        image.set_image_region(CropInfo { left: 0, top, width: head.width, height });
        let render = image.render_frame_cropped(0).map_err(|error| failed(error, head))?;
        let mut stream = render.stream();
        if (stream.width(), stream.height(), stream.channels()) != (head.width, height, samples as u32) {
            return Err(broken(InputFormat::Jxl, "its size is contradictory"));
        }
        for y in top..top + height {
            stream.write_to_buffer(&mut row);
            if premultiplied {
                row.chunks_exact_mut(samples).for_each(divide);
            }
            feed.row16(RowPosition::row(y as usize), &row);
        }
    }
    Ok(())
}

/// Divides a pixel's premultiplied colours by its opacity.
fn divide(pixel: &mut [u16]) {
    let Some((&mut alpha, colors)) = pixel.split_last_mut() else { return };
    for color in colors.iter_mut().filter(|_| alpha > 0) {
        *color = ((u32::from(*color) * 65_535 + u32::from(alpha) / 2) / u32::from(alpha)).min(65_535) as u16;
    }
}

fn unsupported(kind: &str) -> PhotoError {
    PhotoError::Unsupported(format!(
        "This is a JPEG XL file {kind}, which PixColor does not read. Save it as JPEG or PNG."
    ))
}

/// The error of the decoder, which may be that it would need too much memory.
fn failed(error: Error, head: ImageHeader) -> PhotoError {
    let mut causes =
        std::iter::successors(Some(&*error as &(dyn std::error::Error + 'static)), |error| error.source());
    let memory = causes.any(|cause| {
        let words = cause.to_string();
        words.contains("out of memory") || words.contains("failed to allocate")
    });
    if !memory {
        return broken(InputFormat::Jxl, error);
    }
    PhotoError::TooManyPixels(format!(
        "Decoding this kind of {} takes more than {} MB. Save it as JPEG or PNG, or make it smaller, and send \
         it again.",
        head.format,
        head.needs.decoding / 1_000_000
    ))
}
