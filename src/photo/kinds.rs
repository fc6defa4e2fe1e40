//! Identifies unsupported files by their first bytes, so that the error names the kind of file and says what to do.

use super::PhotoError;

/// The supported formats, as error messages list them.
const READ: &str = "JPEG, PNG, WebP, TIFF, JPEG XL, BMP or GIF";

/// Advice for the user, by kind of file.
const SAVE: &str = "Save it as JPEG or PNG.";
const EXPORT: &str = "Export the page or the picture as JPEG or PNG.";
const FRAME: &str = "Save a frame of it as JPEG or PNG.";
const DEVELOP: &str =
    "Open it in the camera's program or another raw converter, and save it as JPEG, PNG or TIFF.";
const UNPACK: &str = "Unpack it and send the pictures in it.";
const PAGE: &str = "Save the picture on the page and send that file.";
const SEND: &str = "Send a picture: JPEG, PNG, WebP, TIFF, JPEG XL, BMP or GIF.";
const HEIC: &str = "Convert it to JPEG or PNG, for example with heif-convert (of libheif), or export it with \
                    Preview (macOS) or Photos (Windows).";
const AVIF: &str = "Convert it to JPEG or PNG, for example with avifdec (of libavif) or Preview (macOS).";

/// An offset, the bytes at that offset, the kind of file, and advice.
type Signature = (usize, &'static [u8], &'static str, &'static str);

/// The first match is used, so longer signatures come before shorter ones.
const SIGNATURES: &[Signature] = &[
    // The same container holds images and videos; its brand says which of the two (ISO/IEC 14496-12, 4.3).
    (4, b"ftypheic", "a HEIC photograph", HEIC),
    (4, b"ftypheix", "a HEIC photograph", HEIC),
    (4, b"ftypheim", "a HEIC photograph", HEIC),
    (4, b"ftypheis", "a HEIC photograph", HEIC),
    (4, b"ftyphevc", "a HEIC photograph", HEIC),
    (4, b"ftyphevx", "a HEIC photograph", HEIC),
    (4, b"ftypmif1\0\0\0\0mif1avif", "an AVIF picture", AVIF),
    (4, b"ftypmif1\0\0\0\0avif", "an AVIF picture", AVIF),
    (4, b"ftypmif1", "a HEIF photograph", HEIC),
    (4, b"ftypmif2", "a HEIF photograph", HEIC),
    (4, b"ftypmsf1", "a HEIF photograph", HEIC),
    (4, b"ftypavif", "an AVIF picture", AVIF),
    (4, b"ftypavis", "an AVIF picture", AVIF),
    (4, b"ftypcrx ", "a camera's raw file (CR3)", DEVELOP),
    (4, b"ftypjp2 ", "a JPEG 2000 picture", SAVE),
    (4, b"ftyp", "a video", FRAME),
    (4, b"moov", "a video", FRAME),
    (4, b"mdat", "a video", FRAME),
    (0, b"\x1A\x45\xDF\xA3", "a video", FRAME),
    (0, b"\0\0\x01\xBA", "a video", FRAME),
    (0, b"\0\0\x01\xB3", "a video", FRAME),
    (0, b"FLV\x01", "a video", FRAME),
    (0, b"\x30\x26\xB2\x75\x8E\x66\xCF\x11", "a video", FRAME),
    (8, b"AVI LIST", "a video", FRAME),
    (8, b"WAVE", "a sound file", SEND),
    (0, b"OggS", "a sound or video file", SEND),
    (0, b"fLaC", "a sound file", SEND),
    (0, b"ID3", "a sound file", SEND),
    // Raw files of cameras. Many other raw files are TIFF files.
    (8, b"CR\x02\0", "a camera's raw file (CR2)", DEVELOP),
    (0, b"FUJIFILMCCD-RAW", "a camera's raw file (RAF)", DEVELOP),
    (0, b"IIRO", "a camera's raw file (ORF)", DEVELOP),
    (0, b"IIRS", "a camera's raw file (ORF)", DEVELOP),
    (0, b"MMOR", "a camera's raw file (ORF)", DEVELOP),
    (0, b"IIU\0", "a camera's raw file (RW2)", DEVELOP),
    (0, b"\0MRM", "a camera's raw file (MRW)", DEVELOP),
    (0, b"FOVb", "a camera's raw file (X3F)", DEVELOP),
    (6, b"HEAPCCDR", "a camera's raw file (CRW)", DEVELOP),
    // Other members of the JPEG family.
    (0, b"\0\0\0\x0CjP  \r\n\x87\n", "a JPEG 2000 picture", SAVE),
    (0, b"\xFF\x4F\xFF\x51", "a JPEG 2000 picture", SAVE),
    (0, b"II\xBC\x01", "a JPEG XR picture", SAVE),
    // Other images.
    (12, b"CgBI", "a PNG in Apple's form for iOS applications", SAVE),
    (0, b"\x8AMNG\r\n\x1A\n", "an MNG animation", FRAME),
    (0, b"\x8BJNG\r\n\x1A\n", "a JNG picture", SAVE),
    (0, b"8BPS", "a Photoshop document", EXPORT),
    (0, b"gimp xcf", "a GIMP document", EXPORT),
    (0, b"\0\0\x01\0", "an icon (ICO)", SAVE),
    (0, b"\0\0\x02\0", "a mouse pointer (CUR)", SAVE),
    (0, b"icns", "an icon (ICNS)", SAVE),
    (0, b"DDS ", "a DDS texture", SAVE),
    (0, b"qoif", "a QOI picture", SAVE),
    (0, b"BPG\xFB", "a BPG picture", SAVE),
    (0, b"\x76\x2F\x31\x01", "an OpenEXR picture", SAVE),
    (0, b"#?RADIANCE", "a Radiance picture", SAVE),
    (0, b"SIMPLE  =", "a FITS file", SAVE),
    (128, b"DICM", "a DICOM file", EXPORT),
    (0, b"AT&TFORM", "a DjVu document", EXPORT),
    (0, b"\xD7\xCD\xC6\x9A", "a Windows metafile", EXPORT),
    (40, b" EMF", "a Windows metafile", EXPORT),
    // Documents and archives.
    (0, b"%PDF-", "a PDF document", EXPORT),
    (0, b"%!PS", "a PostScript document", EXPORT),
    (0, b"\xC5\xD0\xD3\xC6", "a PostScript document", EXPORT),
    (0, b"{\\rtf", "a text document", SEND),
    (0, b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "an Office document", EXPORT),
    (0, b"PK\x03\x04", "a ZIP archive or an Office document", UNPACK),
    (0, b"\x1F\x8B", "a gzip archive", UNPACK),
    (0, b"7z\xBC\xAF\x27\x1C", "a 7z archive", UNPACK),
    (0, b"Rar!\x1A\x07", "a RAR archive", UNPACK),
];

/// Netpbm: `P1` to `P7` and white space.
const NETPBM: (&str, &str) = ("a Netpbm picture (PBM, PGM, PPM or PAM)", SAVE);

/// Kinds of text files: a word in lower case that occurs in the first [`TEXT`] bytes, the kind of file, and advice.
const TEXTS: &[(&str, &str, &str)] = &[
    ("<svg", "an SVG drawing", EXPORT),
    ("<html", "a web page (HTML)", PAGE),
    ("<!doctype html", "a web page (HTML)", PAGE),
    ("data:image/", "a data URL", "Decode it and send the picture's bytes."),
];

/// How many bytes are checked to see whether a file is text.
const TEXT: usize = 1024;

/// A file with fewer bytes cannot be an image.
const SHORTEST: usize = 16;

/// The error for a file in an unsupported format.
pub(super) fn refusal(bytes: &[u8]) -> PhotoError {
    let words = match kind(bytes) {
        _ if bytes.is_empty() => format!("The file is empty. Send a picture: {READ}."),
        Some((kind, advice)) => format!("This is {kind}, which PixColor does not read. {advice}"),
        None if bytes.len() < SHORTEST => {
            format!("This is not a picture: it has only {} bytes. Send {READ}.", bytes.len())
        }
        None => format!("This is not a picture of a kind that PixColor reads. Send {READ}."),
    };
    PhotoError::Unsupported(words)
}

fn kind(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    let is =
        |&&(at, signature, ..): &&Signature| bytes.get(at..).is_some_and(|rest| rest.starts_with(signature));
    let netpbm = matches!(bytes, [b'P', b'1'..=b'7', b' ' | b'\t' | b'\r' | b'\n', ..]);
    SIGNATURES
        .iter()
        .find(is)
        .map(|&(_, _, kind, advice)| (kind, advice))
        .or_else(|| netpbm.then_some(NETPBM))
        .or_else(|| text(bytes))
}

/// The kind of a text in UTF-8, or in UTF-16 with a byte order mark; `None` if the file is not text.
fn text(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    let plain = ("a text file", SEND);
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Some(plain);
    }
    let start = &bytes[..bytes.len().min(TEXT)];
    let letters = start.utf8_chunks().next().map(|chunk| chunk.valid()).unwrap_or_default();
    // A multi-byte character may be cut off at the end.
    let is_text = start.len() >= SHORTEST
        && letters.len() + 4 > start.len()
        && !letters.chars().any(|letter| letter.is_control() && !letter.is_whitespace());
    let lower = letters.to_ascii_lowercase();
    let named = TEXTS.iter().find(|(word, ..)| lower.contains(word));
    is_text.then(|| named.map_or(plain, |&(_, kind, advice)| (kind, advice)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(bytes: &[u8]) -> String {
        refusal(bytes).to_string()
    }

    #[test]
    fn the_error_names_the_kind_of_an_unsupported_file() {
        let padded = |start: &[u8]| [start, &[0; 200]].concat();
        for (bytes, name) in [
            (padded(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"), "a HEIC photograph"),
            (padded(b"\0\0\0\x1Cftypmif1\0\0\0\0mif1avifmiaf"), "an AVIF picture"),
            (padded(b"\0\0\0\x1Cftypavif\0\0\0\0avifmif1miaf"), "an AVIF picture"),
            (padded(b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom"), "CR3"),
            (padded(b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41"), "a video"),
            (padded(b"\0\0\0\x14ftypqt  "), "a video"),
            (padded(b"\0\0\0\x0CjP  \r\n\x87\n"), "a JPEG 2000 picture"),
            (padded(b"%PDF-1.7\n"), "a PDF document"),
            (padded(b"8BPS\0\x01"), "a Photoshop document"),
            (padded(b"FUJIFILMCCD-RAW 0201"), "RAF"),
            (padded(b"\0\0\x01\0\x01\0"), "an icon"),
            (padded(b"P6\n640 480\n255\n"), "Netpbm"),
            (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(), "an SVG drawing"),
            (b"<!DOCTYPE HTML>\n<html><body>404 Not Found</body></html>".to_vec(), "a web page"),
            (b"data:image/png;base64,iVBORw0KGgoAAAANSUhEUg".to_vec(), "a data URL"),
            ("Liebe Grüße aus Österreich".as_bytes().to_vec(), "a text file"),
            ("é".repeat(600).into_bytes(), "a text file"),
            (b"\xFF\xFEH\0e\0l\0l\0o\0".to_vec(), "a text file"),
        ] {
            let words = words(&bytes);
            assert!(words.contains(name) && words.contains("does not read"), "{name}: {words}");
            assert!(!words.contains("damaged"), "{words}");
        }
    }

    #[test]
    fn an_empty_file_and_a_file_of_a_few_bytes_have_their_own_errors() {
        assert!(words(b"").contains("is empty"));
        assert!(words(b"\x89PNG").contains("only 4 bytes"));
        assert!(words(b"GIF8").contains("only 4 bytes"));
        let noise: Vec<u8> = (0..200_u32).map(|n| (n * n * 37 + 129) as u8).collect();
        assert!(words(&noise).starts_with("This is not a picture"), "{}", words(&noise));
    }
}
