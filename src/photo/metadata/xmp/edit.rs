//! Changes the properties that describe the upload and not its rendition.

use super::names::{EXIF, PHOTOSHOP, TIFF, describes_image_data};
use super::{Packet, Property};
use crate::photo::metadata::exif::Changes;

impl Packet {
    /// Places are dropped while the packet is read.
    pub(in super::super) fn edit(&mut self, changes: &Changes) {
        for description in &mut self.descriptions {
            description
                .properties
                .retain(|property| !describes_image_data(&property.namespace, &property.name));
            description.properties.iter_mut().for_each(|property| property.edit(changes));
        }
    }
}

impl Property {
    fn edit(&mut self, changes: &Changes) {
        let (width, height) = changes.size;
        let new = match (self.namespace.as_str(), self.name.as_str()) {
            (TIFF, "Orientation") => "1".to_owned(),
            (TIFF, "ImageWidth") | (EXIF, "PixelXDimension") => width.to_string(),
            (TIFF, "ImageLength") | (EXIF, "PixelYDimension") => height.to_string(),
            // sRGB.
            (EXIF, "ColorSpace") => "1".to_owned(),
            // RGB.
            (PHOTOSHOP, "ColorMode") => "3".to_owned(),
            (PHOTOSHOP, "ICCProfile") => "sRGB IEC61966-2.1".to_owned(),
            (TIFF, "XResolution") if changes.turned => return "YResolution".clone_into(&mut self.name),
            (TIFF, "YResolution") if changes.turned => return "XResolution".clone_into(&mut self.name),
            _ => return,
        };
        self.attributes.clear();
        self.content = new;
    }
}
