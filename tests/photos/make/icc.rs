//! ICC profiles of printers.

/// A profile of inks (ICC.1:2001-04) whose table has only its corners: the L\*, a\*, b\* of every combination of
/// no and full cyan, magenta, yellow and black.
pub fn ink_profile(corner: impl Fn([bool; 4]) -> [f32; 3]) -> Vec<u8> {
    // `lut16Type`: four channels in, three out, two points along each side of the table.
    let mut lut = b"mft2\0\0\0\0\x04\x03\x02\0".to_vec();
    let matrix = [1, 0, 0, 0, 1, 0, 0, 0, 1].map(|one: i32| (one << 16).to_be_bytes());
    lut.extend(matrix.concat());
    lut.extend([2_u16, 2].map(u16::to_be_bytes).concat());
    let straight = [0_u16, u16::MAX].map(u16::to_be_bytes).concat();
    lut.extend(straight.repeat(4));
    for index in 0..16 {
        // The last channel runs fastest.
        let [l, a, b] = corner([8, 4, 2, 1].map(|bit| index & bit != 0));
        // L\* from 0 to 100 is 0 to FF00, and 8000 is no a\* or b\*.
        let codes = [l * 652.8, (a + 128.0) * 256.0, (b + 128.0) * 256.0];
        lut.extend(codes.map(|code| (code as u16).to_be_bytes()).concat());
    }
    lut.extend(straight.repeat(3));

    let white: Vec<u8> =
        [&b"XYZ \0\0\0\0"[..], &[0xF6D6_u32, 0x1_0000, 0xD32D].map(u32::to_be_bytes).concat()].concat();
    let table = 128 + 4 + 2 * 12;
    let mut profile = vec![0; 128];
    profile[8..12].copy_from_slice(&0x0240_0000_u32.to_be_bytes());
    profile[12..24].copy_from_slice(b"prtrCMYKLab ");
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
