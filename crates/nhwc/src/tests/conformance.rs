//! Both engines agree on the built-in network, on version 1 of it, and on networks of other widths.

use super::builder::{Builder, Conv, Value};
use super::{BUILT_IN, assert_agree, load, picture, variants};
use crate::kernels::{Shape, Target};
use crate::{RunError, Scratch};

const SIZES: [[usize; 2]; 10] = [
    [32, 32],
    [32, 64],
    [96, 64],
    [64, 160],
    [128, 128],
    [160, 96],
    [192, 224],
    [224, 224],
    [256, 192],
    [224, 320],
];

/// Sizes whose halves do not always add up again, and tiny ones.
const ODD_SIZES: [[usize; 2]; 10] =
    [[1, 1], [2, 3], [5, 4], [7, 33], [16, 16], [31, 30], [40, 56], [48, 17], [33, 65], [72, 24]];

fn detected() -> (Target, Shape) {
    (Target::Detected, Shape::of(Target::Detected))
}

/// The structure of the built-in network with random weights. Each of `groups` is expansion, channels, kernel, blocks
/// and stride; `skips` are the groups after which a decoder stage begins, `decoder` the widths of the stages.
struct Structure {
    channels: usize,
    stem: usize,
    groups: &'static [(usize, usize, usize, usize, usize)],
    skips: [usize; 3],
    decoder: [usize; 4],
    bins: usize,
}

const VERSION_1: Structure = Structure {
    channels: 1,
    stem: 32,
    groups: &[
        (1, 16, 3, 1, 1),
        (6, 24, 3, 2, 2),
        (6, 40, 5, 2, 2),
        (6, 80, 3, 3, 2),
        (6, 112, 5, 3, 1),
        (6, 192, 5, 4, 2),
        (6, 320, 3, 1, 1),
    ],
    skips: [1, 2, 4],
    decoder: [192, 128, 96, 96],
    bins: 260,
};

/// Widths that are no multiples of a vector.
const UNEVEN: Structure = Structure {
    channels: 3,
    stem: 17,
    groups: &[
        (1, 5, 5, 1, 1),
        (3, 24, 3, 2, 2),
        (2, 33, 5, 2, 2),
        (2, 50, 3, 2, 2),
        (1, 50, 5, 1, 1),
        (2, 88, 3, 2, 2),
    ],
    skips: [1, 2, 4],
    decoder: [33, 17, 24, 5],
    bins: 29,
};

fn build(structure: &Structure, half: bool) -> Vec<u8> {
    let (mut builder, input) = Builder::new(7, structure.channels);
    builder.half = half;
    let mut x = builder.change("Mul", &input, 2.55);
    x = builder.change("Sub", &x, 127.0);
    x = builder.change("Div", &x, 128.0);
    x = builder.stem(&x, structure.stem);
    x = builder.relu6(&x);
    let mut skips: Vec<Value> = Vec::new();
    for (index, &(expand, outputs, kernel, blocks, stride)) in structure.groups.iter().enumerate() {
        for block in 0..blocks {
            x = builder.block(&x, expand, outputs, kernel, if block == 0 { stride } else { 1 });
        }
        if structure.skips.contains(&index) {
            skips.push(x.clone());
        }
    }
    for outputs in structure.decoder {
        if let Some(skip) = skips.pop() {
            x = builder.resize(&x);
            x = builder.concat(&[&x, &skip]);
        }
        x = builder.stage(&x, outputs);
    }
    x = builder.pointwise(&x, structure.bins, true);
    x = builder.softmax(&x);
    x = builder.pointwise(&x, 2, false);
    builder.finish(&x)
}

#[test]
fn the_built_in_network_agrees_with_rten_at_ten_sizes() {
    assert_agree(BUILT_IN, 1, &SIZES, &[detected()]);
}

#[test]
fn the_built_in_network_agrees_with_rten_on_every_instruction_set() {
    assert_agree(BUILT_IN, 1, &[[32, 64], [64, 96]], &variants());
}

/// Written by `models/training/export.py`: a picture and the output of onnxruntime for it.
#[derive(serde::Deserialize)]
struct Check {
    lightness: Vec<Vec<f32>>,
    ab: Vec<f32>,
}

#[test]
fn the_built_in_network_agrees_with_onnxruntime() {
    let check: Check = serde_json::from_str(include_str!("../../../../models/colorizer.check.json")).unwrap();
    let size = [check.lightness.len(), check.lightness[0].len()];
    for variant in variants() {
        let ours =
            load(BUILT_IN, variant).run(&mut Scratch::default(), &check.lightness.concat(), size).unwrap();
        assert_eq!(ours.values.len(), check.ab.len());
        let worst = ours.values.iter().zip(&check.ab).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{variant:?}: {worst:.1e}");
        assert!(worst < 1e-3, "off by {worst} in units of a* and b*");
    }
}

#[test]
fn a_run_takes_little_memory() {
    let mut scratch = Scratch::default();
    load(BUILT_IN, detected()).run(&mut scratch, &picture(1, [224, 320]), [224, 320]).unwrap();
    println!("{} bytes", scratch.bytes());
    assert!(scratch.bytes() < 10 << 20, "{} bytes", scratch.bytes());
}

#[test]
fn version_1_agrees_with_rten_at_ten_sizes() {
    assert_agree(&build(&VERSION_1, true), 1, &SIZES, &[detected()]);
}

#[test]
fn other_widths_agree_with_rten_at_ten_sizes_on_every_instruction_set() {
    assert_agree(&build(&UNEVEN, false), 3, &SIZES, &[detected()]);
    assert_agree(&build(&UNEVEN, false), 3, &[[32, 32], [96, 64], [64, 160]], &variants());
}

#[test]
fn sizes_that_do_not_fit_are_errors_of_both_engines() {
    assert_agree(&build(&UNEVEN, false), 3, &ODD_SIZES, &variants()[..1]);
}

#[test]
fn one_scratch_serves_networks_and_sizes_in_any_order() {
    let mut scratch = Scratch::default();
    let files = [build(&UNEVEN, false), BUILT_IN.to_vec()];
    for size in [[64, 64], [32, 96], [96, 32], [64, 64]] {
        for file in &files {
            let network = load(file, detected());
            let input = picture(network.input_channels(), size);
            let fresh = network.run(&mut Scratch::default(), &input, size);
            assert_eq!(network.run(&mut scratch, &input, size), fresh, "{size:?}");
        }
    }
}

#[test]
fn threads_share_a_network() {
    let network = load(BUILT_IN, detected());
    let run = || network.run(&mut Scratch::default(), &picture(1, [64, 96]), [64, 96]).unwrap();
    let results =
        std::thread::scope(|scope| [scope.spawn(run), scope.spawn(run)].map(|run| run.join().unwrap()));
    assert_eq!(results[0], results[1]);
    assert_eq!(
        [results[0].channels, results[0].height, results[0].width],
        [network.output_channels(), 16, 24]
    );
}

#[test]
fn an_input_of_another_length_is_an_error() {
    let network = load(BUILT_IN, detected());
    for (values, size) in [(1023, [32, 32]), (0, [0, 32]), (0, [usize::MAX, 2])] {
        let result = network.run(&mut Scratch::default(), &vec![0.0; values], size);
        assert!(matches!(result, Err(RunError::Input { .. } | RunError::TooLarge)), "{result:?}");
    }
}

/// Writes a network with one operator of interest, and compares at sizes that may be odd.
fn check(channels: usize, write: impl Fn(&mut Builder, &Value) -> Value) {
    let (mut builder, input) = Builder::new(3, channels);
    let output = write(&mut builder, &input);
    assert_agree(&builder.finish(&output), channels, &ODD_SIZES, &variants());
}

#[test]
fn every_kernel_stride_and_padding_of_a_depthwise_convolution_agrees() {
    for kernel in [3, 5] {
        for stride in [1, 2] {
            let k = kernel as i64;
            let paddings = [vec![0; 4], vec![0, 0, 1, 1], vec![k - 1, 0, 1, k - 1], vec![1, 2, 2, 0]];
            let auto = [Some("SAME_UPPER"), Some("VALID")];
            let explicit = paddings.iter().map(|pads| (None, pads.clone()));
            for (auto_pad, pads) in auto.into_iter().map(|auto_pad| (auto_pad, vec![0; 4])).chain(explicit) {
                check(1, |builder, input| {
                    let x = builder.pointwise(input, 9, true);
                    let (pads, group) = (pads.clone(), 9);
                    builder.conv(&x, Conv { outputs: 9, kernel, stride, group, auto_pad, pads, bias: false })
                });
            }
        }
    }
}

#[test]
fn every_kernel_stride_and_padding_of_a_stem_agrees() {
    for (kernel, stride) in [(3, 1), (3, 2), (5, 1), (5, 2)] {
        for (auto_pad, pads) in [(Some("SAME_UPPER"), vec![0; 4]), (None, vec![1, 0, 0, 2])] {
            for channels in [1, 3, 4] {
                check(channels, |builder, input| {
                    let pads = pads.clone();
                    let x = builder.change("Add", input, -3.5);
                    builder
                        .conv(&x, Conv { outputs: 13, kernel, stride, group: 1, auto_pad, pads, bias: true })
                });
            }
        }
    }
}

#[test]
fn operators_agree_alone_and_in_a_row() {
    check(3, |builder, input| builder.resize(input));
    check(3, |builder, input| builder.softmax(input));
    check(2, |builder, input| builder.concat(&[input, input, input]));
    check(2, |builder, input| builder.add(input, input));
    check(1, |builder, input| builder.clip(input, 20.0, 30.0));
    check(1, |builder, input| builder.node("Relu", &[&input.name], vec![], 1));
    check(1, |builder, input| builder.change("Mul", input, 0.1));
    check(4, |builder, input| {
        let x = builder.resize(input);
        let y = builder.resize(&x);
        let y = builder.clip(&y, 0.0, 40.0);
        builder.clip(&y, 10.0, 60.0)
    });
    // Stacked depthwise convolutions, and one whose result has two readers.
    check(2, |builder, input| {
        let x = builder.pointwise(input, 11, true);
        let x = builder.depthwise(&x, 3, 1);
        let y = builder.depthwise(&x, 5, 1);
        let z = builder.add(&x, &y);
        let z = builder.softmax(&z);
        builder.concat(&[&x, &z])
    });
}

#[test]
fn a_residual_that_reads_its_own_input_twice_agrees() {
    check(2, |builder, input| {
        let x = builder.pointwise(input, 10, true);
        let y = builder.block(&x, 2, 10, 5, 1);
        let y = builder.block(&y, 1, 10, 3, 1);
        let z = builder.pointwise(&y, 10, false);
        let z = builder.add(&y, &z);
        builder.add(&z, &y)
    });
}

#[test]
fn batch_normalization_agrees_after_every_kind_of_convolution() {
    check(2, |builder, input| {
        let x = builder.pointwise(input, 7, false);
        let x = builder.normalization(&x);
        let y = builder.depthwise(&x, 3, 1);
        let y = builder.normalization(&y);
        let y = builder.resize(&y);
        let z = builder.resize(&x);
        let y = builder.concat(&[&y, &z]);
        let y = builder.pointwise(&y, 6, true);
        builder.normalization(&y)
    });
    check(3, |builder, input| {
        let x = builder.stem(input, 6);
        builder.normalization(&x)
    });
}
