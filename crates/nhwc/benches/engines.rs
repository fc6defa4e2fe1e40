//! Compares this engine with rten: thread processor time of one run, in milliseconds, and the largest difference.
//!
//! `cargo bench -p pixcolor-nhwc` prints the minimum and the median of both, which run in turn, for the built-in
//! network; `cargo bench -p pixcolor-nhwc -- FILE` for another file with one input plane.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use cpu_time::ThreadTime;
use pixcolor_nhwc::{Network, Scratch};
use rten::{Model, RunOptions, ThreadPool};
use rten_tensor::NdTensor;
use rten_tensor::prelude::*;

static MODEL: &[u8] = include_bytes!("../../../models/colorizer.onnx");
const SIZES: [[usize; 2]; 2] = [[224, 224], [224, 320]];
const WARM_UP: usize = 3;
const RUNS: usize = 30;

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let file = file.map_or(Ok(MODEL.to_vec()), std::fs::read)?;
    let begin = ThreadTime::now();
    let network = Network::load(&file)?;
    println!("nhwc loads in {:.0} ms", milliseconds(begin.elapsed()));
    let begin = ThreadTime::now();
    let model = Model::load(file)?;
    println!("rten loads in {:.0} ms", milliseconds(begin.elapsed()));
    let pool = Arc::new(ThreadPool::with_num_threads(1));
    let mut scratch = Scratch::default();
    println!(
        "{:>10} {:>18} {:>18} {:>6} {:>12}",
        "size", "nhwc min/median", "rten min/median", "ratio", "difference"
    );
    for size @ [height, width] in SIZES {
        let input = picture(height, width);
        let tensor = NdTensor::from_data([1, 1, height, width], input.clone());
        let mut times = [Vec::new(), Vec::new()];
        let mut difference = 0.0f32;
        for run in 0..WARM_UP + RUNS {
            let begin = ThreadTime::now();
            let ours = network.run(&mut scratch, &input, size)?;
            let our_time = begin.elapsed();
            // The pool's thread does the work, so its time counts and not that of this thread.
            let options = RunOptions::default().with_thread_pool(Some(pool.clone()));
            let (theirs, their_time) = pool.run(|| {
                let begin = ThreadTime::now();
                let output = model.run_one(tensor.view().into(), Some(options));
                (output, begin.elapsed())
            });
            let theirs: NdTensor<f32, 4> = theirs?.try_into()?;
            let values = ours.values.iter().zip(theirs.to_vec());
            difference = values.map(|(a, b)| (a - b).abs()).fold(difference, f32::max);
            if run >= WARM_UP {
                times[0].push(milliseconds(our_time));
                times[1].push(milliseconds(their_time));
            }
        }
        let [(our_min, our_median), (their_min, their_median)] = times.map(summary);
        println!(
            "{height:>4} x {width:<4} {our_min:>9.1} /{our_median:>6.1} {their_min:>10.1} /{their_median:>6.1} \
             {:>7.2} {difference:>12.1e}",
            their_median / our_median
        );
    }
    Ok(())
}

/// Lightness, 0 to 100: a gradient with edges.
fn picture(height: usize, width: usize) -> Vec<f32> {
    let pixel = |i: usize| {
        let (y, x) = (i / width, i % width);
        let edge = if (x / 16 + y / 24).is_multiple_of(3) { 25.0 } else { 0.0 };
        (75 * (x + y) / (width + height)) as f32 + edge
    };
    (0..height * width).map(pixel).collect()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Minimum and median.
fn summary(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[0], times[times.len() / 2])
}
