//! Bringing a provider's chroma to the photo's size, with the photo's luminance as guide.
//!
//! A fast guided filter (He and Sun, "Fast Guided Filter", 2015): in a small window chroma is taken
//! to be a linear function of luminance. The function's two coefficients are found where chroma is
//! known, at its own low resolution, and applied to full-size luminance. So colours change where the
//! picture has an edge, not where a coarse pixel ends. What the function does not explain is
//! interpolated as it is and added back, so that no colour is washed out where luminance does not
//! change.

use super::chroma::quantised;
use super::lab::CODES_PER_L;
use super::{Chroma, Grey, PhotoError, resample};

/// Radius of the window, in pixels of the chroma.
const RADIUS: usize = 2;
/// Variance of L\* below which luminance says nothing about chroma.
const EPSILON: f32 = 4.0;

/// Coefficients on the chroma's grid: a\* = slope x L\* + offset, and the same for b\*.
pub(super) struct Guide {
    width: usize,
    height: usize,
    cells: Vec<[f32; 4]>,
}

impl Guide {
    /// Finds the coefficients for a photo's luminance. Chroma finer than the photo is averaged first.
    pub(super) fn new(grey: &Grey, chroma: &Chroma) -> Result<Self, PhotoError> {
        let known = (chroma.width, chroma.height);
        let count = known.0 as usize * known.1 as usize;
        if count == 0 || chroma.a.len() != count || chroma.b.len() != count {
            return Err(PhotoError::Broken("The chroma planes do not have the size they say.".to_owned()));
        }
        let size = (known.0.min(grey.width), known.1.min(grey.height));
        let planes = [&chroma.a, &chroma.b].map(|plane| {
            let plane: Vec<f32> = plane.iter().map(|&value| quantised(value)).collect();
            resample::plane(&plane, known, size)
        });
        let luma: Vec<f32> = resample::plane(&grey.luma, (grey.width, grey.height), size)
            .into_iter()
            .map(|code| code / CODES_PER_L)
            .collect();
        let (width, height) = (size.0 as usize, size.1 as usize);
        let mean = |plane: &[f32]| box_mean(plane, width, height);
        let product = |one: &[f32], other: &[f32]| -> Vec<f32> {
            one.iter().zip(other).map(|(one, other)| one * other).collect()
        };
        let mean_luma = mean(&luma);
        let mean_square = mean(&product(&luma, &luma));
        let mut cells = vec![[0.0; 4]; luma.len()];
        for (channel, plane) in planes.iter().enumerate() {
            let mean_plane = mean(plane);
            let mean_product = mean(&product(&luma, plane));
            let slope: Vec<f32> = (0..luma.len())
                .map(|i| {
                    let variance = (mean_square[i] - mean_luma[i] * mean_luma[i]).max(0.0);
                    (mean_product[i] - mean_luma[i] * mean_plane[i]) / (variance + EPSILON)
                })
                .collect();
            let slope = mean(&slope);
            for (i, cell) in cells.iter_mut().enumerate() {
                cell[2 * channel] = slope[i];
                // The offset that gives back this cell's own chroma: explained part and rest in one.
                cell[2 * channel + 1] = plane[i] - slope[i] * luma[i];
            }
        }
        Ok(Self { width, height, cells })
    }

    /// The coefficients of a full-size row of `height` rows, still at the chroma's width.
    pub(super) fn row(&self, y: usize, height: usize, out: &mut Vec<[f32; 4]>) {
        let (first, second, share) = between(y, height, self.height);
        let row = |row: usize| &self.cells[row * self.width..][..self.width];
        out.clear();
        out.extend(row(first).iter().zip(row(second)).map(|(one, other)| mix(one, other, share)));
    }

    /// Where each full-size column lies between the chroma's columns.
    pub(super) fn columns(&self, width: usize) -> Vec<(usize, usize, f32)> {
        (0..width).map(|x| between(x, width, self.width)).collect()
    }
}

/// A value between two.
#[inline]
pub(super) fn mix(one: &[f32; 4], other: &[f32; 4], share: f32) -> [f32; 4] {
    std::array::from_fn(|i| one[i] + share * (other[i] - one[i]))
}

/// The two coarse places around the centre of a fine one, and the second's share.
fn between(fine: usize, of: usize, coarse: usize) -> (usize, usize, f32) {
    let place = ((fine as f64 + 0.5) * coarse as f64 / of as f64 - 0.5).clamp(0.0, (coarse - 1) as f64);
    let first = place as usize;
    (first, (first + 1).min(coarse - 1), (place - first as f64) as f32)
}

/// Mean over the window around each place; the window is cut at the border.
fn box_mean(plane: &[f32], width: usize, height: usize) -> Vec<f32> {
    let mut across = Vec::with_capacity(plane.len());
    for row in plane.chunks_exact(width) {
        for x in 0..width {
            let window = &row[x.saturating_sub(RADIUS)..(x + RADIUS + 1).min(width)];
            across.push(window.iter().sum::<f32>() / window.len() as f32);
        }
    }
    let mut mean = Vec::with_capacity(plane.len());
    for y in 0..height {
        let rows = y.saturating_sub(RADIUS)..(y + RADIUS + 1).min(height);
        let count = rows.len() as f32;
        for x in 0..width {
            mean.push(rows.clone().map(|row| across[row * width + x]).sum::<f32>() / count);
        }
    }
    mean
}
