//! Damaged and hostile files are unsupported, or networks that run; they never end the process.

use proptest::prelude::*;

use super::BUILT_IN;
use super::builder::{Builder, Random};
use crate::{Network, Scratch};

/// A network with every operator.
fn small() -> Vec<u8> {
    let (mut builder, input) = Builder::new(1, 1);
    builder.half = true;
    let x = builder.change("Div", &input, 100.0);
    let x = builder.stem(&x, 4);
    let x = builder.relu6(&x);
    let y = builder.block(&x, 2, 4, 5, 1);
    let y = builder.normalization(&y);
    let z = builder.depthwise(&y, 3, 2);
    let z = builder.resize(&z);
    let z = builder.concat(&[&z, &y]);
    let z = builder.stage(&z, 6);
    let z = builder.softmax(&z);
    let z = builder.pointwise(&z, 2, false);
    builder.finish(&z)
}

/// Loads and runs a file; the result does not matter.
fn try_out(file: &[u8]) {
    if let Ok(network) = Network::load(file) {
        let mut scratch = Scratch::default();
        for [height, width] in [[8, 12], [1, 1], [5, 3]] {
            let input = vec![1.0; network.input_channels() * height * width];
            let _ = network.run(&mut scratch, &input, [height, width]);
        }
    }
}

#[test]
fn a_truncated_file_is_unsupported_or_runs() {
    let file = small_without_normalization();
    assert!(Network::load(&file).is_ok());
    for length in 0..file.len() {
        try_out(&file[..length]);
    }
    for length in [0, 1, 100, 10_000, 1_000_000, BUILT_IN.len() / 2, BUILT_IN.len() - 1] {
        assert!(Network::load(&BUILT_IN[..length]).is_err(), "{length} bytes");
    }
}

fn small_without_normalization() -> Vec<u8> {
    let (mut builder, input) = Builder::new(1, 1);
    let x = builder.stem(&input, 4);
    let x = builder.block(&x, 2, 4, 5, 1);
    builder.finish(&x)
}

#[test]
fn other_bytes_are_unsupported() {
    for bytes in [&b""[..], b"hello", b"\x89PNG\r\n\x1a\n", &[0xff; 1000], &[0; 1000]] {
        assert!(Network::load(bytes).is_err());
    }
}

#[test]
fn a_deeply_nested_file_does_not_exhaust_the_stack() {
    // From the inside out, the keys of an attribute's graph, a node's attribute and a graph's node.
    let keys = [0x32, 0x2a, 0x0a].into_iter().cycle();
    let (mut headers, mut length) = (Vec::new(), 0);
    for key in keys.take(300_001) {
        let mut header = vec![key];
        let mut rest = length;
        while rest >= 0x80 {
            header.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        header.push(rest as u8);
        length += header.len();
        headers.push(header);
    }
    headers.last_mut().unwrap()[0] = 0x3a;
    headers.reverse();
    assert!(Network::load(&headers.concat()).is_err());
}

#[test]
fn a_map_that_doubles_without_end_is_an_error() {
    let (mut builder, input) = Builder::new(1, 1);
    let mut x = input;
    for _ in 0..80 {
        x = builder.resize(&x);
    }
    let network = Network::load(&builder.finish(&x)).unwrap();
    let result = network.run(&mut Scratch::default(), &[0.0; 4], [2, 2]);
    assert_eq!(result, Err(crate::RunError::TooLarge));

    let (mut builder, input) = Builder::new(1, 1);
    let mut x = input;
    for _ in 0..30 {
        x = builder.concat(&[&x, &x]);
    }
    let unsupported = Network::load(&builder.finish(&x)).err().unwrap();
    assert!(unsupported.reason.contains("channels"), "{unsupported}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_file_with_changed_bytes_never_panics(seed: u64, changes in 1usize..6) {
        let mut file = small_without_normalization();
        if seed.is_multiple_of(2) {
            file = small();
        }
        let mut random = Random::new(seed);
        for _ in 0..changes {
            let at = random.below(file.len());
            match random.below(3) {
                0 => file[at] = random.next() as u8,
                1 => file[at] ^= 1 << random.below(8),
                _ => { file.remove(at); }
            }
        }
        try_out(&file);
    }
}
