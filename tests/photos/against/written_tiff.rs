//! The TIFF files that we write, read by libtiff, ImageMagick and Pillow.

use std::path::Path;
use std::process::Command;

use pixcolor::photo::{
    Chroma, DecodeOptions, Depth, EncodeOptions, Gray, Limits, OutputFormat, Photo, encode, join_pages,
    read_head_of,
};

use super::pillow::PYTHON;

const SIZE: (u32, u32) = (701, 433);

fn photo(alpha: bool, seed: u32) -> Photo {
    let (width, height) = SIZE;
    let luma =
        (0..width * height).map(|i| ((i / width * 90 + i % width * 40 + seed) % 65_536) as u16).collect();
    let mut photo = Photo::from_gray(Gray { width, height, luma });
    photo.alpha = alpha.then(|| (0..width * height).map(|i| (i / 5 % 256) as u8).collect());
    photo
}

fn tiff(photo: &Photo, depth: Depth) -> Vec<u8> {
    let chroma = Chroma::new(1, 1, vec![6.0], vec![14.0]).unwrap();
    let options = EncodeOptions { depth, ..EncodeOptions::plain(OutputFormat::Tiff, 90) };
    encode(photo, &chroma, &options).unwrap().bytes
}

/// The output of a program that must neither fail nor warn.
fn output(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && words.is_empty(), "{program} {arguments:?}: {words}");
    output.stdout
}

/// The samples that the crate `image` reads, as bytes in little-endian order.
fn truth(file: &[u8]) -> Vec<u8> {
    let picture = image::load_from_memory_with_format(file, image::ImageFormat::Tiff).unwrap();
    picture.as_bytes().to_vec()
}

#[test]
fn other_programs_read_our_tiff_files_of_both_depths_with_and_without_opacity() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ours.tif");
    let copy = folder.path().join("copy.tif");
    let [name, copy_name] = [&path, &copy].map(|path| path.to_str().unwrap());
    for (alpha, depth) in [(false, 8), (true, 8), (false, 16), (true, 16)] {
        let bytes = tiff(&photo(alpha, 0), depth.to_string().parse().unwrap());
        std::fs::write(&path, &bytes).unwrap();
        let info = String::from_utf8(output("tiffinfo", &[name])).unwrap();
        let wanted =
            ["Image Width: 701 Image Length: 433", "AdobeDeflate", "RGB color", "horizontal differencing"];
        assert!(wanted.iter().all(|words| info.contains(words)), "{info}");
        assert!(info.contains(&format!("Bits/Sample: {depth}")), "{info}");
        assert_eq!(info.contains("Extra Samples: 1<unassoc-alpha>"), alpha, "{info}");
        // Converted by libtiff to a file without compression.
        output("tiffcp", &["-c", "none", name, copy_name]);
        assert!(
            truth(&std::fs::read(&copy).unwrap()) == truth(&bytes),
            "tiffcp, {depth} bits, opacity {alpha}"
        );
        let raw = format!("{}:-", if alpha { "rgba" } else { "rgb" });
        let magick = output("convert", &[name, "-depth", &depth.to_string(), "-endian", "LSB", &raw]);
        assert!(magick == truth(&bytes), "ImageMagick, {depth} bits, opacity {alpha}");
        // Pillow reads colours of 16 bits only as 8 bits.
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(PYTHON);
        if depth == 8 && python.exists() {
            let code = "import sys; from PIL import Image; \
                        sys.stdout.buffer.write(Image.open(sys.argv[1]).tobytes())";
            let pillow = output(python.to_str().unwrap(), &["-c", code, name]);
            assert!(pillow == truth(&bytes), "Pillow, opacity {alpha}");
        }
    }
}

#[test]
fn joined_files_are_pages_for_other_programs_and_for_us() {
    let photos = [photo(false, 0), photo(true, 9000), photo(false, 30_000)];
    let depths = [Depth::Eight, Depth::Eight, Depth::Sixteen];
    let files: Vec<_> = photos.iter().zip(depths).map(|(photo, depth)| tiff(photo, depth)).collect();
    let joined = join_pages(&files).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pages.tif");
    std::fs::write(&path, &joined).unwrap();
    let info = String::from_utf8(output("tiffinfo", &[path.to_str().unwrap()])).unwrap();
    assert_eq!(info.matches("Subfile Type: multi-page document (2 = 0x2)").count(), 3, "{info}");
    for page in 1..=3 {
        assert!(info.contains(&format!("Page Number: {}-3", page - 1)), "{info}");
        let options = DecodeOptions { page, ..DecodeOptions::default() };
        let limits = Limits::default();
        assert_eq!(read_head_of(&joined, &options, &limits).unwrap().pages, 3);
        let read = Photo::decode_as(&joined, &options, &limits).unwrap();
        let alone = Photo::decode(&files[page as usize - 1], &limits).unwrap();
        assert!(read.gray == alone.gray && read.alpha == alone.alpha, "page {page}");
        // Other libraries read the page by its number.
        let page = format!("{}[{}]", path.display(), page - 1);
        output("convert", &[&page, "-depth", "8", "gray:-"]);
    }
}
