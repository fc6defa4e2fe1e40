//! Tests that compare this engine with rten, on every instruction set that the processor has.

mod builder;
mod conformance;
mod damaged;
mod random;
mod unsupported;

use std::sync::{Arc, OnceLock};

use rten::{Model, RunOptions, ThreadPool};
use rten_tensor::NdTensor;
use rten_tensor::prelude::*;

use crate::kernels::{Shape, Target};
use crate::{Network, Planes, RunError, Scratch};

static BUILT_IN: &[u8] = include_bytes!("../../../../models/colorizer.onnx");

/// Each instruction set, and on the best one also the tiles for 32 registers if it has 16, and the reverse.
fn variants() -> Vec<(Target, Shape)> {
    let shape = Shape::of(Target::Detected);
    let mut variants = vec![(Target::Detected, shape)];
    variants.push((Target::Detected, Shape { many_registers: !shape.many_registers, ..shape }));
    #[cfg(target_arch = "x86_64")]
    variants.push((Target::Avx2, Shape::of(Target::Avx2)));
    variants.push((Target::Generic, Shape::of(Target::Generic)));
    variants
}

/// Runs the file with rten, on one thread.
fn rten(onnx: &[u8], input: &[f32], channels: usize, [height, width]: [usize; 2]) -> Option<Planes> {
    static POOL: OnceLock<Arc<ThreadPool>> = OnceLock::new();
    let pool = POOL.get_or_init(|| Arc::new(ThreadPool::with_num_threads(1)));
    let model = Model::load(onnx.to_vec()).expect("rten loads it");
    let input = NdTensor::from_data([1, channels, height, width], input.to_vec());
    let options = RunOptions::default().with_thread_pool(Some(pool.clone()));
    let output = model.run_one(input.view().into(), Some(options));
    // The test's output shows the error if this engine does not fail.
    let output = output.inspect_err(|error| println!("rten: {error}")).ok()?;
    let output: NdTensor<f32, 4> = output.try_into().expect("four dimensions");
    let [1, channels, height, width] = output.shape() else { panic!("a batch of {:?}", output.shape()) };
    Some(Planes { channels, height, width, values: output.to_vec() })
}

fn load(onnx: &[u8], (target, shape): (Target, Shape)) -> Network {
    Network::load_for(onnx, target, shape).unwrap_or_else(|unsupported| panic!("{unsupported}"))
}

/// Fails unless both have the same shape and values within 1e-3.
fn assert_close(ours: &Planes, theirs: &Planes, context: &str) {
    let shape = |planes: &Planes| [planes.channels, planes.height, planes.width];
    assert_eq!(shape(ours), shape(theirs), "{context}");
    assert_eq!(ours.values.len(), theirs.values.len(), "{context}");
    for (i, (a, b)) in ours.values.iter().zip(&theirs.values).enumerate() {
        let limit = 1e-3;
        assert!((a - b).abs() <= limit, "{context}: value {i} is {a} and not {b}");
    }
}

/// Both engines give the same result, or both fail.
fn assert_agree(onnx: &[u8], channels: usize, sizes: &[[usize; 2]], variants: &[(Target, Shape)]) {
    let mut scratch = Scratch::default();
    for &size in sizes {
        let input = picture(channels, size);
        let theirs = rten(onnx, &input, channels, size);
        for &variant in variants {
            let context = format!("{variant:?} at {size:?}");
            let ours = load(onnx, variant).run(&mut scratch, &input, size);
            match (ours, &theirs) {
                (Ok(ours), Some(theirs)) => assert_close(&ours, theirs, &context),
                (Err(RunError::Sizes { .. } | RunError::TooSmall), None) => {}
                (ours, theirs) => panic!("{context}: {:?}, {}", ours.err(), theirs.is_some()),
            }
        }
    }
}

/// Planes of lightness, 0 to 100, with edges and noise.
fn picture(channels: usize, [height, width]: [usize; 2]) -> Vec<f32> {
    let mut random = builder::Random::new((height * 1000 + width) as u64);
    let pixel = |i: usize| {
        let (y, x) = (i / width % height, i % width);
        let edge = if (x / 9 + y / 7).is_multiple_of(3) { 30.0 } else { 0.0 };
        60.0 * (x + y) as f32 / (width + height) as f32 + edge + 10.0 * random.unit()
    };
    (0..channels * height * width).map(pixel).collect()
}
