//! The fuzz targets. `fuzz/bins` passes them inputs from libFuzzer; `tests/photos/corpora.rs` passes them the
//! committed inputs. A target panics if it finds a fault.

use pixcolor::photo::{
    self, Chroma, DecodeOptions, Depth, EncodeOptions, InputFormat, Limits, OutputFormat, Photo, PhotoError,
    Rgb, Rotation, fuzzing, read_head,
};

/// A target's name, which is also the name of its folders, and its function.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: [Target; 11] = [
    ("jpeg", jpeg),
    ("png", png),
    ("webp", webp),
    ("tiff", tiff),
    ("bmp", bmp),
    ("gif", gif),
    ("jxl", jxl),
    ("way", way),
    ("jpeg_walk", jpeg_walk),
    ("exif", exif),
    ("icc", icc),
];

/// Limits for the targets of single decoders.
const DECODING: Limits = Limits { max_pixels: 1 << 20, max_side: 16_384 };
/// Limits for the target of the whole pipeline, which encodes and decodes each picture several times.
const WAY: Limits = Limits { max_pixels: 1 << 14, max_side: 1024 };

/// The target with this name.
pub fn target(name: &str) -> fn(&[u8]) {
    TARGETS.iter().find(|(known, _)| *known == name).expect("a target of this name").1
}

fn jpeg(bytes: &[u8]) {
    decode(InputFormat::Jpeg, bytes);
}

fn png(bytes: &[u8]) {
    decode(InputFormat::Png, bytes);
}

fn webp(bytes: &[u8]) {
    decode(InputFormat::WebP, bytes);
}

fn tiff(bytes: &[u8]) {
    decode(InputFormat::Tiff, bytes);
}

fn bmp(bytes: &[u8]) {
    decode(InputFormat::Bmp, bytes);
}

fn gif(bytes: &[u8]) {
    decode(InputFormat::Gif, bytes);
}

fn jxl(bytes: &[u8]) {
    decode(InputFormat::Jxl, bytes);
}

/// Decodes a file of this format as an upload. Files of other formats are skipped; they have their own target.
fn decode(format: InputFormat, bytes: &[u8]) {
    if read_head(bytes, &DECODING).is_ok_and(|head| head.format == format) {
        checked(Photo::decode(bytes, &DECODING)).inspect(check);
    }
}

/// Returns the value, or `None` for an error in the file. A panic inside a codec fails the target.
fn checked<T>(result: Result<T, PhotoError>) -> Option<T> {
    match result {
        Err(PhotoError::Panicked(_, words)) => panic!("{words}"),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
        Ok(value) => Some(value),
    }
}

/// Checks that a photo's planes have the length that its size requires.
fn check(photo: &Photo) {
    let pixels = photo.width() as usize * photo.height() as usize;
    assert!(pixels > 0);
    assert_eq!(photo.gray.luma.len(), pixels);
    assert!(photo.alpha.as_ref().is_none_or(|alpha| alpha.len() == pixels));
    assert!(photo.damage.as_ref().is_none_or(|damage| !damage.0.is_empty()));
}

/// Decodes an upload, colours it with chroma derived from its bytes, encodes it in every format with every encoding
/// function, and decodes the results.
fn way(bytes: &[u8]) {
    let last = bytes.last().copied().unwrap_or_default();
    let rotation = [Rotation::None, Rotation::Quarter, Rotation::Half, Rotation::ThreeQuarters];
    let read = DecodeOptions { rotation: rotation[usize::from(last) % 4], ..DecodeOptions::default() };
    let Some(photo) = checked(Photo::decode_as(bytes, &read, &WAY)) else { return };
    check(&photo);
    photo.pixel_key();
    let gray = photo.gray_for(1000);
    assert!(gray.luma.len() <= 1000 && !gray.luma.is_empty());
    let chroma = made_up(bytes);
    let rgb = checked(Rgb::decode(bytes, &WAY));
    for format in [OutputFormat::Png, OutputFormat::Jpeg, OutputFormat::WebP, OutputFormat::Tiff] {
        let quality = last % 100 + 1;
        let depth = if format.has_16_bits() && last & 8 != 0 { Depth::Sixteen } else { Depth::Eight };
        let options = EncodeOptions { depth, ..EncodeOptions::plain(format, quality) };
        let size = (photo.width(), photo.height());
        read_again(photo::encode(&photo, &chroma, &options), &photo, size);
        if let Some(rgb) = &rgb {
            read_again(photo::encode_own(&photo, rgb, &options), &photo, size);
        }
        read_again(photo::encode_upload(bytes, &read, &WAY, photo.alpha.as_deref(), &options), &photo, size);
        if format == OutputFormat::Tiff {
            continue;
        }
        let sent = checked(gray.encode(format, quality)).expect("a small grey picture can be encoded");
        let sent = checked(Photo::decode(&sent, &WAY)).expect("the small grey picture can be decoded");
        assert_eq!((sent.width(), sent.height()), (gray.width, gray.height));
    }
}

/// Checks that an encoded file contains the whole photo at its size, with its opacity unless the file is a JPEG.
fn read_again(written: Result<photo::Encoded, PhotoError>, photo: &Photo, size: (u32, u32)) {
    let Some(written) = checked(written) else { panic!("a picture of {size:?} cannot be written") };
    let read = checked(Photo::decode(&written.bytes, &WAY)).expect("a rendition can be decoded");
    check(&read);
    assert_eq!((read.width(), read.height()), size);
    assert_eq!(read.damage, None);
    let head = read_head(&written.bytes, &WAY).expect("the file was decoded before");
    assert!(head.format == InputFormat::Jpeg || read.alpha == photo.alpha);
}

/// Chroma of at most 9 x 9 pixels, derived from the bytes.
fn made_up(bytes: &[u8]) -> Chroma {
    let mut state = bytes.iter().fold(1_u32, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16
    };
    let (width, height) = (next() % 9 + 1, next() % 9 + 1);
    let mut plane = || (0..width * height).map(|_| (next() % 400) as f32 - 200.0).collect();
    let (a, b) = (plane(), plane());
    checked(Chroma::new(width, height, a, b)).expect("the planes match their size")
}

/// Parses a JPEG's structure and builds files from its parts. The first of these files, the repaired one, must be
/// undamaged.
fn jpeg_walk(bytes: &[u8]) {
    checked(fuzzing::jpeg_damage(bytes, &DECODING));
    for (at, file) in checked(fuzzing::jpeg_parts(bytes, &DECODING)).into_iter().flatten().enumerate() {
        let head = checked(read_head(&file, &Limits::NONE)).expect("each part is a JPEG file");
        assert_eq!(head.format, InputFormat::Jpeg);
        if let Some(photo) = checked(Photo::decode(&file, &DECODING)) {
            assert!(at > 0 || photo.damage.is_none(), "{:?}", photo.damage);
        }
    }
}

/// Reads the orientation in EXIF data, which has the same form in every file format.
fn exif(bytes: &[u8]) {
    fuzzing::orientation(bytes);
}

/// Converts samples with an ICC profile. The input is one byte that selects the number of channels, and the profile.
fn icc(bytes: &[u8]) {
    let Some((&kind, profile)) = bytes.split_first() else { return };
    let colors = [1, 3, 4][usize::from(kind) % 3];
    let samples: Vec<u16> = (0..12 * colors).map(|i| (i * 5461 % 65_536) as u16).collect();
    if let Some(codes) = fuzzing::icc(profile, colors, &samples) {
        assert_eq!(codes.len(), if colors == 1 { 12 } else { 36 });
    }
}
