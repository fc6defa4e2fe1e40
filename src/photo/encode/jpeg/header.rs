//! The segments of a file before and after the coded blocks (T.81 Annex B, JFIF 1.02).

use super::{Jpeg, Sampling, huffman};
use crate::photo::Tags;
use crate::photo::jpeg::marker::{DHT, DQT, DRI, EOI, SOF0, SOI, SOS};

/// The last bytes of a file.
pub(super) const END: [u8; 2] = [0xFF, EOI];

/// The marker after a row of MCUs, RST0 to RST7 in turn.
pub(super) fn restart_marker(mcu_row: usize) -> [u8; 2] {
    [0xFF, 0xD0 + (mcu_row % 8) as u8]
}

/// The start of a file, with its metadata.
pub(super) fn write(jpeg: &Jpeg<'_>, tags: &Tags) -> Vec<u8> {
    let layout = jpeg.layout;
    let mut file = vec![0xFF, SOI];
    let mut segment = |marker: u8, parts: &[&[u8]]| {
        let body = parts.concat();
        file.extend([0xFF, marker]);
        file.extend((body.len() as u16 + 2).to_be_bytes());
        file.extend(body);
    };
    for (marker, body) in tags.jpeg_segments() {
        segment(marker, &[&body]);
    }
    // Number, sampling factors and tables of each component: Y', Cb and Cr.
    let luma_sampling = if layout.sampling == Sampling::Half { 0x22 } else { 0x11 };
    let components = [(1, luma_sampling, 0), (2, 0x11, 1), (3, 0x11, 1)];
    let (components, tables) = match layout.sampling {
        Sampling::Gray => (&components[..1], 1),
        Sampling::Full | Sampling::Half => (&components[..], 2),
    };
    let count = components.len() as u8;
    for (number, quantization) in (0..tables).zip(&jpeg.quantization) {
        segment(DQT, &[&[number], &quantization.divisors]);
    }
    let frame: Vec<u8> =
        components.iter().flat_map(|&(number, factors, table)| [number, factors, table]).collect();
    let (width, height) = (layout.width.to_be_bytes(), layout.height.to_be_bytes());
    segment(SOF0, &[&[8], &height, &width, &[count], &frame]);
    for (number, tables) in (0..tables).zip([&huffman::LUMA, &huffman::CHROMA]) {
        segment(DHT, &[&[number], &tables.dc.counts, tables.dc.symbols]);
        segment(DHT, &[&[0x10 + number], &tables.ac.counts, tables.ac.symbols]);
    }
    if layout.restarts {
        // At most 65,535 / 8.
        segment(DRI, &[&(layout.mcus() as u16).to_be_bytes()]);
    }
    let scan: Vec<u8> =
        components.iter().flat_map(|&(number, _, table)| [number, table << 4 | table]).collect();
    // All 64 coefficients, in one pass.
    segment(SOS, &[&[count], &scan, &[0, 63, 0]]);
    file
}
