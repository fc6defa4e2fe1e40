//! Checks a JPEG's entropy-coded data for damage and repairs a damaged file: it writes an intact file that shows as
//! much of the picture as can be read.
//!
//! The decoders used here either reject a file with a damaged scan or invent the missing part. Viewers resume at the
//! next restart marker and show grey for missing parts. So this module reads each scan, Huffman code by Huffman code,
//! and writes it again: readable blocks with the same coefficients, and other blocks without any. The result is a
//! valid file for the same decoders.

use super::bits::{BitSink, BitWriter, Bits, DC_CATEGORIES, DC_LENGTHS, Discard, Tables};
use super::restarts::Intervals;
use super::scan::{AC_SYMBOLS, Scan, ac_lengths};
use super::split::write;
use super::walk::{JpegLayout, ScanHeader, Segment, restart_interval};
use super::{InputFormat, PhotoError, broken};
use crate::photo::Damage;
use crate::photo::jpeg::marker::{DHT, DQT, DRI, EOI, SOI, SOS};

/// Minimum readable part of a picture: one in this many MCUs.
const LEAST_SHARE: u64 = 10;

/// Maximum size of the repaired file, relative to the original; 1 MiB is allowed in addition. Ordinary files grow by a
/// third.
const MOST_GROWTH: usize = 4;

/// Reads a file and describes what is missing from its picture; `None` if nothing is missing.
pub(super) fn check(
    bytes: &[u8],
    layout: &JpegLayout,
    size: (u32, u32),
) -> Result<Option<Damage>, PhotoError> {
    let mut mender = Repair::new(layout, size, None);
    mender.read(bytes)?;
    Ok(mender.damage())
}

/// Returns the repaired file.
pub(super) fn mend(bytes: &[u8], layout: &JpegLayout, size: (u32, u32)) -> Result<Vec<u8>, PhotoError> {
    let mut mender = Repair::new(layout, size, Some(vec![0xFF, SOI]));
    mender.read(bytes)?;
    let mut out = mender.out.unwrap_or_default();
    out.extend([0xFF, EOI]);
    Ok(out)
}

/// The part of a scan that was lost.
#[derive(Clone, Copy, Default)]
struct ScanLoss {
    mcus: usize,
    missing: usize,
    /// Index of the MCU after the last one that was read.
    last: usize,
    /// Whether unread data remained before a restart marker, which shows that blocks were read from damaged data.
    left_over: bool,
}

impl ScanLoss {
    fn read(&self) -> usize {
        self.mcus - self.missing
    }
}

struct Repair<'a> {
    layout: &'a JpegLayout,
    size: (u32, u32),
    tables: Tables,
    /// MCUs between restart markers; 0 if there are none.
    interval: usize,
    /// The repaired file, if one is written.
    out: Option<Vec<u8>>,
    /// For each component of a progressive picture, one bit mask per block: the coefficients that are not zero, in
    /// zigzag order. The meaning of later scans depends on them.
    nonzero: Vec<Vec<u64>>,
    /// For each component and coefficient, the lowest bit in the last scan that contained it; `None` before such a
    /// scan.
    lowest_bit: Vec<[Option<u8>; 64]>,
    /// The loss of the first component's first scan.
    picture: Option<ScanLoss>,
    color_is_lost: bool,
    detail_is_lost: bool,
}

impl<'a> Repair<'a> {
    fn new(layout: &'a JpegLayout, size: (u32, u32), out: Option<Vec<u8>>) -> Self {
        let components = layout.frame.components.len();
        Self {
            layout,
            size,
            tables: Tables::default(),
            interval: 0,
            out,
            nonzero: vec![Vec::new(); components],
            lowest_bit: vec![[None; 64]; components],
            picture: None,
            color_is_lost: false,
            detail_is_lost: false,
        }
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), PhotoError> {
        let unreadable = || broken(InputFormat::Jpeg, "nearly all of the picture is unreadable");
        if !self.layout.has_data_for(bytes, self.size, LEAST_SHARE) {
            return Err(unreadable());
        }
        for segment in &self.layout.segments {
            self.segment(bytes, segment);
            if self.out.as_ref().is_some_and(|out| out.len() > MOST_GROWTH * bytes.len() + (1 << 20)) {
                return Err(broken(InputFormat::Jpeg, "its Huffman codes are invalid"));
            }
        }
        self.picture.filter(|loss| loss.read() * LEAST_SHARE as usize >= loss.mcus).ok_or_else(unreadable)?;
        self.add_missing_scans();
        Ok(())
    }

    /// Copies a segment or rewrites a scan. The repaired file has its own Huffman tables and no restart markers.
    fn segment(&mut self, bytes: &[u8], segment: &Segment) {
        let body = &bytes[segment.body.clone()];
        match segment.marker {
            // A table with invalid codes counts as missing: scans that need it cannot be read.
            DHT => self.tables.read_codes(body).unwrap_or_default(),
            DRI => self.interval = restart_interval(bytes, segment),
            SOS => match self.layout.scan_header(bytes, segment) {
                Some(header) => {
                    self.scan(&header, Some(Intervals::new(bytes, segment, self.interval)));
                }
                None => self.detail_is_lost = true,
            },
            DQT | 0xC0..=0xC2 | 0xE0..=0xEF => {
                if segment.marker == DQT {
                    self.tables.read_steps(body);
                }
                if let Some(out) = &mut self.out {
                    write(out, segment.marker, body);
                }
            }
            _ => {}
        }
    }

    /// Reads a scan, and writes it if a repaired file is written. Without `intervals`, all its blocks count as missing.
    fn scan(&mut self, header: &ScanHeader, intervals: Option<Intervals<'_>>) {
        // Only AC scans that refine earlier scans depend on the coefficients that the earlier scans contained.
        let mut nonzero = match header.members[..] {
            [(place, ..)] if header.band.0 > 0 => std::mem::take(&mut self.nonzero[place]),
            _ => Vec::new(),
        };
        let (mcus, _) = self.layout.mcus(header, self.size);
        nonzero.resize(if header.band.0 > 0 { mcus } else { 0 }, 0);
        let loss = match self.out.take() {
            None => copy(
                Scan::new(self.layout, &self.tables, header, &mut Discard, &mut nonzero),
                mcus,
                intervals,
            ),
            Some(mut out) => {
                self.write_header(header, &mut out);
                let mut writer = BitWriter::new(&mut out);
                let scan = Scan::new(self.layout, &self.tables, header, &mut writer, &mut nonzero);
                let loss = copy(scan, mcus, intervals);
                writer.finish();
                self.out = Some(out);
                loss
            }
        };
        self.note(header, loss, nonzero);
    }

    /// Writes a scan's header and its Huffman tables.
    fn write_header(&self, header: &ScanHeader, out: &mut Vec<u8>) {
        let ScanHeader { members, band, bits } = header;
        let mut dc = vec![0];
        dc.extend(DC_LENGTHS);
        dc.extend(0..DC_CATEGORIES);
        write(out, DHT, &dc);
        let mut ac = vec![0x10];
        ac.extend(ac_lengths());
        ac.extend(AC_SYMBOLS.iter());
        write(out, DHT, &ac);
        let mut body = vec![members.len() as u8];
        body.extend(members.iter().flat_map(|&(place, ..)| [self.layout.frame.components[place].id, 0]));
        body.extend([band.0, band.1, bits.0 << 4 | bits.1]);
        write(out, SOS, &body);
    }

    /// Records which coefficients a scan contained and what was lost.
    fn note(&mut self, header: &ScanHeader, loss: ScanLoss, nonzero: Vec<u64>) {
        for &(place, ..) in &header.members {
            for coefficient in header.band.0..=header.band.1 {
                self.lowest_bit[place][usize::from(coefficient)] = Some(header.bits.1);
            }
        }
        let has_picture = header.members.iter().any(|&(place, ..)| place == 0);
        match (header.band.0, has_picture) {
            (0, true) if self.picture.is_none() => self.picture = Some(loss),
            (0, false) if header.bits.0 == 0 => self.color_is_lost |= loss.missing > 0,
            _ => self.detail_is_lost |= loss.missing > 0,
        }
        self.detail_is_lost |= loss.left_over;
        if let [(place, ..)] = header.members[..]
            && header.band.0 > 0
        {
            self.nonzero[place] = nonzero;
        }
    }

    /// Writes a grey scan for each component without a scan of its DC coefficient, because decoders reject a picture
    /// that lacks a component.
    fn add_missing_scans(&mut self) {
        for place in 0..self.lowest_bit.len() {
            if self.lowest_bit[place][0].is_some() {
                continue;
            }
            let band = if self.layout.frame.progressive { (0, 0) } else { (0, 63) };
            let header = ScanHeader { members: vec![(place, 0, 0)], band, bits: (0, 0) };
            self.scan(&header, None);
        }
    }

    /// Describes what is missing, for a person; `None` if nothing is missing.
    fn damage(&self) -> Option<Damage> {
        let loss = self.picture.unwrap_or_default();
        let percent = (100 * loss.missing).div_ceil(loss.mcus.max(1));
        // A file that ends between two scans lacks the later ones.
        let unrefined = |bit: &Option<u8>| bit.is_none_or(|bit| bit > 0);
        let lacks_detail = !self.layout.has_end && self.lowest_bit.iter().flatten().any(unrefined);
        let words = if loss.missing > 0 && loss.missing == loss.mcus - loss.last {
            format!("The last {percent} % of the picture is missing.")
        } else if loss.missing > 0 {
            format!("About {percent} % of the picture cannot be read.")
        } else if self.color_is_lost {
            "Some of the picture's colours cannot be read.".to_owned()
        } else if self.detail_is_lost || lacks_detail {
            "Some of the picture's details cannot be read.".to_owned()
        } else {
            return None;
        };
        Some(Damage(words))
    }
}

/// Copies a scan's intervals and leaves out the parts that cannot be read.
fn copy<O: BitSink>(mut scan: Scan<'_, O>, mcus: usize, mut intervals: Option<Intervals<'_>>) -> ScanLoss {
    let mut loss = ScanLoss { mcus, ..ScanLoss::default() };
    let mut first = 0;
    while first < mcus {
        let length = intervals.as_ref().and_then(Intervals::length);
        let end = length.map_or(mcus, |length| mcus.min(first + length));
        let data = intervals.as_mut().and_then(Intervals::next);
        let read = data.map_or(0, |data| {
            let mut bits = Bits::new(data);
            let read = (first..end).take_while(|&mcu| scan.copy(&mut bits, mcu)).count();
            loss.left_over |= read == end - first && end < mcus && bits.unread() > 0;
            read
        });
        scan.restart();
        (first + read..end).for_each(|mcu| scan.leave_out(mcu));
        loss.missing += end - first - read;
        if read > 0 {
            loss.last = first + read;
        }
        first = end;
    }
    loss
}
