//! Every kind of picture that a TIFF can contain and PixColor reads.

use crate::make::{strip, tiff, with};

pub const WIDTH: u32 = 150;
pub const HEIGHT: u32 = 83;

/// How the samples of a picture are stored.
pub struct Kind {
    pub name: &'static str,
    pub bits: u32,
    pub photometric: u32,
    pub samples: u32,
    /// Values of the ExtraSamples tag.
    pub extra: &'static [u32],
}

const fn kind(name: &'static str, bits: u32, photometric: u32, samples: u32, extra: &'static [u32]) -> Kind {
    Kind { name, bits, photometric, samples, extra }
}

pub const KINDS: [Kind; 24] = [
    kind("bilevel, black is zero", 1, 1, 1, &[]),
    kind("bilevel, white is zero", 1, 0, 1, &[]),
    kind("2 bits", 2, 1, 1, &[]),
    kind("4 bits", 4, 1, 1, &[]),
    kind("4 bits, white is zero", 4, 0, 1, &[]),
    kind("grey", 8, 1, 1, &[]),
    kind("grey, white is zero", 8, 0, 1, &[]),
    kind("grey 16", 16, 1, 1, &[]),
    kind("grey 16, white is zero", 16, 0, 1, &[]),
    kind("grey with opacity", 8, 1, 2, &[2]),
    kind("palette of 2", 1, 3, 1, &[]),
    kind("palette of 4", 2, 3, 1, &[]),
    kind("palette of 16", 4, 3, 1, &[]),
    kind("palette of 256", 8, 3, 1, &[]),
    kind("RGB", 8, 2, 3, &[]),
    kind("RGB 16", 16, 2, 3, &[]),
    kind("RGB with opacity", 8, 2, 4, &[2]),
    kind("RGB times opacity", 8, 2, 4, &[1]),
    kind("RGB 16 with opacity", 16, 2, 4, &[2]),
    kind("RGB 16 times opacity", 16, 2, 4, &[1]),
    kind("RGB and two extra samples", 8, 2, 5, &[2, 0]),
    kind("CMYK", 8, 5, 4, &[]),
    kind("CMYK 16", 16, 5, 4, &[]),
    kind("CMYK and an extra sample", 8, 5, 5, &[0]),
];

impl Kind {
    /// The interleaved samples: waves of different lengths, so that no two planes or rows are equal.
    pub fn samples(&self) -> Vec<u16> {
        let most = (1_u32 << self.bits) - 1;
        let mut samples = Vec::new();
        for (y, x) in (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (y, x))) {
            let wave = |sample: u32| {
                let angle = (x * (2 + sample) + y * (3 + 2 * sample)) as f32 / 29.0;
                ((0.5 + 0.5 * angle.sin()) * most as f32).round() as u32
            };
            let alpha = (0..self.samples).find(|sample| sample >= &3 && self.extra == [1]);
            // A colour that is multiplied by opacity never exceeds the opacity.
            let bound = |sample: u32| match alpha {
                Some(alpha) if sample < alpha => wave(sample) * wave(alpha).max(most / 8) / most,
                Some(_) => wave(sample).max(most / 8),
                None => wave(sample),
            };
            samples.extend((0..self.samples).map(|sample| bound(sample) as u16));
        }
        samples
    }

    /// A file with one strip, or with one strip for each plane.
    pub fn file(&self, planar: bool) -> Vec<u8> {
        let samples = self.samples();
        let count = self.samples as usize;
        let row = WIDTH as usize * count;
        let rows = |from: usize, step: usize| -> Vec<u8> {
            samples
                .chunks(row)
                .flat_map(|row| packed(row.iter().skip(from).step_by(step), self.bits))
                .collect()
        };
        let planes: Vec<Vec<u8>> =
            if planar { (0..count).map(|plane| rows(plane, count)).collect() } else { vec![rows(0, 1)] };
        let length = planes[0].len() as u32;
        let data = planes.concat();
        let mut tags = strip(WIDTH, HEIGHT, self.bits, self.samples, self.photometric, 1, &data);
        if planar {
            tags = with(&tags, 284, Some(vec![2]));
            tags = with(&tags, 273, Some((0..self.samples).map(|plane| 8 + plane * length).collect()));
            tags = with(&tags, 279, Some(vec![length; count]));
        }
        if !self.extra.is_empty() {
            tags = with(&tags, 338, Some(self.extra.to_vec()));
        }
        if self.photometric == 3 {
            tags = with(&tags, 320, Some(color_map(self.bits)));
        }
        tiff(&tags, &data, 0)
    }

    pub fn planars(&self) -> &'static [bool] {
        if self.samples > 1 { &[false, true] } else { &[false] }
    }

    pub fn compressions(&self) -> &'static [&'static str] {
        match (self.bits, self.photometric) {
            (1, 0 | 1) => &["none", "lzw", "zip", "packbits", "g3:1d", "g3:1d:fill", "g4"],
            (..8, _) => &["none", "lzw", "zip", "packbits"],
            _ => &["none", "lzw", "lzw:2", "zip", "zip:2", "packbits"],
        }
    }
}

/// Packs samples of this many bits into whole bytes.
fn packed<'a>(samples: impl Iterator<Item = &'a u16>, bits: u32) -> Vec<u8> {
    if bits == 16 {
        return samples.flat_map(|sample| sample.to_le_bytes()).collect();
    }
    let samples: Vec<u16> = samples.copied().collect();
    let byte = |part: &[u16]| {
        part.iter().enumerate().fold(0, |byte, (i, &sample)| byte | sample << (8 - bits as usize * (i + 1)))
            as u8
    };
    samples.chunks(8 / bits as usize).map(byte).collect()
}

fn color_map(bits: u32) -> Vec<u32> {
    let value =
        |channel: u32, index: u32| (index * (29 + 50 * channel) * 65_535 / 255 + 9000 * channel) % 65_536;
    (0..3).flat_map(|channel| (0..1 << bits).map(move |index| value(channel, index))).collect()
}
