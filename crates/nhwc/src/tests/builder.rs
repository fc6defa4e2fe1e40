//! Writes ONNX files with random weights.

use std::cell::RefCell;

use rten_onnx::onnx::{
    AttributeProto, AttributeType, DataType, Dimension, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto, TypeProtoTensor, ValueInfoProto,
};

/// A small generator of numbers (splitmix64), so that a network is the same on every machine.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    /// 0 to 1.
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 24) as f32
    }

    /// A whole number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// A network that is being written. Methods return the name of the value that they add.
pub struct Builder {
    pub graph: GraphProto,
    pub opset: i64,
    random: Random,
    /// Whether weights are 16-bit floats with a Cast.
    pub half: bool,
    names: usize,
}

/// A value and its channels.
#[derive(Clone, Debug)]
pub struct Value {
    pub name: String,
    pub channels: usize,
}

/// Settings of a convolution.
#[derive(Clone)]
pub struct Conv {
    pub outputs: usize,
    pub kernel: usize,
    pub stride: i64,
    pub group: usize,
    pub auto_pad: Option<&'static str>,
    /// Zeros if there is an `auto_pad`.
    pub pads: Vec<i64>,
    pub bias: bool,
}

impl Builder {
    pub fn new(seed: u64, channels: usize) -> (Self, Value) {
        let graph = GraphProto { input: vec![info("L", Some(channels as i64))], ..Default::default() };
        let builder = Self { graph, opset: 17, random: Random::new(seed), half: false, names: 0 };
        (builder, Value { name: "L".into(), channels })
    }

    pub fn finish(mut self, output: &Value) -> Vec<u8> {
        self.graph.output = vec![info(&output.name, None)];
        let opset = OperatorSetIdProto { domain: Some(String::new()), version: Some(self.opset) };
        let model = ModelProto {
            ir_version: Some(8),
            graph: Some(self.graph),
            opset_import: vec![opset],
            ..Default::default()
        };
        model.write_buf().unwrap()
    }

    pub fn node(
        &mut self,
        kind: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
        channels: usize,
    ) -> Value {
        let name = self.name(kind);
        self.graph.node.push(NodeProto {
            name: Some(name.clone()),
            op_type: Some(kind.into()),
            input: inputs.iter().map(|&input| input.into()).collect(),
            output: vec![name.clone()],
            attribute: attributes,
            ..Default::default()
        });
        Value { name, channels }
    }

    fn name(&mut self, kind: &str) -> String {
        self.names += 1;
        format!("{kind}{}", self.names)
    }

    pub fn constant(&mut self, values: &[f32], dims: &[usize]) -> String {
        let name = self.name("constant");
        let raw = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.initializer(&name, DataType::FLOAT, dims, raw);
        name
    }

    fn initializer(&mut self, name: &str, data_type: DataType, dims: &[usize], raw: Vec<u8>) {
        self.graph.initializer.push(TensorProto {
            name: Some(name.into()),
            dims: dims.iter().map(|&dim| dim as i64).collect(),
            data_type: Some(data_type),
            raw_data: Some(RefCell::new(raw)),
            ..Default::default()
        });
    }

    /// Values from `-spread` to `spread`.
    pub fn weights(&mut self, dims: &[usize], spread: f32) -> String {
        let count: usize = dims.iter().product();
        let values: Vec<f32> = (0..count).map(|_| (self.random.unit() * 2.0 - 1.0) * spread).collect();
        if !self.half {
            return self.constant(&values, dims);
        }
        let name = self.name("half");
        let raw = values.iter().flat_map(|&value| rten_simd::f16::from_f32(value).to_bits().to_le_bytes());
        self.initializer(&name, DataType::FLOAT16, dims, raw.collect());
        self.node("Cast", &[&name], vec![int("to", 1)], 0).name
    }

    pub fn conv(&mut self, input: &Value, conv: Conv) -> Value {
        let Conv { outputs, kernel, stride, group, auto_pad, pads, bias } = conv;
        let inputs = input.channels / group;
        let spread = (3.0 / (inputs * kernel * kernel) as f32).sqrt();
        let weights = self.weights(&[outputs, inputs, kernel, kernel], spread);
        let mut names = vec![input.name.clone(), weights];
        if bias {
            names.push(self.weights(&[outputs], 1.0));
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut attributes = vec![ints("strides", &[stride, stride]), int("group", group as i64)];
        // Optional, but rten wants it.
        attributes.push(ints("dilations", &[1, 1]));
        if let Some(auto_pad) = auto_pad {
            attributes.push(text("auto_pad", auto_pad));
        }
        attributes.push(ints("pads", &pads));
        self.node("Conv", &names, attributes, outputs)
    }

    pub fn pointwise(&mut self, input: &Value, outputs: usize, bias: bool) -> Value {
        let pads = vec![0; 4];
        self.conv(input, Conv { outputs, kernel: 1, stride: 1, group: 1, auto_pad: None, pads, bias })
    }

    /// With padding as PyTorch writes it for `SAME`, for even sizes.
    pub fn depthwise(&mut self, input: &Value, kernel: usize, stride: usize) -> Value {
        let total = kernel - stride;
        let (before, after) = (total as i64 / 2, (total - total / 2) as i64);
        let pads = vec![before, before, after, after];
        let (outputs, stride) = (input.channels, stride as i64);
        let group = outputs;
        self.conv(input, Conv { outputs, kernel, stride, group, auto_pad: None, pads, bias: true })
    }

    pub fn stem(&mut self, input: &Value, outputs: usize) -> Value {
        let pads = vec![0, 0, 1, 1];
        self.conv(input, Conv { outputs, kernel: 3, stride: 2, group: 1, auto_pad: None, pads, bias: true })
    }

    pub fn clip(&mut self, input: &Value, low: f32, high: f32) -> Value {
        let (low, high) = (self.constant(&[low], &[]), self.constant(&[high], &[]));
        self.node("Clip", &[&input.name, &low, &high], vec![], input.channels)
    }

    pub fn relu6(&mut self, input: &Value) -> Value {
        self.clip(input, 0.0, 6.0)
    }

    pub fn add(&mut self, a: &Value, b: &Value) -> Value {
        self.node("Add", &[&a.name, &b.name], vec![], a.channels)
    }

    /// Multiplies, divides or shifts by a constant.
    pub fn change(&mut self, kind: &str, input: &Value, by: f32) -> Value {
        let constant = self.constant(&[by], &[]);
        self.node(kind, &[&input.name, &constant], vec![], input.channels)
    }

    pub fn resize(&mut self, input: &Value) -> Value {
        let scales = self.constant(&[1.0, 1.0, 2.0, 2.0], &[4]);
        let attributes = vec![text("mode", "linear"), text("coordinate_transformation_mode", "half_pixel")];
        self.node("Resize", &[&input.name, "", &scales], attributes, input.channels)
    }

    pub fn concat(&mut self, parts: &[&Value]) -> Value {
        let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        let channels = parts.iter().map(|part| part.channels).sum();
        self.node("Concat", &names, vec![int("axis", 1)], channels)
    }

    pub fn softmax(&mut self, input: &Value) -> Value {
        self.node("Softmax", &[&input.name], vec![int("axis", 1)], input.channels)
    }

    pub fn normalization(&mut self, input: &Value) -> Value {
        let channels = input.channels;
        let positive: Vec<f32> = (0..channels).map(|_| 0.5 + self.random.unit()).collect();
        let variance = self.constant(&positive, &[channels]);
        let constants = [1.0, 0.5, 0.5].map(|spread| self.weights(&[channels], spread));
        let [scale, shift, mean] = &constants;
        let inputs = [&input.name, scale, shift, mean, &variance].map(String::as_str);
        self.node("BatchNormalization", &inputs, vec![float("epsilon", 1e-3)], channels)
    }

    /// An inverted residual block.
    pub fn block(
        &mut self,
        input: &Value,
        expand: usize,
        outputs: usize,
        kernel: usize,
        stride: usize,
    ) -> Value {
        let mut middle = input.clone();
        if expand > 1 {
            middle = self.pointwise(input, input.channels * expand, true);
            middle = self.relu6(&middle);
        }
        middle = self.depthwise(&middle, kernel, stride);
        middle = self.relu6(&middle);
        let output = self.pointwise(&middle, outputs, true);
        match stride == 1 && outputs == input.channels {
            true => self.add(input, &output),
            false => output,
        }
    }

    /// A stage of the decoder: a depthwise branch and a direct one over the same input.
    pub fn stage(&mut self, input: &Value, outputs: usize) -> Value {
        let direct = self.pointwise(input, outputs, false);
        let branch = self.pointwise(input, outputs, true);
        let branch = self.relu6(&branch);
        let branch = self.depthwise(&branch, 3, 1);
        let branch = self.relu6(&branch);
        let branch = self.pointwise(&branch, outputs, true);
        let sum = self.add(&branch, &direct);
        self.relu6(&sum)
    }
}

fn info(name: &str, channels: Option<i64>) -> ValueInfoProto {
    let number = |value: Option<i64>, name: &str| Dimension {
        dim_value: value,
        dim_param: value.is_none().then(|| name.into()),
    };
    let dim = vec![number(Some(1), ""), number(channels, "c"), number(None, "h"), number(None, "w")];
    let tensor = TypeProtoTensor { elem_type: Some(DataType::FLOAT), shape: Some(TensorShapeProto { dim }) };
    let r#type = TypeProto { tensor_type: Some(tensor), ..Default::default() };
    ValueInfoProto { name: Some(name.into()), r#type: Some(r#type) }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: Some(name.into()), r#type: Some(kind), ..Default::default() }
}

pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, AttributeType::INT) }
}

pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.to_vec(), ..attribute(name, AttributeType::INTS) }
}

pub fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..attribute(name, AttributeType::FLOAT) }
}

pub fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { s: Some(value.into()), ..attribute(name, AttributeType::STRING) }
}
