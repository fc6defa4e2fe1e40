//! ICC profiles of printers and scanners.

/// A CMYK profile whose table has two points along each side: each of cyan, magenta, yellow and black is absent or
/// full. `corner` returns the L\*, a\*, b\* of such a combination.
pub fn ink_profile(corner: impl Fn([bool; 4]) -> [f32; 3]) -> Vec<u8> {
    table_profile(b"prtrCMYK", 2, |[c, m, y, k]: [f32; 4]| corner([c, m, y, k].map(|ink| ink > 0.5)))
}

/// A profile with this class and a colour space of `N` channels (ICC.1:2001-04). Its table has `points` along each
/// side; `lab` returns the L\*, a\*, b\* of channels from 0 to 1.
pub fn table_profile<const N: usize>(
    class_and_space: &[u8; 8],
    points: usize,
    lab: impl Fn([f32; N]) -> [f32; 3],
) -> Vec<u8> {
    // `lut16Type`: input channels, output channels, points along each side of the table.
    let mut lut = b"mft2\0\0\0\0".to_vec();
    lut.extend([N as u8, 3, points as u8, 0]);
    let matrix = [1, 0, 0, 0, 1, 0, 0, 0, 1].map(|one: i32| (one << 16).to_be_bytes());
    lut.extend(matrix.concat());
    lut.extend([2_u16, 2].map(u16::to_be_bytes).concat());
    let straight = [0_u16, u16::MAX].map(u16::to_be_bytes).concat();
    lut.extend(straight.repeat(N));
    for index in 0..points.pow(N as u32) {
        // The last channel varies fastest.
        let place = |channel: usize| index / points.pow((N - 1 - channel) as u32) % points;
        let [l, a, b] = lab(std::array::from_fn(|channel| place(channel) as f32 / (points - 1) as f32));
        // L\* 0 to 100 is stored as 0 to FF00; a\* and b\* of 0 are stored as 8000.
        let codes = [l * 652.8, (a + 128.0) * 256.0, (b + 128.0) * 256.0];
        lut.extend(codes.map(|code| (code as u16).to_be_bytes()).concat());
    }
    lut.extend(straight.repeat(3));

    let white: Vec<u8> =
        [&b"XYZ \0\0\0\0"[..], &[0xF6D6_u32, 0x1_0000, 0xD32D].map(u32::to_be_bytes).concat()].concat();
    let table = 128 + 4 + 2 * 12;
    let mut profile = vec![0; 128];
    profile[8..12].copy_from_slice(&0x0240_0000_u32.to_be_bytes());
    profile[12..20].copy_from_slice(class_and_space);
    profile[20..24].copy_from_slice(b"Lab ");
    profile[36..40].copy_from_slice(b"acsp");
    profile[68..80].copy_from_slice(&white[8..]);
    profile.extend(2_u32.to_be_bytes());
    for (name, at, length) in [(b"wtpt", table, white.len()), (b"A2B0", table + white.len(), lut.len())] {
        profile.extend(name);
        profile.extend([at as u32, length as u32].map(u32::to_be_bytes).concat());
    }
    profile.extend(white);
    profile.extend(lut);
    let size = (profile.len() as u32).to_be_bytes();
    profile[..4].copy_from_slice(&size);
    profile
}
