//! The network as this engine sees it: six operations, into which the operators of the file are translated.
//!
//! A node is a value: a map of `channels` planes whose height and width are known only when the network runs. Nodes
//! refer to earlier nodes by index.

/// Index of a node.
pub type Id = usize;

/// No map may have more channels. Concatenating a map with itself again and again would otherwise overflow.
pub const MAX_CHANNELS: usize = 16_384;

pub struct Graph {
    pub nodes: Vec<Node>,
    pub input_channels: usize,
    pub output: Id,
}

pub struct Node {
    pub op: Op,
    pub channels: usize,
}

pub enum Op {
    /// The network's input, each value changed to `value * scale + shift`.
    Input(Affine),
    /// A full convolution of the network's input.
    Stem(Convolution),
    /// One plane of weights for each channel.
    Depthwise(Convolution),
    /// Everything that mixes the channels of one pixel, see [`Linear`].
    Linear(Linear),
    /// The channels of these nodes one after another. None of them is itself a `Concat`.
    Concat(Vec<Id>),
    /// Softmax over the channels of each pixel.
    Softmax(Id),
}

#[derive(Clone, Copy)]
pub struct Affine {
    pub scale: f64,
    pub shift: f64,
}

/// A convolution with a square kernel, wider than one pixel.
pub struct Convolution {
    pub input: Id,
    pub window: Window,
    /// In the file's order: output channel, input channel of the group, row, column.
    pub weights: Vec<f32>,
    pub bias: Vec<f32>,
    pub clamp: Clamp,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Height and width in pixels: 3 or 5.
    pub kernel: usize,
    /// 1 or 2.
    pub stride: usize,
    pub padding: Padding,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Padding {
    /// Pixels of zeros, fewer than the kernel is wide.
    Explicit { top: usize, left: usize, bottom: usize, right: usize },
    /// As many that an output side is the input side divided by the stride, rounded up. An odd pixel goes to the end.
    Same,
}

/// `clamp(sum of weights x input + sum of addends + bias)` at each pixel.
///
/// Covers the 1x1 convolution, Add, Clip, Relu and Resize, and sums of them. All inputs have the same size.
pub struct Linear {
    pub products: Vec<Product>,
    pub addends: Vec<Addend>,
    pub bias: Vec<f32>,
    pub clamp: Clamp,
}

/// A 1x1 convolution.
pub struct Product {
    pub input: Id,
    /// A row of input channels for each output channel.
    pub weights: Vec<f32>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Addend {
    pub input: Id,
    /// Whether the input is first enlarged to twice its height and width.
    pub doubled: bool,
}

/// The range to which a value is limited; infinite if it is not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clamp {
    pub low: f32,
    pub high: f32,
}

impl Clamp {
    pub const NONE: Self = Self { low: f32::NEG_INFINITY, high: f32::INFINITY };

    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// The clamp that has the effect of this one followed by the other.
    pub fn then(self, next: Self) -> Self {
        let limit = |value: f32| value.max(next.low).min(next.high);
        Self { low: limit(self.low), high: limit(self.high) }
    }
}

impl Linear {
    pub fn empty(channels: usize) -> Self {
        Self { products: Vec::new(), addends: Vec::new(), bias: vec![0.0; channels], clamp: Clamp::NONE }
    }

    /// A copy of another node.
    pub fn identity(input: Id, channels: usize) -> Self {
        Self { addends: vec![Addend { input, doubled: false }], ..Self::empty(channels) }
    }

    /// The node that this one enlarges, if it does nothing else.
    pub fn only_doubles(&self) -> Option<Id> {
        match (&self.products[..], &self.addends[..]) {
            ([], [Addend { input, doubled: true }]) => {
                (self.clamp.is_none() && self.bias.iter().all(|bias| *bias == 0.0)).then_some(*input)
            }
            _ => None,
        }
    }

    /// Adds the terms and the bias of another sum. That one must have as many channels and no clamp.
    pub fn absorb(&mut self, other: Linear) {
        self.products.extend(other.products);
        self.addends.extend(other.addends);
        for (bias, more) in self.bias.iter_mut().zip(other.bias) {
            *bias += more;
        }
    }

    pub fn inputs(&self) -> impl Iterator<Item = Id> {
        self.products
            .iter()
            .map(|product| product.input)
            .chain(self.addends.iter().map(|addend| addend.input))
    }
}

impl Op {
    pub fn inputs(&self) -> Vec<Id> {
        match self {
            Op::Input(_) => Vec::new(),
            Op::Stem(conv) | Op::Depthwise(conv) => vec![conv.input],
            Op::Linear(linear) => linear.inputs().collect(),
            Op::Concat(parts) => parts.clone(),
            Op::Softmax(input) => vec![*input],
        }
    }

    /// The clamp of a node's result, if the operation has one.
    pub fn clamp_mut(&mut self) -> Option<&mut Clamp> {
        match self {
            Op::Stem(conv) | Op::Depthwise(conv) => Some(&mut conv.clamp),
            Op::Linear(linear) => Some(&mut linear.clamp),
            Op::Input(_) | Op::Concat(_) | Op::Softmax(_) => None,
        }
    }
}

impl Window {
    /// Pixels of zeros before and after, and the length of the output, for the rows (`vertical`) or the columns of a
    /// map of this length. `None` if the padded map is smaller than the kernel.
    pub fn along(&self, length: usize, vertical: bool) -> Option<(usize, usize, usize)> {
        let same = length.div_ceil(self.stride).saturating_sub(1) * self.stride + self.kernel;
        let same = same.saturating_sub(length);
        let (before, after) = match self.padding {
            Padding::Explicit { top, bottom, .. } if vertical => (top, bottom),
            Padding::Explicit { left, right, .. } => (left, right),
            Padding::Same => (same / 2, same - same / 2),
        };
        let room = (length + before + after).checked_sub(self.kernel)?;
        Some((before, after, room / self.stride + 1))
    }
}
