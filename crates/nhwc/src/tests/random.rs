//! Random networks of the supported operators: this engine loads them, and agrees with rten.

use proptest::prelude::*;

use super::builder::{Builder, Conv, Random, Value};
use super::{assert_agree, variants};

const WIDTHS: [usize; 7] = [1, 5, 8, 17, 24, 33, 40];

/// A network of `length` operators over random earlier values, and the channels of its input.
fn network(seed: u64, length: usize) -> (Vec<u8>, usize) {
    let mut random = Random::new(seed);
    let channels = 1 + random.below(4);
    let (mut builder, input) = Builder::new(seed, channels);
    builder.half = random.below(2) == 0;
    // Values of one size: a new size starts a new list, so that most operators have inputs that fit together.
    let mut values = vec![builder.change("Div", &input, 50.0)];
    if random.below(2) == 0 {
        let stem = builder.stem(&values[0], WIDTHS[random.below(7)]);
        values = vec![stem];
    }
    for _ in 0..length {
        let pick = |random: &mut Random| values[random.below(values.len())].clone();
        let a = pick(&mut random);
        let b = pick(&mut random);
        let width = WIDTHS[random.below(7)];
        let (value, resized) = match random.below(12) {
            0 | 1 => (builder.pointwise(&a, width, random.below(2) == 0), false),
            2 | 3 => (builder.depthwise(&a, [3, 5][random.below(2)], 1), false),
            4 => (same_padding(&mut builder, &a), true),
            5 => (builder.relu6(&a), false),
            6 => (add(&mut builder, &a, &b), false),
            7 if a.channels + b.channels <= 100 => (builder.concat(&[&a, &b]), false),
            8 => (builder.resize(&a), true),
            9 => (builder.softmax(&a), false),
            10 => (builder.clip(&a, -1.0, 1.5), false),
            _ => (builder.block(&a, 2, width, 3, 1), false),
        };
        if resized {
            values.clear();
        }
        values.push(value);
    }
    // Everything that is left is part of the output.
    let parts: Vec<&Value> = values.iter().collect();
    let output = builder.concat(&parts);
    (builder.finish(&output), channels)
}

fn same_padding(builder: &mut Builder, input: &Value) -> Value {
    let (outputs, auto_pad) = (input.channels, Some("SAME_UPPER"));
    builder.conv(
        input,
        Conv { outputs, kernel: 3, stride: 2, group: outputs, auto_pad, pads: vec![0; 4], bias: true },
    )
}

fn add(builder: &mut Builder, a: &Value, b: &Value) -> Value {
    match a.channels == b.channels {
        true => builder.add(a, b),
        false => {
            let b = builder.pointwise(b, a.channels, true);
            builder.add(a, &b)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_networks_agree_with_rten(seed: u64, length in 1usize..14, height in 1usize..30, width in 1usize..30) {
        let (file, channels) = network(seed, length);
        assert_agree(&file, channels, &[[height, width], [16, 8]], &variants());
    }
}
