//! Decodes fax data, CCITT group 3 (one-dimensional) and group 4, to rows with one bit per pixel; 1 is black.

use std::io::{self, BufRead, Bytes, Chain, Read};

use fax::decoder::{DecodeStatus, Group3Decoder, Group4Decoder};

use super::{damaged, unsupported};
use crate::photo::PhotoError;

enum FaxDecoder<R: Read> {
    Group3(Group3Decoder<Bytes<Chain<R, &'static [u8]>>>),
    Group4(Group4Decoder<Bytes<R>>),
    /// The end of the page was read; the remaining rows are white.
    Ended,
}

pub(super) struct FaxRows<R: Read> {
    decoder: FaxDecoder<R>,
    width: u16,
}

impl<R: BufRead> FaxRows<R> {
    pub(super) fn group4(data: R, width: u32) -> Result<Self, PhotoError> {
        let width = narrow(width)?;
        let decoder = Group4Decoder::new(data.bytes(), width).map_err(damaged)?;
        Ok(Self { decoder: FaxDecoder::Group4(decoder), width })
    }

    pub(super) fn group3(mut data: R, width: u32) -> Result<Self, PhotoError> {
        // The data must start with an end-of-line code: at least eleven zeros (more to fill a byte), and a one.
        let start =
            data.fill_buf().map_err(damaged)?.first_chunk().copied().map_or(u16::MAX, u16::from_be_bytes);
        if start >> 5 != 0 {
            return Err(unsupported("CCITT group 3 without end-of-line codes"));
        }
        // The decoder reads beyond the last code, so zeros are appended.
        const FILL: &[u8] = &[0; 4];
        let decoder = Group3Decoder::new(data.chain(FILL).bytes()).map_err(damaged)?;
        Ok(Self { decoder: FaxDecoder::Group3(decoder), width: narrow(width)? })
    }

    /// Decodes a row of group 3, whose runs must fill the row.
    fn check_group3(
        decoder: &mut Group3Decoder<impl Iterator<Item = io::Result<u8>>>,
        width: u16,
    ) -> io::Result<()> {
        // An error is ignored, because the last row may have no end-of-line code.
        let _ = decoder.advance();
        let full = decoder.transitions().last() == Some(&width);
        if full { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }
}

fn narrow(width: u32) -> Result<u16, PhotoError> {
    u16::try_from(width).map_err(|_| unsupported(format!("a fax {width} pixels wide")))
}

impl<R: BufRead> Read for FaxRows<R> {
    /// Reads one row; `out` must have room for it.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let row = out.get_mut(..usize::from(self.width).div_ceil(8)).ok_or(io::ErrorKind::InvalidInput)?;
        row.fill(0);
        let edges = match &mut self.decoder {
            FaxDecoder::Ended => &[],
            FaxDecoder::Group3(decoder) => {
                Self::check_group3(decoder, self.width)?;
                decoder.transitions()
            }
            FaxDecoder::Group4(decoder) => match decoder.advance().map_err(io::Error::other)? {
                DecodeStatus::Incomplete => decoder.transition(),
                DecodeStatus::End => {
                    self.decoder = FaxDecoder::Ended;
                    &[]
                }
            },
        };
        // Pixels are black from each odd edge to the next edge, or to the end of the row.
        for black in edges.chunks(2) {
            let end = black.get(1).copied().unwrap_or(self.width).min(self.width);
            (black[0]..end).for_each(|x| row[usize::from(x / 8)] |= 0x80 >> (x % 8));
        }
        Ok(row.len())
    }
}
