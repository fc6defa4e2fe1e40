//! The parts of an ONNX file that this engine needs, borrowed from the file's bytes.
//!
//! `rten-onnx` can read the same files. It allocates by lengths from the file and recurses without a limit, so a
//! damaged file may end the process; and it copies each weight.

use rten_simd::f16;

use crate::protobuf::{Fields, Malformed, Wire};

/// Files with more nodes are unsupported; the built-in network has 280.
pub const MAX_NODES: usize = 4096;

#[derive(Default)]
pub struct Model<'a> {
    /// Version of the default operator set; 0 if the file names none.
    pub opset: i64,
    pub nodes: Vec<Node<'a>>,
    pub initializers: Vec<Tensor<'a>>,
    pub inputs: Vec<ValueInfo<'a>>,
    pub outputs: Vec<ValueInfo<'a>>,
}

#[derive(Default)]
pub struct Node<'a> {
    pub name: &'a str,
    pub domain: &'a str,
    pub kind: &'a str,
    pub inputs: Vec<&'a str>,
    pub outputs: Vec<&'a str>,
    pub attributes: Vec<Attribute<'a>>,
}

#[derive(Default)]
pub struct Attribute<'a> {
    pub name: &'a str,
    pub value: AttributeValue<'a>,
}

#[derive(Clone, Default)]
pub enum AttributeValue<'a> {
    Float(f32),
    Int(i64),
    Text(&'a [u8]),
    Tensor(Tensor<'a>),
    Floats(Vec<f32>),
    Ints(Vec<i64>),
    /// A graph, a list of strings, or another type that no supported operator has.
    #[default]
    Other,
}

/// A constant. Its data is decoded when it is used.
#[derive(Clone, Default)]
pub struct Tensor<'a> {
    pub name: &'a str,
    pub dims: Vec<i64>,
    data_type: i64,
    raw: Option<&'a [u8]>,
    floats: Vec<f32>,
    ints: Vec<i64>,
    external: bool,
}

/// An input or output of the graph.
#[derive(Default)]
pub struct ValueInfo<'a> {
    pub name: &'a str,
    /// Whether elements are 32-bit floats.
    pub is_float: bool,
    /// `None` where the file names a dimension instead of giving a number.
    pub dims: Vec<Option<i64>>,
}

const FLOAT: i64 = 1;
const FLOAT16: i64 = 10;

impl<'a> Model<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut model = Self::default();
        for field in Fields(bytes) {
            match field? {
                (7, wire) => model.graph(wire.bytes()?)?,
                (8, wire) => {
                    let (domain, version) = operator_set(wire.bytes()?)?;
                    if is_default_domain(domain) {
                        model.opset = version;
                    }
                }
                _ => {}
            }
        }
        Ok(model)
    }

    fn graph(&mut self, bytes: &'a [u8]) -> Result<(), Malformed> {
        for field in Fields(bytes) {
            let (number, wire) = field?;
            match number {
                // One more than allowed is enough to see that there are too many.
                1 if self.nodes.len() <= MAX_NODES => self.nodes.push(Node::parse(wire.bytes()?)?),
                5 => self.initializers.push(Tensor::parse(wire.bytes()?)?),
                11 => self.inputs.push(ValueInfo::parse(wire.bytes()?)?),
                12 => self.outputs.push(ValueInfo::parse(wire.bytes()?)?),
                _ => {}
            }
        }
        Ok(())
    }
}

pub fn is_default_domain(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

fn operator_set(bytes: &[u8]) -> Result<(&str, i64), Malformed> {
    let (mut domain, mut version) = ("", 0);
    for field in Fields(bytes) {
        match field? {
            (1, wire) => domain = wire.text()?,
            (2, wire) => version = wire.int()?,
            _ => {}
        }
    }
    Ok((domain, version))
}

impl<'a> Node<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut node = Self::default();
        for field in Fields(bytes) {
            match field? {
                (1, wire) => node.inputs.push(wire.text()?),
                (2, wire) => node.outputs.push(wire.text()?),
                (3, wire) => node.name = wire.text()?,
                (4, wire) => node.kind = wire.text()?,
                (5, wire) => node.attributes.push(Attribute::parse(wire.bytes()?)?),
                (7, wire) => node.domain = wire.text()?,
                _ => {}
            }
        }
        Ok(node)
    }
}

impl<'a> Attribute<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (mut name, mut kind) = ("", 0);
        let (mut float, mut int, mut text, mut tensor) = (0.0, 0, &[][..], None);
        let (mut floats, mut ints) = (Vec::new(), Vec::new());
        for field in Fields(bytes) {
            match field? {
                (1, wire) => name = wire.text()?,
                (2, wire) => float = wire.float()?,
                (3, wire) => int = wire.int()?,
                (4, wire) => text = wire.bytes()?,
                (5, wire) => tensor = Some(wire.bytes()?),
                (7, wire) => wire.floats(&mut floats)?,
                (8, wire) => wire.ints(&mut ints)?,
                (20, wire) => kind = wire.int()?,
                _ => {}
            }
        }
        let value = match (kind, tensor) {
            (1, _) => AttributeValue::Float(float),
            (2, _) => AttributeValue::Int(int),
            (3, _) => AttributeValue::Text(text),
            (4, Some(tensor)) => AttributeValue::Tensor(Tensor::parse(tensor)?),
            (6, _) => AttributeValue::Floats(floats),
            (7, _) => AttributeValue::Ints(ints),
            _ => AttributeValue::Other,
        };
        Ok(Self { name, value })
    }
}

impl<'a> Tensor<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut tensor = Self::default();
        for field in Fields(bytes) {
            match field? {
                (1, wire) => wire.ints(&mut tensor.dims)?,
                (2, wire) => tensor.data_type = wire.int()?,
                (4, wire) => wire.floats(&mut tensor.floats)?,
                (5, wire) => wire.ints(&mut tensor.ints)?,
                (8, wire) => tensor.name = wire.text()?,
                (9, wire) => tensor.raw = Some(wire.bytes()?),
                (14, wire) => tensor.external = wire.int()? != 0,
                _ => {}
            }
        }
        Ok(tensor)
    }

    /// A constant of one dimension, or of none for a single value.
    pub fn from_floats(floats: Vec<f32>, dims: Vec<i64>) -> Self {
        Self { data_type: FLOAT, floats, dims, ..Self::default() }
    }

    /// The dimensions, if all are positive.
    pub fn shape(&self) -> Option<Vec<usize>> {
        let positive = |&dim: &i64| usize::try_from(dim).ok().filter(|&dim| dim > 0);
        self.dims.iter().map(positive).collect()
    }

    pub fn is_half(&self) -> bool {
        self.data_type == FLOAT16
    }

    /// The elements, if they are floats of 16 or 32 bits in this file and their number matches the dimensions.
    pub fn values(&self) -> Result<Vec<f32>, &'static str> {
        if self.external {
            return Err("a constant is stored in another file");
        }
        let values = match (self.data_type, self.raw) {
            (FLOAT, None) => self.floats.clone(),
            (FLOAT, Some(raw)) => {
                let (chunks, []) = raw.as_chunks::<4>() else { return Err("a constant has a cut value") };
                chunks.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
            }
            (FLOAT16, None) => self.ints.iter().map(|&bits| half(bits as u16)).collect(),
            (FLOAT16, Some(raw)) => {
                let (chunks, []) = raw.as_chunks::<2>() else { return Err("a constant has a cut value") };
                chunks.iter().map(|bytes| half(u16::from_le_bytes(*bytes))).collect()
            }
            _ => return Err("a constant is not of 16-bit or 32-bit floats"),
        };
        let shape = self.shape().ok_or("a constant is empty")?;
        let count = shape.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim));
        if count != Some(values.len()) {
            return Err("a constant has another number of values than its dimensions say");
        }
        if values.iter().any(|value| value.is_nan()) {
            return Err("a constant contains a value that is not a number");
        }
        Ok(values)
    }
}

fn half(bits: u16) -> f32 {
    f16::from_bits(bits).to_f32()
}

impl<'a> ValueInfo<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut info = Self::default();
        for field in Fields(bytes) {
            match field? {
                (1, wire) => info.name = wire.text()?,
                (2, wire) => info.type_(wire.bytes()?)?,
                _ => {}
            }
        }
        Ok(info)
    }

    fn type_(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        for field in Fields(bytes) {
            let (1, wire) = field? else { continue };
            for field in Fields(wire.bytes()?) {
                match field? {
                    (1, wire) => self.is_float = wire.int()? == FLOAT,
                    (2, wire) => self.dims = dimensions(wire.bytes()?)?,
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

fn dimensions(bytes: &[u8]) -> Result<Vec<Option<i64>>, Malformed> {
    let mut dims = Vec::new();
    for field in Fields(bytes) {
        let (1, wire) = field? else { continue };
        let mut dim = None;
        for field in Fields(wire.bytes()?) {
            if let (1, Wire::Varint(value)) = field? {
                dim = Some(value.cast_signed());
            }
        }
        dims.push(dim);
    }
    Ok(dims)
}
