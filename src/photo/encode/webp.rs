//! Encodes lossy WebP files with libwebp. libwebp needs the whole picture at once, but accepts it in the format that
//! WebP stores: one plane of luma and two of chroma at half size, which takes half the memory of RGB.

use webpx::{Encoder, EncoderConfig, Unstoppable, YuvPlanes, YuvPlanesRef};

use super::{EncodeOptions, Picture, unwritable};
use crate::photo::needs::OPACITY_COMPRESSED;
use crate::photo::{OutputFormat, PhotoError};

pub(super) fn write(picture: Picture<'_>, options: &EncodeOptions) -> Result<Vec<u8>, PhotoError> {
    let (width, height) = (picture.width, picture.height);
    // The maximum width and height is 16,383 (RFC 9649, 2.7).
    let Some(mut planes) = YuvPlanes::new_checked(width, height, false) else {
        return Err(PhotoError::Unwritable(format!(
            "A WebP can have at most 16,383 pixels per side, and this picture is {width} x {height}. \
             Ask for PNG or JPEG."
        )));
    };
    let across = width as usize;
    let mut pair = vec![0; across * 6];
    let mut rows = picture.source.rows();
    for top in (0..height as usize).step_by(2) {
        let (upper, lower) = pair.split_at_mut(across * 3);
        rows(top, upper);
        if top + 1 < height as usize {
            rows(top + 1, lower);
        } else {
            lower.copy_from_slice(upper);
        }
        let pixels: &[[u8; 3]] = pair.as_chunks().0;
        let luma = planes.y[top * across..].iter_mut().zip(pixels);
        luma.take(across * 2).for_each(|(luma, &pixel)| *luma = luma_of(pixel));
        let half = top / 2 * planes.u_stride..(top / 2 + 1) * planes.u_stride;
        let chroma = planes.u[half.clone()].iter_mut().zip(&mut planes.v[half]);
        for (x, (u, v)) in chroma.enumerate() {
            let right = (2 * x + 1).min(across - 1);
            let four = [pixels[2 * x], pixels[right], pixels[across + 2 * x], pixels[across + right]];
            (*u, *v) = chroma_of(four);
        }
    }
    // The buffers of the rows are not needed any more, but libwebp needs memory.
    drop(rows);
    let planes = YuvPlanesRef { a: picture.alpha, ..YuvPlanesRef::from(&planes) };
    let compressed = u64::from(width) * u64::from(height) <= OPACITY_COMPRESSED;
    let quality = f32::from(options.quality.clamp(1, 100));
    let config = EncoderConfig::new().quality(quality).alpha_compression(compressed);
    let config = options.tags.add_to_webp(config);
    Encoder::new_yuv(planes)
        .config(config)
        .encode(Unstoppable)
        .map_err(|error| unwritable(OutputFormat::WebP, error))
}

/// Luma from 16 to 235 (ITU-R BT.601), in fixed-point arithmetic with 16 fractional bits.
fn luma_of([r, g, b]: [u8; 3]) -> u8 {
    let sum = 16_839 * u32::from(r) + 33_059 * u32::from(g) + 6_420 * u32::from(b);
    ((sum + (16 << 16) + (1 << 15)) >> 16) as u8
}

/// Blue and red chroma of the mean of four pixels, centred on 128, in fixed-point arithmetic with 18 fractional bits.
fn chroma_of(four: [[u8; 3]; 4]) -> (u8, u8) {
    let [r, g, b] =
        std::array::from_fn(|channel| four.iter().map(|pixel| i32::from(pixel[channel])).sum::<i32>());
    let code = |sum: i32| ((sum + (128 << 18) + (1 << 17)) >> 18).clamp(0, 255) as u8;
    (code(-9_719 * r - 19_081 * g + 28_800 * b), code(28_800 * r - 24_116 * g - 4_684 * b))
}
