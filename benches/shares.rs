//! Measures PixColor's own share of the processor time to colour a photo: `cargo bench --bench shares`.
//!
//! The input is a colour JPEG of 1, 12 or 50 megapixels, the provider is the built-in network, and the output is a
//! JPEG. Each time is the processor time of all threads, the minimum of several rounds, so other load on the machine
//! has little effect. `cargo bench --bench photo` measures each step and each format.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot start may panic")]

mod photograph;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;
use image::DynamicImage;
use photograph::{LIMITS, SIZES, jpeg, photograph};
use pixcolor::config::{Common, KindConfig, OnDisconnect, OnnxConfig, ProviderConfig};
use pixcolor::credit::CallBegun;
use pixcolor::credit::Price;
use pixcolor::observe::Metrics;
use pixcolor::photo::{EncodeOptions, OutputFormat, Photo, encode};
use pixcolor::provider::{self, Call, Provider, ProviderColor, ProviderMemory, Trace};
use tokio::runtime::Runtime;
use zune_jpeg::zune_core::bytestream::ZCursor;

const ROUNDS: usize = 7;

/// The time of each step for one picture.
#[derive(Clone, Copy)]
struct Steps {
    /// From the file to RGB, in the JPEG decoder.
    decode: Duration,
    /// Computing luminance, colour statistics, the pixel key and the small grey picture from RGB.
    prepare: Duration,
    network: Duration,
    merge: Duration,
    /// From RGB to the file, in the JPEG encoder.
    encode: Duration,
}

impl Steps {
    fn least(self, other: Self) -> Self {
        Self {
            decode: self.decode.min(other.decode),
            prepare: self.prepare.min(other.prepare),
            network: self.network.min(other.network),
            merge: self.merge.min(other.merge),
            encode: self.encode.min(other.encode),
        }
    }
}

fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let start = ProcessTime::now();
    let value = black_box(run());
    (value, start.elapsed())
}

fn steps(upload: &[u8], network: &Arc<dyn Provider>, runtime: &Runtime) -> Steps {
    let (pixels, decode) = timed(|| zune_jpeg::JpegDecoder::new(ZCursor::new(upload)).decode().unwrap());
    drop(pixels);
    let (photo, decode_and_luminance) = timed(|| Photo::decode(upload, &LIMITS).unwrap());
    let about = network.info().send_max_pixels;
    let (gray, small) = timed(|| {
        black_box(photo.pixel_key());
        photo.gray_for(about)
    });
    let call = Call {
        gray: Arc::new(gray),
        deadline: Instant::now() + Duration::from_secs(60),
        trace: Trace::default(),
        audience: None,
        begun: CallBegun::default(),
    };
    let (answer, network) = timed(|| runtime.block_on(network.colorize(call)).unwrap());
    let chroma = match answer.color {
        ProviderColor::Chroma(chroma) => chroma,
        ProviderColor::Picture(_) | ProviderColor::Framed(..) => {
            unreachable!("the built-in network returns chroma")
        }
    };
    let options = EncodeOptions::plain(OutputFormat::Jpeg, 90);
    let (encoded, both) = timed(|| encode(&photo, &chroma, &options).unwrap());
    // Merging and encoding alternate row by row, so their processor time is measured together and divided in the ratio
    // of their wall-clock times.
    let merge = both.mul_f64(encoded.merge.as_secs_f64() / (encoded.merge + encoded.encode).as_secs_f64());
    let prepare = decode_and_luminance.saturating_sub(decode) + small;
    Steps { decode, prepare, network, merge, encode: both.saturating_sub(merge) }
}

fn main() {
    // `cargo test --benches` also starts benchmarks, without this argument.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let config = ProviderConfig {
        name: "local".to_owned(),
        common: Common::default(),
        kind: KindConfig::Onnx(OnnxConfig::default()),
        price: Price::FREE,
        on_disconnect: OnDisconnect::Finish,
    };
    let memory = ProviderMemory::new(Metrics::new(prometheus::Registry::new()).unwrap());
    let network = provider::build(&config, &memory).unwrap();
    let runtime = Runtime::new().unwrap();

    println!(
        "| picture | JPEG decode | own: prepare | network | own: merge | JPEG encode | own share | own share without the network |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (size, width, height) in SIZES {
        let upload = jpeg(&DynamicImage::ImageRgb8(photograph(width, height)));
        let first = steps(&upload, &network, &runtime);
        let Steps { decode, prepare, network, merge, encode } =
            (1..ROUNDS).fold(first, |least, _| least.least(steps(&upload, &network, &runtime)));
        let ms = |time: Duration| format!("{:.0} ms", time.as_secs_f64() * 1e3);
        let ours = (prepare + merge).as_secs_f64();
        let codecs = (decode + encode).as_secs_f64();
        println!(
            "| {size} | {} | {} | {} | {} | {} | {:.0} % | {:.0} % |",
            ms(decode),
            ms(prepare),
            ms(network),
            ms(merge),
            ms(encode),
            100.0 * ours / (ours + codecs + network.as_secs_f64()),
            100.0 * ours / (ours + codecs),
        );
    }
}
