//! Turns a [`Graph`] into a list of steps with packed weights.
//!
//! Steps join operations whose intermediate maps would not fit into the processor's cache: an inverted residual block
//! (a 1x1 convolution, a depthwise one and another 1x1) runs over a few rows at a time, and so do Softmax and the 1x1
//! convolutions around it.

mod memory;

use std::mem::take;

use crate::graph::{Addend, Affine, Clamp, Convolution, Graph, Id, Linear, Op, Window};
use crate::kernels::{Depthwise, Shape, Stem, pack};

pub struct Plan {
    pub shape: Shape,
    /// Channels of each node.
    pub channels: Vec<usize>,
    pub input_channels: usize,
    pub output: Id,
    pub steps: Vec<Step>,
}

pub struct Step {
    /// The node that this step computes.
    pub output: Id,
    pub work: Work,
    /// Nodes that no later step reads.
    pub last_uses: Vec<Id>,
    /// The node whose memory becomes the output's, because the output is a sum with it and nothing reads it later.
    pub in_place: Option<Id>,
}

pub enum Work {
    Input(Affine),
    Stem { affine: Affine, window: Window, stem: Stem },
    Sum(Sum),
    Block(Box<Block>),
    Head(Box<Head>),
    Concat(Vec<Id>),
}

/// A [`Linear`] with packed weights.
pub struct Sum {
    pub products: Vec<PackedProduct>,
    pub addends: Vec<Addend>,
    /// One value for each float of a pixel.
    pub bias: Vec<f32>,
    pub clamp: Clamp,
}

pub struct PackedProduct {
    pub input: Id,
    pub weights: Vec<f32>,
}

/// A depthwise convolution with the sums before and after it.
pub struct Block {
    pub expand: Sum,
    pub window: Window,
    pub depthwise: Depthwise,
    /// The node of the depthwise convolution, which only `project` reads.
    pub middle: Id,
    pub project: Sum,
}

/// Softmax with the sums before and after it.
pub struct Head {
    pub logits: Sum,
    pub channels: usize,
    /// The node of the softmax, which only `mean` reads.
    pub middle: Id,
    pub mean: Sum,
}

/// What becomes of a node in the plan.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    /// Nothing needs it.
    Dead,
    /// It is computed by a step of its own.
    Alone,
    /// It is part of another node's step.
    Part,
    /// It ends the step that the node of a depthwise convolution or a softmax began.
    End(Id),
}

struct Planner {
    graph: Graph,
    shape: Shape,
    roles: Vec<Role>,
    /// The nodes that read a node, in order; a node twice if it reads it twice.
    readers: Vec<Vec<Id>>,
}

impl Plan {
    pub fn new(graph: Graph, shape: Shape) -> Self {
        let mut planner = Planner::new(graph, shape);
        planner.join();
        let mut steps = planner.steps();
        let Graph { nodes, input_channels, output } = planner.graph;
        memory::assign(&mut steps, nodes.len(), output);
        let channels = nodes.iter().map(|node| node.channels).collect();
        Self { shape, channels, input_channels, output, steps }
    }
}

impl Planner {
    fn new(graph: Graph, shape: Shape) -> Self {
        let mut readers = vec![Vec::new(); graph.nodes.len()];
        let mut roles = vec![Role::Dead; graph.nodes.len()];
        roles[graph.output] = Role::Alone;
        // Nodes read only nodes before them.
        for id in (0..graph.nodes.len()).rev() {
            if roles[id] == Role::Alone {
                for input in graph.nodes[id].op.inputs() {
                    roles[input] = Role::Alone;
                    readers[input].insert(0, id);
                }
            }
        }
        Self { graph, shape, roles, readers }
    }

    /// Decides which nodes share a step.
    fn join(&mut self) {
        for id in 0..self.roles.len() {
            let input = match &self.graph.nodes[id].op {
                Op::Depthwise(conv) => conv.input,
                Op::Softmax(input) => *input,
                // A stem reads the file's input itself.
                Op::Input(_) if self.readers[id].iter().all(|&reader| self.is_stem(reader)) => {
                    if id != self.graph.output {
                        self.roles[id] = Role::Part;
                    }
                    continue;
                }
                _ => continue,
            };
            if self.roles[id] == Role::Dead {
                continue;
            }
            if self.is_private(input) && self.is_linear(input) && self.roles[input] == Role::Alone {
                self.roles[input] = Role::Part;
            }
            if let [reader] = self.readers[id][..]
                && self.is_private(id)
                && self.roles[reader] == Role::Alone
                && self.reads_in_rows(reader, id)
            {
                self.roles[id] = Role::Part;
                self.roles[reader] = Role::End(id);
            }
        }
    }

    /// Whether exactly one node reads this one.
    fn is_private(&self, id: Id) -> bool {
        self.readers[id].len() == 1 && id != self.graph.output
    }

    fn is_stem(&self, id: Id) -> bool {
        matches!(self.graph.nodes[id].op, Op::Stem(_))
    }

    fn is_linear(&self, id: Id) -> bool {
        matches!(self.graph.nodes[id].op, Op::Linear(_))
    }

    /// Whether a row of the reader depends on the same row of the node alone.
    fn reads_in_rows(&self, reader: Id, id: Id) -> bool {
        match &self.graph.nodes[reader].op {
            Op::Linear(linear) => !linear.addends.contains(&Addend { input: id, doubled: true }),
            _ => false,
        }
    }

    fn steps(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        for id in 0..self.roles.len() {
            let work = match self.roles[id] {
                Role::Dead | Role::Part => continue,
                Role::End(middle) => self.joined(middle, id),
                Role::Alone => self.work(id),
            };
            steps.push(Step { output: id, work, last_uses: Vec::new(), in_place: None });
        }
        steps
    }

    fn work(&mut self, id: Id) -> Work {
        match &mut self.graph.nodes[id].op {
            Op::Input(affine) => Work::Input(*affine),
            Op::Stem(conv) => {
                let conv = take_convolution(conv);
                let Convolution { input, window, weights, bias, clamp } = conv;
                let stem = Stem::new(window.kernel, window.stride, &weights, &bias, clamp, self.shape);
                let affine = match self.graph.nodes[input].op {
                    Op::Input(affine) => affine,
                    _ => Affine { scale: 1.0, shift: 0.0 },
                };
                Work::Stem { affine, window, stem }
            }
            Op::Linear(_) => Work::Sum(self.sum(id)),
            Op::Concat(parts) => Work::Concat(take(parts)),
            Op::Depthwise(_) | Op::Softmax(_) => self.joined(id, id),
        }
    }

    /// The step of a depthwise convolution or a softmax and of the sums around it. If `end` is the same node, the sum
    /// after it is a copy.
    fn joined(&mut self, middle: Id, end: Id) -> Work {
        let channels = self.graph.nodes[middle].channels;
        let after = match end == middle {
            true => self.pack(Linear::identity(middle, channels)),
            false => self.sum(end),
        };
        match &mut self.graph.nodes[middle].op {
            Op::Depthwise(conv) => {
                let Convolution { input, window, weights, bias, clamp } = take_convolution(conv);
                let shape = self.shape;
                let depthwise = Depthwise::new(window.kernel, window.stride, &weights, &bias, clamp, shape);
                let expand = self.sum_or_copy(input);
                Work::Block(Box::new(Block { expand, window, depthwise, middle, project: after }))
            }
            op => {
                let input = op.inputs().first().copied().unwrap_or_default();
                let logits = self.sum_or_copy(input);
                Work::Head(Box::new(Head { logits, channels, middle, mean: after }))
            }
        }
    }

    /// The sum of a node that is part of the step, or a copy of one that is not.
    fn sum_or_copy(&mut self, id: Id) -> Sum {
        match self.roles[id] == Role::Part && self.is_linear(id) {
            true => self.sum(id),
            false => self.pack(Linear::identity(id, self.graph.nodes[id].channels)),
        }
    }

    /// Takes the weights out of the node.
    fn sum(&mut self, id: Id) -> Sum {
        let channels = self.graph.nodes[id].channels;
        match &mut self.graph.nodes[id].op {
            Op::Linear(linear) => {
                let linear = std::mem::replace(linear, Linear::empty(0));
                self.pack(linear)
            }
            _ => self.pack(Linear::identity(id, channels)),
        }
    }

    fn pack(&self, linear: Linear) -> Sum {
        let Linear { products, addends, mut bias, clamp } = linear;
        let outputs = bias.len();
        let products = products.into_iter().map(|product| {
            let depth = self.graph.nodes[product.input].channels;
            PackedProduct {
                input: product.input,
                weights: pack(&product.weights, depth, outputs, self.shape),
            }
        });
        let products = products.collect();
        bias.resize(self.shape.pitch(outputs), 0.0);
        Sum { products, addends, bias, clamp }
    }
}

/// Leaves a convolution without weights.
fn take_convolution(conv: &mut Convolution) -> Convolution {
    Convolution { weights: take(&mut conv.weights), bias: take(&mut conv.bias), ..*conv }
}

impl Sum {
    pub fn inputs(&self) -> impl Iterator<Item = Id> {
        self.products
            .iter()
            .map(|product| product.input)
            .chain(self.addends.iter().map(|addend| addend.input))
    }
}
