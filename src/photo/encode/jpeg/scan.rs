//! Writes rows of MCUs as Huffman codes.

use super::Jpeg;
use super::huffman::BitWriter;
use super::planes::{Plane, Planes};
use crate::photo::simd::vectorized;

/// The state of a scan between rows of MCUs.
#[derive(Default)]
pub(super) struct ScanWriter {
    bits: BitWriter,
    /// The last DC coefficient of each component: only differences are stored.
    predictions: [i32; 3],
}

impl ScanWriter {
    pub(super) fn write_mcus(&mut self, jpeg: &Jpeg<'_>, planes: &Planes) {
        vectorized(
            #[inline(always)]
            || {
                for mcu in 0..jpeg.layout.mcus() {
                    for (component, plane) in planes.iter().enumerate() {
                        self.write_component(mcu, component, plane, jpeg);
                    }
                }
            },
        );
    }

    /// Writes the blocks of a component in an MCU.
    #[inline(always)]
    fn write_component(&mut self, mcu: usize, component: usize, plane: &Plane, jpeg: &Jpeg<'_>) {
        // Cb and Cr share their tables.
        let kind = component.min(1);
        let (quantization, codes) = (&jpeg.quantization[kind], &jpeg.codes[kind]);
        let prediction = &mut self.predictions[component];
        for row in 0..plane.factor {
            for column in mcu * plane.factor..(mcu + 1) * plane.factor {
                let coefficients = quantization.coefficients(&plane.block(column, row));
                self.bits.write_block(&coefficients, prediction, codes);
            }
        }
    }

    /// Fills the last byte. The next row of MCUs does not depend on the rows before.
    pub(super) fn restart(&mut self) {
        self.bits.fill_byte();
        self.predictions = [0; 3];
    }

    /// Moves complete bytes to a file. A zero after each byte 0xFF shows that it is not the start of a marker.
    pub(super) fn move_to(&mut self, file: &mut Vec<u8>) {
        let mut bytes = self.bits.bytes();
        while let Some(at) = memchr::memchr(0xFF, bytes) {
            file.extend_from_slice(&bytes[..=at]);
            file.push(0);
            bytes = &bytes[at + 1..];
        }
        file.extend_from_slice(bytes);
        self.bits.clear();
    }
}
