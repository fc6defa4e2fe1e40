//! Conv and BatchNormalization.

use super::{Attributes, Lowering, Reason};
use crate::graph::{Clamp, Convolution, Id, Linear, Op, Padding, Window};
use crate::onnx;

/// A Conv node's weights and bias.
struct Weights {
    outputs: usize,
    /// Input channels of one group.
    inputs: usize,
    kernel: usize,
    values: Vec<f32>,
    bias: Vec<f32>,
}

impl<'m> Lowering<'m> {
    pub fn convolution(
        &mut self,
        node: &onnx::Node<'m>,
        attributes: &mut Attributes<'_, 'm>,
        output: &'m str,
    ) -> Result<(), Reason> {
        let input = self.node_input(node, 0)?;
        let channels = self.nodes[input].channels;
        let weights = self.weights(node)?;
        let group = attributes.int("group", 1)?;
        let [stride, other] = attributes.ints("strides", [1, 1])?;
        if stride != other || !(1..=2).contains(&stride) {
            return Err(format!(
                "strides of {stride} x {other}; 1 and 2 are supported, alike in both directions"
            ));
        }
        let kernel = weights.kernel as i64;
        if attributes.ints("kernel_shape", [kernel, kernel])? != [kernel, kernel] {
            return Err("the kernel's shape differs from that of the weights".into());
        }
        if attributes.ints("dilations", [1, 1])? != [1, 1] {
            return Err("dilations are not supported".into());
        }
        let padding = padding(attributes, weights.kernel)?;
        let window = Window { kernel: weights.kernel, stride: stride as usize, padding };
        let op = self.convolution_op(input, channels, group, window, &weights)?;
        self.define(output, op, weights.outputs);
        Ok(())
    }

    fn convolution_op(
        &mut self,
        input: Id,
        channels: usize,
        group: i64,
        window: Window,
        weights: &Weights,
    ) -> Result<Op, Reason> {
        let Weights { outputs, inputs, kernel, ref values, ref bias } = *weights;
        let full = group == 1 && inputs == channels;
        let depthwise = group == channels as i64 && inputs == 1 && outputs == channels;
        let conv =
            || Convolution { input, window, weights: values.clone(), bias: bias.clone(), clamp: Clamp::NONE };
        match kernel {
            1 if full => {
                let nothing = Padding::Explicit { top: 0, left: 0, bottom: 0, right: 0 };
                if window.stride != 1 || ![nothing, Padding::Same].contains(&window.padding) {
                    return Err("a 1x1 convolution with a stride or with padding is not supported".into());
                }
                let mut linear = Linear { bias: bias.clone(), ..Linear::empty(outputs) };
                self.add_product(&mut linear, input, values.clone());
                Ok(Op::Linear(linear))
            }
            3 | 5 if full && matches!(self.nodes[input].op, Op::Input(_)) => Ok(Op::Stem(conv())),
            3 | 5 if depthwise => Ok(Op::Depthwise(conv())),
            _ => Err(format!(
                "a {kernel}x{kernel} convolution from {channels} to {outputs} channels in {group} groups is not \
                 supported"
            )),
        }
    }

    fn weights(&self, node: &onnx::Node<'m>) -> Result<Weights, Reason> {
        let tensor = self.constant_input(node, 1)?;
        let shape = tensor.shape().unwrap_or_default();
        let [outputs, inputs, kernel, width] = shape[..] else {
            return Err("its weights have not four positive dimensions".into());
        };
        if kernel != width {
            return Err(format!("a {kernel}x{width} kernel is not supported"));
        }
        let values = tensor.values()?;
        let bias = match self.optional_input(node, 2)? {
            Some(bias) => bias.values()?,
            None => vec![0.0; outputs],
        };
        if bias.len() != outputs {
            return Err(format!("it has {} biases for {outputs} channels", bias.len()));
        }
        Ok(Weights { outputs, inputs, kernel, values, bias })
    }

    /// Multiplies the weights of the convolution before this node.
    pub fn normalization(
        &mut self,
        node: &onnx::Node<'m>,
        attributes: &mut Attributes<'_, 'm>,
        output: &'m str,
    ) -> Result<(), Reason> {
        let input = self.node_input(node, 0)?;
        let channels = self.nodes[input].channels;
        attributes.ignore(&["momentum"]);
        attributes.require("training_mode", 0)?;
        let epsilon = attributes.float("epsilon", 1e-5)?;
        let mut constants = [const { Vec::new() }; 4];
        for (index, constant) in constants.iter_mut().enumerate() {
            *constant = self.constant_input(node, index + 1)?.values()?;
            if constant.len() != channels {
                return Err(format!("its input {} has not {channels} values", index + 1));
            }
        }
        let [scale, shift, mean, variance] = constants;
        let factors: Vec<f32> = scale.iter().zip(&variance).map(|(s, v)| s / (v + epsilon).sqrt()).collect();
        if !self.is_only_user(input) || factors.iter().any(|factor| !factor.is_finite()) {
            return Err("it does not directly follow a convolution".into());
        }
        if !self.multiply(input, &factors) {
            return Err("it does not directly follow a convolution".into());
        }
        let bias = match &mut self.nodes[input].op {
            Op::Stem(conv) | Op::Depthwise(conv) => &mut conv.bias,
            Op::Linear(linear) => &mut linear.bias,
            _ => return Err("it does not directly follow a convolution".into()),
        };
        for (i, bias) in bias.iter_mut().enumerate() {
            *bias = (*bias - mean[i]) * factors[i] + shift[i];
        }
        self.rename(output, input);
        Ok(())
    }
}

impl Lowering<'_> {
    /// Multiplies the weights of each output channel of a convolution, but not its bias. `false`, with nothing of use
    /// left of the node, if the node is something else.
    fn multiply(&mut self, id: Id, factors: &[f32]) -> bool {
        let addends = match &mut self.nodes[id].op {
            Op::Stem(conv) | Op::Depthwise(conv) if conv.clamp.is_none() => {
                multiply_rows(&mut conv.weights, factors);
                return true;
            }
            Op::Linear(linear) if linear.clamp.is_none() => {
                linear.products.iter_mut().for_each(|product| multiply_rows(&mut product.weights, factors));
                linear.addends.clone()
            }
            _ => return false,
        };
        // A convolution that was moved before a Resize has no name in the file, and so no other user.
        addends.iter().all(|addend| {
            addend.doubled && self.node_uses[addend.input] == 0 && self.multiply(addend.input, factors)
        })
    }
}

/// Multiplies the weights of each output channel by a factor of its own.
fn multiply_rows(weights: &mut [f32], factors: &[f32]) {
    let row = weights.len() / factors.len().max(1);
    for (row, factor) in weights.chunks_exact_mut(row.max(1)).zip(factors) {
        row.iter_mut().for_each(|weight| *weight *= factor);
    }
}

fn padding(attributes: &mut Attributes<'_, '_>, kernel: usize) -> Result<Padding, Reason> {
    let pads = attributes.ints("pads", [0; 4])?;
    let auto_pad = attributes.text("auto_pad", "NOTSET")?;
    match auto_pad {
        "NOTSET" => {}
        "VALID" | "SAME_UPPER" if pads != [0; 4] => return Err("it has both padding and `auto_pad`".into()),
        "VALID" => {}
        "SAME_UPPER" => return Ok(Padding::Same),
        // rten takes SAME_LOWER for SAME_UPPER.
        _ => return Err(format!("the attribute `auto_pad` is `{auto_pad}`")),
    }
    if pads.iter().any(|&pad| !(0..kernel as i64).contains(&pad)) {
        return Err(format!("padding of {pads:?} pixels around a kernel of {kernel}"));
    }
    let [top, left, bottom, right] = pads.map(|pad| pad as usize);
    Ok(Padding::Explicit { top, left, bottom, right })
}
