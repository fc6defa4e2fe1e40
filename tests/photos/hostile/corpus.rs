//! The hostile files, built byte by byte, and the expected result for each.

use jpeg_encoder::SamplingFactor;

use crate::make::{
    self, Tag, chunk, find, frame_at, gif, gif_frame, insert, jpeg_sized, overwrite, png, segment,
    small_jpeg, small_png, small_webp, strip, tiff, vp8x, webp, webp_chunk, with,
};

/// The expected result of decoding a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Becomes {
    Picture(u32, u32),
    /// A picture with missing parts. As a provider's image the file is refused.
    Damaged(u32, u32),
    Unsupported,
    TooMany,
    Broken,
}

use Becomes::{Broken, Damaged, Picture, TooMany, Unsupported};

const SMALL: Becomes = Picture(64, 48);
const PART: Becomes = Damaged(64, 48);

pub type File = (&'static str, Vec<u8>, Becomes);

pub fn corpus() -> Vec<File> {
    [pngs(), jpegs(), gifs(), webps(), tiffs(), others()].concat()
}

fn pngs() -> Vec<File> {
    let small = small_png();
    let bomb = make::zeros(300 << 20);
    let bomb_chunk = |name: &[u8; 4], before: &[u8]| chunk(name, &[before, &bomb[..]].concat());
    let many: Vec<u8> = (0..20_000).flat_map(|_| chunk(b"tEXt", b"Comment\0hello")).collect();
    let loops = [b"II*\0\x08\0\0\0\xFF\xFF", &[0x11; 4000][..]].concat();
    let primaries = [chunk(b"gAMA", &[0, 1, 0x86, 0xA0]), chunk(b"cHRM", &[0xFF; 32])].concat();
    let mut zip = small.clone();
    zip.extend(b"PK\x03\x04 <script>alert(1)</script> %PDF-1.7");
    vec![
        ("IDAT that expands to 300 MB", png(64, 48, 8, 0, &[chunk(b"IDAT", &bomb)]), SMALL),
        ("zTXt of 300 MB", insert(&small, 33, &bomb_chunk(b"zTXt", b"Comment\0\0")), SMALL),
        ("iTXt of 300 MB", insert(&small, 33, &bomb_chunk(b"iTXt", b"Comment\0\x01\0\0\0")), SMALL),
        ("iCCP of 300 MB", insert(&small, 33, &bomb_chunk(b"iCCP", b"sRGB\0\0")), SMALL),
        ("20,000 text chunks", insert(&small, 33, &many), SMALL),
        ("PNG that is also a ZIP and a script", zip, SMALL),
        ("PNG 0 wide", png(0, 48, 8, 0, &[]), Broken),
        ("PNG 65,535 x 65,535", png(65_535, 65_535, 8, 0, &[]), TooMany),
        ("PNG of 4 billion pixels per side", png(u32::MAX, u32::MAX, 16, 6, &[]), TooMany),
        ("PNG of 50 MP without data", png(16_384, 3000, 8, 2, &[]), Broken),
        ("PNG of 50 MP with little data", png(16_384, 3000, 16, 6, &[chunk(b"IDAT", &bomb[..200])]), Broken),
        ("PNG cut in half", small[..small.len() / 2].to_vec(), PART),
        ("PNG of a hundredth of its data", small[..45].to_vec(), Broken),
        // A tenth of 49 megapixels needs at least 4.8 kB.
        ("PNG of 49 MP cut early", png(16_384, 3000, 8, 0, &[chunk(b"IDAT", &bomb[..4000])]), Broken),
        (
            "PNG of 20,000 empty chunks of data",
            insert(&small, 33, &chunk(b"IDAT", b"").repeat(20_000)),
            SMALL,
        ),
        ("PNG with 20,000 chunks after its data", insert(&small, small.len() - 12, &many), SMALL),
        ("EXIF whose directory claims 65,535 entries", insert(&small, 33, &chunk(b"eXIf", &loops)), SMALL),
        ("gamma of almost 0", insert(&small, 33, &chunk(b"gAMA", &[0, 0, 0, 1])), SMALL),
        ("invalid primaries", insert(&small, 33, &primaries), SMALL),
        ("PNG cut in its header", small[..20].to_vec(), Broken),
        ("PNG whose data are cut", png(64, 48, 8, 2, &[chunk(b"IDAT", &make::data(&small)[..99])]), Broken),
        ("PNG chunk of 4 GB", overwrite(&small, 33, &[0xFF; 4]), SMALL),
        ("PNG header with a wrong checksum", overwrite(&small, 29, b"oops"), Broken),
        ("PNG of 3 bits", png(64, 48, 3, 0, &[]), Broken),
        ("PNG whose palette is missing", png(64, 48, 8, 3, &[chunk(b"IDAT", &bomb)]), Broken),
        ("PNG with invalid data", png(64, 48, 8, 2, &[chunk(b"IDAT", &[0xAA; 999])]), Broken),
    ]
}

/// A progressive JPEG whose last scan is repeated.
fn thousand_scans() -> Vec<u8> {
    let jpeg = make::jpeg(&make::scene(64, 48), true, SamplingFactor::F_2_2);
    let last = jpeg.windows(2).rposition(|pair| pair == [0xFF, 0xDA]).unwrap();
    let scan = &jpeg[last..jpeg.len() - 2];
    [&jpeg[..last], &scan.repeat(1000), &[0xFF, 0xD9]].concat()
}

fn jpegs() -> Vec<File> {
    let small = small_jpeg();
    let progressive = make::jpeg(&make::scene(64, 48), true, SamplingFactor::F_2_2);
    let frame = frame_at(&small);
    let scan = find(&small, &[0xFF, 0xDA]);
    let with_trailer = |trailer: &[u8]| [&small[..], trailer].concat();
    // EXIF data whose directory claims 65,535 entries.
    let loops = [b"Exif\0\0II*\0\x08\0\0\0\xFF\xFF", &[0x11; 4000][..]].concat();
    let huge = jpeg_sized(&make::jpeg(&make::scene(64, 48), true, SamplingFactor::F_2_2), 16_384, 3000);
    let in_scan = insert(&small, scan + 40, &[0xFF, 0xC0, 0, 17]);
    vec![
        ("JPEG of 1,000 scans", thousand_scans(), Broken),
        ("JPEG 0 wide", jpeg_sized(&small, 0, 48), Broken),
        ("JPEG 0 high", jpeg_sized(&small, 64, 0), Broken),
        ("JPEG 65,535 x 65,535", jpeg_sized(&small, 65_535, 65_535), TooMany),
        ("JPEG 65,535 wide", jpeg_sized(&small, 65_535, 48), TooMany),
        ("JPEG cut in half", small[..small.len() / 2].to_vec(), PART),
        ("JPEG without an end", small[..small.len() - 2].to_vec(), SMALL),
        ("JPEG cut before its frame", small[..frame].to_vec(), Broken),
        ("progressive JPEG cut in half", progressive[..progressive.len() / 2].to_vec(), PART),
        ("JPEG cut and closed again", [&small[..small.len() * 2 / 3], &[0xFF, 0xD9]].concat(), PART),
        ("JPEG cut early and closed again", [&small[..scan + 60], &[0xFF, 0xD9]].concat(), Broken),
        ("JPEG of 49 MP with data for 3,000 pixels", huge, Broken),
        ("JPEG that is also a ZIP", with_trailer(b"PK\x05\x06\0\0\0\0"), SMALL),
        ("JPEG with a megabyte of rubbish at its end", with_trailer(&vec![0xFF; 1 << 20]), SMALL),
        ("JPEG with another JPEG at its end", with_trailer(&small), SMALL),
        ("JPEG with a frame in its scan", in_scan, Broken),
        (
            "JPEG with two frames",
            insert(&small, frame, &segment(0xC0, &small[frame + 4..frame + 19])),
            Broken,
        ),
        ("JPEG with a segment of length 1", insert(&small, 2, &[0xFF, 0xE5, 0, 1]), Broken),
        ("JPEG with a segment beyond its end", insert(&small, 2, &[0xFF, 0xE5, 0xFF, 0xFF]), Broken),
        ("JPEG with invalid Huffman tables", insert(&small, frame, &segment(0xC4, &[0xFF; 40])), Broken),
        ("JPEG sampled 0 times", overwrite(&small, frame + 11, &[0x00]), Broken),
        ("JPEG sampled 15 times", overwrite(&small, frame + 11, &[0xFF]), Broken),
        ("JPEG of 12 bits", overwrite(&small, frame + 4, &[12]), Unsupported),
        ("JPEG with arithmetic coding", overwrite(&small, frame + 1, &[0xC9]), Unsupported),
        ("lossless JPEG", overwrite(&small, frame + 1, &[0xC3]), Unsupported),
        ("JPEG-LS", overwrite(&small, frame + 1, &[0xF7]), Unsupported),
        (
            "JPEG with EXIF whose directory claims 65,535 entries",
            insert(&small, 2, &segment(0xE1, &loops)),
            SMALL,
        ),
        (
            "JPEG with an invalid profile",
            insert(&small, 2, &segment(0xE2, b"ICC_PROFILE\0\x01\x01nonsense")),
            SMALL,
        ),
        ("JPEG with 3,000 comments", insert(&small, 2, &segment(0xFE, b"hello").repeat(3000)), SMALL),
        ("JPEG with 30,000 comments", insert(&small, 2, &segment(0xFE, b"hello").repeat(30_000)), Broken),
        ("JPEG that ends after its start marker", vec![0xFF, 0xD8, 0xFF], Broken),
        ("JPEG of markers only", [vec![0xFF, 0xD8], vec![0xFF; 100_000]].concat(), Broken),
    ]
}

fn gifs() -> Vec<File> {
    let frame = gif_frame(0, 0, 64, 48);
    let file = |blocks: &[u8]| gif(64, 48, blocks);
    let endless: Vec<u8> = [&frame[..], &gif_frame(0, 0, 8, 8).repeat(20_000)].concat();
    let mut unended = file(&endless);
    unended.pop();
    let comments = [b"\x21\xFE".to_vec(), [&[255][..], &[b'x'; 255]].concat().repeat(4000), vec![0]].concat();
    vec![
        ("GIF of 20,000 frames", file(&endless), SMALL),
        ("GIF of 20,000 frames without an end", unended, SMALL),
        ("GIF without a frame", file(&[]), Broken),
        ("GIF 0 x 0", gif(0, 0, &frame), Broken),
        ("GIF 65,535 x 65,535", gif(65_535, 65_535, &frame), TooMany),
        ("GIF with a frame larger than its screen", file(&gif_frame(0, 0, 65, 48)), Broken),
        ("GIF with a frame outside its screen", file(&gif_frame(60, 40, 64, 48)), Broken),
        ("GIF cut in its frame", file(&frame)[..200].to_vec(), Broken),
        ("GIF with invalid codes", file(&overwrite(&frame, 30, &[0xFF; 200])), Broken),
        ("GIF with a megabyte of comment", file(&[comments, frame.clone()].concat()), SMALL),
        (
            "GIF of 49 MP cut early in its frame",
            gif(16_384, 3000, &gif_frame(0, 0, 16_384, 3000)[..300]),
            Broken,
        ),
    ]
}

fn webps() -> Vec<File> {
    let (lossy, lossy_data) = small_webp(false);
    let (lossless, lossless_data) = small_webp(true);
    // A key frame that claims 16,383 pixels per side.
    let large = overwrite(&lossy_data, 6, &[0xFF, 0x3F, 0xFF, 0x3F]);
    let lossy_chunk = webp_chunk(b"VP8 ", &lossy_data);
    let large_lossless = overwrite(&lossless_data, 1, &[0xFF, 0xFF, 0xFF, 0x0F]);
    let frame =
        |inner: &[u8]| webp_chunk(b"ANMF", &[&[0; 6][..], &[63, 0, 0, 47, 0, 0, 0, 0, 0, 0], inner].concat());
    let moving = |inner: &[u8]| webp(&[vp8x(2, 64, 48), webp_chunk(b"ANIM", &[0; 6]), frame(inner)]);
    vec![
        (
            "WebP whose picture is larger than its canvas",
            webp(&[vp8x(0, 64, 48), webp_chunk(b"VP8 ", &large)]),
            Broken,
        ),
        (
            "WebP whose lossless picture is larger",
            webp(&[vp8x(0, 64, 48), webp_chunk(b"VP8L", &large_lossless)]),
            Broken,
        ),
        ("animated WebP whose frame is larger", moving(&webp_chunk(b"VP8 ", &large)), Broken),
        ("animated WebP", moving(&lossy_chunk), SMALL),
        (
            "WebP of 16 million pixels per side",
            webp(&[vp8x(0, 1 << 24, 1 << 24), lossy_chunk.clone()]),
            TooMany,
        ),
        ("WebP 0 wide", overwrite(&lossy, 26, &[0, 0]), Broken),
        ("WebP cut in half", lossy[..lossy.len() / 2].to_vec(), Broken),
        (
            "lossless WebP cut, with the shorter length in its header",
            webp(&[webp_chunk(b"VP8L", &lossless_data[..60])]),
            Broken,
        ),
        ("WebP of 4 GB", overwrite(&lossy, 4, &[0xFF; 4]), Broken),
        ("WebP with a chunk of 4 GB", overwrite(&lossy, 16, &[0xFF; 4]), Broken),
        ("WebP without a picture", webp(&[vp8x(0, 64, 48)]), Broken),
        (
            "WebP with invalid opacity",
            webp(&[vp8x(0x10, 64, 48), webp_chunk(b"ALPH", &[0xFF; 50]), lossy_chunk]),
            Broken,
        ),
        ("lossless WebP with invalid data", overwrite(&lossless, 30, &[0xFF; 60]), Broken),
        ("WebP with rubbish at its end", [&lossy[..], b"rubbish"].concat(), SMALL),
    ]
}

fn tiffs() -> Vec<File> {
    let data = make::gray_scene(64, 48).into_raw();
    let tags = strip(64, 48, 8, 1, 1, 1, &data);
    let plain = |tags: &[Tag]| tiff(tags, &data, 0);
    let good = plain(&tags);
    let directory = u32::from_le_bytes(good[4..8].try_into().unwrap());
    let compressed = |kind: u32, data: &[u8]| tiff(&strip(64, 48, 8, 1, 1, kind, data), data, 0);
    let bomb = make::zeros(100 << 20);
    let large = jpeg_sized(&small_jpeg(), 16_384, 16_384);
    vec![
        ("TIFF whose directory leads to itself", tiff(&tags, &data, directory), SMALL),
        ("TIFF whose directory is beyond its end", overwrite(&good, 4, &[0xFF; 4]), Broken),
        ("TIFF whose directory is in its header", overwrite(&good, 4, &[0; 4]), Broken),
        ("TIFF cut in its directory", good[..good.len() - 30].to_vec(), Broken),
        ("TIFF 0 wide", plain(&with(&tags, 256, Some(vec![0]))), Broken),
        (
            "TIFF of 4 billion pixels per side",
            plain(&with(&with(&tags, 256, Some(vec![u32::MAX])), 257, Some(vec![u32::MAX]))),
            TooMany,
        ),
        ("TIFF without a height", plain(&with(&tags, 257, None)), Broken),
        ("TIFF without strips", plain(&with(&with(&tags, 273, None), 279, None)), Broken),
        ("TIFF whose strip is beyond its end", plain(&with(&tags, 273, Some(vec![1 << 30]))), Broken),
        ("TIFF whose strip is longer than the file", plain(&with(&tags, 279, Some(vec![u32::MAX]))), SMALL),
        ("TIFF whose strip is too short", plain(&with(&tags, 279, Some(vec![0]))), SMALL),
        (
            "TIFF of 49 MP with data for 3,000 pixels",
            plain(&with(&with(&tags, 256, Some(vec![16_384])), 257, Some(vec![3000]))),
            Broken,
        ),
        ("TIFF of 4 billion rows in a strip", plain(&with(&tags, 278, Some(vec![u32::MAX]))), SMALL),
        ("TIFF of 0 rows in a strip", plain(&with(&tags, 278, Some(vec![0]))), Broken),
        ("TIFF of 77 bits", plain(&with(&tags, 258, Some(vec![77]))), Unsupported),
        ("TIFF of 65,535 samples", plain(&with(&tags, 277, Some(vec![65_535]))), Unsupported),
        ("TIFF whose palette is missing", plain(&with(&tags, 262, Some(vec![3]))), Broken),
        (
            "TIFF whose palette is too short",
            plain(&with(&with(&tags, 262, Some(vec![3])), 320, Some(vec![9; 6]))),
            Broken,
        ),
        ("TIFF of an unknown compression", plain(&with(&tags, 259, Some(vec![999]))), Unsupported),
        ("TIFF with invalid LZW", compressed(5, &[0xFF; 100]), Broken),
        ("TIFF of deflate that expands to 100 MB", compressed(8, &bomb), SMALL),
        ("TIFF of a JPEG larger than its strip", compressed(7, &large), Broken),
        ("TIFF with invalid fax data", tiff(&strip(64, 48, 1, 1, 0, 4, &[0xA5; 60]), &[0xA5; 60], 0), SMALL),
        (
            "TIFF of tiles 0 wide",
            plain(&with(
                &with(
                    &with(
                        &with(&with(&with(&tags, 273, None), 279, None), 322, Some(vec![0])),
                        323,
                        Some(vec![16]),
                    ),
                    324,
                    Some(vec![8]),
                ),
                325,
                Some(vec![256]),
            )),
            Broken,
        ),
    ]
}

fn others() -> Vec<File> {
    let bmp = make::file(&image::DynamicImage::ImageRgb8(make::scene(64, 48)), image::ImageFormat::Bmp);
    let runs = [overwrite(&overwrite(&bmp[..54], 28, &[8, 0, 1]), 10, &[54]), vec![0; 20]].concat();
    let mut random = make::Random(7);
    let noise: Vec<u8> = (0..4096).map(|_| random.next() as u8).collect();
    let huge = overwrite(&overwrite(&bmp, 18, &16_384_u32.to_le_bytes()), 22, &3000_u32.to_le_bytes());
    vec![
        ("nothing", vec![], Unsupported),
        ("one byte", vec![0xFF], Unsupported),
        ("text", b"Dear Sir or Madam, please find attached".to_vec(), Unsupported),
        ("text that begins like a BMP", b"BMW is a maker of cars and not of bitmaps".to_vec(), Unsupported),
        ("SVG", b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>".to_vec(), Unsupported),
        ("PDF", b"%PDF-1.7\n1 0 obj <<>> endobj".to_vec(), Unsupported),
        ("HEIC", b"\0\0\0\x18ftypheic\0\0\0\0heicmif1".to_vec(), Unsupported),
        ("ZIP", b"PK\x03\x04\x14\0\0\0\x08\0".to_vec(), Unsupported),
        ("noise", noise, Unsupported),
        ("BMP cut in half", bmp[..bmp.len() / 2].to_vec(), PART),
        ("BMP of a twentieth of its rows", bmp[..bmp.len() / 20].to_vec(), Broken),
        ("BMP of 49 MP with data for 3,000 pixels", huge, TooMany),
        ("BMP 0 wide", overwrite(&bmp, 18, &[0; 4]), Broken),
        ("BMP 2 billion rows high, top row first", overwrite(&bmp, 22, &i32::MIN.to_le_bytes()), TooMany),
        ("BMP whose pixels are beyond its end", overwrite(&bmp, 10, &[0xFF; 4]), Broken),
        ("BMP of 77 bits", overwrite(&bmp, 28, &[77]), Broken),
        ("BMP with invalid run lengths", runs, Broken),
    ]
}
