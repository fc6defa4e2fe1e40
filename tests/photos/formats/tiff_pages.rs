//! TIFF: choosing the page, the meaning of extra samples, missing tags, and damage.

use std::time::Duration;

use cpu_time::ThreadTime;
use pixcolor::photo::{DecodeOptions, Limits, Photo, PhotoError, Rgb, read_head, read_head_of};

use super::common::{SIZE, decode, same, same_gray};
use crate::make::{self, Tag, find, pages, strip, tiff, with};

fn rgb() -> Vec<u8> {
    make::scene(SIZE.0, SIZE.1).into_raw()
}

fn rgb_tags() -> Vec<Tag> {
    strip(SIZE.0, SIZE.1, 8, 3, 2, 1, &rgb())
}

fn gray() -> Vec<u8> {
    make::gray_scene(SIZE.0, SIZE.1).into_raw()
}

fn gray_tags() -> Vec<Tag> {
    strip(SIZE.0, SIZE.1, 8, 1, 1, 1, &gray())
}

/// A dark page of 9 x 9 with an additional tag.
fn small_page(tag: u16, value: u32) -> (Vec<Tag>, Vec<u8>) {
    let data = vec![10; 81];
    (with(&strip(9, 9, 8, 1, 1, 1, &data), tag, Some(vec![value])), data)
}

#[test]
fn the_picture_is_the_first_page_that_is_neither_a_thumbnail_nor_a_mask() {
    let (rgb, tags) = (rgb(), rgb_tags());
    // NewSubfileType: reduced, mask; SubfileType: reduced; photometric interpretation: mask.
    for (tag, value) in [(254, 1), (254, 4), (254, 5), (255, 2), (262, 4)] {
        let (small, data) = small_page(tag, value);
        let file = pages(&[(&small, &data), (&small, &data), (&tags, &rgb), (&small, &data)], 0);
        let head = read_head(&file, &Limits::default()).unwrap();
        assert_eq!((head.width, head.height), SIZE, "tag {tag} of {value}");
        same("the third page", &file, 0.0);
    }
    // A page that is marked as part of a multi-page document is a picture.
    let tags = with(&tags, 254, Some(vec![2]));
    let (small, data) = small_page(254, 0);
    same("the first of two pages", &pages(&[(&tags, &rgb), (&small, &data)], 0), 0.0);
}

fn page(page: u32) -> DecodeOptions {
    DecodeOptions { page, ..DecodeOptions::default() }
}

#[test]
fn each_page_has_its_own_size_and_thumbnails_and_masks_are_not_counted() {
    let limits = Limits::default();
    let (small, data) = small_page(254, 1);
    let (mask, _) = small_page(262, 4);
    let (second, _) = small_page(254, 2);
    let (gray, rgb) = (gray(), rgb());
    let (gray_tags, rgb_tags) = (gray_tags(), rgb_tags());
    let file = pages(
        &[(&small, &data), (&rgb_tags, &rgb), (&mask, &data), (&second, &data), (&gray_tags, &gray)],
        0,
    );
    for (number, size) in [(1, SIZE), (2, (9, 9)), (3, SIZE)] {
        let head = read_head_of(&file, &page(number), &limits).unwrap();
        assert_eq!((head.pages, head.width, head.height), (3, size.0, size.1), "page {number}");
        let photo = Photo::decode_as(&file, &page(number), &limits).unwrap();
        assert_eq!((photo.width(), photo.height()), size);
    }
    let alone = Photo::decode(&tiff(&gray_tags, &gray, 0), &limits).unwrap().gray;
    assert!(Photo::decode_as(&file, &page(3), &limits).unwrap().gray == alone);
    for number in [0, 4, u32::MAX] {
        let error = read_head_of(&file, &page(number), &limits).unwrap_err();
        assert_eq!(error, PhotoError::NoSuchPage { page: number, pages: 3 });
        assert_eq!(Photo::decode_as(&file, &page(number), &limits).unwrap_err(), error);
    }
}

#[test]
fn other_formats_and_files_with_nothing_but_thumbnails_have_one_page() {
    let (small, data) = small_page(254, 1);
    for file in [pages(&[(&small, &data), (&small, &data)], 0), make::small_png(), make::small_jpeg()] {
        assert_eq!(read_head(&file, &Limits::default()).unwrap().pages, 1);
        let error = read_head_of(&file, &page(2), &Limits::default()).unwrap_err();
        assert_eq!(error, PhotoError::NoSuchPage { page: 2, pages: 1 });
    }
}

#[test]
fn a_cyclic_chain_of_pages_ends() {
    let (small, data) = small_page(254, 2);
    let file = pages(&[(&small, &data), (&small, &data)], 0);
    let first = u32::from_le_bytes(file[4..8].try_into().unwrap());
    for (next, count) in [(0, 2), (first, 2), (file.len() as u32, 2)] {
        let file = pages(&[(&small, &data), (&small, &data)], next);
        assert_eq!(read_head(&file, &Limits::default()).unwrap().pages, count);
    }
}

/// 65,000 directories of 4,096 entries in 1 MB; each starts 12 bytes after the one before.
#[test]
fn directories_that_overlap_take_time_in_proportion_to_the_file() {
    let mut file = b"II*\0\x08\0\0\0".to_vec();
    while file.len() < 1_000_000 {
        // 4,096 entries, or as an entry a tag that is not in use; and an offset, which is also an entry's value.
        let next = file.len() as u32 + 12;
        file.extend([0x00, 0x10, 3, 0, 1, 0, 0, 0]);
        file.extend(next.to_le_bytes());
    }
    for at in (8..file.len() - 65_536).step_by(12) {
        let link = at + 2 + 4096 * 12;
        if let Some(place) = file.get_mut(link..link + 4) {
            place.copy_from_slice(&(at as u32 + 12).to_le_bytes());
        }
    }
    let start = ThreadTime::now();
    let _ = read_head(&file, &Limits::default());
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[test]
fn a_file_of_a_thousand_pages_is_read_page_by_page() {
    let (small, data) = small_page(254, 2);
    let file = pages(&vec![(&small[..], &data[..]); 1000], 0);
    let start = ThreadTime::now();
    for number in 1..=1000 {
        Photo::decode_as(&file, &page(number), &Limits::default()).unwrap();
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let many = pages(&vec![(&small[..], &data[..]); 5000], 0);
    assert_eq!(read_head(&many, &Limits::default()).unwrap().pages, 4096);
}

#[test]
fn a_picture_in_a_sub_directory_is_found() {
    let (small, data) = small_page(254, 1);
    let mut small = with(&small, 330, Some(vec![7777]));
    small.last_mut().unwrap().1 = 4;
    let mut file = pages(&[(&small, &data), (&rgb_tags(), &rgb())], 0);
    let first = u32::from_le_bytes(file[4..8].try_into().unwrap()) as usize;
    let link = first + 2 + 12 * small.len();
    let second: [u8; 4] = file[link..link + 4].try_into().unwrap();
    file[link..link + 4].fill(0);
    let at = find(&file, &7777_u32.to_le_bytes());
    same("a sub-directory", &make::overwrite(&file, at, &second), 0.0);
}

#[test]
fn a_file_with_only_thumbnails_gives_the_first_one() {
    let (small, data) = small_page(254, 1);
    let photo = decode("a thumbnail", &pages(&[(&small, &data)], 0));
    assert_eq!((photo.width(), photo.height()), (9, 9));
}

#[test]
fn premultiplied_colors_are_divided_by_their_opacity() {
    let times = |code: u8, alpha: u8| (u32::from(code) * u32::from(alpha) + 127) / 255;
    let alpha = |i: usize| 128 + (i % 128) as u8;
    for bits in [8, 16] {
        let codes = rgb().into_iter().enumerate().collect::<Vec<_>>();
        let data: Vec<u8> = codes
            .chunks(3)
            .flat_map(|pixel| {
                let alpha = alpha(pixel[0].0 / 3);
                pixel.iter().map(|(_, code)| times(*code, alpha)).chain([alpha.into()]).collect::<Vec<_>>()
            })
            .flat_map(
                |code| if bits == 8 { vec![code as u8] } else { (code as u16 * 257).to_le_bytes().to_vec() },
            )
            .collect();
        let tags = with(&strip(SIZE.0, SIZE.1, bits, 4, 2, 1, &data), 338, Some(vec![1]));
        let file = tiff(&tags, &data, 0);
        same("associated", &file, 0.4);
        let photo = decode("associated", &file);
        assert!(photo.alpha.unwrap().iter().enumerate().all(|(i, &value)| value == alpha(i)));
    }
}

#[test]
fn an_extra_sample_of_unspecified_meaning_is_not_opacity() {
    let gray = gray();
    let data: Vec<u8> = gray.iter().flat_map(|&code| [code, 0]).collect();
    let tags = with(&strip(SIZE.0, SIZE.1, 8, 2, 1, 1, &data), 338, Some(vec![0]));
    let file = tiff(&tags, &data, 0);
    same_gray("grey", &file, 0.0);
    assert_eq!(decode("grey", &file).alpha, None);
    // The first extra sample that is an opacity is used.
    let data: Vec<u8> = rgb().chunks(3).flat_map(|p| [p[0], p[1], p[2], 9, 200]).collect();
    let tags = with(&strip(SIZE.0, SIZE.1, 8, 5, 2, 1, &data), 338, Some(vec![0, 2]));
    let photo = decode("RGB", &tiff(&tags, &data, 0));
    assert!(photo.alpha.unwrap().iter().all(|&alpha| alpha == 200));
}

#[test]
fn a_palette_of_8_bit_values_is_recognized() {
    let map: Vec<u32> = (0..3).flat_map(|_| (0..256).rev()).collect();
    let data: Vec<u8> = gray().iter().map(|code| 255 - code).collect();
    let tags = with(&strip(SIZE.0, SIZE.1, 8, 1, 3, 1, &data), 320, Some(map));
    same_gray("an 8-bit map", &tiff(&tags, &data, 0), 0.01);
}

#[test]
fn circular_directories_are_read_once() {
    let file = tiff(&rgb_tags(), &rgb(), 0);
    let directory = u32::from_le_bytes(file[4..8].try_into().unwrap());
    same("a circle of one", &tiff(&rgb_tags(), &rgb(), directory), 0.0);
    let (small, data) = small_page(254, 1);
    let thumbnails = pages(&[(&small, &data)], 0);
    let directory = u32::from_le_bytes(thumbnails[4..8].try_into().unwrap());
    decode("a circle of thumbnails", &pages(&[(&small, &data)], directory));
}

#[test]
fn tags_that_libtiff_does_not_require_may_be_missing() {
    for tag in [278, 279, 262, 259] {
        same("RGB", &tiff(&with(&rgb_tags(), tag, None), &rgb(), 0), 0.0);
        same_gray("grey", &tiff(&with(&gray_tags(), tag, None), &gray(), 0), 0.0);
    }
    let data =
        weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8).encode(&gray()).unwrap();
    let tags = strip(SIZE.0, SIZE.1, 8, 1, 1, 5, &data);
    same_gray("LZW without its length", &tiff(&with(&tags, 279, None), &data, 0), 0.0);
    // One BitsPerSample value for all samples, and values stored as wider numbers.
    same("one number of bits", &tiff(&with(&rgb_tags(), 258, Some(vec![8])), &rgb(), 0), 0.0);
    let wide: Vec<Tag> = rgb_tags().into_iter().map(|(tag, _, values)| (tag, 4, values)).collect();
    same("wide numbers", &tiff(&wide, &rgb(), 0), 0.0);
}

#[test]
fn an_orientation_may_be_of_type_long() {
    let mut tags = with(&rgb_tags(), 274, Some(vec![6]));
    tags.iter_mut().find(|tag| tag.0 == 274).unwrap().1 = 4;
    let photo = decode("on its side", &tiff(&tags, &rgb(), 0));
    assert_eq!((photo.width(), photo.height()), (SIZE.1, SIZE.0));
}

/// A grey file with strips of 4 rows whose directory precedes its data, so that the test can cut the data.
fn strips(compression: u32) -> Vec<u8> {
    let encode = |rows: &[u8]| match compression {
        5 => weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8).encode(rows).unwrap(),
        _ => rows.to_vec(),
    };
    let strips: Vec<Vec<u8>> = gray().chunks(4 * SIZE.0 as usize).map(encode).collect();
    let tags = |begin: u32| {
        let mut place = begin;
        let offsets = strips.iter().map(|strip| (place, place += strip.len() as u32).0).collect();
        let lengths = strips.iter().map(|strip| strip.len() as u32).collect();
        let mut tags = with(&strip(SIZE.0, SIZE.1, 8, 1, 1, compression, &[]), 273, Some(offsets));
        tags = with(&with(&tags, 278, Some(vec![4])), 279, Some(lengths));
        tags
    };
    // The strips follow the directory, so their offsets depend on its length.
    let begin = tiff(&tags(0), &[], 0).len() as u32;
    [tiff(&tags(begin), &[], 0), strips.concat()].concat()
}

#[test]
fn a_tiff_cut_in_its_last_strips_is_read_up_to_the_cut() {
    let whole = Rgb::decode(&tiff(&gray_tags(), &gray(), 0), &Limits::default()).unwrap().gray();
    for compression in [1, 5] {
        let file = strips(compression);
        same_gray("whole", &file, 0.0);
        assert_eq!(decode("whole", &file).damage, None);
        let photo = decode("cut", &file[..file.len() * 7 / 10]);
        let words = photo.damage.clone().unwrap().0;
        assert!(
            words.starts_with("The last ") && words.ends_with(" % of the picture is missing."),
            "{words}"
        );
        let width = SIZE.0 as usize;
        let rows: Vec<bool> =
            photo.gray.luma.chunks(width).zip(whole.luma.chunks(width)).map(|(a, b)| a == b).collect();
        let read = rows.iter().take_while(|&&same| same).count();
        assert!((12..44).contains(&read), "{read} rows");
        // Missing rows are grey, neither black nor white.
        let codes = photo.gray.to_srgb8();
        assert!(codes[(read + 1) * width..].iter().all(|&code| code == 128));
        assert_eq!(photo.alpha, None);
        // A provider's image must be complete.
        assert!(matches!(
            Rgb::decode(&file[..file.len() * 7 / 10], &Limits::default()),
            Err(PhotoError::Broken(_))
        ));
    }
}

#[test]
fn a_damaged_strip_does_not_affect_the_others() {
    let file = strips(5);
    let place = file.len() / 2;
    let photo = decode("damaged", &make::overwrite(&file, place, &[0xFF; 8]));
    let whole = decode("whole", &file);
    let same = photo.gray.luma.iter().zip(&whole.gray.luma).filter(|(a, b)| a == b).count();
    assert!(same * 10 > whole.gray.luma.len() * 8, "{same}");
    assert!(photo.damage.unwrap().0.contains("% of the picture is missing"));
}

#[test]
fn a_file_with_hardly_any_data_is_refused() {
    let file = strips(1);
    let data = gray().len();
    let cut = &file[..file.len() - data * 19 / 20];
    assert!(matches!(Photo::decode(cut, &Limits::default()), Err(PhotoError::Broken(_))));
}

#[test]
fn missing_rows_are_opaque() {
    let data: Vec<u8> = rgb().chunks(3).flat_map(|p| [p[0], p[1], p[2], 100]).collect();
    let tags = with(&strip(SIZE.0, SIZE.1, 8, 4, 2, 1, &data), 338, Some(vec![2]));
    // The strip's offset is too large, so its last rows lie beyond the end of the file.
    let file = tiff(&with(&tags, 273, Some(vec![8 + 6000])), &data, 0);
    let photo = decode("cut", &file);
    assert!(photo.damage.is_some());
    assert_eq!(photo.alpha.unwrap().last(), Some(&255));
}
