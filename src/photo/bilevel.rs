//! Turns one-bit scans, whose black and white dots represent greys, into grey pictures.
//!
//! Black and white cannot show colour, so such a scan could not be coloured with its own luminance. Averaging each
//! pixel with its neighbours restores the greys that the dots represent. No detail is lost, because a scan has none
//! finer than its dots. A picture with more than two values is left unchanged.

use std::collections::VecDeque;

/// Binomial weights, close to a normal distribution with standard deviation 1.7; their sum is 4,096.
const WEIGHTS: [u32; 13] = [1, 12, 66, 220, 495, 792, 924, 792, 495, 220, 66, 12, 1];
const REACH: usize = WEIGHTS.len() / 2;

/// Minimum difference of the two values: half the distance from black to white.
const CONTRAST: u16 = 32_768;

/// Turns dots into greys if the picture has exactly two values with at least [`CONTRAST`] between them.
pub(super) fn soften(luma: &mut [u16], width: usize) {
    if !is_bilevel(luma) {
        return;
    }
    let height = luma.len() / width;
    // The rows around the current one, averaged horizontally but not yet vertically.
    let mut rows: VecDeque<Vec<u16>> = VecDeque::new();
    let mut next = 0;
    for y in 0..height {
        while next < height && next <= y + REACH {
            rows.push_back(along(&luma[next * width..][..width]));
            next += 1;
            if rows.len() > WEIGHTS.len() {
                rows.pop_front();
            }
        }
        let first = next - rows.len();
        let mut sums = vec![0; width];
        for (offset, weight) in WEIGHTS.into_iter().enumerate() {
            // Beyond the top and the bottom of the picture, its nearest row is repeated.
            let row = (y + offset).saturating_sub(REACH).min(height - 1).max(first) - first;
            sums.iter_mut().zip(&rows[row]).for_each(|(sum, &value)| *sum += weight * u32::from(value));
        }
        luma[y * width..][..width].iter_mut().zip(sums).for_each(|(luma, sum)| *luma = (sum >> 12) as u16);
    }
}

fn along(row: &[u16]) -> Vec<u16> {
    let last = row.len() - 1;
    let sum = |x: usize| -> u32 {
        let place = |offset: usize| (x + offset).saturating_sub(REACH).min(last);
        WEIGHTS.into_iter().enumerate().map(|(offset, weight)| weight * u32::from(row[place(offset)])).sum()
    };
    (0..row.len()).map(|x| (sum(x) >> 12) as u16).collect()
}

fn is_bilevel(luma: &[u16]) -> bool {
    let Some(&one) = luma.first() else { return false };
    let Some(&other) = luma.iter().find(|&&value| value != one) else { return false };
    one.abs_diff(other) >= CONTRAST && luma.iter().all(|&value| value == one || value == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkerboard_becomes_the_gray_that_it_represents() {
        let (width, height) = (40, 30);
        let mut luma: Vec<u16> =
            (0..width * height).map(|i| if (i % width + i / width) % 2 == 0 { 0 } else { 65_535 }).collect();
        soften(&mut luma, width);
        assert!(luma.iter().all(|&value| value.abs_diff(32_767) < 20_000));
        assert!(luma[width * 15 + 20].abs_diff(32_767) < 40);
    }

    #[test]
    fn an_edge_stays_where_it_was() {
        let (width, height) = (60, 5);
        let mut luma: Vec<u16> =
            (0..width * height).map(|i| if i % width < 30 { 10_000 } else { 60_000 }).collect();
        soften(&mut luma, width);
        for row in luma.chunks(width) {
            assert!(row.is_sorted() && row[0] == 10_000 && row[59] == 60_000);
            assert!(row[29] < 35_000 && row[30] > 35_000);
        }
    }

    #[test]
    fn pictures_with_grays_or_little_contrast_are_unchanged() {
        for picture in [vec![0, 65_535, 30_000, 0], vec![20_000, 30_000, 20_000, 30_000], vec![5; 4], vec![]]
        {
            let mut luma = picture.clone();
            soften(&mut luma, 2);
            assert_eq!(luma, picture);
        }
    }

    #[test]
    fn pictures_smaller_than_the_filter_are_softened() {
        for (width, count) in [(1, 2), (2, 2), (1, 30), (30, 30)] {
            let mut luma: Vec<u16> = (0..count).map(|i| if i % 2 == 0 { 0 } else { 65_535 }).collect();
            soften(&mut luma, width);
            assert!(luma.iter().any(|&value| value > 0 && value < 65_535));
        }
    }
}
