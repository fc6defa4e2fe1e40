//! What this engine does not know is unsupported, with a reason in words.

use rten_onnx::onnx::AttributeProto;

use super::builder::{Builder, Conv, Value, float, int, ints, text};
use crate::{Network, Unsupported};

fn load(channels: usize, write: impl Fn(&mut Builder, &Value) -> Value) -> Result<Network, Unsupported> {
    let (mut builder, input) = Builder::new(3, channels);
    let output = write(&mut builder, &input);
    Network::load(&builder.finish(&output))
}

/// The network is unsupported, for a reason that contains these words.
fn refuse(words: &str, write: impl Fn(&mut Builder, &Value) -> Value) {
    let unsupported = load(3, |builder, input| {
        let x = builder.pointwise(input, 8, true);
        write(builder, &x)
    });
    let unsupported = unsupported.err().unwrap_or_else(|| panic!("it is supported: {words}"));
    assert!(unsupported.to_string().contains(words), "{unsupported} ({words})");
}

fn convolution(builder: &mut Builder, input: &Value, change: impl Fn(&mut Conv)) -> Value {
    let pads = vec![1; 4];
    let mut conv = Conv { outputs: 8, kernel: 3, stride: 1, group: 8, auto_pad: None, pads, bias: true };
    change(&mut conv);
    builder.conv(input, conv)
}

/// Adds an attribute to the last node.
fn with(builder: &mut Builder, value: Value, attribute: AttributeProto) -> Value {
    let node = builder.graph.node.last_mut().unwrap();
    node.attribute.retain(|old| old.name != attribute.name);
    node.attribute.push(attribute);
    value
}

#[test]
fn other_operators_are_unsupported() {
    for kind in
        ["ConvTranspose", "MaxPool", "Sigmoid", "LeakyRelu", "Reshape", "Pad", "HardSwish", "Gemm", ""]
    {
        refuse("no such operator", |builder, x| builder.node(kind, &[&x.name], vec![], 8));
    }
    refuse("operator set is `com.example`", |builder, x| {
        let y = builder.relu6(x);
        builder.graph.node.last_mut().unwrap().domain = Some("com.example".into());
        y
    });
}

#[test]
fn other_convolutions_are_unsupported() {
    type Change = fn(&mut Conv);
    let cases: [(&str, Change); 8] = [
        ("3x3 convolution from 8 to 8 channels in 1 groups", |conv| conv.group = 1),
        ("in 4 groups", |conv| conv.group = 4),
        ("from 8 to 16 channels in 8 groups", |conv| conv.outputs = 16),
        ("7x7 convolution", |conv| conv.kernel = 7),
        ("2x2 convolution", |conv| (conv.kernel, conv.pads) = (2, vec![0; 4])),
        ("strides of 3 x 3", |conv| conv.stride = 3),
        ("padding of [3, 1, 1, 1]", |conv| conv.pads = vec![3, 1, 1, 1]),
        ("padding of [-1, 1, 1, 1]", |conv| conv.pads = vec![-1, 1, 1, 1]),
    ];
    for (words, change) in cases {
        refuse(words, |builder, x| convolution(builder, x, change));
    }
    let attributes = [
        ("dilations", ints("dilations", &[2, 2])),
        ("strides of 1 x 2", ints("strides", &[1, 2])),
        ("3 values", ints("strides", &[1, 1, 1])),
        ("kernel's shape", ints("kernel_shape", &[1, 3])),
        ("`auto_pad` is `SAME_LOWER`", text("auto_pad", "SAME_LOWER")),
        ("both padding and `auto_pad`", text("auto_pad", "SAME_UPPER")),
        ("not an integer", float("group", 1.0)),
        ("`mystery` is unknown", int("mystery", 0)),
    ];
    for (words, attribute) in attributes {
        refuse(words, |builder, x| {
            let y = convolution(builder, x, |_| ());
            with(builder, y, attribute.clone())
        });
    }
    refuse("with a stride or with padding", |builder, x| {
        convolution(builder, x, |conv| {
            (conv.kernel, conv.group, conv.stride, conv.pads) = (1, 1, 2, vec![0; 4])
        })
    });
    refuse("its input 1 is not a constant", |builder, x| {
        builder.node("Conv", &[&x.name, &x.name], vec![], 8)
    });
}

#[test]
fn other_weights_are_unsupported() {
    let conv = |builder: &mut Builder, x: &Value, weights: &str, bias: &str| {
        let names = [x.name.as_str(), weights, bias];
        builder.node("Conv", &names, vec![], 4)
    };
    refuse("4 biases", |builder, x| {
        let (weights, bias) = (builder.weights(&[8, 8, 1, 1], 1.0), builder.weights(&[4], 1.0));
        conv(builder, x, &weights, &bias)
    });
    refuse("another number of values", |builder, x| {
        let weights = builder.constant(&[1.0; 8], &[8, 8, 1, 1]);
        conv(builder, x, &weights, "")
    });
    refuse("not a number", |builder, x| {
        let weights = builder.constant(&[f32::NAN; 64], &[8, 8, 1, 1]);
        conv(builder, x, &weights, "")
    });
    refuse("four positive dimensions", |builder, x| {
        let weights = builder.constant(&[1.0; 64], &[8, 8, 1]);
        conv(builder, x, &weights, "")
    });
    refuse("another file", |builder, x| {
        let weights = builder.constant(&[1.0; 64], &[8, 8, 1, 1]);
        let tensor = builder.graph.initializer.last_mut().unwrap();
        tensor.data_location = Some(rten_onnx::onnx::DataLocation::EXTERNAL);
        conv(builder, x, &weights, "")
    });
    refuse("not computed before it", |builder, x| conv(builder, x, "missing", ""));
}

#[test]
fn other_settings_of_operators_are_unsupported() {
    refuse("axis is 2", |builder, x| builder.node("Softmax", &[&x.name], vec![int("axis", 2)], 8));
    refuse("axis is -1", |builder, x| builder.node("Softmax", &[&x.name], vec![], 8));
    refuse("axis is 2", |builder, x| builder.node("Concat", &[&x.name, &x.name], vec![int("axis", 2)], 8));
    refuse("sum of maps with 8 and 4 channels", |builder, x| {
        let y = builder.pointwise(x, 4, true);
        builder.add(x, &y)
    });
    refuse("other than the network's input", |builder, x| builder.change("Mul", x, 2.0));
    refuse("only the sum of two maps", |builder, x| builder.node("Mul", &[&x.name, &x.name], vec![], 8));
    refuse("not a single value", |builder, x| {
        let limits = builder.constant(&[0.0, 1.0], &[2]);
        builder.node("Clip", &[&x.name, &limits], vec![], 8)
    });
    refuse("directly follow", |builder, x| {
        let y = builder.relu6(x);
        builder.normalization(&y)
    });
    refuse("operator set 13", |builder, x| {
        builder.opset = 12;
        builder.softmax(x)
    });
    refuse("operator set 10", |builder, x| {
        builder.opset = 10;
        builder.relu6(x)
    });
}

#[test]
fn other_kinds_of_resize_are_unsupported() {
    let cases = [
        ("the mode `linear`", text("mode", "nearest")),
        ("mode `asymmetric`", text("coordinate_transformation_mode", "asymmetric")),
        ("mode `align_corners`", text("coordinate_transformation_mode", "align_corners")),
        ("antialias", int("antialias", 1)),
        ("`axes` is unknown", ints("axes", &[2, 3])),
    ];
    for (words, attribute) in cases {
        refuse(words, |builder, x| {
            let y = builder.resize(x);
            with(builder, y, attribute.clone())
        });
    }
    refuse("a scale of 2", |builder, x| {
        let scales = builder.constant(&[1.0, 1.0, 3.0, 3.0], &[4]);
        builder.node("Resize", &[&x.name, "", &scales], vec![text("mode", "linear")], 8)
    });
    refuse("fixed output size", |builder, x| {
        let sizes = builder.constant(&[1.0; 4], &[4]);
        builder.node("Resize", &[&x.name, "", "", &sizes], vec![text("mode", "linear")], 8)
    });
}

#[test]
fn other_inputs_and_outputs_are_unsupported() {
    let unsupported = |channels, write: fn(&mut Builder, &Value) -> Value| {
        load(channels, write).err().expect("unsupported").to_string()
    };
    assert!(unsupported(5, |_, x| x.clone()).contains("1 to 4"));
    assert!(
        unsupported(1, |builder, x| {
            builder.graph.input.push(builder.graph.input[0].clone());
            builder.graph.input[1].name = Some("second".into());
            x.clone()
        })
        .contains("2 inputs")
    );
    assert!(
        unsupported(1, |_, _| Value { name: "nothing".into(), channels: 1 }).contains("no node computes")
    );
    assert!(
        unsupported(1, |builder, x| {
            let y = builder.relu6(x);
            builder.graph.node[0].output = vec!["L".into()];
            y
        })
        .contains("name of another value")
    );
}
