//! The networks of Zhang et al. with the recipes in `models/` give the same output as onnxruntime. The networks have
//! the published inputs, outputs and operators, but few channels, and random weights, because the trained weights must
//! not be shipped.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pixcolor::credit::CallBegun;
use pixcolor::photo::Gray;
use pixcolor::provider::{Call, ProviderColor, Trace};

use crate::{configured_with, memory};

/// The expected output, written by `models/training/zhang.py` with a network of random weights.
#[derive(serde::Deserialize)]
struct Check {
    lightness: Vec<Vec<f32>>,
    ab: Vec<f32>,
}

/// Exports a network of four channels, using the training code.
fn exported(name: &str, folder: &Path) -> (Vec<u8>, Check) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join(".test/training/bin/python");
    assert!(python.exists(), "{} is missing: run tests/run --all", python.display());
    let model = folder.join(format!("{name}.onnx"));
    let output = Command::new(python)
        .arg(root.join("models/training/zhang.py"))
        .args([name, "random:4"])
        .arg(&model)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let check = std::fs::read(model.with_extension("check.json")).unwrap();
    (std::fs::read(model).unwrap(), serde_json::from_slice(&check).unwrap())
}

async fn gives_what_onnxruntime_gives(name: &str, recipe: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (model, check) = exported(name, folder.path());
    let files = [("net.onnx", &model[..]), ("net.toml", recipe.as_bytes())];
    let provider =
        configured_with(name, "kind = \"onnx\"\nmodel = \"../net.onnx\"\n", &files, &memory()).unwrap();
    let (width, height) = (check.lightness[0].len() as u32, check.lightness.len() as u32);
    let luma = check.lightness.concat().iter().map(|l| (l * 655.35).round() as u16).collect();
    let gray = Arc::new(Gray { width, height, luma });
    let deadline = Instant::now() + Duration::from_secs(120);
    let answer = provider
        .colorize(Call {
            gray,
            deadline,
            trace: Trace::default(),
            audience: None,
            begun: CallBegun::default(),
        })
        .await
        .unwrap();
    let ProviderColor::Chroma(chroma) = answer.color else { panic!("a network gives chroma") };
    assert_eq!((chroma.width, chroma.height), (width, height));
    let found = chroma.a.iter().chain(&chroma.b);
    let worst = found.zip(&check.ab).map(|(ours, theirs)| (ours - theirs).abs()).fold(0.0, f32::max);
    // PixColor rounds a* and b* to quarters and luminance to 16 bits.
    assert!(worst < 0.15, "{name} is off by {worst} in units of a* and b*");
}

#[tokio::test]
#[ignore = "needs PyTorch, which tests/run --all installs"]
async fn eccv16_runs_by_its_recipe() {
    gives_what_onnxruntime_gives("eccv16", include_str!("../../models/eccv16.toml")).await;
}

#[tokio::test]
#[ignore = "needs PyTorch, which tests/run --all installs"]
async fn siggraph17_runs_by_its_recipe() {
    gives_what_onnxruntime_gives("siggraph17", include_str!("../../models/siggraph17.toml")).await;
}
