//! Decodes baseline files row by row, and checks them while doing so.
//!
//! Most photographs are baseline files with one scan of grey, or of Y, Cb and Cr, at one of four samplings. For these,
//! this decoder takes less than half of zune-jpeg's time: it reads each Huffman code once (elsewhere a check for damage
//! reads all codes before a decoder does), uses vector instructions, and needs memory only for two rows of MCUs
//! (minimum coded units). Samples are equal to zune-jpeg's, because pixel keys depend on them: the paid colour of a photograph
//! must be found in caches that were written when zune-jpeg decoded these files.

mod entropy;
mod idct;
#[cfg(test)]
mod tests;
mod upsample;

use std::num::Wrapping;

use super::bits::{Bits, Tables};
use super::colors::Colors;
use super::restarts::Intervals;
use super::walk::{self, JpegLayout, ScanHeader, Segment};
use crate::photo::decode::feed::Feed;
use crate::photo::decode::sink::RowPosition;
use crate::photo::jpeg::marker::{DHT, DQT, DRI, SOS};
use crate::photo::simd::vectorized;
use entropy::BlockReader;
use upsample::Upsampler;

/// A file that this module can decode, up to damage in its coded data.
pub(super) struct Baseline<'a> {
    bytes: &'a [u8],
    layout: &'a JpegLayout,
    size: (u32, u32),
    scan: &'a Segment,
    header: ScanHeader,
    tables: Tables,
    /// MCUs between restart markers; 0 if there are none.
    interval: usize,
    /// Whether the components are Y, Cb and Cr.
    convert: bool,
}

impl<'a> Baseline<'a> {
    /// `None` if the file has another structure or lacks something.
    pub(super) fn of(
        bytes: &'a [u8],
        layout: &'a JpegLayout,
        size: (u32, u32),
        colors: Colors,
    ) -> Option<Self> {
        let frame = &layout.frame;
        let sampled = match &frame.components[..] {
            [_] => true,
            [first, others @ ..] => {
                matches!(first.sampling, (1 | 2, 1 | 2))
                    && others.iter().all(|other| other.sampling == (1, 1))
            }
            [] => false,
        };
        let known = matches!(colors, Colors::Gray | Colors::Ycc | Colors::Rgb);
        (sampled && known && !frame.progressive && frame.precision == 8).then_some(())?;
        (layout.is_sound(bytes, size) && layout.has_data_for(bytes, size, 1)).then_some(())?;
        let mut scans = layout.scans();
        let (scan, None) = (scans.next()?, scans.next()) else { return None };
        let header = layout.scan_header(bytes, scan)?;
        (header.members.iter().map(|member| member.0).eq(0..frame.components.len())).then_some(())?;
        let (mut tables, mut interval) = (Tables::default(), 0);
        for segment in layout.segments.iter().take_while(|segment| segment.marker != SOS) {
            let body = bytes.get(segment.body.clone())?;
            match segment.marker {
                DHT => tables.read_codes(body)?,
                DQT => tables.read_steps(body),
                DRI => interval = walk::restart_interval(bytes, segment),
                _ => {}
            }
        }
        Some(Self { bytes, layout, size, scan, header, tables, interval, convert: colors == Colors::Ycc })
    }

    /// Passes all rows to the sink. `None` if the coded data is damaged; rows may have been passed nevertheless.
    pub(super) fn decode(&self, feed: &mut Feed<'_>) -> Option<()> {
        let mut components = self.components()?;
        let mut rows = RowWriter::new(self, &components);
        let (mcus, _) = self.layout.mcus(&self.header, self.size);
        let across = components[0].mcus;
        let mut position = Position {
            intervals: Intervals::new(self.bytes, self.scan, self.interval),
            bits: Bits::new(&[]),
            left: 0,
        };
        for mcu_row in 0..mcus.checked_div(across)? {
            vectorized(
                #[inline(always)]
                || self.read_mcus(mcu_row, across, &mut components, &mut position),
            )?;
            rows.write(mcu_row, &components, feed);
        }
        Some(())
    }

    fn components(&self) -> Option<Vec<Component<'_>>> {
        let most = self.layout.frame.sampling();
        let single = self.header.members.len() == 1;
        let component = |&(place, dc, ac): &(usize, u8, u8)| {
            let component = self.layout.frame.components[place];
            // A scan of one component has no padding for other components (ITU T.81, A.2.2).
            let (across, down) = if single { (1, 1) } else { component.sampling };
            let (mcu_width, mcu_height) = if single { (1, 1) } else { most };
            let mcus = |length: u32, factor: u8| (length as usize).div_ceil(8 * usize::from(factor));
            let mcus = (mcus(self.size.0, mcu_width), mcus(self.size.1, mcu_height));
            let steps = self.tables.steps.get(usize::from(component.table))?.as_ref()?;
            let codes = (self.tables.dc.get(usize::from(dc))?, self.tables.ac.get(usize::from(ac))?);
            let (across, down) = (usize::from(across), usize::from(down));
            let size = (mcus.0 * across * 8, mcus.1 * down * 8);
            Some(Component {
                reader: BlockReader::new(codes.0.as_ref()?, codes.1.as_ref()?, steps),
                blocks: (across, down),
                mcus: mcus.0,
                size,
                samples: vec![0; size.0 * down * 16],
            })
        };
        self.header.members.iter().map(component).collect()
    }

    /// Reads a row of MCUs.
    #[inline(always)]
    fn read_mcus(
        &self,
        mcu_row: usize,
        across: usize,
        components: &mut [Component<'_>],
        position: &mut Position<'_>,
    ) -> Option<()> {
        for column in 0..across {
            if position.left == 0 {
                position.next_interval(self.interval)?;
                components.iter_mut().for_each(|component| component.reader.restart());
            }
            position.left -= 1;
            for component in components.iter_mut() {
                component.read_mcu(mcu_row, column, &mut position.bits)?;
            }
        }
        Some(())
    }
}

/// The position in the coded data.
struct Position<'a> {
    intervals: Intervals<'a>,
    bits: Bits<'a>,
    /// MCUs before the next restart marker.
    left: usize,
}

impl Position<'_> {
    /// Begins the next interval; `None` if it is missing or the last one has more data than its MCUs, which shows that
    /// blocks were read from damaged data.
    fn next_interval(&mut self, length: usize) -> Option<()> {
        (self.bits.unread() == 0).then_some(())?;
        self.bits = Bits::new(self.intervals.next()?);
        self.left = if length > 0 { length } else { usize::MAX };
        Some(())
    }
}

/// A component's tables, and its samples in two rows of MCUs: the current and the previous one.
struct Component<'a> {
    reader: BlockReader<'a>,
    /// Blocks of an MCU, side by side and one below the other.
    blocks: (usize, usize),
    /// MCUs in a row.
    mcus: usize,
    /// Samples in a row, and rows. Both are whole MCUs.
    size: (usize, usize),
    samples: Vec<u8>,
}

impl Component<'_> {
    #[inline(always)]
    fn read_mcu(&mut self, mcu_row: usize, column: usize, bits: &mut Bits<'_>) -> Option<()> {
        let (across, down) = self.blocks;
        for y in 0..down {
            for x in 0..across {
                let mut block = [[Wrapping(0); 8]; 8];
                let samples = match self.reader.read(bits, &mut block)? {
                    true => idct::samples(&block),
                    false => [[idct::flat(block[0][0].0); 8]; 8],
                };
                let top = (mcu_row % 2 * down + y) * 8;
                let begin = top * self.size.0 + (column * across + x) * 8;
                let rows = self.samples[begin..].chunks_mut(self.size.0);
                for (row, samples) in rows.zip(&samples) {
                    row[..8].copy_from_slice(samples);
                }
            }
        }
        Some(())
    }

    /// Row `y` of the component, which must be in the current row of MCUs or in the previous one.
    fn row(&self, y: usize) -> &[u8] {
        &self.samples[y % (self.blocks.1 * 16) * self.size.0..][..self.size.0]
    }
}

/// Makes the picture's rows from those of its components.
struct RowWriter {
    /// The picture's size.
    size: (usize, usize),
    /// Rows of the picture in a row of MCUs.
    mcu_height: usize,
    /// Whether the last row needs samples of the next row of MCUs.
    late: bool,
    /// As in [`Baseline`].
    convert: bool,
    /// For the second and the third component.
    upsamplers: Vec<Upsampler>,
    rgb: Vec<[u8; 3]>,
    /// Rows written.
    done: usize,
}

impl RowWriter {
    fn new(file: &Baseline<'_>, components: &[Component<'_>]) -> Self {
        let size = (file.size.0 as usize, file.size.1 as usize);
        let (across, down) = components[0].blocks;
        let upsampler =
            |component: &Component<'_>| Upsampler::new((across == 2, down == 2), component.size.0);
        let late = components.len() > 1 && down == 2;
        Self {
            size,
            mcu_height: down * 8,
            late,
            convert: file.convert,
            upsamplers: components[1..].iter().map(upsampler).collect(),
            rgb: vec![[0; 3]; if components.len() > 1 { size.0 } else { 0 }],
            done: 0,
        }
    }

    /// Passes on all rows that are complete after a row of MCUs.
    fn write(&mut self, mcu_row: usize, components: &[Component<'_>], feed: &mut Feed<'_>) {
        let below = (mcu_row + 1) * self.mcu_height;
        let end = if below >= self.size.1 { self.size.1 } else { below - usize::from(self.late) };
        for y in self.done..end {
            self.write_row(y, components, feed);
        }
        self.done = end;
    }

    fn write_row(&mut self, y: usize, components: &[Component<'_>], feed: &mut Feed<'_>) {
        let (place, first) = (RowPosition::row(y), components[0].row(y));
        let ([_, blue, red], [for_blue, for_red]) = (components, &mut self.upsamplers[..]) else {
            return feed.row8(place, &first[..self.size.0]);
        };
        vectorized(
            #[inline(always)]
            || {
                let second = for_blue.row(y, blue.size.1, |y| blue.row(y));
                let third = for_red.row(y, red.size.1, |y| red.row(y));
                match self.convert {
                    true => upsample::to_rgb(first, second, third, &mut self.rgb),
                    false => upsample::interleave(first, second, third, &mut self.rgb),
                }
            },
        );
        feed.row8(place, self.rgb.as_flattened());
    }
}
