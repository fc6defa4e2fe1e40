//! Luma-lock: merges a provider's chroma with the photo's own luminance, row by row.

use super::guided::{Guide, GuideRow};
use super::lab::{CODES_PER_L, ENCODE, Encode, linear_of_lab, srgb16_of_linear};
use super::rows::{RowFn, RowSource};
use super::simd::{LANES, Lanes, vectorized};
use super::{Chroma, Photo, PhotoError, Rgb, gamut};

/// A photo's luminance with a provider's chroma.
pub(super) struct Merge<'a> {
    photo: &'a Photo,
    guide: Guide<'a>,
}

impl<'a> Merge<'a> {
    pub(super) fn new(photo: &'a Photo, chroma: &'a Chroma) -> Result<Self, PhotoError> {
        Ok(Self { photo, guide: Guide::new(&photo.gray, chroma)? })
    }

    fn rows_of<T: Sample>(&self) -> RowFn<'_, T> {
        let (width, height) = (self.photo.width() as usize, self.photo.height() as usize);
        let mut row = self.guide.rows(width);
        Box::new(move |y, out| {
            vectorized(
                #[inline(always)]
                || {
                    self.guide.go_to(y, height, &mut row);
                    let (luma, last) = self.photo.gray.luma[y * width..][..width].as_chunks();
                    let (pixels, last_pixels) = out.as_chunks_mut().0.as_chunks_mut();
                    for (i, (luma, pixels)) in luma.iter().zip(pixels).enumerate() {
                        *pixels = T::srgb(lab(&row, i, luma));
                    }
                    let mut padded = [0; LANES];
                    padded[..last.len()].copy_from_slice(last);
                    if !last.is_empty() {
                        last_pixels.copy_from_slice(&T::srgb(lab(&row, luma.len(), &padded))[..last.len()]);
                    }
                },
            );
        })
    }
}

/// A sample of 8 or 16 bits. A function as a parameter would not be inlined into the loop over pixels.
trait Sample: Copy + 'static {
    /// The sRGB values of L\*, a\*, b\*.
    fn srgb(lab: [Lanes; 3]) -> [[Self; 3]; LANES];
}

impl Sample for u8 {
    #[inline(always)]
    fn srgb(lab: [Lanes; 3]) -> [[Self; 3]; LANES] {
        srgb(lab)
    }
}

impl Sample for u16 {
    #[inline(always)]
    fn srgb(lab: [Lanes; 3]) -> [[Self; 3]; LANES] {
        wide_srgb(lab)
    }
}

impl RowSource for Merge<'_> {
    fn rows(&self) -> RowFn<'_> {
        self.rows_of()
    }

    fn wide_rows(&self) -> RowFn<'_, u16> {
        self.rows_of()
    }
}

/// The merged picture as 8-bit sRGB, without encoding. `tests/instructions` counts the instructions of this function.
///
/// # Errors
/// As [`super::encode`].
#[doc(hidden)]
pub fn merged(photo: &Photo, chroma: &Chroma) -> Result<Rgb, PhotoError> {
    let merge = Merge::new(photo, chroma)?;
    let (width, height) = (photo.width(), photo.height());
    let mut pixels = vec![0; width as usize * height as usize * 3];
    let mut rows = merge.rows();
    for (y, row) in pixels.chunks_exact_mut(width as usize * 3).enumerate() {
        rows(y, row);
    }
    drop(rows);
    Ok(Rgb { width, height, pixels })
}

/// L\*, a\*, b\* of eight pixels with this luminance, from column `8 * eight` on.
#[inline(always)]
fn lab(row: &GuideRow, eight: usize, luma: &[u16; LANES]) -> [Lanes; 3] {
    let mut l = [0.0; LANES];
    for i in 0..LANES {
        l[i] = f32::from(luma[i]) * (1.0 / CODES_PER_L);
    }
    let [a, b] = row.chroma(eight, &l);
    [l, a, b]
}

/// The pixels in 8-bit sRGB.
#[inline(always)]
fn srgb(lab: [Lanes; 3]) -> [[u8; 3]; LANES] {
    let (light, shown) = light(lab, gamut::WHITE);
    let [red, green, blue] = if shown { light } else { gamut::fit(lab) };
    let encode = &*ENCODE;
    let [red, green, blue] = [fixed(&red), fixed(&green), fixed(&blue)];
    let mut pixels = [[0; 3]; LANES];
    for i in 0..LANES {
        pixels[i] = [encode.code_of(red[i]), encode.code_of(green[i]), encode.code_of(blue[i])];
    }
    pixels
}

/// The pixels in 16-bit sRGB.
#[inline(always)]
fn wide_srgb(lab: [Lanes; 3]) -> [[u16; 3]; LANES] {
    let (light, shown) = light(lab, gamut::WIDE_WHITE);
    let light = if shown { light } else { gamut::fit(lab) };
    let mut pixels = [[0; 3]; LANES];
    for (channel, light) in light.iter().enumerate() {
        let mut codes = [0; LANES];
        for i in 0..LANES {
            codes[i] = srgb16_of_linear(light[i]);
        }
        for i in 0..LANES {
            pixels[i][channel] = codes[i];
        }
    }
    pixels
}

#[inline(always)]
fn fixed(channel: &Lanes) -> [u32; LANES] {
    let mut fixed = [0; LANES];
    for i in 0..LANES {
        fixed[i] = Encode::fixed(channel[i]);
    }
    fixed
}

/// Returns linear light, and whether sRGB can show all of these colours. Above the L\* `white` they have no chroma.
#[inline(always)]
fn light([l, a, b]: [Lanes; 3], white: f32) -> ([Lanes; 3], bool) {
    let mut light = [[0.0; LANES]; 3];
    let mut shown = true;
    for i in 0..LANES {
        let chroma = f32::from(u8::from(gamut::has_room_for_chroma(l[i], white)));
        let rgb = linear_of_lab([l[i], a[i] * chroma, b[i] * chroma]);
        shown &= gamut::shows(rgb);
        [light[0][i], light[1][i], light[2][i]] = rgb;
    }
    (light, shown)
}

#[cfg(test)]
mod tests {
    use palette::convert::FromColorUnclamped;
    use palette::white_point::D65;
    use palette::{Lab, Srgb};
    use proptest::prelude::*;

    use super::*;
    use crate::photo::Gray;

    /// One pixel of the merged image.
    fn merged(luma: u16, a: f32, b: f32) -> [u8; 3] {
        let photo = Photo::from_gray(Gray { width: 1, height: 1, luma: vec![luma] });
        let chroma = Chroma::new(1, 1, vec![a], vec![b]).unwrap();
        let mut out = [0; 3];
        Merge::new(&photo, &chroma).unwrap().rows()(0, &mut out);
        out
    }

    fn lightness(codes: [f64; 3]) -> f64 {
        Lab::<D65, f64>::from_color_unclamped(Srgb::from(codes.map(|code| code.clamp(0.0, 255.0) / 255.0))).l
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]

        #[test]
        fn luminance_is_kept(luma: u16, a in -110_i16..=110, b in -110_i16..=110) {
            let (a, b) = (f32::from(a), f32::from(b));
            let l = f64::from(luma) / 655.35;
            let got = merged(luma, a, b);
            let exact = Srgb::<f64>::from_color_unclamped(Lab::<D65, f64>::new(l, a.into(), b.into()));
            let exact = [exact.red, exact.green, exact.blue].map(|channel| channel * 255.0);
            let off = (lightness(got.map(f64::from)) - l).abs();
            if exact.iter().all(|code| (0.0..=255.0).contains(code)) {
                for (got, exact) in got.into_iter().zip(exact) {
                    prop_assert!((f64::from(got) - exact).abs() < 0.51, "{got} is not {exact} rounded");
                }
                // The effect of rounding every channel by half a step.
                let rounding = lightness(exact.map(|code| code + 0.51)) - lightness(exact.map(|code| code - 0.51));
                prop_assert!(off <= rounding, "L* {l} became {off} off");
            } else {
                prop_assert!(off <= 1.0, "L* {l}, a* {a}, b* {b} became {got:?}, {off} off");
            }
        }
    }

    /// One merged pixel, but without skipping the gamut search for black and white.
    fn searched(luma: u16, a: f32, b: f32) -> [u8; 3] {
        let color = [f32::from(luma) / CODES_PER_L, a, b].map(|value| [value; LANES]);
        gamut::fit(color).map(|channel| ENCODE.code(channel[0]))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]

        #[test]
        fn ignoring_the_chroma_of_black_and_white_changes_no_pixel(
            luma in prop_oneof![0_u16..20, 65_500_u16..=65_535, any::<u16>()],
            a in -110_i16..=110, b in -110_i16..=110, part in prop_oneof![Just(1.0_f32), 0.0_f32..0.1],
        ) {
            // Rounded like a provider's chroma.
            let [a, b] = [a, b].map(|value| crate::photo::chroma::quantized(f32::from(value) * part));
            let (merged, searched) = (merged(luma, a, b), searched(luma, a, b));
            // If the search is not skipped, both agree. But the chroma of a merged pixel was resampled, so a channel
            // midway between two values may be rounded differently.
            let most = u8::from(gamut::has_room_for_chroma(f32::from(luma) / CODES_PER_L, gamut::WHITE));
            let near = merged.iter().zip(searched).all(|(merged, searched)| merged.abs_diff(searched) <= most);
            prop_assert!(near, "{merged:?} {searched:?}");
        }
    }

    #[test]
    fn the_gamut_search_is_skipped_for_black_and_white() {
        let shown = |luma: u16| {
            let l = [f32::from(luma) / CODES_PER_L; LANES];
            let a = [-50.0, -38.0, -26.0, -14.0, 0.0, 10.0, 20.0, 30.0];
            let b = [50.0, 40.0, 30.0, 20.0, 10.0, 0.0, -10.0, -20.0];
            light([l, a, b], gamut::WHITE).1
        };
        assert!(shown(0) && shown(65_535));
        assert!(!shown(100), "near black most of this chroma cannot be shown");
    }

    #[test]
    fn without_chroma_every_gray_is_unchanged() {
        for code in 0..=255_u8 {
            let luma = crate::photo::lab::LUMA8[code as usize];
            assert_eq!(merged(luma, 0.0, 0.0), [code; 3]);
        }
    }
}
