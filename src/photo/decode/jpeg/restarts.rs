//! The parts of a scan between its restart markers, when some of the markers may be lost or out of place.

use std::collections::VecDeque;
use std::ops::Range;

use super::walk::{Segment, restarts};

/// Gives each interval its data, or none where it is lost.
pub(super) struct Intervals<'a> {
    bytes: &'a [u8],
    /// MCUs in an interval; 0 for a scan that is one interval.
    length: usize,
    /// The number of the marker before a part, none for the first, and the part's data.
    parts: VecDeque<(Option<u8>, Range<usize>)>,
    /// How many intervals were given.
    given: usize,
}

impl<'a> Intervals<'a> {
    pub(super) fn new(bytes: &'a [u8], scan: &Segment, length: usize) -> Self {
        let mut parts = VecDeque::new();
        let mut begin = (None, scan.data.start);
        for (number, at) in restarts(bytes, scan) {
            parts.push_back((begin.0, begin.1..at));
            begin = (Some(number), at + 2);
        }
        parts.push_back((begin.0, begin.1..scan.data.end));
        Self { bytes, length, parts, given: 0 }
    }

    /// MCUs in each interval but the last; none where the whole scan is one.
    pub(super) fn length(&self) -> Option<usize> {
        (self.length > 0).then_some(self.length)
    }

    /// The data of the next interval. Where the marker before it is not the one that is due, this goes on as libjpeg does
    /// (`jpeg_resync_to_restart`): a marker that is due one or two intervals later means that this interval is lost, one
    /// that was due before is passed over, and any other is taken for the one that is due.
    pub(super) fn next(&mut self) -> Option<&'a [u8]> {
        let due = self.given.checked_sub(1).map(|before| (before % 8) as u8);
        self.given += 1;
        while let Some((number, _)) = self.parts.front() {
            if let (Some(number), Some(due)) = (*number, due) {
                match (number + 8 - due) % 8 {
                    1 | 2 => return None,
                    6 | 7 => {
                        self.parts.pop_front();
                        continue;
                    }
                    _ => {}
                }
            }
            return self.parts.pop_front().and_then(|(_, data)| self.bytes.get(data));
        }
        None
    }
}
