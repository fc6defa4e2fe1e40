//! JPEG XL compared with libjxl: `cjxl` writes the files, and `djxl` decodes them.

use std::path::Path;
use std::process::Command;

use image::{DynamicImage, ImageFormat};
use pixcolor::photo::{Limits, Photo};

use crate::make;

fn run(program: &str, from: &Path, to: &Path, arguments: &[&str]) {
    let output = Command::new(program).args([from, to]).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program} of Debian's libjxl-tools: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The file that `cjxl` makes from a picture.
pub fn cjxl(picture: &[u8], ending: &str, arguments: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from").with_extension(ending), folder.path().join("to.jxl"));
    std::fs::write(&from, picture).unwrap();
    run("cjxl", &from, &to, &[arguments, &["--quiet"]].concat());
    std::fs::read(to).unwrap()
}

#[test]
fn jpeg_xl_of_every_kind_matches_libjxl() {
    let folder = tempfile::tempdir().unwrap();
    let (file, png) = (folder.path().join("it.jxl"), folder.path().join("it.png"));
    // Larger than two bands of rows, and not a multiple of the size of a group.
    let scene = DynamicImage::ImageRgb8(make::scene(601, 709));
    let gray = DynamicImage::ImageLuma8(make::gray_scene(601, 709));
    let mut alpha = scene.to_rgba8();
    alpha.enumerate_pixels_mut().for_each(|(x, y, pixel)| pixel[3] = ((x + y) / 6) as u8);
    let alpha = DynamicImage::ImageRgba8(alpha);
    let wide = DynamicImage::ImageRgb16(scene.to_rgb16());
    let effort = ["-e", "4"];
    for (name, picture, arguments) in [
        ("lossy", &scene, &["-d", "1"][..]),
        ("strongly lossy", &scene, &["-d", "6"]),
        ("progressive", &scene, &["-d", "1", "-p"]),
        ("with noise", &scene, &["-d", "2", "--photon_noise=ISO1600"]),
        ("lossy and modular", &scene, &["-d", "1", "-m", "1"]),
        ("lossless", &scene, &["-d", "0"]),
        ("lossy grey", &gray, &["-d", "1"]),
        ("lossless grey", &gray, &["-d", "0"]),
        ("lossy with opacity", &alpha, &["-d", "1"]),
        ("lossless with opacity", &alpha, &["-d", "0"]),
        ("16 bits", &wide, &["-d", "0"]),
        ("lossy from 16 bits", &wide, &["-d", "0.3"]),
    ] {
        let bytes = cjxl(&make::file(picture, ImageFormat::Png), "png", &[arguments, &effort].concat());
        std::fs::write(&file, &bytes).unwrap();
        run("djxl", &file, &png, &[]);
        let ours =
            Photo::decode(&bytes, &Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let theirs = Photo::decode(&std::fs::read(&png).unwrap(), &Limits::default()).unwrap();
        assert_eq!((ours.width(), ours.height()), (601, 709), "{name}");
        let off = ours.gray.luma.iter().zip(&theirs.gray.luma).map(|(a, b)| a.abs_diff(*b));
        let mean = off.clone().map(f64::from).sum::<f64>() / ours.gray.luma.len() as f64 / 655.35;
        let most = f64::from(off.max().unwrap()) / 655.35;
        println!("{name}: mean {mean:.5} L*, at most {most:.4} L*");
        // libjxl rounds to 8 bits here, and it makes other noise.
        let bounds = if name == "with noise" { (0.5, 4.0) } else { (0.15, 0.8) };
        assert!(mean < bounds.0 && most < bounds.1, "{name}: mean {mean} L*, at most {most} L*");
        assert!(ours.alpha == theirs.alpha, "{name}");
    }
}

#[test]
fn a_jpeg_that_was_packed_as_jpeg_xl_gives_the_jpeg_s_picture() {
    let jpeg = make::jpeg(&make::scene(601, 709), false, jpeg_encoder::SamplingFactor::F_2_2);
    let packed = cjxl(&jpeg, "jpg", &[]);
    let [one, other] =
        [&jpeg, &packed].map(|file| Photo::decode(file, &Limits::default()).unwrap().gray.luma);
    let off = one.iter().zip(&other).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>();
    let mean = off / one.len() as f64 / 655.35;
    assert!(mean < 0.3, "{mean}");
}
