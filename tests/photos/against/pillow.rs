//! BMP compared with Pillow, and ICC profiles compared with littleCMS (in Pillow).

use std::path::Path;
use std::process::Command;

use moxcms::{ColorProfile, DataColorSpace, ToneReprCurve};
use pixcolor::photo::{Limits, Rgb};

use crate::make::{self, Random, chunk};

pub(super) const PYTHON: &str = ".test/pillow-13.0.0/bin/python";

/// Decodes the files in a folder with Pillow. Returns `false` if Pillow is not installed.
fn by_pillow(folder: &Path) -> bool {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(PYTHON);
    if !python.exists() {
        assert!(std::env::var("CI").is_err(), "{PYTHON} is missing: tests/run installs Pillow");
        return false;
    }
    let output = Command::new(python).args(["-c", include_str!("pillow.py")]).arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    true
}

/// A BMP of noise with a header of at least 40 bytes and these bits, compression and masks.
fn noise_bmp(
    header: u32,
    bits: u16,
    compression: u32,
    masks: [u32; 4],
    down: bool,
    random: &mut Random,
) -> Vec<u8> {
    let (width, height) = (13_i32, 7_i32);
    let colors = if bits <= 8 { 1_u32 << bits } else { 0 };
    let behind = if header == 40 && compression == 3 { 12 } else { 0 };
    let start = 14 + header + behind + 4 * colors;
    let row = (width as u32 * u32::from(bits)).div_ceil(32) * 4;
    let size = row * height as u32;
    let mut bytes = b"BM".to_vec();
    bytes.extend([start + size, 0, start, header].map(u32::to_le_bytes).concat());
    bytes.extend([width, if down { -height } else { height }].map(i32::to_le_bytes).concat());
    bytes.extend([1, bits].map(u16::to_le_bytes).concat());
    bytes.extend([compression, size, 2835, 2835, colors, 0].map(u32::to_le_bytes).concat());
    if compression == 3 || header > 40 {
        bytes.extend(masks.map(u32::to_le_bytes).concat());
    }
    bytes.resize((14 + header + behind) as usize, 0);
    for _ in 0..colors {
        bytes.extend([random.next() as u8, random.next() as u8, random.next() as u8, 0]);
    }
    bytes.extend((0..size).map(|_| random.next() as u8));
    bytes
}

#[test]
fn every_kind_of_bmp_matches_pillow() {
    const X8: [u32; 4] = [0x00FF_0000, 0xFF00, 0xFF, 0];
    const A8: [u32; 4] = [0x00FF_0000, 0xFF00, 0xFF, 0xFF00_0000];
    let mut random = Random(11);
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for down in [false, true] {
        for (bits, compression, masks) in [
            (1, 0, X8),
            (4, 0, X8),
            (8, 0, X8),
            (24, 0, X8),
            (32, 0, X8),
            (16, 0, X8),
            (16, 3, [0x7C00, 0x3E0, 0x1F, 0]),
            (16, 3, [0xF800, 0x7E0, 0x1F, 0]),
            (32, 3, X8),
            (32, 3, A8),
        ] {
            for header in [40, 56, 108, 124] {
                // Only headers above 40 bytes have an alpha mask.
                if header > 40 || masks[3] == 0 {
                    let name = format!("{header}-{bits}-{compression}-{masks:X?}-{down}.bmp");
                    files.push((name, noise_bmp(header, bits, compression, masks, down, &mut random)));
                }
            }
        }
    }
    for (name, bytes) in &files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    if !by_pillow(folder.path()) {
        return;
    }
    for (name, bytes) in files {
        let got = Rgb::decode(&bytes, &Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let wanted = std::fs::read(folder.path().join(&name).with_extension("rgb")).unwrap();
        let on_white = |code: u8, alpha: u8| {
            let (code, alpha) = (u32::from(code), u32::from(alpha));
            ((code * alpha + 255 * (255 - alpha) + 127) / 255) as u8
        };
        let wanted = wanted.chunks(4).flat_map(|pixel| [0, 1, 2].map(|at| on_white(pixel[at], pixel[3])));
        let most = got.pixels.iter().zip(wanted).map(|(a, b)| a.abs_diff(b)).max();
        // A 5-bit value becomes 8 bits by repetition in one decoder and by rounding in the other.
        assert!(most <= Some(u8::from(name.contains("-16-"))), "{name}: {most:?}");
    }
}

/// A profile, Pillow's mode for it, and the largest allowed difference from littleCMS, in 8-bit levels.
struct Case {
    name: String,
    icc: Vec<u8>,
    within: u8,
}

fn grays() -> Vec<Case> {
    let table = |curve: fn(f64) -> f64| {
        ToneReprCurve::Lut(
            (0..256).map(|n| (curve(f64::from(n) / 255.0) * 65_535.0).round() as u16).collect(),
        )
    };
    let curves = [
        ("linear", ToneReprCurve::Lut(vec![])),
        ("gamma", ToneReprCurve::Lut(vec![0x0233])),
        ("gamma18", ToneReprCurve::Parametric(vec![1.8])),
        ("table", table(|x| x.powf(1.4) * 0.9 + 0.1 * x)),
        ("srgb", ToneReprCurve::Parametric(vec![2.4, 1.0 / 1.055, 0.055 / 1.055, 1.0 / 12.92, 0.040_45])),
    ];
    let mut cases = Vec::new();
    for (name, curve) in curves {
        for (pcs, space) in [("xyz", DataColorSpace::Xyz), ("lab", DataColorSpace::Lab)] {
            let mut profile = ColorProfile::new_gray_with_gamma(1.0);
            profile.gray_trc = Some(curve.clone());
            profile.pcs = space;
            cases.push(Case { name: format!("L-{pcs}-{name}"), icc: profile.encode().unwrap(), within: 1 });
        }
    }
    cases
}

fn colors() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, profile) in [
        ("adobe", ColorProfile::new_adobe_rgb()),
        ("p3", ColorProfile::new_display_p3()),
        ("prophoto", ColorProfile::new_pro_photo_rgb()),
        ("bt2020", ColorProfile::new_bt2020()),
    ] {
        cases.push(Case { name: format!("RGB-{name}"), icc: profile.encode().unwrap(), within: 2 });
    }
    // Profiles with lookup tables to Lab.
    let lab = |[r, g, b]: [f32; 3]| [30.0 * r + 55.0 * g + 15.0 * b, 40.0 * (r - g), 30.0 * (g - b)];
    let scanner = make::table_profile(b"scnrRGB ", 17, |rgb: [f32; 3]| lab(rgb.map(|code| code.powf(0.8))));
    cases.push(Case { name: "RGB-table".to_owned(), icc: scanner, within: 2 });
    let inks = make::table_profile(b"prtrCMYK", 9, |[c, m, y, k]: [f32; 4]| {
        lab([c, m, y].map(|ink| (1.0 - 0.8 * ink) * (1.0 - 0.9 * k)))
    });
    cases.push(Case { name: "CMYK-table".to_owned(), icc: inks, within: 2 });
    cases
}

/// The samples of one row.
fn samples(mode: &str) -> Vec<u8> {
    let mut random = Random(2);
    match mode {
        "L" => (0..=255).collect(),
        "RGB" => (0..=255).flat_map(|n| [n; 3]).chain((0..900).map(|_| random.next() as u8)).collect(),
        _ => (0..1200).map(|_| random.next() as u8).collect(),
    }
}

#[test]
fn icc_profiles_match_littlecms() {
    let folder = tempfile::tempdir().unwrap();
    let cases: Vec<Case> = grays().into_iter().chain(colors()).collect();
    for Case { name, icc, .. } in &cases {
        std::fs::write(folder.path().join(format!("{name}.icc")), icc).unwrap();
        let mode = name.split('-').next().unwrap();
        std::fs::write(folder.path().join(format!("{name}.raw")), samples(mode)).unwrap();
    }
    if !by_pillow(folder.path()) {
        return;
    }
    let mut wrong = Vec::new();
    for Case { name, icc, within } in cases {
        let wanted = std::fs::read(folder.path().join(format!("{name}.rgb"))).unwrap();
        let got = ours(name.split('-').next().unwrap(), &icc);
        assert_eq!(got.len(), wanted.len(), "{name}");
        let apart = got.iter().zip(&wanted).map(|(a, b)| a.abs_diff(*b));
        let (most, at) = apart.zip(0..).max_by_key(|&(apart, _)| apart).unwrap();
        println!("{name}: differs by at most {most}");
        if most > within {
            wrong
                .push(format!("{name}: sample {at} is {} and not {}", got[at as usize], wanted[at as usize]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A row as our decoder reads it from a file with the profile.
fn ours(mode: &str, icc: &[u8]) -> Vec<u8> {
    let samples = samples(mode);
    let file = match mode {
        "CMYK" => {
            let width = samples.len() as u32 / 4;
            let mut tags = make::strip(width, 1, 8, 4, 5, 1, &samples);
            tags.push((34_675, 1, icc.iter().map(|&byte| byte.into()).collect()));
            make::tiff(&tags, &samples, 0)
        }
        _ => {
            let (color, each) = if mode == "L" { (0, 1) } else { (2, 3) };
            let profile = chunk(b"iCCP", &[b"name\0\0", &make::deflated(icc)[..]].concat());
            let data = chunk(b"IDAT", &make::deflated(&[&[0], &samples[..]].concat()));
            make::png((samples.len() / each) as u32, 1, 8, color, &[profile, data])
        }
    };
    Rgb::decode(&file, &Limits::default()).unwrap().pixels
}
