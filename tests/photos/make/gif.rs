//! GIF files with arbitrary blocks.

/// A GIF with a screen of this size and these blocks.
pub fn gif(width: u16, height: u16, blocks: &[u8]) -> Vec<u8> {
    let mut bytes = b"GIF89a".to_vec();
    bytes.extend([width.to_le_bytes(), height.to_le_bytes()].concat());
    // A global table of four colours.
    bytes.extend([0x81, 0, 0, 0, 0, 0, 90, 90, 90, 180, 180, 180, 255, 255, 255]);
    bytes.extend(blocks);
    bytes.push(0x3B);
    bytes
}

/// A GIF frame with all pixels in colour 0. Clear codes between the pixels keep the codes three bits wide.
pub fn gif_frame(left: u16, top: u16, width: u16, height: u16) -> Vec<u8> {
    let mut bytes = vec![0x2C];
    bytes.extend([left, top, width, height].map(u16::to_le_bytes).concat());
    bytes.extend([0, 2]);
    let codes = (0..u32::from(width) * u32::from(height)).flat_map(|_| [4, 0]).chain([5]);
    let (mut packed, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for code in codes {
        bits |= code << count;
        count += 3;
        while count >= 8 {
            packed.push(bits as u8);
            bits >>= 8;
            count -= 8;
        }
    }
    packed.push(bits as u8);
    for block in packed.chunks(255) {
        bytes.push(block.len() as u8);
        bytes.extend(block);
    }
    bytes.push(0);
    bytes
}
