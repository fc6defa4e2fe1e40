//! Turning planes upright by EXIF orientation, in blocks that stay in the processor's cache.

use image::metadata::Orientation;

/// Turns a plane of `width` x `height` items; the result's width and height are swapped for
/// quarter turns.
pub(super) fn turn<T: Copy + Default>(
    mut plane: Vec<T>,
    width: u32,
    height: u32,
    orientation: Orientation,
) -> Vec<T> {
    let (w, h) = (width as usize, height as usize);
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
    const BLOCK: usize = 32;
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

/// Whether width and height change places.
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

    /// What each EXIF value says of where the first row and first column are (EXIF 2.32, 4.6.4).
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
        }
    }

    #[test]
    fn a_quarter_turn_and_its_opposite_cancel_beyond_the_block_size() {
        let (w, h) = (67, 45);
        let plane: Vec<u32> = (0..w * h).collect();
        let turned = turn(plane.clone(), w, h, Orientation::Rotate90);
        assert_eq!(turn(turned, h, w, Orientation::Rotate270), plane);
    }
}
