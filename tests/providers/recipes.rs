//! Recipes of tiny networks whose output can be computed by hand.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pixcolor::credit::CallBegun;
use pixcolor::photo::{Chroma, Gray};
use pixcolor::provider::{BuildError, Call, Provider, ProviderColor, ProviderError, Trace};

use crate::{configured_with, conformance, memory, tiny};

const SIZE: &str = "size = 64\nmultiple = 1\n";

fn network(model: &[u8], input: &str, output: &str) -> Arc<dyn Provider> {
    set_up(model, input, output).unwrap_or_else(|error| panic!("{error}"))
}

fn set_up(model: &[u8], input: &str, output: &str) -> Result<Arc<dyn Provider>, BuildError> {
    let recipe = format!("model = \"tiny\"\nversion = \"1\"\n[input]\n{input}\n{SIZE}[output]\n{output}\n");
    let files = [("net.onnx", model), ("net-recipe.txt", recipe.as_bytes())];
    configured_with(
        "tiny",
        "kind = \"onnx\"\nmodel = \"../net.onnx\"\nrecipe = \"../net-recipe.txt\"\n",
        &files,
        &memory(),
    )
}

/// Colours a flat picture of L\* 60, whose sRGB grey is 145. Returns the chroma.
async fn color(provider: Arc<dyn Provider>) -> Result<Chroma, ProviderError> {
    let gray = Gray { width: 64, height: 64, luma: vec![39_321; 64 * 64] };
    let deadline = Instant::now() + Duration::from_secs(60);
    match provider
        .colorize(Call {
            gray: Arc::new(gray),
            deadline,
            trace: Trace::default(),
            audience: None,
            begun: CallBegun::default(),
        })
        .await?
        .color
    {
        ProviderColor::Chroma(chroma) => Ok(chroma),
        ProviderColor::Picture(_) | ProviderColor::Framed(..) => unreachable!("a network gives chroma"),
    }
}

#[track_caller]
fn assert_flat(chroma: &Chroma, a: f32, b: f32) {
    let middle = (chroma.width * chroma.height / 2) as usize;
    let (found_a, found_b) = (chroma.a[middle], chroma.b[middle]);
    assert!((found_a - a).abs() < 0.6 && (found_b - b).abs() < 0.6, "{found_a}, {found_b} is not {a}, {b}");
}

#[tokio::test]
async fn lab_in_ab_out_with_mean_and_scale() {
    // (60 - 50) / 100 = 0.1; 0.1 * 2 + 0.1 = 0.3 and 0.1 * -1 = -0.1; both are multiplied by 110.
    let model = tiny::convolution(&[&[2.0], &[-1.0]], &[0.1, 0.0]);
    let network =
        network(&model, "take = \"lab_l\"\nmean = 50.0\nscale = 100.0", "give = \"ab\"\nscale = 110.0");
    assert_flat(&color(network).await.unwrap(), 33.0, -11.0);
}

#[tokio::test]
async fn the_contrast_of_a_faded_print_is_stretched_for_the_network() {
    // a* is L* itself: 40 and 60 become 10 and 90, four times as far apart.
    let model = tiny::convolution(&[&[1.0], &[0.0]], &[0.0; 2]);
    let network = network(&model, "take = \"lab_l\"\ncontrast = 80.0", "give = \"ab\"");
    let luma = (0..64 * 64).map(|i| if i < 32 * 64 { 26_214 } else { 39_321 }).collect();
    let gray = Arc::new(Gray { width: 64, height: 64, luma });
    let deadline = Instant::now() + Duration::from_secs(60);
    let answer = network
        .colorize(Call {
            gray,
            deadline,
            trace: Trace::default(),
            audience: None,
            begun: CallBegun::default(),
        })
        .await
        .unwrap();
    let ProviderColor::Chroma(chroma) = answer.color else { unreachable!("a network gives chroma") };
    assert!((chroma.a[0] - 10.0).abs() < 0.5 && (chroma.a[4095] - 90.0).abs() < 0.5);
}

#[tokio::test]
async fn three_gray_channels_in_rgb_out() {
    // Each channel is 145 / 255. The network returns this for red and half of it for green and blue: rgb(145, 73, 73).
    let third = 1.0 / 3.0;
    let half = third / 2.0;
    let weights: [&[f32]; 3] = [&[third; 3], &[half; 3], &[half; 3]];
    let model = tiny::convolution(&weights, &[0.0; 3]);
    let network = network(&model, "take = \"grey\"\nchannels = 3", "give = \"rgb\"");
    // CIE L*a*b* of rgb(145, 73, 73) is 40.0, 30.3, 14.0.
    assert_flat(&color(network).await.unwrap(), 30.3, 14.0);
}

#[tokio::test]
async fn logits_over_bins_out() {
    // The logits ln 3 and 0 mean the probabilities 3/4 for (40, 0) and 1/4 for (0, -40).
    let model = tiny::convolution(&[&[0.0], &[0.0]], &[3.0f32.ln(), 0.0]);
    let bins = "give = \"bins\"\ncentres = [[40.0, 0.0], [0.0, -40.0]]";
    assert_flat(&color(network(&model, "take = \"lab_l\"", bins)).await.unwrap(), 30.0, -10.0);
    // At half the temperature the odds are squared: 9/10 and 1/10.
    let cooler = format!("{bins}\ntemperature = 0.5");
    assert_flat(&color(network(&model, "take = \"lab_l\"", &cooler)).await.unwrap(), 36.0, -4.0);
    // The same distribution, given as probabilities.
    let model = tiny::convolution(&[&[0.0], &[0.0]], &[0.75, 0.25]);
    let values = format!("{bins}\nvalues = \"probabilities\"");
    assert_flat(&color(network(&model, "take = \"lab_l\"", &values)).await.unwrap(), 30.0, -10.0);
}

#[test]
fn a_network_that_does_not_match_its_recipe_is_refused_at_start() {
    let three = tiny::convolution(&[&[1.0], &[1.0], &[1.0]], &[0.0; 3]);
    let error = set_up(&three, "take = \"lab_l\"", "give = \"ab\"").err().unwrap().to_string();
    assert!(error.contains("net.onnx") && error.contains("3 x 64 x 64"), "{error}");
    let infinite = tiny::convolution(&[&[f32::MAX], &[f32::MAX]], &[0.0; 2]);
    let error = set_up(&infinite, "take = \"lab_l\"", "give = \"ab\"").err().unwrap().to_string();
    assert!(error.contains("not finite numbers"), "{error}");
    let two = tiny::convolution(&[&[1.0], &[1.0]], &[0.0; 2]);
    let error = set_up(&two, "take = \"lab_l\"\nchannels = 3", "give = \"ab\"").err().unwrap().to_string();
    assert!(error.contains("net.onnx"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_from_a_file_conforms() {
    let model = tiny::convolution(&[&[0.3], &[-0.2]], &[0.0; 2]);
    conformance::run(|| network(&model, "take = \"lab_l\"", "give = \"ab\"")).await;
}
