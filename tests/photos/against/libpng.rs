//! PNG compared with libpng, through netpbm's `pngtopam`.

use std::io::Write;
use std::process::{Command, Stdio};

use pixcolor::photo::{Limits, Rgb};

use crate::make::{self, Random};

/// A picture on white, as libpng decodes its RGB and opacity; `None` if `pngtopam` is not installed.
fn by_libpng(name: &str, png: &[u8]) -> Option<Vec<u8>> {
    let command = Command::new("pngtopam")
        .args(["-alphapam", "-quiet"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = command else {
        assert!(std::env::var("CI").is_err(), "pngtopam is missing: tests/run installs netpbm");
        return None;
    };
    child.stdin.take().unwrap().write_all(png).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{name}");
    let end = make::find(&output.stdout, b"ENDHDR\n") + 7;
    let header = String::from_utf8_lossy(&output.stdout[..end]).into_owned();
    let field = |name: &str| {
        let line = header.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse::<u32>().unwrap()
    };
    let (depth, most) = (field("DEPTH ") as usize, field("MAXVAL "));
    let samples: Vec<u32> = match most {
        0..=255 => output.stdout[end..].iter().map(|&byte| byte.into()).collect(),
        _ => {
            output.stdout[end..].chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).collect()
        }
    };
    let eight = |value: u32| (value * 255 + most / 2) / most;
    let on_white = |code: u32, alpha: u32| ((code * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
    let pixels = samples.chunks(depth).flat_map(|pixel| {
        let alpha = eight(pixel[depth - 1]);
        let color = if depth == 2 { [pixel[0]; 3] } else { [pixel[0], pixel[1], pixel[2]] };
        color.map(|value| on_white(eight(value), alpha))
    });
    Some(pixels.collect())
}

#[test]
fn every_kind_of_png_matches_libpng() {
    let mut random = Random(5);
    let kinds = [(0, &[1, 2, 4, 8, 16][..]), (2, &[8, 16]), (3, &[1, 2, 4, 8]), (4, &[8, 16]), (6, &[8, 16])];
    let mut compared = 0;
    for (color, depths) in kinds {
        for &depth in depths {
            for (width, height) in [(33, 19), (1, 1), (3, 10)] {
                for interlaced in [false, true] {
                    for transparent in [false, true] {
                        let mut chunks = Vec::new();
                        if color == 3 {
                            let palette: Vec<u8> = (0..3 << depth).map(|_| random.next() as u8).collect();
                            chunks.push(make::chunk(b"PLTE", &palette));
                        }
                        if transparent && color != 4 && color != 6 {
                            chunks.push(make::chunk(b"tRNS", &transparency(color, depth, &mut random)));
                        }
                        let png =
                            make::noise_png(width, height, depth, color, interlaced, &chunks, &mut random);
                        let name = format!("colour {color}, {depth} bits, {width} x {height}, {interlaced}");
                        let Some(wanted) = by_libpng(&name, &png) else { return };
                        let got = Rgb::decode(&png, &Limits::default())
                            .unwrap_or_else(|error| panic!("{name}: {error}"));
                        let most = got.pixels.iter().zip(&wanted).map(|(a, b)| a.abs_diff(*b)).max();
                        // Our decoder rounds 16-bit opacity to 8 bits before mixing the pixel with white.
                        assert!(most <= Some(u8::from(depth == 16)), "{name}: {most:?}");
                        compared += 1;
                    }
                }
            }
        }
    }
    assert_eq!(compared, 180);
}

fn transparency(color: u8, depth: u8, random: &mut Random) -> Vec<u8> {
    let most = (1_u64 << depth) - 1;
    let mut value = || ((random.next() & most) as u16).to_be_bytes();
    match color {
        0 => value().to_vec(),
        2 => [value(), value(), value()].concat(),
        _ => (0..1_usize << depth).map(|_| value()[1]).collect(),
    }
}
