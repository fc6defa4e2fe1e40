//! Runs a network on a grey picture and returns chroma, as its recipe says. Synchronous, on one thread.

use std::time::Duration;

use cpu_time::ThreadTime;
use rten_tensor::NdTensorView;
use rten_tensor::prelude::*;

use super::contrast::stretched;
use super::engine::{Engine, Planes};
use super::recipe::{BinValues, NetworkInput, NetworkOutput, Recipe, Take};
use crate::photo::{Chroma, Gray, Rgb};

pub struct Network {
    engine: Box<dyn Engine>,
    recipe: Recipe,
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NetworkError(pub String);

impl Network {
    pub fn new(engine: Box<dyn Engine>, recipe: Recipe) -> Self {
        Self { engine, recipe }
    }

    /// Colours a small flat picture to check that the network runs.
    pub fn try_out(&self) -> Result<(), NetworkError> {
        let gray = Gray { width: 8, height: 8, luma: vec![u16::MAX / 2; 64] };
        self.color(&gray).map(drop)
    }

    /// The chroma, and the processor time that it took.
    pub fn color(&self, gray: &Gray) -> Result<(Chroma, Duration), NetworkError> {
        let start = ThreadTime::now();
        let (width, height) = self.recipe.input.dimensions(gray.width, gray.height);
        let seen = gray.resize(width, height);
        let seen = match self.recipe.input.contrast {
            Some(span) => stretched(seen, span),
            None => seen,
        };
        let (planes, elsewhere) = self
            .engine
            .run(input(&self.recipe.input, &seen))
            .map_err(|error| NetworkError(format!("the network failed: {error}")))?;
        let chroma = chroma(&self.recipe.output, planes)?;
        Ok((chroma, start.elapsed() + elsewhere))
    }
}

fn input(input: &NetworkInput, gray: &Gray) -> Planes {
    let values: Vec<f32> = match input.take {
        Take::LabL => gray.luma.iter().map(|&luma| f32::from(luma) * (100.0 / 65_535.0)).collect(),
        Take::Gray => gray.to_srgb8().iter().map(|&level| f32::from(level) / 255.0).collect(),
    };
    let plane: Vec<f32> = values.iter().map(|value| (value - input.mean) / input.scale).collect();
    let (height, width) = (gray.height as usize, gray.width as usize);
    Planes { channels: input.channels, height, width, values: plane.repeat(input.channels) }
}

fn chroma(output: &NetworkOutput, planes: Planes) -> Result<Chroma, NetworkError> {
    let wrong =
        |what: String| NetworkError(format!("the network returned {what}, which does not match its recipe"));
    let Planes { channels, height, width, values: data } = planes;
    let expected = match output {
        NetworkOutput::Ab { .. } => 2,
        NetworkOutput::Rgb { .. } => 3,
        NetworkOutput::Bins { centers, .. } => centers.len(),
    };
    if channels != expected || width == 0 || height == 0 {
        return Err(wrong(format!("a tensor of 1 x {channels} x {height} x {width}")));
    }
    if data.iter().any(|value| !value.is_finite()) {
        return Err(wrong("values that are not finite numbers".into()));
    }
    let size = width * height;
    let (width, height) = (width as u32, height as u32);
    let chroma = match output {
        NetworkOutput::Ab { scale } => {
            let plane = |i: usize| data[i * size..][..size].iter().map(|v| v * scale).collect();
            Chroma::new(width, height, plane(0), plane(1))
        }
        NetworkOutput::Rgb { scale } => {
            let level = |v: f32| (v * scale * 255.0).round().clamp(0.0, 255.0) as u8;
            let pixels = (0..size).flat_map(|i| [0, 1, 2].map(|c| level(data[c * size + i]))).collect();
            Rgb { width, height, pixels }.chroma()
        }
        NetworkOutput::Bins { values, temperature, centers } => {
            let view = NdTensorView::from_data([channels, size], &data[..]);
            let (a, b) = annealed_mean(view, *values, *temperature, centers);
            Chroma::new(width, height, a, b)
        }
    };
    chroma.map_err(|error| wrong(error.to_string()))
}

/// The mean of the bins' centres under the re-sharpened distribution, Zhang et al. 2016, equation 5:
/// `f_T(z) = exp(log(z) / T) / sum exp(log(z) / T)`. Logits are `log(z)` up to a constant.
fn annealed_mean(
    view: NdTensorView<f32, 2>,
    values: BinValues,
    temperature: f32,
    centers: &[[f32; 2]],
) -> (Vec<f32>, Vec<f32>) {
    let log = |value: f32| match values {
        BinValues::Logits => value / temperature,
        BinValues::Probabilities => value.max(f32::MIN_POSITIVE).ln() / temperature,
    };
    let mean = |pixel: usize| {
        let max = (0..centers.len()).map(|q| log(view[[q, pixel]])).fold(f32::NEG_INFINITY, f32::max);
        let (mut sum, mut a, mut b) = (0.0f32, 0.0f32, 0.0f32);
        for (q, center) in centers.iter().enumerate() {
            let weight = (log(view[[q, pixel]]) - max).exp();
            sum += weight;
            a += weight * center[0];
            b += weight * center[1];
        }
        (a / sum, b / sum)
    };
    (0..view.size(1)).map(mean).unzip()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_annealed_mean_moves_from_mean_to_mode_with_falling_temperature() {
        let probabilities = [0.25, 0.75];
        let centers = [[0.0, 40.0], [100.0, -40.0]];
        let view = NdTensorView::from_data([2, 1], &probabilities[..]);
        let a = |temperature| annealed_mean(view, BinValues::Probabilities, temperature, &centers).0[0];
        assert!((a(1.0) - 75.0).abs() < 1e-3);
        assert!((a(0.01) - 100.0).abs() < 1e-3);

        let logits = probabilities.map(f32::ln);
        let view = NdTensorView::from_data([2, 1], &logits[..]);
        let (a, b) = annealed_mean(view, BinValues::Logits, 1.0, &centers);
        assert!((a[0] - 75.0).abs() < 1e-3 && (b[0] + 20.0).abs() < 1e-3);
    }
}
