//! Extracts one component from a progressive JPEG as a grey JPEG of its own.
//!
//! Decoding a progressive file needs all coefficients of all components in memory: 300 MB for 50 megapixels, before
//! the first pixel. Decoding one component after the other needs a third of that. AC scans belong to one component
//! and are copied; DC scans may contain several components and are rewritten with the wanted one only (ITU T.81,
//! annex G).

use super::bits::{BitSink, BitWriter, Bits, DC_CATEGORIES, DC_LENGTHS, Tables, dc_codes};
use super::restarts::Intervals;
use super::walk::{Component, JpegLayout, Segment, restart_interval};
use super::{InputFormat, PhotoError, broken};
use crate::photo::jpeg::marker::{DHT, DQT, DRI, EOI, SOI, SOS};

const SOF2: u8 = 0xC2;

/// Returns the grey JPEG of the component with this index in the frame.
pub(super) fn component(
    bytes: &[u8],
    layout: &JpegLayout,
    (width, height): (u32, u32),
    place: usize,
) -> Result<Vec<u8>, PhotoError> {
    let wanted = layout.frame.components[place];
    let (cols, rows) = layout.frame.size_of(wanted, (width, height));
    let mut split = Split { layout, wanted, size: (width, height), tables: Tables::default(), restart: 0 };
    let mut out = vec![0xFF, SOI];
    for segment in &layout.segments {
        let body = &bytes[segment.body.clone()];
        match segment.marker {
            DQT => write(&mut out, DQT, body),
            DHT => {
                split.tables.read_codes(body).ok_or_else(damaged)?;
                write(&mut out, DHT, body);
            }
            DRI => {
                split.restart = restart_interval(bytes, segment);
                write(&mut out, DRI, body);
            }
            SOF2 => {
                let [high, low] = (rows as u16).to_be_bytes();
                let [wide, narrow] = (cols as u16).to_be_bytes();
                write(&mut out, SOF2, &[8, high, low, wide, narrow, 1, wanted.id, 0x11, wanted.table]);
            }
            SOS => split.scan(bytes, segment, &mut out).ok_or_else(damaged)?,
            _ => {}
        }
    }
    out.extend([0xFF, EOI]);
    Ok(out)
}

fn damaged() -> PhotoError {
    broken(InputFormat::Jpeg, "a Huffman table or a scan is invalid")
}

pub(super) fn write(out: &mut Vec<u8>, marker: u8, body: &[u8]) {
    out.extend([0xFF, marker]);
    out.extend(((body.len() + 2) as u16).to_be_bytes());
    out.extend(body);
}

/// The file's layout, the wanted component, and what the segments before the current one set.
struct Split<'a> {
    layout: &'a JpegLayout,
    wanted: Component,
    size: (u32, u32),
    tables: Tables,
    /// MCUs between restart markers; 0 if there are none.
    restart: usize,
}

impl Split<'_> {
    /// Copies, rewrites or omits a scan; `None` if the scan is invalid.
    fn scan(&self, bytes: &[u8], segment: &Segment, out: &mut Vec<u8>) -> Option<()> {
        let data = &bytes[segment.data.clone()];
        let header = self.layout.scan_header(bytes, segment)?;
        let is_wanted = |id: u8| id == self.wanted.id;
        let members = &header.members;
        if !members.iter().any(|&(place, ..)| is_wanted(self.layout.frame.components[place].id)) {
            return Some(());
        }
        if members.len() == 1 {
            write(out, SOS, &bytes[segment.body.clone()]);
            out.extend(data);
            return Some(());
        }
        let (before, bits) = header.bits;
        let refine = before != 0;
        let values = self.dc_values(members, refine, Intervals::new(bytes, segment, self.restart))?;
        write(out, DRI, &[0, 0]);
        if !refine {
            let mut body = vec![0];
            body.extend(DC_LENGTHS);
            body.extend(0..DC_CATEGORIES);
            write(out, DHT, &body);
        }
        write(out, SOS, &[1, self.wanted.id, 0, 0, 0, before << 4 | bits]);
        self.write_dc(&values, refine, out)?;
        write(out, DRI, &(self.restart as u16).to_be_bytes());
        Some(())
    }

    /// Blocks of the wanted component across and down in an interleaved scan, which has only whole MCUs.
    fn padded(&self) -> (usize, usize) {
        let (mcus_x, mcus_y) = self.mcus();
        (mcus_x * usize::from(self.wanted.sampling.0), mcus_y * usize::from(self.wanted.sampling.1))
    }

    fn mcus(&self) -> (usize, usize) {
        let (x, y) = self.layout.frame.sampling();
        let mcus = |side: u32, sampling: u8| side.div_ceil(8 * u32::from(sampling)) as usize;
        (mcus(self.size.0, x), mcus(self.size.1, y))
    }

    /// Reads the wanted component's DC coefficients, or their refining bits, block by block; `None` if the data is
    /// invalid.
    fn dc_values(
        &self,
        members: &[(usize, u8, u8)],
        refine: bool,
        mut intervals: Intervals<'_>,
    ) -> Option<Vec<i16>> {
        let component = |&(place, table, _): &(usize, u8, u8)| (&self.layout.frame.components[place], table);
        let members: Vec<(&Component, u8)> = members.iter().map(component).collect();
        let (across, down) = self.padded();
        let mut values = vec![0; across * down];
        let mut before = [0_i32; 4];
        let (mcus_x, mcus_y) = self.mcus();
        let mut bits = Bits::new(intervals.next()?);
        for mcu in 0..mcus_x * mcus_y {
            if self.restart != 0 && mcu != 0 && mcu.is_multiple_of(self.restart) {
                bits = Bits::new(intervals.next()?);
                before = [0; 4];
            }
            for (&(component, table), before) in members.iter().zip(&mut before) {
                let (x, y) = component.sampling;
                for block in 0..usize::from(x) * usize::from(y) {
                    let value = if refine {
                        bits.take(1)? as i32
                    } else {
                        let codes = self.tables.dc.get(usize::from(table))?.as_ref()?;
                        *before = before.checked_add(bits.difference(codes)?)?;
                        *before
                    };
                    if component.id == self.wanted.id {
                        let (x, y) = (usize::from(x), usize::from(y));
                        let row = mcu / mcus_x * y + block / x;
                        values[row * across + mcu % mcus_x * x + block % x] = i16::try_from(value).ok()?;
                    }
                }
            }
        }
        Some(values)
    }

    /// Writes the blocks in the order of a scan with one component, without the padding blocks of MCUs.
    fn write_dc(&self, values: &[i16], refine: bool, out: &mut Vec<u8>) -> Option<()> {
        let (cols, rows) = self.layout.frame.size_of(self.wanted, self.size);
        let (across, down) = (cols.div_ceil(8) as usize, rows.div_ceil(8) as usize);
        let codes = dc_codes();
        let mut writer = BitWriter::new(out);
        let mut before = 0;
        for row in values.chunks_exact(self.padded().0).take(down) {
            for &value in &row[..across] {
                if refine {
                    writer.put(value as u32, 1);
                    continue;
                }
                let difference = i32::from(value) - before;
                before = value.into();
                writer.put_difference(&codes, difference)?;
            }
        }
        writer.finish();
        Some(())
    }
}
