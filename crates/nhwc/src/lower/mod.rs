//! Translates the operators of an ONNX file into a [`Graph`]. Whatever it does not know for certain is unsupported.
//!
//! The translation also simplifies, each time exactly (up to rounding): constants are read once, batch normalisation
//! becomes part of its convolution, Clip and Relu part of the operation before them, sums of sums one sum, a 1x1
//! convolution of a Concat a sum of 1x1 convolutions, and a 1x1 convolution of a Resize is computed before the Resize
//! on a quarter of the pixels.

mod attributes;
mod convolution;
mod pixelwise;

use std::collections::HashMap;

use crate::Unsupported;
use crate::graph::{Affine, Clamp, Graph, Id, Linear, Node, Op};
use crate::onnx::{self, AttributeValue, MAX_NODES, Model, Tensor, ValueInfo};
use attributes::Attributes;

/// Why a node is unsupported.
type Reason = String;

struct Lowering<'m> {
    opset: i64,
    constants: HashMap<&'m str, Tensor<'m>>,
    values: HashMap<&'m str, Id>,
    /// How many times the file refers to a name.
    uses: HashMap<&'m str, usize>,
    nodes: Vec<Node>,
    /// How many times the file refers to a node, by any of its names.
    node_uses: Vec<usize>,
}

/// An operator's input.
enum Input<'a, 'm> {
    Node(Id),
    Constant(&'a Tensor<'m>),
}

pub fn lower(model: &Model<'_>) -> Result<Graph, Unsupported> {
    let (input, output) = endpoints(model)?;
    if !(11..=24).contains(&model.opset) {
        return Err(Unsupported::new(
            "the file",
            format!("operator set {}; 11 to 24 are supported", model.opset),
        ));
    }
    if model.nodes.len() > MAX_NODES {
        return Err(Unsupported::new("the file", format!("more than {MAX_NODES} nodes")));
    }
    let input_channels = input_channels(input)?;
    let mut lowering = Lowering::new(model, output.name);
    lowering.define(input.name, Op::Input(Affine { scale: 1.0, shift: 0.0 }), input_channels);
    for node in &model.nodes {
        lowering.node(node).map_err(|reason| Unsupported::new(place(node), reason))?;
    }
    match lowering.values.get(output.name) {
        Some(&output) => Ok(Graph { nodes: lowering.nodes, input_channels, output }),
        None => Err(Unsupported::new("the file", "no node computes its output")),
    }
}

fn place(node: &onnx::Node<'_>) -> String {
    format!("node `{}` ({})", node.name, node.kind)
}

/// The file's one input and one output.
fn endpoints<'a, 'm>(model: &'a Model<'m>) -> Result<(&'a ValueInfo<'m>, &'a ValueInfo<'m>), Unsupported> {
    // Old files list their constants as inputs, too.
    let constant = |name| model.initializers.iter().any(|tensor| tensor.name == name);
    let inputs: Vec<_> = model.inputs.iter().filter(|input| !constant(input.name)).collect();
    match (&inputs[..], &model.outputs[..]) {
        ([input], [output]) => Ok((input, output)),
        (inputs, outputs) => {
            let reason = format!(
                "{} inputs and {} outputs; only one of each is supported",
                inputs.len(),
                outputs.len()
            );
            Err(Unsupported::new("the file", reason))
        }
    }
}

fn input_channels(input: &ValueInfo<'_>) -> Result<usize, Unsupported> {
    let wrong = |reason: &str| Unsupported::new(format!("input `{}`", input.name), reason);
    if !input.is_float {
        return Err(wrong("its elements are not 32-bit floats"));
    }
    let [batch, channels, _, _] = input.dims[..] else { return Err(wrong("it has not four dimensions")) };
    if batch.is_some_and(|batch| batch != 1) {
        return Err(wrong("its batch size is not 1"));
    }
    match channels {
        Some(channels @ 1..=4) => Ok(channels as usize),
        _ => Err(wrong("its number of channels is not given as 1 to 4")),
    }
}

impl<'m> Lowering<'m> {
    fn new(model: &Model<'m>, output: &'m str) -> Self {
        let mut uses = HashMap::from([(output, 1)]);
        for name in model.nodes.iter().flat_map(|node| &node.inputs) {
            *uses.entry(*name).or_default() += 1;
        }
        Self {
            opset: model.opset,
            constants: model.initializers.iter().map(|tensor| (tensor.name, tensor.clone())).collect(),
            values: HashMap::new(),
            uses,
            nodes: Vec::new(),
            node_uses: Vec::new(),
        }
    }

    fn push(&mut self, op: Op, channels: usize) -> Id {
        self.nodes.push(Node { op, channels });
        self.node_uses.push(0);
        self.nodes.len() - 1
    }

    fn define(&mut self, name: &'m str, op: Op, channels: usize) {
        let id = self.push(op, channels);
        self.name(name, id);
    }

    /// Gives a node a further name.
    fn name(&mut self, name: &'m str, id: Id) {
        self.values.insert(name, id);
        self.node_uses[id] += self.uses.get(name).copied().unwrap_or(0);
    }

    /// Gives a node another name in place of the one by which its only user knows it.
    fn rename(&mut self, name: &'m str, id: Id) {
        self.node_uses[id] = 0;
        self.name(name, id);
    }

    /// Whether the operator that is being translated is the node's only user, so that it may change the node.
    fn is_only_user(&self, id: Id) -> bool {
        self.node_uses[id] == 1
    }

    fn input<'a>(&'a self, node: &onnx::Node<'m>, index: usize) -> Result<Input<'a, 'm>, Reason> {
        let name = node.inputs.get(index).copied().unwrap_or_default();
        if let Some(&id) = self.values.get(name) {
            return Ok(Input::Node(id));
        }
        match self.constants.get(name) {
            Some(tensor) => Ok(Input::Constant(tensor)),
            None => Err(format!("its input {index} (`{name}`) is not computed before it")),
        }
    }

    fn node_input(&self, node: &onnx::Node<'m>, index: usize) -> Result<Id, Reason> {
        match self.input(node, index)? {
            Input::Node(id) => Ok(id),
            Input::Constant(_) => Err(format!("its input {index} is a constant")),
        }
    }

    fn constant_input(&self, node: &onnx::Node<'m>, index: usize) -> Result<&Tensor<'m>, Reason> {
        match self.input(node, index)? {
            Input::Constant(tensor) => Ok(tensor),
            Input::Node(_) => Err(format!("its input {index} is not a constant")),
        }
    }

    /// `None` if the input is absent.
    fn optional_input(&self, node: &onnx::Node<'m>, index: usize) -> Result<Option<&Tensor<'m>>, Reason> {
        match node.inputs.get(index) {
            None | Some(&"") => Ok(None),
            Some(_) => self.constant_input(node, index).map(Some),
        }
    }

    fn node(&mut self, node: &onnx::Node<'m>) -> Result<(), Reason> {
        if !onnx::is_default_domain(node.domain) {
            return Err(format!("its operator set is `{}`", node.domain));
        }
        let [output] = node.outputs[..] else {
            return Err(format!("it has {} outputs; one is supported", node.outputs.len()));
        };
        if output.is_empty() || self.values.contains_key(output) || self.constants.contains_key(output) {
            return Err(format!("its output `{output}` has no name or the name of another value"));
        }
        let mut attributes = Attributes::new(node)?;
        match node.kind {
            "Constant" => self.constant(&mut attributes, output),
            "Cast" => self.cast(node, &mut attributes, output),
            "Identity" => self.identity(node, output),
            "Conv" => self.convolution(node, &mut attributes, output),
            "BatchNormalization" => self.normalization(node, &mut attributes, output),
            "Relu" => self.clamp(node, Clamp { low: 0.0, ..Clamp::NONE }, output),
            "Clip" => self.clip(node, output),
            "Add" | "Sub" | "Mul" | "Div" => self.arithmetic(node, output),
            "Resize" => self.resize(node, &mut attributes, output),
            "Concat" => self.concat(node, &mut attributes, output),
            "Softmax" => self.softmax(node, &mut attributes, output),
            _ => Err("this engine has no such operator".into()),
        }?;
        attributes.finish()
    }

    fn constant(&mut self, attributes: &mut Attributes<'_, 'm>, output: &'m str) -> Result<(), Reason> {
        let tensor = match attributes.only() {
            Some(("value", AttributeValue::Tensor(tensor))) => tensor,
            Some(("value_float", AttributeValue::Float(value))) => {
                Tensor::from_floats(vec![value], Vec::new())
            }
            Some(("value_floats", AttributeValue::Floats(values))) => {
                let dims = vec![values.len() as i64];
                Tensor::from_floats(values, dims)
            }
            _ => return Err("its value is not a tensor of floats".into()),
        };
        self.constants.insert(output, tensor);
        Ok(())
    }

    /// Weights may be stored as 16-bit floats; [`Tensor::values`] returns 32-bit floats in both cases.
    fn cast(
        &mut self,
        node: &onnx::Node<'m>,
        attributes: &mut Attributes<'_, 'm>,
        output: &'m str,
    ) -> Result<(), Reason> {
        const TO_FLOAT: i64 = 1;
        if attributes.int("to", 0)? != TO_FLOAT {
            return Err("only a conversion to 32-bit floats is supported".into());
        }
        attributes.int("saturate", 1)?;
        let tensor = self.constant_input(node, 0)?;
        if !tensor.is_half() {
            return Err("only a conversion of 16-bit floats is supported".into());
        }
        let tensor = tensor.clone();
        self.constants.insert(output, tensor);
        Ok(())
    }

    fn identity(&mut self, node: &onnx::Node<'m>, output: &'m str) -> Result<(), Reason> {
        match self.input(node, 0)? {
            Input::Node(id) => self.name(output, id),
            Input::Constant(tensor) => {
                let tensor = tensor.clone();
                self.constants.insert(output, tensor);
            }
        }
        Ok(())
    }

    fn clip(&mut self, node: &onnx::Node<'m>, output: &'m str) -> Result<(), Reason> {
        let limit = |index, absent| match self.optional_input(node, index)? {
            None => Ok(absent),
            Some(tensor) => match tensor.values()?[..] {
                [value] if tensor.dims.len() <= 1 => Ok(value),
                _ => Err(Reason::from("a limit is not a single value")),
            },
        };
        let clamp = Clamp { low: limit(1, f32::NEG_INFINITY)?, high: limit(2, f32::INFINITY)? };
        self.clamp(node, clamp, output)
    }

    /// Limits the result of the node before this one, or copies it if that has other users.
    fn clamp(&mut self, node: &onnx::Node<'m>, next: Clamp, output: &'m str) -> Result<(), Reason> {
        let input = self.node_input(node, 0)?;
        let alone = self.is_only_user(input);
        let Node { op, channels } = &mut self.nodes[input];
        let channels = *channels;
        match op.clamp_mut() {
            Some(clamp) if alone => {
                *clamp = clamp.then(next);
                self.rename(output, input);
            }
            _ => {
                let linear = Linear { clamp: next, ..Linear::identity(input, channels) };
                self.define(output, Op::Linear(linear), channels);
            }
        }
        Ok(())
    }
}
