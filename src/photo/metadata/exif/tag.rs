//! The tags that are read or changed (TIFF 6.0; CIPA DC-008; the registry of the Library of Congress).

pub(in super::super) const IMAGE_WIDTH: u16 = 256;
pub(in super::super) const IMAGE_LENGTH: u16 = 257;
pub(in super::super) const ORIENTATION: u16 = 274;
pub(in super::super) const X_RESOLUTION: u16 = 282;
pub(in super::super) const Y_RESOLUTION: u16 = 283;
pub(in super::super) const RESOLUTION_UNIT: u16 = 296;
pub(in super::super) const YCBCR_POSITIONING: u16 = 531;
pub(in super::super) const XMP: u16 = 700;
pub(in super::super) const IPTC: u16 = 33_723;
pub(in super::super) const PHOTOSHOP: u16 = 34_377;
pub(in super::super) const EXIF_POINTER: u16 = 34_665;
pub(in super::super) const ICC_PROFILE: u16 = 34_675;
pub(in super::super) const GPS_POINTER: u16 = 34_853;
pub(in super::super) const MAKER_NOTE: u16 = 0x927C;
pub(in super::super) const COLOR_SPACE: u16 = 0xA001;
pub(in super::super) const PIXEL_X_DIMENSION: u16 = 0xA002;
pub(in super::super) const PIXEL_Y_DIMENSION: u16 = 0xA003;
pub(in super::super) const INTEROP_POINTER: u16 = 0xA005;
pub(in super::super) const GAMMA: u16 = 0xA500;
/// In the interoperability directory.
pub(in super::super) const INTEROP_INDEX: u16 = 1;

/// Whether a tag of the first directory describes the image data, its colours or its layers, or is metadata that is
/// read elsewhere. A rendition has its own.
pub(super) fn describes_image_data(tag: u16) -> bool {
    matches!(tag,
        254..=259
        | 262..=266
        | 273
        | 277..=281
        | 284
        | 288..=293
        | 297
        // TransferFunction, Predictor, WhitePoint, PrimaryChromaticities, tiles, inks, samples, JPEG tables, ...
        | 301
        | 317..=347
        | 351
        | 400..=435
        | 512..=521
        // YCbCrCoefficients, YCbCrSubSampling, YCbCrPositioning, ReferenceBlackWhite.
        | 529..=532
        | 559
        | XMP
        // Tags of Pixar, of matting, and of camera raw files.
        | 32_995..=32_998
        | 33_421..=33_422
        | IPTC
        | PHOTOSHOP
        | ICC_PROFILE
        // Photoshop's layers.
        | 37_724
        | 50_784
        // DNG, and camera raw files. Its private data may contain a maker note.
        | 50_706..=50_783
        | 50_785..=51_200
        | 52_525..=52_600
        | MAKER_NOTE
    )
}

/// Whether the value is the position of a directory, which is written anew or lost.
pub(super) fn is_pointer(tag: u16) -> bool {
    // SubIFDs, GlobalParametersIFD, KodakIFD, Leaf's and Kodak's other directories.
    matches!(tag, 330 | 400 | 33_424 | 34_954 | 65_024 | EXIF_POINTER | GPS_POINTER | INTEROP_POINTER)
}

/// Whether a tag is one of the interoperability directory (EXIF 2.32, 4.6.7, and DCF).
pub(super) fn is_interoperability(tag: u16) -> bool {
    matches!(tag, 1 | 2 | 4096..=4098)
}

/// Whether a tag of another directory than that of GPS contains coordinates: GeoTIFF, GDAL, and the tags of GPS, except
/// for 11, which is the name of a program in the first directory.
pub(super) fn is_location(tag: u16) -> bool {
    matches!(tag, 0..=10 | 12..=31 | 33_550 | 33_920 | 33_922 | 34_264 | 34_735..=34_737 | 42_112 | 42_113)
}

/// Whether a TIFF encoder writes the tag itself.
pub(in super::super) fn is_of_tiff_encoder(tag: u16) -> bool {
    describes_image_data(tag) || matches!(tag, IMAGE_WIDTH | IMAGE_LENGTH)
}
