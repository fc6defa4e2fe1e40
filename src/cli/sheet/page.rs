//! The layout of a sheet: a grid of pairs, each with its caption, on white.

use super::canvas::{CHARACTER, Canvas, drawable};
use super::pictures::{CELL, Cell, LoadedPair};
use super::text::{shortened, wrapped};
use crate::photo::{PhotoError, Rgb};

/// Pixels between the original and its result.
const SEAM: u32 = 4;

/// Pixels between pairs, and around all of them.
const GAP: u32 = 16;

/// Width of a pair.
const PAIR: u32 = 2 * CELL + SEAM;

/// Pixels between a picture and its caption.
const ABOVE_CAPTION: u32 = 4;

/// Height of a caption and the space above it.
const CAPTION: u32 = CHARACTER.1 + ABOVE_CAPTION;

/// Width of the grey cell of a picture that is missing, and its height if the other picture is missing as well.
const BLANK: (u32, u32) = (CELL, 214);

/// The least height of a grey cell: three lines of text.
const LEAST_BLANK: u32 = 3 * CHARACTER.1 + 16;

/// The grey of a cell without a picture.
const GRAY: u8 = 0xD8;

/// Where the pairs of a sheet are.
#[derive(Debug, PartialEq, Eq)]
struct Layout {
    columns: usize,
    width: u32,
    height: u32,
    /// The bottom of the pictures in each row.
    baselines: Vec<u32>,
}

impl Layout {
    /// `heights`: the height of each pair. A row is as high as the highest of its pairs.
    fn new(columns: u32, heights: &[u32]) -> Self {
        let mut height = 0;
        let rows = heights.chunks(columns as usize);
        let baselines = rows.map(|row| {
            let baseline = height + GAP + row.iter().max().copied().unwrap_or_default();
            height = baseline + CAPTION;
            baseline
        });
        let baselines = baselines.collect();
        let width = columns * (PAIR + GAP) + GAP;
        Self { columns: columns as usize, width, height: height + GAP, baselines }
    }

    /// The left side and the bottom of a pair's pictures.
    fn place(&self, index: usize) -> (u32, u32) {
        let column = (index % self.columns) as u32;
        (GAP + column * (PAIR + GAP), self.baselines[index / self.columns])
    }
}

/// Draws a sheet.
///
/// # Errors
/// None with pictures from a decoder.
pub fn draw(pairs: &[LoadedPair], columns: u32) -> Result<Rgb, PhotoError> {
    let sizes: Vec<[(u32, u32); 2]> = pairs.iter().map(sizes).collect();
    let heights: Vec<u32> = sizes.iter().map(|[original, result]| original.1.max(result.1)).collect();
    let layout = Layout::new(columns, &heights);
    let mut canvas = Canvas::new(layout.width, layout.height);
    for (index, (pair, [original, result])) in pairs.iter().zip(sizes).enumerate() {
        let (left, baseline) = layout.place(index);
        // The two touch the seam, so that narrow pictures are beside each other, too.
        draw_cell(&mut canvas, (left + CELL - original.0, baseline - original.1), original, &pair.original)?;
        draw_cell(&mut canvas, (left + CELL + SEAM, baseline - result.1), result, &pair.result)?;
        let caption = shortened(&drawable(&pair.caption), (PAIR / CHARACTER.0) as usize);
        let indent = centered(PAIR, &caption);
        canvas.write((left + indent, baseline + ABOVE_CAPTION), &caption);
    }
    Ok(canvas.finish())
}

/// The sizes of the original and the result on the sheet. Two pictures get the same height.
fn sizes(pair: &LoadedPair) -> [(u32, u32); 2] {
    let size = |cell: &Cell| match cell {
        Cell::Picture(rgb) => Some((rgb.width, rgb.height)),
        Cell::Blank(_) => None,
    };
    let blank_beside = |(_, height): (u32, u32)| (BLANK.0, height.max(LEAST_BLANK));
    match (size(&pair.original), size(&pair.result)) {
        (Some(original), Some(result)) => {
            let height = original.1.min(result.1);
            [at_height(original, height), at_height(result, height)]
        }
        (Some(original), None) => [original, blank_beside(original)],
        (None, Some(result)) => [blank_beside(result), result],
        (None, None) => [BLANK, BLANK],
    }
}

/// A size with the same aspect ratio.
fn at_height((width, height): (u32, u32), wanted: u32) -> (u32, u32) {
    let scaled = (u64::from(width) * u64::from(wanted) + u64::from(height) / 2) / u64::from(height.max(1));
    ((scaled as u32).max(1), wanted)
}

fn draw_cell(
    canvas: &mut Canvas,
    place: (u32, u32),
    size: (u32, u32),
    cell: &Cell,
) -> Result<(), PhotoError> {
    match cell {
        Cell::Picture(rgb) if (rgb.width, rgb.height) == size => canvas.place(place, rgb),
        Cell::Picture(rgb) => canvas.place(place, &rgb.resize(size.0, size.1)?),
        Cell::Blank(reason) => {
            canvas.fill(place, size, GRAY);
            let lines = wrapped(reason, (size.0 / CHARACTER.0) as usize - 2);
            let top = place.1 + size.1.saturating_sub(lines.len() as u32 * CHARACTER.1) / 2;
            for (line, y) in lines.iter().zip((top..).step_by(CHARACTER.1 as usize)) {
                canvas.write((place.0 + centered(size.0, line), y), line);
            }
        }
    }
    Ok(())
}

/// The indent of a line that is centred in `width` pixels.
fn centered(width: u32, line: &str) -> u32 {
    width.saturating_sub(line.chars().count() as u32 * CHARACTER.0) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32, color: [u8; 3]) -> Cell {
        let pixels = color.repeat((width * height) as usize);
        Cell::Picture(Rgb { width, height, pixels })
    }

    fn pair(original: Cell, result: Cell) -> LoadedPair {
        LoadedPair { original, result, caption: "a.jpg".to_owned() }
    }

    #[test]
    fn rows_are_as_high_as_their_highest_pair() {
        let layout = Layout::new(2, &[200, 320, 100]);
        assert_eq!((layout.width, layout.height), (2 * 644 + 3 * 16, 3 * 16 + 320 + 100 + 2 * 24));
        assert_eq!([0, 1, 2].map(|index| layout.place(index)), [(16, 336), (676, 336), (16, 476)]);
    }

    #[test]
    fn four_pairs_across_and_ten_rows_of_pictures_in_3_to_2_make_the_documented_size() {
        let layout = Layout::new(4, &[213; 40]);
        assert_eq!((layout.width, layout.height), (2656, 2546));
    }

    #[test]
    fn a_rotated_result_has_the_height_of_its_original() {
        let both = sizes(&pair(picture(320, 240, [0; 3]), picture(240, 320, [0; 3])));
        assert_eq!(both, [(320, 240), (180, 240)]);
        let flat = sizes(&pair(Cell::Blank("gone"), picture(320, 1, [0; 3])));
        assert_eq!(flat, [(320, LEAST_BLANK), (320, 1)]);
    }

    #[test]
    fn the_original_is_to_the_left_of_its_result() {
        let page = draw(&[pair(picture(100, 200, [90; 3]), picture(100, 200, [250, 9, 9]))], 1).unwrap();
        let pixel = |x: u32, y: u32| {
            let at = ((y * page.width + x) * 3) as usize;
            <[u8; 3]>::try_from(&page.pixels[at..at + 3]).unwrap()
        };
        assert_eq!((page.width, page.height), (644 + 32, 200 + 24 + 32));
        assert_eq!([pixel(235, 16), pixel(236, 16), pixel(335, 215)], [[255; 3], [90; 3], [90; 3]]);
        assert_eq!([pixel(336, 99), pixel(340, 16), pixel(439, 215)], [[255; 3], [250, 9, 9], [250, 9, 9]]);
        assert_eq!(pixel(440, 99), [255; 3]);
        let ink = (220..240).flat_map(|y| (0..page.width).map(move |x| (x, y)));
        assert!(ink.clone().any(|(x, y)| pixel(x, y) == [0x22; 3]));
        assert!(ink.filter(|(x, _)| !(313..363).contains(x)).all(|(x, y)| pixel(x, y) == [255; 3]));
    }
}
