//! A JPEG's structure (ITU T.81, annex B), found without decoding anything: so that a file that is cut
//! short or has a thousand scans is refused before memory or time is spent on it.

use super::{InputFormat, PhotoError, broken};

/// A frame: what kind, how large, of which components.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) progressive: bool,
    pub(super) components: Vec<Component>,
}

/// One component of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Component {
    pub(super) id: u8,
    /// Horizontal and vertical sampling, 1 to 4.
    pub(super) sampling: (u8, u8),
    /// Its quantisation table.
    pub(super) table: u8,
}

/// A marker and where its parts are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// The byte after 0xFF.
    pub(super) marker: u8,
    /// The parameters, without their length.
    pub(super) body: std::ops::Range<usize>,
    /// The entropy-coded data after a scan header; empty after any other segment.
    pub(super) data: std::ops::Range<usize>,
}

/// A whole file.
pub(super) struct Layout {
    pub(super) frame: Frame,
    /// All segments from the first to the last before the end of the image.
    pub(super) segments: Vec<Segment>,
}

pub(super) const DHT: u8 = 0xC4;
pub(super) const SOI: u8 = 0xD8;
pub(super) const EOI: u8 = 0xD9;
pub(super) const SOS: u8 = 0xDA;
pub(super) const DQT: u8 = 0xDB;
pub(super) const DRI: u8 = 0xDD;
const SOF0: u8 = 0xC0;
const SOF2: u8 = 0xC2;

/// Most segments: cameras write ten to some hundred.
const MAX_SEGMENTS: usize = 10_000;

impl Layout {
    /// Finds all segments up to the end of the image; what comes after it is not looked at.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, PhotoError> {
        let damaged = |what: &str| broken(InputFormat::Jpeg, what);
        let mut frame = None;
        let mut segments = Vec::new();
        let mut at = 2;
        loop {
            let marker = next_marker(bytes, &mut at).ok_or_else(|| damaged("it has no end"))?;
            if marker == EOI {
                break;
            }
            let length = bytes.get(at..at + 2).map(|pair| usize::from(pair[0]) << 8 | usize::from(pair[1]));
            let Some(end) = length.filter(|&length| length >= 2).map(|length| at + length) else {
                return Err(damaged("a segment has no length"));
            };
            let body = at + 2..end;
            let parameters = bytes.get(body.clone()).ok_or_else(|| damaged("a segment is cut off"))?;
            at = end;
            if (SOF0..=SOF2).contains(&marker) {
                let found = Frame::of(parameters, marker == SOF2);
                if frame.replace(found.ok_or_else(|| damaged("its frame header makes no sense"))?).is_some() {
                    return Err(damaged("it has two frames"));
                }
            }
            if marker == SOS {
                at = data_end(bytes, at).ok_or_else(|| damaged("its last scan has no end"))?;
            }
            segments.push(Segment { marker, body, data: end..at });
            if segments.len() > MAX_SEGMENTS {
                return Err(damaged("it has too many segments"));
            }
        }
        let frame = frame.ok_or_else(|| damaged("it has no frame"))?;
        Ok(Self { frame, segments })
    }

    /// Whether a scan has fewer bits than its blocks need at the least: one for a block's first DC
    /// coefficient and, unless progressive, one to end the block. Then a small file says that it is a
    /// large picture, and most of that would be made up.
    pub(super) fn is_starved(&self, bytes: &[u8], size: (u32, u32)) -> bool {
        let (most_x, most_y) = self.frame.sampling();
        let scans = self.segments.iter().filter(|segment| segment.marker == SOS);
        scans.into_iter().any(|scan| {
            let header = &bytes[scan.body.clone()];
            let members = header.first().map_or(0, |&count| usize::from(count));
            let [.., first, _, bits] = header else { return true };
            if self.frame.progressive && (*first != 0 || bits >> 4 != 0) {
                return false;
            }
            let ids = header.iter().skip(1).step_by(2).take(members);
            let components = ids.filter_map(|id| self.frame.components.iter().find(|c| c.id == *id));
            let blocks: u64 = components
                .map(|&component| {
                    let (x, y) = component.sampling;
                    let across = (u64::from(size.0) * u64::from(x)).div_ceil(8 * u64::from(most_x));
                    let down = (u64::from(size.1) * u64::from(y)).div_ceil(8 * u64::from(most_y));
                    across * down
                })
                .sum();
            let needed = if self.frame.progressive { blocks } else { 2 * blocks };
            (scan.data.len() as u64 * 8) < needed
        })
    }

    pub(super) fn scans(&self) -> usize {
        self.segments.iter().filter(|segment| segment.marker == SOS).count()
    }
}

impl Frame {
    fn of(parameters: &[u8], progressive: bool) -> Option<Self> {
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
        (sensible && !components.is_empty()).then_some(Self { progressive, components })
    }

    /// The largest sampling of any component.
    pub(super) fn sampling(&self) -> (u8, u8) {
        let most = |side: fn(&Component) -> u8| self.components.iter().map(side).max().unwrap_or(1);
        (most(|component| component.sampling.0), most(|component| component.sampling.1))
    }
}

/// Steps over fill bytes, and over rubbish between segments, to the next marker that has a meaning here.
fn next_marker(bytes: &[u8], at: &mut usize) -> Option<u8> {
    loop {
        *at += memchr::memchr(0xFF, bytes.get(*at..)?)? + 1;
        match *bytes.get(*at)? {
            // Stuffing, fill, or a marker without parameters.
            0x00 | 0x01 | 0xD0..=0xD7 | SOI => *at += 1,
            0xFF => {}
            marker => {
                *at += 1;
                return Some(marker);
            }
        }
    }
}

/// The end of entropy-coded data: the next marker that is neither stuffing nor a restart.
fn data_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr(0xFF, bytes.get(at..)?)?;
        match *bytes.get(at + 1)? {
            0x00 | 0xD0..=0xD7 => at += 2,
            0xFF => at += 1,
            _ => return Some(at),
        }
    }
}
