//! Every layout of a JPEG, decoded by PixColor and by libjpeg-turbo's own programs, and compared.

use std::path::Path;
use std::process::Command;

use jpeg_encoder::{ColorType, SamplingFactor};
use pixcolor::photo::{EncodeOptions, Limits, OutputFormat, Photo, Rgb, encode};

use crate::make::{self, Random};

/// One of these sizes is a whole number of MCUs; the other two are not.
const SIZES: [(u32, u32); 3] = [(61, 47), (64, 64), (35, 17)];

/// The horizontal and vertical sampling of each component.
const SAMPLINGS: [&str; 13] = [
    "1x1,1x1,1x1",
    "2x1,1x1,1x1",
    "1x2,1x1,1x1",
    "2x2,1x1,1x1",
    "4x1,1x1,1x1",
    "3x1,1x1,1x1",
    "1x4,1x1,1x1",
    "4x2,1x1,1x1",
    "2x2,2x1,1x2",
    "2x2,1x1,2x1",
    "1x1,2x2,2x2",
    "1x1,2x1,1x1",
    "2x2,2x2,2x2",
];

/// Scan scripts for cjpeg; the first one has a single scan.
const SCRIPTS: [&str; 8] = [
    "",
    "0; 1,2;",
    "0; 1; 2;",
    "0,1; 2;",
    "2; 0; 1;",
    // The following scripts are progressive.
    "0,1,2: 0-0, 0, 1; 0: 1-63, 0, 0; 1: 1-63, 0, 0; 2: 1-63, 0, 0; 0,1,2: 0-0, 1, 0;",
    "0: 0-0, 0, 0; 1: 0-0, 0, 0; 2: 0-0, 0, 0; 0: 1-5, 0, 2; 2: 1-63, 0, 1; 1: 1-63, 0, 1; 0: 6-63, 0, 2; \
     0: 1-63, 2, 1; 2: 1-63, 1, 0; 1: 1-63, 1, 0; 0: 1-63, 1, 0;",
    "0,1,2: 0-0, 0, 0; 0: 1-63, 0, 0; 1: 1-63, 0, 0; 2: 1-63, 0, 0;",
];

const RESTARTS: [u32; 3] = [0, 1, 7];

/// Runs one of libjpeg-turbo's programs on a file. Returns `None` if it fails; exit status 2 means warnings.
fn run(program: &str, arguments: &[&str], input: &Path) -> Option<Vec<u8>> {
    let output = Command::new(program).args(arguments).arg(input).output();
    let output = output.unwrap_or_else(|error| panic!("{program} (libjpeg-turbo-progs): {error}"));
    matches!(output.status.code(), Some(0 | 2)).then_some(output.stdout)
}

/// The picture as libjpeg-turbo decodes it, in 8-bit RGB; `None` if it refuses the file.
fn reference(folder: &Path, file: &[u8]) -> Option<Rgb> {
    let path = folder.join("reference.jpg");
    std::fs::write(&path, file).unwrap();
    let pnm = run("djpeg", &["-pnm"], &path)?;
    let mut fields = pnm.splitn(4, |byte| byte.is_ascii_whitespace());
    let kind = fields.next()?;
    let number = |field: Option<&[u8]>| std::str::from_utf8(field?).ok()?.parse().ok();
    let (width, height): (u32, u32) = (number(fields.next())?, number(fields.next())?);
    let samples = fields.next()?.strip_prefix(b"255\n")?;
    let pixels = match kind {
        b"P5" => samples.iter().flat_map(|&code| [code; 3]).collect(),
        _ => samples.to_vec(),
    };
    Some(Rgb { width, height, pixels })
}

/// Mean difference, in 8-bit levels.
fn difference(one: &Rgb, other: &Rgb) -> f64 {
    assert_eq!((one.width, one.height), (other.width, other.height));
    let sum: u64 = one.pixels.iter().zip(&other.pixels).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / one.pixels.len() as f64
}

/// Checks that our picture differs from libjpeg's by at most this much; otherwise returns the reason.
fn compare(folder: &Path, file: &[u8], within: f64) -> Result<(), String> {
    let reference = reference(folder, file).ok_or("libjpeg refuses its own file")?;
    let ours = Rgb::decode(file, &Limits::default()).map_err(|error| error.to_string())?;
    let difference = difference(&ours, &reference);
    if difference <= within { Ok(()) } else { Err(format!("differs by {difference:.2} levels")) }
}

/// Makes a JPEG of the scene with cjpeg. Returns `None` if cjpeg refuses the arguments.
fn cjpeg(
    folder: &Path,
    size: (u32, u32),
    kind: &str,
    sampling: &str,
    script: &str,
    restart: u32,
) -> Option<Vec<u8>> {
    let picture = folder.join(format!("{}x{}-{kind}.pnm", size.0, size.1));
    let scans = folder.join("scans.txt");
    if !picture.exists() {
        let (magic, pixels) = match kind {
            "grey" => ("P5", make::gray_scene(size.0, size.1).into_raw()),
            _ => ("P6", make::scene(size.0, size.1).into_raw()),
        };
        let head = format!("{magic}\n{} {}\n255\n", size.0, size.1);
        std::fs::write(&picture, [head.as_bytes(), &pixels].concat()).unwrap();
    }
    let restart = format!("{restart}B");
    let mut arguments = vec!["-quality", "92", "-restart", &restart, "-sample", sampling];
    if kind == "rgb" {
        arguments.push("-rgb");
    }
    if !script.is_empty() {
        std::fs::write(&scans, script).unwrap();
        arguments.extend(["-scans", scans.to_str().unwrap()]);
    }
    run("cjpeg", &arguments, &picture)
}

/// Every combination of two lists.
fn product<A: Clone, B: Copy>(
    these: impl IntoIterator<Item = A>,
    those: &[B],
) -> impl Iterator<Item = (A, B)> {
    these.into_iter().flat_map(move |this| those.iter().map(move |that| (this.clone(), *that)))
}

#[test]
fn every_color_layout_matches_libjpeg() {
    let folder = tempfile::tempdir().unwrap();
    let (mut files, mut wrong) = (0, Vec::new());
    let kinds = ["colour", "rgb"];
    for ((((sampling, script), size), restart), kind) in
        product(product(product(product(&SAMPLINGS, &SCRIPTS), &SIZES), &RESTARTS), &kinds)
    {
        // An MCU has at most ten blocks, so cjpeg refuses some combinations.
        let Some(file) = cjpeg(folder.path(), size, kind, sampling, script, restart) else { continue };
        files += 1;
        if let Err(error) = compare(folder.path(), &file, 1.0) {
            wrong.push(format!("{kind} {sampling} {script:?} {restart} {size:?}: {error}"));
        }
    }
    assert!(files > 1700, "{files} files");
    assert!(wrong.is_empty(), "{} of {files}: {}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_meaning_of_components_matches_libjpeg() {
    let folder = tempfile::tempdir().unwrap();
    for script in [SCRIPTS[0], SCRIPTS[2], SCRIPTS[6]] {
        let file = cjpeg(folder.path(), SIZES[0], "colour", SAMPLINGS[0], script, 0).unwrap();
        let frame = make::frame_at(&file);
        let adobe =
            |transform: u8| make::segment(0xEE, &[&b"Adobe\0\x64\0\0\0\0"[..], &[transform]].concat());
        let bare = [&file[..2], &file[20..]].concat();
        for transform in [None, Some(0), Some(1), Some(2)] {
            let adobe = transform.map(adobe).unwrap_or_default();
            for (jfif, file) in [(true, &file), (false, &bare)] {
                let result = compare(folder.path(), &make::insert(file, 2, &adobe), 1.0);
                assert_eq!(result, Ok(()), "Adobe's transform {transform:?}, JFIF {jfif}, {script:?}");
            }
        }
        // Without Adobe's and JFIF's segments the component IDs decide the colour space. Scans contain the IDs, too.
        for names in [*b"RGB", *b"rgb", [0, 1, 2], [1, 34, 35]] {
            let mut named = bare.clone();
            let mut rename = |at: usize| named[at] = names[usize::from(named[at]) - 1];
            (0..3).for_each(|i| rename(frame - 18 + 10 + 3 * i));
            let scans: Vec<usize> =
                (0..bare.len() - 1).filter(|&at| bare[at..at + 2] == [0xFF, 0xDA]).collect();
            for scan in scans {
                (0..usize::from(bare[scan + 4])).for_each(|i| rename(scan + 5 + 2 * i));
            }
            assert_eq!(compare(folder.path(), &named, 1.0), Ok(()), "{names:?}, {script:?}");
        }
    }
}

#[test]
fn every_gray_layout_matches_libjpeg() {
    let folder = tempfile::tempdir().unwrap();
    for sampling in ["1x1", "2x2", "3x1", "1x4"] {
        for script in ["", "0: 0-0, 0, 1; 0: 1-63, 0, 2; 0: 1-63, 2, 1; 0: 0-0, 1, 0; 0: 1-63, 1, 0;"] {
            for (size, restart) in product(SIZES, &RESTARTS) {
                let file = cjpeg(folder.path(), size, "grey", sampling, script, restart).unwrap();
                let result = compare(folder.path(), &file, 1.0);
                assert_eq!(result, Ok(()), "{sampling} {script:?} {restart} {size:?}");
            }
        }
    }
}

#[test]
fn every_cmyk_layout_matches_libjpeg() {
    let folder = tempfile::tempdir().unwrap();
    let (first, scans) = (folder.path().join("first.jpg"), folder.path().join("scans.txt"));
    let scripts = [
        "0,1,2,3;",
        "0; 1,2; 3;",
        "0; 1; 2; 3;",
        "3; 2; 0,1;",
        "0,1,2,3: 0-0, 0, 0; \
        0: 1-63, 0, 1; 1: 1-63, 0, 0; 2: 1-63, 0, 0; 3: 1-63, 0, 0; 0: 1-63, 1, 0;",
    ];
    for kind in [ColorType::Cmyk, ColorType::CmykAsYcck] {
        for sampling in
            [SamplingFactor::F_1_1, SamplingFactor::F_2_1, SamplingFactor::F_1_2, SamplingFactor::F_2_2]
        {
            for (size, restart) in product(SIZES, &RESTARTS) {
                let inks: Vec<u8> = make::scene(size.0, size.1)
                    .pixels()
                    .flat_map(|pixel| [255 - pixel[0], 255 - pixel[1], 255 - pixel[2], pixel[1] / 4])
                    .collect();
                let mut bytes = Vec::new();
                let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 92);
                encoder.set_sampling_factor(sampling);
                encoder.encode(&inks, size.0 as u16, size.1 as u16, kind).unwrap();
                std::fs::write(&first, &bytes).unwrap();
                for script in scripts {
                    std::fs::write(&scans, script).unwrap();
                    let restart = format!("{restart}B");
                    let arguments = ["-copy", "all", "-restart", &restart, "-scans", scans.to_str().unwrap()];
                    let file = run("jpegtran", &arguments, &first).unwrap();
                    let result = compare(folder.path(), &file, 2.0);
                    assert_eq!(result, Ok(()), "{kind:?} {sampling:?} {script:?} {restart} {size:?}");
                }
            }
        }
    }
}

/// One of the sizes is large enough for restart markers.
#[test]
fn libjpeg_reads_our_files_without_warnings_and_like_us() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ours.jpg");
    for (size, quality) in product(SIZES.into_iter().chain([(1, 1), (2051, 2003)]), &[1, 90, 95, 100]) {
        let rgb = Rgb { width: size.0, height: size.1, pixels: make::scene(size.0, size.1).into_raw() };
        let options = EncodeOptions::plain(OutputFormat::Jpeg, quality);
        let photo = Photo::from_gray(rgb.gray());
        let colored = encode(&photo, &rgb.chroma().unwrap(), &options).unwrap().bytes;
        let gray = photo.gray.encode(OutputFormat::Jpeg, quality).unwrap();
        for file in [colored, gray] {
            std::fs::write(&path, &file).unwrap();
            assert!(run("djpeg", &["-strict"], &path).is_some(), "{size:?} {quality}");
            assert_eq!(compare(folder.path(), &file, 1.0), Ok(()), "{size:?} {quality}");
        }
    }
}

/// Several layouts with and without restart markers, in one scan and in many.
fn samples(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for sampling in ["1x1,1x1,1x1", "2x2,1x1,1x1", "3x1,1x1,1x1"] {
        for script in [SCRIPTS[0], SCRIPTS[2], SCRIPTS[6]] {
            for restart in [0, 2] {
                let file = cjpeg(folder, (256, 192), "colour", sampling, script, restart).unwrap();
                files.push((format!("{sampling} {script:?} {restart}"), file));
            }
        }
    }
    files
}

#[test]
fn a_jpeg_without_an_end_marker_is_undamaged() {
    let folder = tempfile::tempdir().unwrap();
    for (name, file) in samples(folder.path()) {
        let whole = Photo::decode(&file, &Limits::default()).unwrap();
        let endless = Photo::decode(&file[..file.len() - 2], &Limits::default()).unwrap();
        assert!(whole.gray == endless.gray && endless.damage.is_none(), "{name}: {:?}", endless.damage);
    }
}

#[test]
fn a_cut_jpeg_is_decoded_up_to_the_cut_and_marked_as_damaged() {
    let folder = tempfile::tempdir().unwrap();
    for (name, file) in samples(folder.path()) {
        let whole = Photo::decode(&file, &Limits::default()).unwrap();
        for part in [40, 66, 90, 99] {
            let cut = &file[..file.len() * part / 100];
            for (closed, cut) in [(false, cut.to_vec()), (true, [cut, &[0xFF, 0xD9]].concat())] {
                let got = Photo::decode(&cut, &Limits::default())
                    .unwrap_or_else(|error| panic!("{name}, {part} %, closed {closed}: {error}"));
                // A file that is cut between two scans and ends with an EOI marker shows no damage.
                let between = closed && !name.contains("\"\"");
                assert!(got.damage.is_some() || between, "{name}, {part} %, closed {closed}");
                if name.contains("\"\"") {
                    let rows = (192 * part / 100 - 32) * 256;
                    assert!(
                        got.gray.luma[..rows] == whole.gray.luma[..rows],
                        "{name}, {part} %: rows before the cut differ"
                    );
                    let last = got.gray.luma.last().unwrap();
                    assert!(
                        (f64::from(*last) / 655.35 - 53.6).abs() < 1.0,
                        "{name}, {part} %: the last row is not grey"
                    );
                }
            }
        }
    }
}

#[test]
fn a_lost_or_repeated_restart_marker_costs_one_interval_and_shifts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for sampling in ["1x1,1x1,1x1", "2x2,1x1,1x1"] {
        let file = cjpeg(folder.path(), (256, 192), "colour", sampling, "", 4).unwrap();
        let whole = Rgb::decode(&file, &Limits::default()).unwrap();
        let markers: Vec<usize> = (0..file.len() - 1)
            .filter(|&at| file[at] == 0xFF && (0xD0..=0xD7).contains(&file[at + 1]))
            .collect();
        for at in [markers[3], markers[markers.len() / 2]] {
            let lost = [&file[..at], &file[at + 2..]].concat();
            let twice = make::insert(&file, at, &file[at..at + 2]);
            for file in [lost, twice] {
                let reference = reference(folder.path(), &file).unwrap();
                let ours = Photo::decode(&file, &Limits::default()).unwrap();
                assert!(ours.damage.is_some(), "{sampling}");
                let theirs = difference(&whole, &reference);
                let luma = reference.gray();
                let sum: u64 =
                    ours.gray.luma.iter().zip(&luma.luma).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
                let ours = sum as f64 / luma.luma.len() as f64 / 655.35;
                assert!(
                    ours <= 1.0 + theirs,
                    "{sampling}: {ours} L* from libjpeg's picture, which is {theirs} levels from the whole file's"
                );
            }
        }
    }
}

/// A changed file may be a valid file of another picture. Our decoder and libjpeg must then show the same picture.
#[test]
fn a_changed_jpeg_without_a_damage_mark_matches_libjpeg() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random(7);
    let (mut marked, mut silent, mut refused) = (0, 0, 0);
    for (name, file) in samples(folder.path()) {
        for _ in 0..25 {
            let mut changed = file.clone();
            for _ in 0..=random.below(2) {
                let at = 620 + random.below(file.len() - 620);
                changed[at] ^= 1 << random.below(8);
            }
            let Some(reference) = reference(folder.path(), &changed) else { continue };
            match Rgb::decode(&changed, &Limits::default()) {
                Ok(ours) => {
                    silent += 1;
                    let difference = difference(&ours, &reference);
                    assert!(
                        difference < 1.0,
                        "{name}: differs by {difference} levels, and no damage was reported"
                    );
                }
                Err(_) if Photo::decode(&changed, &Limits::default()).is_ok() => marked += 1,
                Err(_) => refused += 1,
            }
        }
    }
    assert!(marked > 100 && silent > 20, "{marked} marked, {silent} silent, {refused} refused");
}
