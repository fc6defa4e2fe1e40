//! Runs the kind of network that colours photographs in PixColor, about 3.5 times as fast as rten,
//! which is a general engine.
//!
//! The engine reads an ONNX file and recognises what it can run: a stem, 1x1 and depthwise convolutions, Add, Clip,
//! bilinear Resize by two, Concat and Softmax, of any widths and in any order. [`Network::load`] returns
//! [`Unsupported`] for every other file, and the caller then uses rten. Results agree with rten's to 1e-3.
//!
//! A run takes one thread. A network can be shared by threads; each needs a [`Scratch`] of its own.
//!
//! ```
//! # fn color(file: &[u8], lightness: &[f32]) -> Result<(), Box<dyn std::error::Error>> {
//! let network = pixcolor_nhwc::Network::load(file)?;
//! let mut scratch = pixcolor_nhwc::Scratch::default();
//! let planes = network.run(&mut scratch, lightness, [224, 320])?;
//! assert_eq!(planes.values.len(), planes.channels * planes.height * planes.width);
//! # Ok(()) }
//! ```
//!
//! How it works: `onnx` reads the file, `lower` translates and simplifies it to a `graph`, `plan` packs the weights and
//! joins operations to steps, `run` executes the steps with `kernels`.

#![forbid(unsafe_code)]
// Loops over tiles of vectors read best with indices.
#![allow(clippy::needless_range_loop)]

mod graph;
mod kernels;
mod lower;
mod onnx;
mod plan;
mod protobuf;
mod run;
mod scratch;
#[cfg(test)]
mod tests;

use kernels::{Shape, Target};
use plan::Plan;
pub use scratch::Scratch;

/// A loaded network. Its weights take about twice the size of a file with 16-bit weights.
pub struct Network {
    plan: Plan,
    target: Target,
}

/// Why this engine cannot run a file. A general engine may still be able to.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct Unsupported {
    /// The node of the file, with its operator, or another part of the file.
    pub place: String,
    pub reason: String,
}

/// Why a network did not run.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum RunError {
    #[error("{values} values are not {channels} planes of {height} x {width}, or there are none")]
    Input { values: usize, channels: usize, height: usize, width: usize },
    /// For example, the halves of an odd height do not add up to the height.
    #[error(
        "maps of {first:?} and {other:?} pixels (height, width) do not fit together; try another input size"
    )]
    Sizes { first: [usize; 2], other: [usize; 2] },
    #[error("the input is too small: a map is smaller than the kernel of a convolution")]
    TooSmall,
    #[error("the input is too large: a map of the network would take more than 1 GiB")]
    TooLarge,
}

/// A tensor `1 x channels x height x width`: planes one after another, each row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Planes {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    pub values: Vec<f32>,
}

impl Network {
    /// Reads an ONNX file and prepares its weights for this processor. Takes about a tenth of a second for the built-in
    /// network, so it must not run on an async thread. Damaged files are unsupported, too.
    pub fn load(onnx: &[u8]) -> Result<Self, Unsupported> {
        let target = Target::Detected;
        Self::load_for(onnx, target, Shape::of(target))
    }

    fn load_for(onnx: &[u8], target: Target, shape: Shape) -> Result<Self, Unsupported> {
        let model = onnx::Model::parse(onnx).map_err(|protobuf::Malformed| {
            Unsupported::new("the file", "it is damaged, or not an ONNX file")
        })?;
        Ok(Self { plan: Plan::new(lower::lower(&model)?, shape), target })
    }

    /// The number of planes that [`Network::run`] takes: 1 to 4.
    pub fn input_channels(&self) -> usize {
        self.plan.input_channels
    }

    /// The number of planes that [`Network::run`] returns.
    pub fn output_channels(&self) -> usize {
        self.plan.channels[self.plan.output]
    }

    /// Runs the network on one thread. `input` has [`Network::input_channels`] planes of `[height, width]` values, as
    /// the file's input of one batch.
    pub fn run(&self, scratch: &mut Scratch, input: &[f32], size: [usize; 2]) -> Result<Planes, RunError> {
        run::Run::new(&self.plan, self.target, scratch, input, size)?.run()
    }
}

impl Unsupported {
    fn new(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { place: place.into(), reason: reason.into() }
    }
}
