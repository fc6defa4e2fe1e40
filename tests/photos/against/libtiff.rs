//! TIFF compared with libtiff: `tiffcp` writes every layout, and `tiff2rgba` decodes the picture.

use std::path::Path;
use std::process::Command;

use pixcolor::photo::{Limits, Photo, PhotoError, Rgb};

use super::tiff_kinds::{HEIGHT, KINDS, WIDTH};
use crate::make::{self, Tag, strip, tiff, with};

fn run(program: &str, arguments: &[&str], from: &Path, to: &Path) {
    let output = Command::new(program).args(arguments).args([from, to]).output();
    let output = output.unwrap_or_else(|error| panic!("{program} of Debian's libtiff-tools: {error}"));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {words}");
}

/// The picture on white, as `tiff2rgba` decodes it. `tiff2rgba` multiplies colours by their opacity, but not
/// interleaved greys (`gray`).
fn as_libtiff_decodes(file: &Path, folder: &Path, gray: bool) -> Vec<u8> {
    let to = folder.join("rgba.tif");
    run("tiff2rgba", &["-c", "none"], file, &to);
    let mut reader = ::tiff::decoder::Decoder::new(std::fs::File::open(to).unwrap()).unwrap();
    let ::tiff::decoder::DecodingResult::U8(pixels) = reader.read_image().unwrap() else {
        panic!("not 8 bits")
    };
    let times = |code: u8, alpha: u8| ((u32::from(code) * u32::from(alpha) + 127) / 255) as u8;
    let on_white = |&[r, g, b, alpha]: &[u8; 4]| {
        [r, g, b]
            .map(|code| if gray { times(code, alpha) } else { code })
            .map(|code| code.saturating_add(255 - alpha))
    };
    pixels.as_chunks().0.iter().flat_map(on_white).collect()
}

/// The largest and the mean difference of 8-bit values.
fn differences(one: &[u8], other: &[u8]) -> (u8, f64) {
    assert_eq!(one.len(), other.len());
    let each = one.iter().zip(other).map(|(a, b)| a.abs_diff(*b));
    (each.clone().max().unwrap(), each.map(f64::from).sum::<f64>() / one.len() as f64)
}

/// Writes a picture in a layout with libtiff. Returns the path and the bytes.
fn written(folder: &Path, picture: &[u8], arguments: &[&str]) -> (std::path::PathBuf, Vec<u8>) {
    let (from, to) = (folder.join("from.tif"), folder.join("to.tif"));
    std::fs::write(&from, picture).unwrap();
    run("tiffcp", arguments, &from, &to);
    let bytes = std::fs::read(&to).unwrap();
    (to, bytes)
}

#[test]
fn every_kind_of_tiff_matches_libtiff() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kind.tif");
    for kind in &KINDS {
        for &planar in kind.planars() {
            // `tiff2rgba` reads only 8-bit inks and treats them as interleaved.
            if kind.photometric == 5 && (planar || kind.bits == 16) {
                continue;
            }
            let bytes = kind.file(planar);
            std::fs::write(&file, &bytes).unwrap();
            let wanted = as_libtiff_decodes(&file, folder.path(), kind.photometric < 2 && !planar);
            let got = Rgb::decode(&bytes, &Limits::default())
                .unwrap_or_else(|error| panic!("{}: {error}", kind.name));
            let (most, _) = differences(&got.pixels, &wanted);
            assert!(
                most <= 1 + u8::from(!kind.extra.is_empty()),
                "{}, planar {planar}: {most} levels",
                kind.name
            );
        }
    }
}

#[test]
fn every_tiff_layout_of_libtiff_gives_the_same_photo() {
    let layouts: [&[&str]; 6] = [
        &["-s", "-r", "1"],
        &["-s", "-r", "7"],
        &["-s", "-r", "1000"],
        &["-t", "-w", "16", "-l", "16"],
        &["-t", "-w", "64", "-l", "32"],
        &["-t", "-w", "256", "-l", "256"],
    ];
    let orders: [&[&str]; 5] = [&["-L"], &["-B"], &["-L", "-8"], &["-B", "-8"], &["-L", "-f", "lsb2msb"]];
    let folder = tempfile::tempdir().unwrap();
    let mut written_files = 0;
    let mut wrong = Vec::new();
    for kind in &KINDS {
        for &planar in kind.planars() {
            let picture = kind.file(planar);
            let wanted = Photo::decode(&picture, &Limits::default()).unwrap();
            // `tiffcp` of libtiff 4.5 writes 16-bit tiles of separate planes at twice their length. Another test below
            // covers such tiles.
            let layouts = if planar && kind.bits == 16 { &layouts[..3] } else { &layouts };
            for (layout, compression) in
                layouts.iter().flat_map(|layout| kind.compressions().iter().map(move |c| (layout, c)))
            {
                written_files += 1;
                let order = orders[written_files % orders.len()];
                let planes = if planar { "separate" } else { "contig" };
                let arguments = [layout, order, &["-c", compression, "-p", planes]].concat();
                let (_, bytes) = written(folder.path(), &picture, &arguments);
                let problem = match Photo::decode(&bytes, &Limits::default()) {
                    Err(error) => error.to_string(),
                    Ok(photo) if photo.damage.is_some() => format!("{:?}", photo.damage),
                    Ok(photo) if photo.gray != wanted.gray || photo.alpha != wanted.alpha => {
                        "other pixels".to_owned()
                    }
                    Ok(_) => continue,
                };
                wrong.push(format!("{} {arguments:?}: {problem}", kind.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {written_files}\n{}", wrong.len(), wrong.join("\n"));
}

/// The samples of one plane, cut into tiles. Tiles that reach beyond the picture are padded with 0x7777.
fn tiles_of_plane(samples: &[u16], count: usize, plane: usize, (width, height): (u32, u32)) -> Vec<Vec<u8>> {
    let tile = |ty: u32, tx: u32| {
        let places =
            (0..height).flat_map(move |y| (0..width).map(move |x| (tx * width + x, ty * height + y)));
        let sample = |(x, y): (u32, u32)| match x < WIDTH && y < HEIGHT {
            true => samples[(y * WIDTH + x) as usize * count + plane],
            false => 0x7777,
        };
        places.flat_map(|place| sample(place).to_le_bytes()).collect()
    };
    (0..HEIGHT.div_ceil(height))
        .flat_map(|ty| (0..WIDTH.div_ceil(width)).map(move |tx| tile(ty, tx)))
        .collect()
}

#[test]
fn separate_tiles_of_16_bits_match_libtiff() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tiles.tif");
    for kind in KINDS.iter().filter(|kind| kind.bits == 16 && kind.photometric == 2) {
        for compression in [1, 5] {
            let (samples, count) = (kind.samples(), kind.samples as usize);
            let tiles = (0..count).flat_map(|plane| tiles_of_plane(&samples, count, plane, (64, 32)));
            let tiles: Vec<Vec<u8>> = match compression {
                1 => tiles.collect(),
                _ => tiles.map(|tile| lzw(&tile)).collect(),
            };
            let lengths: Vec<u32> = tiles.iter().map(|tile| tile.len() as u32).collect();
            let places = lengths.iter().scan(8, |place, length| Some((*place, *place += length).0));
            let data = tiles.concat();
            let mut tags = strip(WIDTH, HEIGHT, 16, kind.samples, 2, compression, &data);
            tags.retain(|tag| !matches!(tag.0, 273 | 278 | 279));
            tags.extend([(324, 4, places.collect()), (325, 4, lengths)]);
            for (tag, value) in [(284, vec![2]), (322, vec![64]), (323, vec![32])] {
                tags = with(&tags, tag, Some(value));
            }
            if !kind.extra.is_empty() {
                tags = with(&tags, 338, Some(kind.extra.to_vec()));
            }
            let bytes = tiff(&tags, &data, 0);
            std::fs::write(&file, &bytes).unwrap();
            let got = Rgb::decode(&bytes, &Limits::default()).unwrap();
            let (most, _) = differences(&got.pixels, &as_libtiff_decodes(&file, folder.path(), false));
            assert!(most <= 2, "{}, compression {compression}: {most} levels", kind.name);
        }
    }
}

fn lzw(data: &[u8]) -> Vec<u8> {
    weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8).encode(data).unwrap()
}

#[test]
fn jpeg_in_tiff_strips_and_tiles_matches_libtiff() {
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for (name, compression) in
        [("RGB", "jpeg:90"), ("RGB", "jpeg:r:90"), ("grey", "jpeg:90"), ("grey, white is zero", "jpeg:90")]
    {
        let picture = KINDS.iter().find(|kind| kind.name == name).unwrap().file(false);
        for layout in [["-s", "-r", "16"].as_slice(), &["-s", "-r", "1000"], &["-t", "-w", "64", "-l", "32"]]
        {
            let arguments = [layout, &["-c", compression]].concat();
            let (file, bytes) = written(folder.path(), &picture, &arguments);
            let wanted = as_libtiff_decodes(&file, folder.path(), false);
            let got = Rgb::decode(&bytes, &Limits::default())
                .unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
            let (most, mean) = differences(&got.pixels, &wanted);
            if mean >= 1.0 {
                wrong.push(format!("{name} {arguments:?}: {most} levels at most, {mean} on average"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The data of a picture in Y, Cb, Cr: blocks of pixels that share their colour differences.
fn ycc_blocks(across: u32, down: u32) -> Vec<u8> {
    let mut data = Vec::new();
    for (by, bx) in
        (0..HEIGHT.div_ceil(down)).flat_map(|by| (0..WIDTH.div_ceil(across)).map(move |bx| (by, bx)))
    {
        let luma = (0..down).flat_map(|y| (0..across).map(move |x| (bx * across + x, by * down + y)));
        data.extend(luma.map(|(x, y)| (30 + (x + 2 * y) % 200) as u8));
        data.extend([(90 + 8 * bx % 70) as u8, (100 + 5 * by % 60) as u8]);
    }
    data
}

#[test]
fn ycbcr_without_jpeg_matches_libtiff() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ycc.tif");
    for (across, down) in [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (4, 2), (4, 4)] {
        let data = ycc_blocks(across, down);
        let tags = with(&strip(WIDTH, HEIGHT, 8, 3, 6, 1, &data), 530, Some(vec![across, down]));
        let bytes = tiff(&tags, &data, 0);
        std::fs::write(&file, &bytes).unwrap();
        let got = Rgb::decode(&bytes, &Limits::default())
            .unwrap_or_else(|error| panic!("{across}x{down}: {error}"));
        let (most, _) = differences(&got.pixels, &as_libtiff_decodes(&file, folder.path(), false));
        assert!(most <= 1, "{across}x{down}: {most} levels");
    }
}

#[test]
fn old_style_lzw_matches_libtiff() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("old.tif");
    let gray = make::gray_scene(WIDTH, HEIGHT).into_raw();
    let data = weezl::encode::Encoder::new(weezl::BitOrder::Lsb, 8).encode(&gray).unwrap();
    let bytes = tiff(&strip(WIDTH, HEIGHT, 8, 1, 1, 5, &data), &data, 0);
    std::fs::write(&file, &bytes).unwrap();
    let got = Rgb::decode(&bytes, &Limits::default()).unwrap();
    assert_eq!(differences(&got.pixels, &as_libtiff_decodes(&file, folder.path(), false)).0, 0);
}

/// Unsupported kinds: the tag and values that select them, and a word that the error must contain.
#[test]
fn unsupported_kinds_of_tiff_are_named_in_the_error() {
    let rgb = make::scene(WIDTH, HEIGHT).into_raw();
    let tags = strip(WIDTH, HEIGHT, 8, 3, 2, 1, &rgb);
    let refused: [(u16, &[u32], &str); 17] = [
        (259, &[2], "CCITT run lengths"),
        (259, &[6], "the old form of JPEG"),
        (259, &[34_712], "JPEG 2000"),
        (259, &[34_925], "LZMA"),
        (259, &[50_000], "Zstandard"),
        (259, &[50_001], "WebP"),
        (259, &[999], "compression 999"),
        (262, &[8], "L*a*b*"),
        (262, &[9], "L*a*b*"),
        (262, &[32_845], "LogLuv"),
        (262, &[32_803], "raw data"),
        (339, &[2, 2, 2], "signed"),
        (339, &[3, 3, 3], "floating-point"),
        (258, &[8, 8, 4], "differ in bits"),
        (258, &[12, 12, 12], "12 bits"),
        (258, &[32, 32, 32], "32 bits"),
        (277, &[2], "2 samples"),
    ];
    for (tag, values, word) in refused {
        let tags: Vec<Tag> = with(&tags, tag, Some(values.to_vec()));
        match Photo::decode(&tiff(&tags, &rgb, 0), &Limits::default()) {
            Err(PhotoError::Unsupported(words)) if words.contains(word) => {}
            other => panic!("tag {tag} of {values:?}: {other:?}"),
        }
    }
}
