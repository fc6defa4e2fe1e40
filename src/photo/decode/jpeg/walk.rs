//! Reads the structure of a JPEG (ITU T.81, annex B) without decoding, so that a file with a thousand scans is rejected
//! before memory or time is spent on it, and a damaged file is detected.

use super::{InputFormat, PhotoError, broken};
use crate::photo::jpeg::marker::{DRI, EOI, SOF0, SOI, SOS};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) progressive: bool,
    /// Bits of a sample.
    pub(super) precision: u8,
    pub(super) components: Vec<Component>,
}

/// One component of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Component {
    pub(super) id: u8,
    /// Horizontal and vertical sampling factor, 1 to 4.
    pub(super) sampling: (u8, u8),
    /// Number of the quantization table.
    pub(super) table: u8,
}

/// A marker and the positions of its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// The byte after 0xFF.
    pub(super) marker: u8,
    /// The parameters, without their length field.
    pub(super) body: std::ops::Range<usize>,
    /// The entropy-coded data after a scan header; empty for any other segment.
    pub(super) data: std::ops::Range<usize>,
}

pub(super) struct JpegLayout {
    pub(super) frame: Frame,
    /// All segments up to the end of the image, or up to the damage.
    pub(super) segments: Vec<Segment>,
    /// Whether an end-of-image marker follows the last segment.
    pub(super) has_end: bool,
}

/// A scan header (ITU T.81, B.2.3).
pub(super) struct ScanHeader {
    /// For each component: its index in the frame, and the numbers of its DC table and AC table.
    pub(super) members: Vec<(usize, u8, u8)>,
    /// First and last coefficient, in zigzag order.
    pub(super) band: (u8, u8),
    /// Successive approximation: bit position of the previous scan (0 for none) and of this one.
    pub(super) bits: (u8, u8),
}

const SOF2: u8 = 0xC2;

/// Maximum segments; cameras write ten to a few hundred.
const MAX_SEGMENTS: usize = 10_000;

impl JpegLayout {
    /// Finds all segments up to the end of the image and ignores data after it. If the file ends too early or is
    /// invalid, the segments before that point are returned if one of them is a scan. Otherwise an error is returned.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, PhotoError> {
        let damaged = |what: &str| broken(InputFormat::Jpeg, what);
        let mut walk = Walk { bytes, at: 2, frame: None, segments: Vec::new() };
        let has_end = loop {
            match walk.step() {
                Ok(true) => {}
                Ok(false) => break true,
                Err(_) if walk.segments.iter().any(|segment| segment.marker == SOS) => break false,
                Err(what) => return Err(damaged(what)),
            }
            if walk.segments.len() > MAX_SEGMENTS {
                return Err(damaged("it has too many segments"));
            }
        };
        let frame = walk.frame.ok_or_else(|| damaged("it has no frame"))?;
        Ok(Self { frame, segments: walk.segments, has_end })
    }

    pub(super) fn scans(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(|segment| segment.marker == SOS)
    }

    /// Reads a scan's header; `None` if it is invalid for this frame.
    pub(super) fn scan_header(&self, bytes: &[u8], scan: &Segment) -> Option<ScanHeader> {
        let (&count, rest) = bytes.get(scan.body.clone())?.split_first()?;
        let (members, &[first, last, bits]) = rest.split_at_checked(usize::from(count) * 2)? else {
            return None;
        };
        let place = |id: u8| self.frame.components.iter().position(|component| component.id == id);
        let member = |&[id, tables]: &[u8; 2]| Some((place(id)?, tables >> 4, tables & 15));
        let members: Vec<_> = members.as_chunks().0.iter().map(member).collect::<Option<_>>()?;
        let (band, bits) = match self.frame.progressive {
            true => ((first, last), (bits >> 4, bits & 15)),
            false => ((0, 63), (0, 0)),
        };
        let sensible = (1..=4).contains(&members.len()) && band.0 <= band.1 && band.1 < 64 && bits.1 <= 13;
        (sensible && (members.len() == 1 || !self.frame.progressive || band.1 == 0)).then_some(ScanHeader {
            members,
            band,
            bits,
        })
    }

    /// Number of MCUs in a scan, and number of blocks of all components in each MCU.
    pub(super) fn mcus(&self, scan: &ScanHeader, size: (u32, u32)) -> (usize, usize) {
        let component = |place: usize| self.frame.components.get(place).copied();
        if let [(place, ..)] = scan.members[..] {
            // A scan of one component has no padding for the other components (ITU T.81, A.2.2).
            let Some(component) = component(place) else { return (0, 0) };
            let (width, height) = self.frame.size_of(component, size);
            return (width.div_ceil(8) as usize * height.div_ceil(8) as usize, 1);
        }
        let (x, y) = self.frame.sampling();
        let across = size.0.div_ceil(8 * u32::from(x)) as usize;
        let down = size.1.div_ceil(8 * u32::from(y)) as usize;
        let blocks = |&(place, ..): &(usize, u8, u8)| component(place).map_or(0, |c| c.blocks());
        (across * down, scan.members.iter().map(blocks).sum())
    }

    /// Whether the structure is intact: there is an end marker, every scan header is valid, and every scan has all
    /// its restart markers in order.
    pub(super) fn is_sound(&self, bytes: &[u8], size: (u32, u32)) -> bool {
        let mut interval = 0;
        self.has_end
            && self.segments.iter().all(|segment| match segment.marker {
                DRI => {
                    interval = restart_interval(bytes, segment);
                    true
                }
                SOS => {
                    let Some(scan) = self.scan_header(bytes, segment) else { return false };
                    let (mcus, _) = self.mcus(&scan, size);
                    let expected = mcus.saturating_sub(1).checked_div(interval).unwrap_or_default();
                    let mut found = 0;
                    let in_order = restarts(bytes, segment).all(|(number, _)| {
                        found += 1;
                        usize::from(number) == (found - 1) % 8
                    });
                    in_order && found == expected
                }
                _ => true,
            })
    }

    /// Whether zune-jpeg decodes the layout as libjpeg does. zune-jpeg 0.5.15 gives wrong pixels, or none, for a
    /// baseline picture in several scans, and for components with finer sampling than the first, or with a sampling
    /// factor of three.
    pub(super) fn is_ordinary(&self) -> bool {
        let components = &self.frame.components;
        let most = self.frame.sampling();
        let halved = |side: u8| matches!(side, 1 | 2 | 4);
        let sampled = |component: &Component| halved(component.sampling.0) && halved(component.sampling.1);
        let first_is_finest = components.first().is_some_and(|first| first.sampling == most);
        // The length of a scan header depends only on the number of its components.
        let in_one_scan = || match self.scans().collect::<Vec<_>>()[..] {
            [scan] => scan.body.len() == components.len() * 2 + 4,
            _ => false,
        };
        first_is_finest && components.iter().all(sampled) && (self.frame.progressive || in_one_scan())
    }

    /// Whether the first scan has enough data for at least one in `share` of its blocks. A block takes at least one bit
    /// for its DC coefficient and, if the file is not progressive, one for its end. Without this check, a small file
    /// could claim to be a large picture, most of which would be missing.
    pub(super) fn has_data_for(&self, bytes: &[u8], size: (u32, u32), share: u64) -> bool {
        let Some(scan) = self.scans().next() else { return false };
        let header = self.scan_header(bytes, scan);
        header.is_some_and(|header| self.data_suffices(&header, scan, size, share))
    }

    fn data_suffices(&self, scan: &ScanHeader, segment: &Segment, size: (u32, u32), share: u64) -> bool {
        if scan.band.0 != 0 || scan.bits.0 != 0 {
            // Such a scan may be short, because long runs of blocks may have no coefficients.
            return true;
        }
        let (mcus, blocks) = self.mcus(scan, size);
        let bits = if self.frame.progressive { 1 } else { 2 };
        let needed = mcus as u64 * blocks as u64 * bits;
        segment.data.len() as u64 * 8 * share >= needed
    }
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    frame: Option<Frame>,
    segments: Vec<Segment>,
}

impl Walk<'_> {
    /// Reads the next segment; `false` at the end of the image. The error describes what is wrong.
    fn step(&mut self) -> Result<bool, &'static str> {
        let bytes = self.bytes;
        let marker = next_marker(bytes, &mut self.at).ok_or("it has no end")?;
        if marker == EOI {
            return Ok(false);
        }
        let at = self.at;
        let length = bytes.get(at..at + 2).map(|pair| usize::from(pair[0]) << 8 | usize::from(pair[1]));
        let end = length.filter(|&length| length >= 2).map(|length| at + length);
        let end = end.ok_or("the length of a segment is missing or invalid")?;
        let body = at + 2..end;
        let parameters = bytes.get(body.clone()).ok_or("a segment is cut off")?;
        self.at = end;
        if (SOF0..=SOF2).contains(&marker) {
            let frame = Frame::of(parameters, marker == SOF2).ok_or("its frame header is invalid")?;
            if self.frame.is_some() {
                return Err("it has two frames");
            }
            self.frame = Some(frame);
        }
        if marker == SOS {
            if self.frame.is_none() {
                return Err("it has no frame");
            }
            self.at = data_end(bytes, end);
        }
        self.segments.push(Segment { marker, body, data: end..self.at });
        Ok(true)
    }
}

impl Component {
    /// Number of the component's blocks in an interleaved MCU.
    pub(super) fn blocks(self) -> usize {
        usize::from(self.sampling.0) * usize::from(self.sampling.1)
    }
}

impl Frame {
    fn of(parameters: &[u8], progressive: bool) -> Option<Self> {
        let (&precision, _) = parameters.split_first()?;
        let (&count, rest) = parameters.get(5..)?.split_first()?;
        let components: Vec<Component> = rest
            .as_chunks::<3>()
            .0
            .iter()
            .map(|&[id, sampling, table]| Component { id, sampling: (sampling >> 4, sampling & 15), table })
            .collect();
        let sampled = |component: &Component| {
            let (x, y) = component.sampling;
            (1..=4).contains(&x) && (1..=4).contains(&y)
        };
        let sensible = components.len() == usize::from(count) && components.iter().all(sampled);
        (sensible && !components.is_empty()).then_some(Self { progressive, precision, components })
    }

    /// The largest sampling factors of all components.
    pub(super) fn sampling(&self) -> (u8, u8) {
        let most = |side: fn(&Component) -> u8| self.components.iter().map(side).max().unwrap_or(1);
        (most(|component| component.sampling.0), most(|component| component.sampling.1))
    }

    /// Width and height of a component in a picture of this size (ITU T.81, A.1.1).
    pub(super) fn size_of(&self, component: Component, (width, height): (u32, u32)) -> (u32, u32) {
        let (most_x, most_y) = self.sampling();
        let (x, y) = component.sampling;
        ((width * u32::from(x)).div_ceil(most_x.into()), (height * u32::from(y)).div_ceil(most_y.into()))
    }
}

/// MCUs between restart markers; 0 if there are none.
pub(super) fn restart_interval(bytes: &[u8], segment: &Segment) -> usize {
    let pair = bytes.get(segment.body.clone()).and_then(|body| body.first_chunk());
    pair.map_or(0, |&pair| u16::from_be_bytes(pair).into())
}

/// The restart markers in a scan's data: the number of each (0 to 7), and its position in the file.
pub(super) fn restarts<'a>(bytes: &'a [u8], scan: &Segment) -> impl Iterator<Item = (u8, usize)> + use<'a> {
    let data = scan.data.clone();
    let found = memchr::memchr_iter(0xFF, bytes.get(data.clone()).unwrap_or_default());
    found.filter_map(move |at| {
        let at = data.start + at;
        let number = bytes.get(at + 1).filter(|_| at + 1 < data.end)?;
        (0xD0..=0xD7).contains(number).then(|| (number & 7, at))
    })
}

/// Skips fill bytes and invalid data up to the next marker that starts a segment or ends the image. Returns this marker
/// and moves `at` behind it; `None` if there is none.
fn next_marker(bytes: &[u8], at: &mut usize) -> Option<u8> {
    loop {
        *at += memchr::memchr(0xFF, bytes.get(*at..)?)? + 1;
        match *bytes.get(*at)? {
            // Stuffing, or a marker without parameters.
            0x00 | 0x01 | 0xD0..=0xD7 | SOI => *at += 1,
            0xFF => {}
            marker => {
                *at += 1;
                return Some(marker);
            }
        }
    }
}

/// End of entropy-coded data: the next marker that is neither stuffing nor a restart marker, or the end of the file.
fn data_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(next) = bytes.get(at..).and_then(|rest| memchr::memchr(0xFF, rest)) {
        at += next;
        match bytes.get(at + 1) {
            Some(0x00 | 0xD0..=0xD7) => at += 2,
            Some(0xFF) => at += 1,
            Some(_) => return at,
            None => break,
        }
    }
    bytes.len()
}
