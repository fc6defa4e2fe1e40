//! Decompresses one strip or tile to a stream of its rows.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::ZlibDecoder;
use weezl::{BitOrder, LzwStatus, decode};

use super::layout::{Compression, TiffLayout};
use super::{damaged, fax, jpeg};
use crate::photo::PhotoError;

/// Opens a strip or tile; returns a stream of its decompressed bytes. The error `Broken` means that only this strip or
/// tile cannot be read.
pub(super) fn open<'a>(layout: &TiffLayout<'a>, unit: usize) -> Result<Box<dyn Read + 'a>, PhotoError> {
    let data = layout.data(unit).ok_or_else(|| damaged("a strip or tile is cut off"))?;
    let first_bytes = data.get(..2).map(|bytes| [bytes[0], bytes[1]]);
    let data: Box<dyn BufRead + 'a> = match layout.low_bit_first {
        true => Box::new(BufReader::with_capacity(8192.min(data.len()), LowBitFirst(data))),
        false if layout.compression == Compression::Jpeg => {
            return Ok(Box::new(Cursor::new(jpeg::decode(layout, data)?)));
        }
        false => Box::new(data),
    };
    Ok(match layout.compression {
        Compression::None | Compression::Jpeg => Box::new(data),
        Compression::PackBits => Box::new(PackBits { data, run: Run::Literal(0) }),
        Compression::Deflate => Box::new(ZlibDecoder::new(data)),
        Compression::Lzw => {
            // LZW data from before TIFF 5.0 stores codes from the lowest bit on. It starts with the clear code, which
            // gives these two bytes.
            let old = matches!(first_bytes, Some([0, second]) if second & 1 == 1);
            let configuration = match old {
                true => decode::Configuration::new(BitOrder::Lsb, 8),
                false => decode::Configuration::with_tiff_size_switch(BitOrder::Msb, 8),
            };
            Box::new(Lzw { data, decoder: configuration.with_yield_on_full_buffer(true).build() })
        }
        Compression::Group3 => Box::new(fax::FaxRows::group3(data, layout.unit.0)?),
        Compression::Group4 => Box::new(fax::FaxRows::group4(data, layout.unit.0)?),
    })
}

/// Reverses the bits of each byte.
struct LowBitFirst<'a>(&'a [u8]);

impl Read for LowBitFirst<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(out)?;
        out[..count].iter_mut().for_each(|byte| *byte = byte.reverse_bits());
        Ok(count)
    }
}

struct Lzw<R> {
    data: R,
    decoder: decode::Decoder,
}

impl<R: BufRead> Read for Lzw<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let result = self.decoder.decode_bytes(self.data.fill_buf()?, out);
            self.data.consume(result.consumed_in);
            match result.status {
                Ok(LzwStatus::Ok) if result.consumed_out == 0 => {}
                Ok(LzwStatus::Ok | LzwStatus::Done) => return Ok(result.consumed_out),
                Ok(LzwStatus::NoProgress) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
        }
    }
}

/// The current run and the number of its remaining bytes.
enum Run {
    Literal(usize),
    Repeated(u8, usize),
}

/// Decompresses Apple's PackBits (TIFF 6.0, section 9).
struct PackBits<R> {
    data: R,
    run: Run,
}

impl<R: BufRead> PackBits<R> {
    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.data.read_exact(&mut byte)?;
        Ok(byte[0])
    }
}

impl<R: BufRead> Read for PackBits<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while matches!(self.run, Run::Literal(0) | Run::Repeated(_, 0)) {
            let length = self.byte()?;
            self.run = match length as i8 {
                // -128 has no meaning and is skipped.
                i8::MIN => continue,
                -127..0 => Run::Repeated(self.byte()?, 257 - usize::from(length)),
                0.. => Run::Literal(usize::from(length) + 1),
            };
        }
        let room = out.len();
        match &mut self.run {
            Run::Literal(left) => {
                let count = self.data.read(&mut out[..room.min(*left)])?;
                *left -= count;
                Ok(count)
            }
            Run::Repeated(byte, left) => {
                let count = room.min(*left);
                out[..count].fill(*byte);
                *left -= count;
                Ok(count)
            }
        }
    }
}

/// Converts decompressed YCbCr data to rows of Y, Cb, Cr. The data consists of blocks: the luma of several pixels,
/// then the two colour differences that they share (TIFF 6.0, section 21).
pub(super) struct Subsampled<R> {
    data: R,
    width: usize,
    across: usize,
    down: usize,
    blocks: Vec<u8>,
    /// The next row within the blocks.
    next: usize,
}

impl<R: Read> Subsampled<R> {
    pub(super) fn new(data: R, width: u32, (across, down): (u32, u32)) -> Self {
        let (width, across, down) = (width as usize, across as usize, down as usize);
        let blocks = vec![0; width.div_ceil(across) * (across * down + 2)];
        Self { data, width, across, down, blocks, next: down }
    }
}

impl<R: Read> Read for Subsampled<R> {
    /// Reads one row; `out` must have room for it.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let row = 3 * self.width;
        if out.len() < row {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if self.next == self.down {
            self.data.read_exact(&mut self.blocks)?;
            self.next = 0;
        }
        let luma = self.across * self.down;
        for (x, pixel) in out[..row].as_chunks_mut::<3>().0.iter_mut().enumerate() {
            let block = &self.blocks[x / self.across * (luma + 2)..][..luma + 2];
            *pixel = [block[self.next * self.across + x % self.across], block[luma], block[luma + 1]];
        }
        self.next += 1;
        Ok(row)
    }
}
