//! Changes EXIF data so that it describes the rendition and not the upload.

use super::{ASCII, Exif, Value, tag};

/// How a rendition differs from its upload.
#[derive(Clone, Copy)]
pub(in super::super) struct Changes {
    pub(in super::super) without_location: bool,
    /// Width and height of the rendition.
    pub(in super::super) size: (u32, u32),
    /// Whether the picture was turned by a quarter, so that width and height are swapped.
    pub(in super::super) turned: bool,
}

/// The value of ColorSpace for sRGB.
const SRGB: u16 = 1;

impl Exif {
    pub(in super::super) fn edit(&mut self, changes: &Changes) {
        let little = self.little_endian;
        replace(self, tag::ORIENTATION, Value::short(1, little));
        let (width, height) = changes.size;
        for (side, length) in [
            (tag::IMAGE_WIDTH, width),
            (tag::IMAGE_LENGTH, height),
            (tag::PIXEL_X_DIMENSION, width),
            (tag::PIXEL_Y_DIMENSION, height),
        ] {
            replace(self, side, Value::long(length, little));
        }
        replace(self, tag::COLOR_SPACE, Value::short(SRGB, little));
        self.exif.remove(&tag::GAMMA);
        // R03 stands for Adobe RGB, and R98 for sRGB.
        if let Some(index) = self.interop.get_mut(&tag::INTEROP_INDEX)
            && index.bytes.starts_with(b"R03")
        {
            *index = Value { kind: ASCII, bytes: b"R98\0".to_vec() };
        }
        if changes.turned {
            let (x, y) = (self.primary.remove(&tag::X_RESOLUTION), self.primary.remove(&tag::Y_RESOLUTION));
            self.primary.extend(y.map(|value| (tag::X_RESOLUTION, value)));
            self.primary.extend(x.map(|value| (tag::Y_RESOLUTION, value)));
        }
        if changes.without_location {
            self.gps.clear();
            self.exif.remove(&tag::MAKER_NOTE);
            for entries in [&mut self.primary, &mut self.exif] {
                entries.retain(|&tag, _| !tag::is_location(tag));
            }
        }
    }
}

/// Replaces the value of a tag in the directories that have it.
fn replace(exif: &mut Exif, tag: u16, value: Value) {
    for entries in [&mut exif.primary, &mut exif.exif] {
        if let Some(old) = entries.get_mut(&tag) {
            *old = value.clone();
        }
    }
}
