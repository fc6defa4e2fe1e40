//! Constants of JPEG files (ITU-T T.81) that the decoder and the encoder share.

/// The place of each coefficient of a file in a block (T.81, figure A.6).
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// The second bytes of markers (T.81, table B.1).
pub(super) mod marker {
    /// Start of a baseline frame.
    pub(in crate::photo) const SOF0: u8 = 0xC0;
    /// Huffman tables.
    pub(in crate::photo) const DHT: u8 = 0xC4;
    /// Start of the file.
    pub(in crate::photo) const SOI: u8 = 0xD8;
    /// End of the file.
    pub(in crate::photo) const EOI: u8 = 0xD9;
    /// Start of a scan.
    pub(in crate::photo) const SOS: u8 = 0xDA;
    /// Quantisation tables.
    pub(in crate::photo) const DQT: u8 = 0xDB;
    /// MCUs between restart markers.
    pub(in crate::photo) const DRI: u8 = 0xDD;
}
