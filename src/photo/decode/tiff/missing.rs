//! Records the parts of a damaged TIFF that cannot be read.

use super::damaged;
use crate::photo::decode::sink::RowPosition;
use crate::photo::decode::{DecodeSummary, Feed};
use crate::photo::{Damage, PhotoError};

/// A part of the picture, in pixels.
#[derive(Clone, Copy)]
pub(super) struct Area {
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Area {
    fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

#[derive(Default)]
pub(super) struct Missing {
    areas: Vec<Area>,
    /// Why a strip or tile could not be opened: the first such error.
    pub(super) reason: Option<PhotoError>,
}

impl Missing {
    pub(super) fn add(&mut self, area: Area) {
        match self.areas.last_mut() {
            _ if area.height == 0 => {}
            Some(last)
                if (last.left, last.width, last.top + last.height) == (area.left, area.width, area.top) =>
            {
                last.height += area.height;
            }
            _ => self.areas.push(area),
        }
    }

    /// Fills the missing parts with grey. Fails if less than a tenth of the picture can be read.
    pub(super) fn finish(
        self,
        mut feed: Feed<'_>,
        (width, height): (u32, u32),
    ) -> Result<DecodeSummary, PhotoError> {
        let all = u64::from(width) * u64::from(height);
        let missing: u64 = self.areas.iter().map(Area::pixels).sum();
        if missing == 0 {
            return Ok(feed.finish());
        }
        if (all - missing) * 10 < all {
            return Err(self.reason.unwrap_or_else(|| damaged("nearly all of the picture is unreadable")));
        }
        for area in &self.areas {
            for y in area.top..area.top + area.height {
                feed.missing(
                    RowPosition { y: y as usize, first: area.left as usize, step: 1 },
                    area.width as usize,
                );
            }
        }
        let percent = (missing * 100).div_ceil(all);
        let last = matches!(self.areas[..], [Area { top, width: w, height: h, .. }] if w == width && top + h == height);
        let which = if last { "The last " } else { "" };
        Ok(feed.finish_damaged(Damage(format!("{which}{percent} % of the picture is missing."))))
    }
}
