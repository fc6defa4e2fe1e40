//! Luma-lock: a provider's chroma on the photo's own luminance, row by row.

use super::guided::{Cell, Guide};
use super::lab::{CODES_PER_L, ENCODE, linear_of_lab};
use super::{Chroma, Photo, PhotoError, gamut};

/// Pixels worked on at a time: their numbers stay in the processor's nearest cache.
const BLOCK: usize = 256;

/// Computes rows of a merged picture as an encoder asks for them.
pub(super) struct Merge<'a> {
    photo: &'a Photo,
    guide: Guide,
    columns: Vec<(u32, u32, f32)>,
    row: Vec<Cell>,
    block: Block,
}

/// L\*, a\*, b\* of some pixels.
struct Block {
    l: [f32; BLOCK],
    a: [f32; BLOCK],
    b: [f32; BLOCK],
}

impl<'a> Merge<'a> {
    pub(super) fn new(photo: &'a Photo, chroma: &Chroma) -> Result<Self, PhotoError> {
        let guide = Guide::new(&photo.grey, chroma)?;
        let columns = guide.columns(photo.width() as usize);
        let block = Block { l: [0.0; BLOCK], a: [0.0; BLOCK], b: [0.0; BLOCK] };
        Ok(Self { photo, guide, columns, row: Vec::new(), block })
    }

    /// Writes row `y` as 8-bit sRGB.
    pub(super) fn row(&mut self, y: usize, out: &mut [u8]) {
        self.guide.row(y, self.photo.height() as usize, &mut self.row);
        let width = self.photo.width() as usize;
        let luma = &self.photo.grey.luma[y * width..][..width];
        let blocks = luma.chunks(BLOCK).zip(self.columns.chunks(BLOCK)).zip(out.chunks_mut(BLOCK * 3));
        for ((luma, columns), out) in blocks {
            let Block { l, a, b } = &mut self.block;
            for (i, (&luma, &(first, second, share))) in luma.iter().zip(columns).enumerate() {
                l[i] = f32::from(luma) * (1.0 / CODES_PER_L);
                let cell = self.row[first as usize].mix(&self.row[second as usize], share);
                [a[i], b[i]] = cell.at(l[i]);
            }
            self.block.write(out);
        }
    }
}

impl Block {
    /// Writes the first pixels, as many as fit in `out`, as 8-bit sRGB.
    fn write(&self, out: &mut [u8]) {
        // Each channel for itself, so that many pixels are computed at once.
        let mut light = [[0.0; BLOCK]; 3];
        let mut shown = [true; BLOCK];
        for i in 0..BLOCK {
            let [r, g, b] = linear_of_lab([self.l[i], self.a[i], self.b[i]]);
            (light[0][i], light[1][i], light[2][i]) = (r, g, b);
            shown[i] = gamut::shows([r, g, b]);
        }
        let count = out.len() / 3;
        let lost: Vec<usize> = (0..count).filter(|&i| !shown[i]).collect();
        let mut colours: Vec<[f32; 3]> = lost.iter().map(|&i| [self.l[i], self.a[i], self.b[i]]).collect();
        gamut::fit(&mut colours);
        for (i, [r, g, b]) in lost.into_iter().zip(colours) {
            (light[0][i], light[1][i], light[2][i]) = (r, g, b);
        }
        let encode = &*ENCODE;
        for (i, pixel) in out.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            *pixel = light.each_ref().map(|channel| encode.code(channel[i]));
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
    use crate::photo::Grey;

    /// One pixel of the merged picture.
    fn merged(luma: u16, a: f32, b: f32) -> [u8; 3] {
        let photo = Photo::from_grey(Grey { width: 1, height: 1, luma: vec![luma] });
        let chroma = Chroma::new(1, 1, vec![a], vec![b]).unwrap();
        let mut out = [0; 3];
        Merge::new(&photo, &chroma).unwrap().row(0, &mut out);
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
                // What half a code in every channel makes.
                let rounding = lightness(exact.map(|code| code + 0.51)) - lightness(exact.map(|code| code - 0.51));
                prop_assert!(off <= rounding, "L* {l} became {off} off");
            } else {
                prop_assert!(off <= 1.0, "L* {l}, a* {a}, b* {b} became {got:?}, {off} off");
            }
        }
    }

    #[test]
    fn without_chroma_grey_stays_the_grey_it_was() {
        for code in 0..=255_u8 {
            let luma = crate::photo::lab::LUMA8[code as usize];
            assert_eq!(merged(luma, 0.0, 0.0), [code; 3]);
        }
    }
}
