//! Applies EXIF orientations to planes, in blocks that fit into the processor's cache.

use image::metadata::Orientation;

use super::Rotation;
use super::rows::{RowFn, RowSource};

/// An orientation: columns and rows may be swapped first, and then each may be reversed.
#[derive(Clone, Copy)]
struct Orient {
    transpose: bool,
    flip_x: bool,
    flip_y: bool,
}

impl From<Orientation> for Orient {
    fn from(orientation: Orientation) -> Self {
        let (transpose, flip_x, flip_y) = match orientation {
            Orientation::NoTransforms => (false, false, false),
            Orientation::FlipHorizontal => (false, true, false),
            Orientation::Rotate180 => (false, true, true),
            Orientation::FlipVertical => (false, false, true),
            Orientation::Rotate90FlipH => (true, false, false),
            Orientation::Rotate90 => (true, true, false),
            Orientation::Rotate270FlipH => (true, true, true),
            Orientation::Rotate270 => (true, false, true),
        };
        Self { transpose, flip_x, flip_y }
    }
}

/// The one turn that is equal to a file's own orientation and then a rotation.
pub(super) fn and_then(orientation: Orientation, rotation: Rotation) -> Orientation {
    (0..rotation.degrees() / 90).fold(orientation, |orientation, _| and_then_quarter(orientation))
}

/// An orientation and then a clockwise quarter turn.
fn and_then_quarter(orientation: Orientation) -> Orientation {
    match orientation {
        Orientation::NoTransforms => Orientation::Rotate90,
        Orientation::Rotate90 => Orientation::Rotate180,
        Orientation::Rotate180 => Orientation::Rotate270,
        Orientation::Rotate270 => Orientation::NoTransforms,
        Orientation::FlipHorizontal => Orientation::Rotate270FlipH,
        Orientation::Rotate270FlipH => Orientation::FlipVertical,
        Orientation::FlipVertical => Orientation::Rotate90FlipH,
        Orientation::Rotate90FlipH => Orientation::FlipHorizontal,
    }
}

/// Number of items along each side of a block.
const BLOCK: usize = 32;

/// Orients a plane of `width` x `height` items; quarter turns swap width and height of the result.
pub(super) fn turn<T: Copy + Default>(
    mut plane: Vec<T>,
    width: u32,
    height: u32,
    orientation: Orientation,
) -> Vec<T> {
    let (w, h) = (width as usize, height as usize);
    let Orient { transpose, flip_x, flip_y } = orientation.into();
    if !transpose {
        if flip_x && flip_y {
            plane.reverse();
        } else if flip_x {
            plane.chunks_exact_mut(w).for_each(<[T]>::reverse);
        } else if flip_y {
            let (top, bottom) = plane.split_at_mut(h / 2 * w);
            let from = bottom.len() - top.len();
            for (a, b) in top.chunks_exact_mut(w).zip(bottom[from..].chunks_exact_mut(w).rev()) {
                a.swap_with_slice(b);
            }
        }
        return plane;
    }
    let mut turned = vec![T::default(); plane.len()];
    for top in (0..w).step_by(BLOCK) {
        for left in (0..h).step_by(BLOCK) {
            for y in top..(top + BLOCK).min(w) {
                let from_x = if flip_y { w - 1 - y } else { y };
                for x in left..(left + BLOCK).min(h) {
                    let from_y = if flip_x { h - 1 - x } else { x };
                    turned[y * h + x] = plane[from_y * w + from_x];
                }
            }
        }
    }
    turned
}

/// A plane that is oriented some rows at a time, because it is too large to be in memory twice.
pub(super) struct OrientedPlane<'a, T> {
    plane: &'a [T],
    width: usize,
    height: usize,
    turn: Orient,
}

impl<'a, T: Copy + Default> OrientedPlane<'a, T> {
    /// For a plane of `width` x `height` stored items, at least one.
    pub(super) fn new(plane: &'a [T], width: u32, height: u32, orientation: Orientation) -> Self {
        Self { plane, width: width as usize, height: height as usize, turn: orientation.into() }
    }

    /// Returns a function that writes the oriented row `y`; it is fast for consecutive rows.
    pub(super) fn oriented(&self) -> impl FnMut(usize, &mut [T]) {
        let Orient { transpose, flip_x, flip_y } = self.turn;
        let (w, h) = (self.width, self.height);
        // The oriented rows from `first` on, if rows and columns are swapped.
        let mut band = if transpose { vec![T::default(); BLOCK * h] } else { Vec::new() };
        let mut first = None;
        move |y, out| {
            if transpose {
                let top = y / BLOCK * BLOCK;
                if first != Some(top) {
                    self.fill(top, &mut band);
                    first = Some(top);
                }
                out.copy_from_slice(&band[(y - top) * h..][..h]);
                return;
            }
            let from = if flip_y { h - 1 - y } else { y };
            out.copy_from_slice(&self.plane[from * w..][..w]);
            if flip_x {
                out.reverse();
            }
        }
    }

    /// Writes the oriented rows from `first` on, with rows and columns swapped.
    fn fill(&self, first: usize, band: &mut [T]) {
        let Orient { flip_x, flip_y, .. } = self.turn;
        let (w, h) = (self.width, self.height);
        for x in 0..h {
            let from = if flip_x { h - 1 - x } else { x };
            let stored = &self.plane[from * w..][..w];
            for y in first..(first + BLOCK).min(w) {
                band[(y - first) * h + x] = stored[if flip_y { w - 1 - y } else { y }];
            }
        }
    }
}

impl RowSource for OrientedPlane<'_, [u8; 3]> {
    fn rows(&self) -> RowFn<'_> {
        let mut oriented = self.oriented();
        Box::new(move |y, row| oriented(y, row.as_chunks_mut().0))
    }
}

/// Whether width and height are swapped.
pub(super) fn swaps_sides(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The position of the first row and column for each EXIF value (EXIF 2.32, 4.6.4).
    #[test]
    fn all_eight_orientations_put_the_corners_where_exif_says() {
        // 3 x 2: a b c / d e f
        let stored = b"abcdef".to_vec();
        for (exif, upright) in [
            (1, "abcdef"),
            (2, "cbafed"),
            (3, "fedcba"),
            (4, "defabc"),
            (5, "adbecf"),
            (6, "daebfc"),
            (7, "fcebda"),
            (8, "cfbead"),
        ] {
            let orientation = Orientation::from_exif(exif).unwrap();
            let turned = turn(stored.clone(), 3, 2, orientation);
            assert_eq!(String::from_utf8(turned).unwrap(), upright, "EXIF orientation {exif}");
            assert_eq!(swaps_sides(orientation), exif >= 5);
            let plane = OrientedPlane::new(&stored, 3, 2, orientation);
            let mut rows = plane.oriented();
            let width = if exif >= 5 { 2 } else { 3 };
            let mut by_row = vec![0; 6];
            by_row.chunks_mut(width).enumerate().for_each(|(y, row)| rows(y, row));
            assert_eq!(by_row, upright.as_bytes(), "by row, EXIF orientation {exif}");
        }
    }

    #[test]
    fn an_orientation_and_a_rotation_are_one_turn() {
        let (w, h) = (41, 35);
        let plane: Vec<u32> = (0..w * h).collect();
        for (exif, degrees) in (1..=8).flat_map(|exif| [0, 90, 180, 270].map(|degrees| (exif, degrees))) {
            let orientation = Orientation::from_exif(exif).unwrap();
            let rotation: Rotation = degrees.to_string().parse().unwrap();
            let then = match rotation {
                Rotation::None => Orientation::NoTransforms,
                Rotation::Quarter => Orientation::Rotate90,
                Rotation::Half => Orientation::Rotate180,
                Rotation::ThreeQuarters => Orientation::Rotate270,
            };
            let (wide, high) = if swaps_sides(orientation) { (h, w) } else { (w, h) };
            let twice = turn(turn(plane.clone(), w, h, orientation), wide, high, then);
            let once = and_then(orientation, rotation);
            assert!(
                turn(plane.clone(), w, h, once) == twice,
                "EXIF orientation {exif}, then {degrees} degrees"
            );
            let quarter = matches!(rotation, Rotation::Quarter | Rotation::ThreeQuarters);
            assert_eq!(swaps_sides(once), swaps_sides(orientation) != quarter);
        }
    }

    #[test]
    fn opposite_quarter_turns_cancel_in_a_plane_larger_than_a_block() {
        let (w, h) = (67, 45);
        let plane: Vec<u32> = (0..w * h).collect();
        let turned = turn(plane.clone(), w, h, Orientation::Rotate90);
        let oriented = OrientedPlane::new(&plane, w, h, Orientation::Rotate90);
        let mut rows = oriented.oriented();
        let mut by_row = vec![0; plane.len()];
        by_row.chunks_mut(h as usize).enumerate().for_each(|(y, row)| rows(y, row));
        assert!(by_row == turned);
        assert_eq!(turn(turned, h, w, Orientation::Rotate270), plane);
    }
}
