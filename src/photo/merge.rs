//! Luma-lock: merges a provider's chroma with the photo's own luminance, row by row.

use super::guided::Guide;
use super::lab::{CODES_PER_L, ENCODE, Encode, linear_of_lab};
use super::rows::{RowFn, RowSource};
use super::simd::vectorized;
use super::{Chroma, Photo, PhotoError, gamut};

/// Pixels per block: their values fit into the fastest processor cache.
const BLOCK: usize = 256;

/// A photo's luminance with a provider's chroma.
pub(super) struct Merge<'a> {
    photo: &'a Photo,
    guide: Guide<'a>,
}

/// L\*, a\*, b\* of some pixels.
struct LabBlock {
    l: [f32; BLOCK],
    a: [f32; BLOCK],
    b: [f32; BLOCK],
}

impl<'a> Merge<'a> {
    pub(super) fn new(photo: &'a Photo, chroma: &'a Chroma) -> Result<Self, PhotoError> {
        Ok(Self { photo, guide: Guide::new(&photo.gray, chroma)? })
    }
}

impl RowSource for Merge<'_> {
    fn rows(&self) -> RowFn<'_> {
        let (width, height) = (self.photo.width() as usize, self.photo.height() as usize);
        let mut row = self.guide.rows(width);
        let mut block = LabBlock { l: [0.0; BLOCK], a: [0.0; BLOCK], b: [0.0; BLOCK] };
        Box::new(move |y, out| {
            vectorized(
                #[inline(always)]
                || {
                    self.guide.go_to(y, height, &mut row);
                    let luma = &self.photo.gray.luma[y * width..][..width];
                    let pixels: &mut [[u8; 3]] = out.as_chunks_mut().0;
                    for (i, (luma, pixels)) in luma.chunks(BLOCK).zip(pixels.chunks_mut(BLOCK)).enumerate() {
                        let LabBlock { l, a, b } = &mut block;
                        l.iter_mut()
                            .zip(luma)
                            .for_each(|(l, &luma)| *l = f32::from(luma) * (1.0 / CODES_PER_L));
                        row.chroma(i * BLOCK, luma.len(), l, [a, b]);
                        block.write(pixels);
                    }
                },
            );
        })
    }
}

impl LabBlock {
    /// Writes the first `out.len()` pixels as 8-bit sRGB.
    #[inline(always)]
    fn write(&self, out: &mut [[u8; 3]]) {
        let (mut light, shown) = self.light();
        self.keep_within_gamut(&shown[..out.len()], &mut light);
        let encode = &*ENCODE;
        let [red, green, blue] = &light;
        for (((pixel, &r), &g), &b) in out.iter_mut().zip(red).zip(green).zip(blue) {
            *pixel = [r, g, b].map(|channel| encode.code_of(channel));
        }
    }

    /// Returns linear light for [`Encode::code_of`], and for each pixel whether sRGB can show it.
    #[inline(always)]
    fn light(&self) -> ([[u32; BLOCK]; 3], [bool; BLOCK]) {
        // Channel by channel, so that the compiler vectorises.
        let mut light = [[0; BLOCK]; 3];
        let mut shown = [true; BLOCK];
        for i in 0..BLOCK {
            let chroma = f32::from(u8::from(gamut::has_room_for_chroma(self.l[i])));
            let rgb = linear_of_lab([self.l[i], self.a[i] * chroma, self.b[i] * chroma]);
            shown[i] = gamut::shows(rgb);
            [light[0][i], light[1][i], light[2][i]] = rgb.map(Encode::fixed);
        }
        (light, shown)
    }

    /// Recomputes the pixels that sRGB cannot show.
    fn keep_within_gamut(&self, shown: &[bool], light: &mut [[u32; BLOCK]; 3]) {
        // Most blocks have no such pixel, and checking all pixels is faster than searching for the first one.
        if shown.iter().fold(true, |all, &one| all & one) {
            return;
        }
        let lost: Vec<usize> = (0..shown.len()).filter(|&i| !shown[i]).collect();
        let mut colors: Vec<[f32; 3]> = lost.iter().map(|&i| [self.l[i], self.a[i], self.b[i]]).collect();
        gamut::fit(&mut colors);
        for (i, color) in lost.into_iter().zip(colors) {
            [light[0][i], light[1][i], light[2][i]] = color.map(Encode::fixed);
        }
    }
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
        let mut color = [[f32::from(luma) / CODES_PER_L, a, b]];
        let light = linear_of_lab(color[0]);
        if !gamut::shows(light) {
            gamut::fit(&mut color);
            return color[0].map(|channel| ENCODE.code(channel));
        }
        light.map(|channel| ENCODE.code(channel))
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
            let most = u8::from(gamut::has_room_for_chroma(f32::from(luma) / CODES_PER_L));
            let near = merged.iter().zip(searched).all(|(merged, searched)| merged.abs_diff(searched) <= most);
            prop_assert!(near, "{merged:?} {searched:?}");
        }
    }

    #[test]
    fn the_gamut_search_is_skipped_for_black_and_white() {
        let slow = |luma: u16| {
            let l = [f32::from(luma) / CODES_PER_L; BLOCK];
            let mut block = LabBlock { l, a: [0.0; BLOCK], b: [0.0; BLOCK] };
            for i in 0..BLOCK {
                (block.a[i], block.b[i]) = (i as f32 * 0.4 - 50.0, 50.0 - i as f32 * 0.3);
            }
            block.light().1.iter().filter(|shown| !**shown).count()
        };
        assert_eq!([slow(0), slow(65_535)], [0, 0]);
        assert!(slow(100) > BLOCK / 2, "near black most of this chroma cannot be shown");
    }

    #[test]
    fn without_chroma_every_gray_is_unchanged() {
        for code in 0..=255_u8 {
            let luma = crate::photo::lab::LUMA8[code as usize];
            assert_eq!(merged(luma, 0.0, 0.0), [code; 3]);
        }
    }
}
