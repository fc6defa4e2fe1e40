//! Between a decoder and a sink: takes rows as the format has them, gives sRGB.

use image::metadata::Orientation;

use super::profile::ToSrgb;
use super::sink::{Place, Row, Sink};

/// What the samples of a decoder's rows are, interleaved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channels {
    Grey,
    GreyAlpha,
    Rgb,
    Rgba,
}

impl Channels {
    /// Samples per pixel without opacity.
    pub(super) fn colours(self) -> usize {
        match self {
            Self::Grey | Self::GreyAlpha => 1,
            Self::Rgb | Self::Rgba => 3,
        }
    }

    pub(super) fn alpha(self) -> bool {
        matches!(self, Self::GreyAlpha | Self::Rgba)
    }
}

/// What a decoder knows before the first row.
pub(super) struct Source {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) channels: Channels,
    pub(super) icc: Option<Vec<u8>>,
    pub(super) orientation: Orientation,
}

/// Takes a decoder's rows.
pub(super) struct Feed<'a> {
    sink: &'a mut dyn Sink,
    channels: Channels,
    to_srgb: ToSrgb,
    orientation: Orientation,
    width: usize,
}

impl<'a> Feed<'a> {
    pub(super) fn new(source: Source, sink: &'a mut dyn Sink) -> Self {
        sink.begin(source.width, source.height);
        Self {
            sink,
            channels: source.channels,
            to_srgb: ToSrgb::new(source.icc.as_deref(), source.channels),
            orientation: source.orientation,
            width: source.width as usize,
        }
    }

    /// How the sink's picture is to be turned.
    pub(super) fn orientation(&self) -> Orientation {
        self.orientation
    }

    /// Takes all rows at once, 8 bits a sample.
    pub(super) fn all8(&mut self, pixels: &[u8]) {
        let samples = self.width * (self.channels.colours() + usize::from(self.channels.alpha()));
        for (y, row) in pixels.chunks_exact(samples).enumerate() {
            self.row8(Place::row(y), row);
        }
    }

    /// Takes all rows at once, 16 bits a sample.
    pub(super) fn all16(&mut self, pixels: &[u16]) {
        let samples = self.width * (self.channels.colours() + usize::from(self.channels.alpha()));
        for (y, row) in pixels.chunks_exact(samples).enumerate() {
            self.row16(Place::row(y), row);
        }
    }

    /// Takes a row of 8 bits a sample.
    pub(super) fn row8(&mut self, place: Place, samples: &[u8]) {
        if self.channels.alpha() {
            let (colours, alpha) = split(samples, self.channels.colours());
            self.colours8(place, &colours, Some(&alpha));
        } else {
            self.colours8(place, samples, None);
        }
    }

    /// Takes a row of 16 bits a sample.
    pub(super) fn row16(&mut self, place: Place, samples: &[u16]) {
        if self.channels.alpha() {
            let (colours, alpha) = split(samples, self.channels.colours());
            let alpha: Vec<u8> = alpha.into_iter().map(eight_bits).collect();
            self.colours16(place, &colours, Some(&alpha));
        } else {
            self.colours16(place, samples, None);
        }
    }

    fn colours8(&mut self, place: Place, samples: &[u8], alpha: Option<&[u8]>) {
        let converted = self.to_srgb.row8(samples);
        let row = match (&converted, self.channels.colours()) {
            (Some(codes), 1) => Row::Grey16(codes),
            (Some(codes), _) => Row::Rgb16(codes),
            (None, 1) => Row::Grey8(samples),
            (None, _) => Row::Rgb8(samples),
        };
        self.sink.row(place, row, alpha);
    }

    fn colours16(&mut self, place: Place, samples: &[u16], alpha: Option<&[u8]>) {
        let converted = self.to_srgb.row16(samples);
        let codes = converted.as_deref().unwrap_or(samples);
        let row = if self.channels.colours() == 1 { Row::Grey16(codes) } else { Row::Rgb16(codes) };
        self.sink.row(place, row, alpha);
    }
}

/// Takes opacity out of interleaved samples.
fn split<T: Copy>(samples: &[T], colours: usize) -> (Vec<T>, Vec<T>) {
    let pixels = samples.chunks_exact(colours + 1);
    let alpha = pixels.clone().map(|pixel| pixel[colours]).collect();
    (pixels.flat_map(|pixel| pixel[..colours].iter().copied()).collect(), alpha)
}

/// The nearest 8-bit value.
pub(super) fn eight_bits(value: u16) -> u8 {
    ((u32::from(value) * 255 + 32_767) / 65_535) as u8
}
