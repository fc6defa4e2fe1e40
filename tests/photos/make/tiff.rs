//! TIFF files with arbitrary tags.

/// A TIFF tag: number, type (1 byte, 3 short, 4 long), values.
pub type Tag = (u16, u16, Vec<u32>);

/// A little-endian TIFF with one page. Its data begin at offset 8; its directory follows and points to `next`.
pub fn tiff(tags: &[Tag], data: &[u8], next: u32) -> Vec<u8> {
    pages(&[(tags, data)], next)
}

/// A little-endian TIFF with these pages. The tags give the offsets of a page's strips or tiles as if the page were
/// alone in the file. The last directory points to `next`.
pub fn pages(pages: &[(&[Tag], &[u8])], next: u32) -> Vec<u8> {
    let mut bytes = b"II*\0\0\0\0\0".to_vec();
    // The offset where the next directory's offset is written.
    let mut link = 4;
    for (tags, data) in pages {
        let moved = bytes.len() as u32 - 8;
        bytes.extend(*data);
        let mut entries = Vec::new();
        for (tag, kind, values) in *tags {
            let moved = if matches!(tag, 273 | 324) { moved } else { 0 };
            let value: Vec<u8> = values
                .iter()
                .flat_map(|value| {
                    value.wrapping_add(moved).to_le_bytes()[..[0, 1, 0, 2, 4][*kind as usize]].to_vec()
                })
                .collect();
            entries.extend(tag.to_le_bytes());
            entries.extend(kind.to_le_bytes());
            entries.extend((values.len() as u32).to_le_bytes());
            if value.len() <= 4 {
                entries.extend([value, vec![0; 4]].concat()[..4].to_vec());
            } else {
                entries.extend((bytes.len() as u32).to_le_bytes());
                bytes.extend(value);
            }
        }
        let directory = bytes.len() as u32;
        bytes[link..link + 4].copy_from_slice(&directory.to_le_bytes());
        bytes.extend((tags.len() as u16).to_le_bytes());
        bytes.extend(entries);
        link = bytes.len();
        bytes.extend(next.to_le_bytes());
    }
    bytes
}

/// The tags of a TIFF with one strip.
pub fn strip(
    width: u32,
    height: u32,
    bits: u32,
    samples: u32,
    photometric: u32,
    compression: u32,
    data: &[u8],
) -> Vec<Tag> {
    vec![
        (256, 4, vec![width]),
        (257, 4, vec![height]),
        (258, 3, vec![bits; samples as usize]),
        (259, 3, vec![compression]),
        (262, 3, vec![photometric]),
        (273, 4, vec![8]),
        (277, 3, vec![samples]),
        (278, 4, vec![height]),
        (279, 4, vec![data.len() as u32]),
    ]
}

/// The tags with another value for one tag, or without that tag.
pub fn with(tags: &[Tag], tag: u16, values: Option<Vec<u32>>) -> Vec<Tag> {
    let mut tags: Vec<Tag> = tags.to_vec();
    match values {
        Some(values) => match tags.iter_mut().find(|entry| entry.0 == tag) {
            Some(entry) => entry.2 = values,
            None => tags.push((tag, 3, values)),
        },
        None => tags.retain(|entry| entry.0 != tag),
    }
    tags.sort_by_key(|entry| entry.0);
    tags
}
