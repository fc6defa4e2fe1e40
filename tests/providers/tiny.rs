//! Writes tiny ONNX files byte by byte: one 1 x 1 convolution each, so that the output can be computed by hand.

/// A value of TensorProto.DataType.
const FLOAT: u64 = 1;
/// A value of AttributeProto.AttributeType.
const INTS: u64 = 7;

/// An ONNX file: `out[k] = sum over c of weights[k][c] * in[c] + bias[k]` at every pixel.
///
/// Field numbers are those of onnx.proto3 (ModelProto, GraphProto, NodeProto, TensorProto,
/// ValueInfoProto), opset 17.
pub fn convolution(weights: &[&[f32]], bias: &[f32]) -> Vec<u8> {
    let (outputs, inputs) = (weights.len(), weights[0].len());
    let ints = |name: &str, values: &[u64]| {
        let values: Vec<u8> = values.iter().flat_map(|&value| number(8, value)).collect();
        bytes(5, &[text(1, name), values, number(20, INTS)].concat())
    };
    let attributes = [ints("strides", &[1, 1]), ints("dilations", &[1, 1]), ints("pads", &[0; 4])].concat();
    let node = [text(1, "x"), text(1, "w"), text(1, "b"), text(2, "y"), text(4, "Conv"), attributes].concat();
    let weights: Vec<f32> = weights.concat();
    let graph = [
        bytes(1, &node),
        text(2, "tiny"),
        bytes(5, &tensor("w", &[outputs, inputs, 1, 1], &weights)),
        bytes(5, &tensor("b", &[outputs], bias)),
        bytes(11, &value("x", inputs)),
        bytes(12, &value("y", outputs)),
    ]
    .concat();
    let opset = number(2, 17);
    [number(1, 8), bytes(7, &graph), bytes(8, &opset)].concat()
}

fn tensor(name: &str, shape: &[usize], data: &[f32]) -> Vec<u8> {
    let shape: Vec<u8> = shape.iter().flat_map(|&side| number(1, side as u64)).collect();
    let data: Vec<u8> = data.iter().flat_map(|value| value.to_le_bytes()).collect();
    [shape, number(2, FLOAT), text(8, name), bytes(9, &data)].concat()
}

/// A value of shape `1 x channels x h x w`.
fn value(name: &str, channels: usize) -> Vec<u8> {
    let fixed = |side: u64| bytes(1, &number(1, side));
    let free = |name: &str| bytes(1, &text(2, name));
    let shape = [fixed(1), fixed(channels as u64), free("h"), free("w")].concat();
    let tensor = [number(1, FLOAT), bytes(2, &shape)].concat();
    [text(1, name), bytes(2, &bytes(1, &tensor))].concat()
}

fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn text(field: u64, value: &str) -> Vec<u8> {
    bytes(field, value.as_bytes())
}

fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}
