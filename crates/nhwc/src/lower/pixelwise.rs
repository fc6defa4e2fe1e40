//! Operators that compute a pixel from the same pixel of their inputs, Resize, and Concat.

use super::{Attributes, Input, Lowering, Reason};
use crate::graph::{Addend, Affine, Id, Linear, MAX_CHANNELS, Op, Product};
use crate::onnx;

impl<'m> Lowering<'m> {
    /// Adds `weights x input` to a sum, where `weights` has a row for each channel of the sum. Convolves the parts of a
    /// Concat, and the input of a Resize instead of its output.
    pub fn add_product(&mut self, sum: &mut Linear, input: Id, weights: Vec<f32>) {
        let outputs = sum.bias.len();
        let doubled = match &self.nodes[input].op {
            Op::Concat(parts) => {
                let row = self.nodes[input].channels;
                let mut first = 0;
                for part in parts.clone() {
                    let channels = self.nodes[part].channels;
                    let columns = |row: &[f32]| row[first..first + channels].to_vec();
                    let weights = weights.chunks_exact(row).flat_map(columns).collect();
                    self.add_product(sum, part, weights);
                    first += channels;
                }
                return;
            }
            Op::Linear(linear) => linear.only_doubles(),
            _ => None,
        };
        match doubled {
            // The weights of the interpolation sum to one, so the order of the two makes no difference.
            Some(small) => {
                let mut convolved = Linear::empty(outputs);
                self.add_product(&mut convolved, small, weights);
                let input = self.push(Op::Linear(convolved), outputs);
                sum.addends.push(Addend { input, doubled: true });
            }
            None => sum.products.push(Product { input, weights }),
        }
    }

    /// The sum of two maps; or the network's input changed by a single constant.
    pub fn arithmetic(&mut self, node: &onnx::Node<'m>, output: &'m str) -> Result<(), Reason> {
        match (self.input(node, 0)?, self.input(node, 1)?) {
            (Input::Node(a), Input::Node(b)) if node.kind == "Add" => self.add(a, b, output),
            (Input::Node(input), Input::Constant(tensor)) => {
                let value = single(tensor)?;
                let change = match node.kind {
                    "Add" => Affine { scale: 1.0, shift: value },
                    "Sub" => Affine { scale: 1.0, shift: -value },
                    "Mul" => Affine { scale: value, shift: 0.0 },
                    _ => Affine { scale: 1.0 / value, shift: 0.0 },
                };
                self.change_input(input, change, output)
            }
            (Input::Constant(tensor), Input::Node(input)) => {
                let value = single(tensor)?;
                let change = match node.kind {
                    "Add" => Affine { scale: 1.0, shift: value },
                    "Sub" => Affine { scale: -1.0, shift: value },
                    "Mul" => Affine { scale: value, shift: 0.0 },
                    _ => return Err("a division by a map is not supported".into()),
                };
                self.change_input(input, change, output)
            }
            _ => Err("only the sum of two maps is supported".into()),
        }
    }

    fn change_input(&mut self, input: Id, next: Affine, output: &'m str) -> Result<(), Reason> {
        let Op::Input(Affine { scale, shift }) = self.nodes[input].op else {
            return Err("a constant changes a map other than the network's input".into());
        };
        let affine = Affine { scale: scale * next.scale, shift: shift * next.scale + next.shift };
        if !(affine.scale as f32).is_finite() || !(affine.shift as f32).is_finite() {
            return Err("its constant is 0 or too large".into());
        }
        let channels = self.nodes[input].channels;
        self.define(output, Op::Input(affine), channels);
        Ok(())
    }

    fn add(&mut self, a: Id, b: Id, output: &'m str) -> Result<(), Reason> {
        let channels = self.nodes[a].channels;
        if self.nodes[b].channels != channels {
            return Err(format!("a sum of maps with {channels} and {} channels", self.nodes[b].channels));
        }
        let mut sum = Linear::empty(channels);
        for input in [a, b] {
            let alone = self.is_only_user(input);
            match &mut self.nodes[input].op {
                // Nothing refers to the node afterwards.
                Op::Linear(linear) if alone && linear.clamp.is_none() => {
                    sum.absorb(std::mem::replace(linear, Linear::empty(channels)));
                }
                _ => sum.addends.push(Addend { input, doubled: false }),
            }
        }
        self.define(output, Op::Linear(sum), channels);
        Ok(())
    }

    /// Bilinear enlargement to twice the size.
    pub fn resize(
        &mut self,
        node: &onnx::Node<'m>,
        attributes: &mut Attributes<'_, 'm>,
        output: &'m str,
    ) -> Result<(), Reason> {
        let input = self.node_input(node, 0)?;
        if attributes.text("mode", "nearest")? != "linear" {
            return Err("only the mode `linear` is supported".into());
        }
        // The two modes differ only for an output of one pixel.
        let mode = attributes.text("coordinate_transformation_mode", "half_pixel")?;
        if !["half_pixel", "pytorch_half_pixel"].contains(&mode) {
            return Err(format!("the coordinate transformation mode `{mode}` is not supported"));
        }
        attributes.require("antialias", 0)?;
        attributes.require("exclude_outside", 0)?;
        attributes.ignore(&["cubic_coeff_a", "extrapolation_value", "nearest_mode"]);
        if node.inputs.get(3).is_some_and(|sizes| !sizes.is_empty()) {
            return Err("a fixed output size is not supported".into());
        }
        if self.constant_input(node, 2)?.values()? != [1.0, 1.0, 2.0, 2.0] {
            return Err("only a scale of 2 in height and width is supported".into());
        }
        let channels = self.nodes[input].channels;
        let linear = Linear { addends: vec![Addend { input, doubled: true }], ..Linear::empty(channels) };
        self.define(output, Op::Linear(linear), channels);
        Ok(())
    }

    pub fn concat(
        &mut self,
        node: &onnx::Node<'m>,
        attributes: &mut Attributes<'_, 'm>,
        output: &'m str,
    ) -> Result<(), Reason> {
        channel_axis(attributes, 0)?;
        let (mut parts, mut channels) = (Vec::new(), 0);
        for index in 0..node.inputs.len() {
            let input = self.node_input(node, index)?;
            channels += self.nodes[input].channels;
            if channels > MAX_CHANNELS {
                return Err(format!("its output has more than {MAX_CHANNELS} channels"));
            }
            match &self.nodes[input].op {
                Op::Concat(inner) => parts.extend(inner),
                _ => parts.push(input),
            }
        }
        if parts.is_empty() {
            return Err("it has no inputs".into());
        }
        self.define(output, Op::Concat(parts), channels);
        Ok(())
    }

    pub fn softmax(
        &mut self,
        node: &onnx::Node<'m>,
        attributes: &mut Attributes<'_, 'm>,
        output: &'m str,
    ) -> Result<(), Reason> {
        if self.opset < 13 {
            return Err("before operator set 13 it is not over the channels alone".into());
        }
        channel_axis(attributes, -1)?;
        let input = self.node_input(node, 0)?;
        let channels = self.nodes[input].channels;
        self.define(output, Op::Softmax(input), channels);
        Ok(())
    }
}

fn single(tensor: &onnx::Tensor<'_>) -> Result<f64, Reason> {
    match tensor.values()?[..] {
        // More than four dimensions would give the result more than four.
        [value] if tensor.dims.len() <= 4 => Ok(f64::from(value)),
        _ => Err("its constant is not a single value".into()),
    }
}

fn channel_axis(attributes: &mut Attributes<'_, '_>, default: i64) -> Result<(), Reason> {
    match attributes.int("axis", default)? {
        1 | -3 => Ok(()),
        axis => Err(format!("its axis is {axis}; only the axis of the channels, 1, is supported")),
    }
}
