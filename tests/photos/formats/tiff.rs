//! TIFF as scanners and fax machines write it.

use jpeg_encoder::SamplingFactor;

use super::common::{SIZE, decode, same, same_gray};
use crate::make::{self, strip, tiff, with};

#[test]
fn tiff_files_of_scanners_are_decoded() {
    let (width, height) = SIZE;
    let rgb = make::scene(width, height).into_raw();
    let gray = make::gray_scene(width, height).into_raw();
    let plain =
        |bits, samples, photometric, data: &[u8]| strip(width, height, bits, samples, photometric, 1, data);
    same("RGB", &tiff(&plain(8, 3, 2, &rgb), &rgb, 0), 0.0);
    same_gray("grey", &tiff(&plain(8, 1, 1, &gray), &gray, 0), 0.0);
    let negative: Vec<u8> = gray.iter().map(|code| 255 - code).collect();
    same_gray("white is zero", &tiff(&plain(8, 1, 0, &negative), &negative, 0), 0.0);
    let deep: Vec<u8> = gray.iter().flat_map(|&code| (u16::from(code) * 257).to_le_bytes()).collect();
    same_gray("grey 16", &tiff(&plain(16, 1, 1, &deep), &deep, 0), 0.01);
    let deep: Vec<u8> = rgb.iter().flat_map(|&code| (u16::from(code) * 257).to_le_bytes()).collect();
    same("RGB 16", &tiff(&plain(16, 3, 2, &deep), &deep, 0), 0.01);
    let inks: Vec<u8> = rgb.chunks_exact(3).flat_map(|p| [255 - p[0], 255 - p[1], 255 - p[2], 0]).collect();
    same("CMYK", &tiff(&plain(8, 4, 5, &inks), &inks, 0), 0.01);

    // Five strips; the last one is shorter.
    let row = width * 3;
    let strips = with(
        &with(&plain(8, 3, 2, &rgb), 278, Some(vec![11])),
        273,
        Some((0..5).map(|i| 8 + i * 11 * row).collect()),
    );
    let strips = with(&strips, 279, Some(vec![11 * row, 11 * row, 11 * row, 11 * row, 3 * row]));
    same("strips", &tiff(&strips, &rgb, 0), 0.0);

    // One plane for each colour.
    let planes: Vec<u8> =
        (0..3).flat_map(|c| rgb.iter().skip(c).step_by(3).copied().collect::<Vec<_>>()).collect();
    let size = width * height;
    let planar =
        with(&with(&plain(8, 3, 2, &planes), 284, Some(vec![2])), 273, Some(vec![8, 8 + size, 8 + 2 * size]));
    same("planes", &tiff(&with(&planar, 279, Some(vec![size; 3])), &planes, 0), 0.0);

    // Tiles of 32 x 16; the last ones are padded.
    let mut tiles = Vec::new();
    for (ty, tx) in (0..3).flat_map(|ty| (0..2).map(move |tx| (ty * 16, tx * 32))) {
        for (y, x) in (0..16).flat_map(|y| (0..32).map(move |x| (ty + y, tx + x))) {
            tiles.push(if x < width && y < height { gray[(y * width + x) as usize] } else { 77 });
        }
    }
    let mut tags = plain(8, 1, 1, &tiles);
    tags.retain(|tag| !matches!(tag.0, 273 | 278 | 279));
    tags.extend([
        (322, 3, vec![32]),
        (323, 3, vec![16]),
        (324, 4, (0..6).map(|i| 8 + i * 512).collect()),
        (325, 4, vec![512; 6]),
    ]);
    same_gray("tiles", &tiff(&tags, &tiles, 0), 0.0);

    // A palette of 256 greys in reverse order.
    let indices: Vec<u8> = gray.iter().map(|code| 255 - code).collect();
    let map: Vec<u32> = (0..3).flat_map(|_| (0..256).map(|i| (255 - i) * 257)).collect();
    same_gray("palette", &tiff(&with(&plain(8, 1, 3, &indices), 320, Some(map)), &indices, 0), 0.01);
}

#[test]
fn compressed_tiff_is_decoded() {
    use ::tiff::encoder::{Compression, TiffEncoder, colortype};
    let rgb = make::scene(SIZE.0, SIZE.1).into_raw();
    for (name, compression) in [
        ("LZW", Compression::Lzw),
        ("PackBits", Compression::Packbits),
        ("deflate", Compression::Deflate(Default::default())),
    ] {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let mut encoder = TiffEncoder::new(&mut bytes).unwrap().with_compression(compression);
        encoder.write_image::<colortype::RGB8>(SIZE.0, SIZE.1, &rgb).unwrap();
        same(name, bytes.get_ref(), 0.0);
    }
    // A JPEG in a strip: its colours stay Y, Cb, Cr.
    let jpeg = make::jpeg(&make::scene(SIZE.0, SIZE.1), false, SamplingFactor::F_2_2);
    same("JPEG", &tiff(&strip(SIZE.0, SIZE.1, 8, 3, 6, 7, &jpeg), &jpeg, 0), 1.5);
}

/// A page with a black box in fax encoding (ITU T.6): the first row in horizontal mode, 16 white and 32 black pixels;
/// then each row equals the row before, coded as three times V(0).
fn fax() -> Vec<u8> {
    let mut bits = String::from("001101010000001101010").to_owned() + "1";
    bits += &"111".repeat(23);
    bits += "000000000001000000000001";
    while !bits.len().is_multiple_of(8) {
        bits.push('0');
    }
    bits.as_bytes().chunks(8).map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | (bit - b'0'))).collect()
}

#[test]
fn one_bit_tiff_is_decoded_packed_and_in_fax_encoding() {
    let packed: Vec<u8> = (0..24).flat_map(|_| [0xFF, 0xFF, 0, 0, 0, 0, 0xFF, 0xFF]).collect();
    let black_is_zero = tiff(&strip(64, 24, 1, 1, 1, 1, &packed), &packed, 0);
    let fax = fax();
    let white_is_zero = strip(64, 24, 1, 1, 0, 4, &fax);
    let turned: Vec<u8> = fax.iter().map(|byte| byte.reverse_bits()).collect();
    let low_bit_first = tiff(&with(&white_is_zero, 266, Some(vec![2])), &turned, 0);
    for (name, file) in [
        ("packed", black_is_zero),
        ("fax", tiff(&white_is_zero, &fax, 0)),
        ("fax, low bit first", low_bit_first),
    ] {
        // Columns 16 to 47 are black, with smooth edges.
        let codes = decode(name, &file).gray.to_srgb8();
        let black: Vec<usize> = (0..64 * 24).filter(|&i| codes[i] < 128).collect();
        let wanted: Vec<usize> = (0..64 * 24).filter(|i| (16..48).contains(&(i % 64))).collect();
        assert!(black == wanted, "{name}: {} black pixels", black.len());
        assert_eq!((codes[0], codes[32]), (255, 0), "{name}");
    }
}
