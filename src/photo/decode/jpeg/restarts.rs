//! Assigns the parts of a scan between its restart markers to intervals, even if markers are lost or out of place.

use std::collections::VecDeque;
use std::ops::Range;

use super::walk::{Segment, restarts};

/// Returns the data of one interval after the other; `None` for a lost interval.
pub(super) struct Intervals<'a> {
    bytes: &'a [u8],
    /// MCUs in an interval; 0 if the whole scan is one interval.
    length: usize,
    /// For each part, the number of the marker before it (`None` for the first part) and the range of its data.
    parts: VecDeque<(Option<u8>, Range<usize>)>,
    /// Number of intervals returned so far.
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

    /// MCUs in each interval except the last; `None` if the whole scan is one interval.
    pub(super) fn length(&self) -> Option<usize> {
        (self.length > 0).then_some(self.length)
    }

    /// Returns the data of the next interval; `None` if the interval is lost. If the marker before that data is not the
    /// expected one, the function does what libjpeg does (`jpeg_resync_to_restart`). If the marker belongs one or two
    /// intervals later, the interval is lost. If it belongs one or two intervals earlier, it is skipped with its data.
    /// Any other marker is taken for the expected one.
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
