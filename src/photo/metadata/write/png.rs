//! The chunks of a PNG.

use std::io::Write;

use png::{Encoder, EncodingError, PixelDimensions, Unit as PngUnit, Writer, chunk};

use crate::photo::metadata::read::png::{IPTC, XMP, profile_text};
use crate::photo::metadata::resolution::Unit;
use crate::photo::metadata::{Tags, photoshop};

impl Tags {
    /// Adds the chunks that come before the image data.
    pub(in crate::photo) fn add_to_png<W: Write>(
        &self,
        encoder: &mut Encoder<'_, W>,
    ) -> Result<(), EncodingError> {
        let meters = self.resolution.and_then(|resolution| Some((resolution.to_meters()?, resolution.unit)));
        encoder.set_pixel_dims(meters.map(|((xppu, yppu), unit)| PixelDimensions {
            xppu,
            yppu,
            unit: if unit == Unit::None { PngUnit::Unspecified } else { PngUnit::Meter },
        }));
        if let Some(xmp) = &self.xmp {
            encoder.add_itxt_chunk(XMP.to_owned(), xmp.to_text())?;
        }
        if let Some(iptc) = &self.iptc {
            let resource = photoshop::of_iptc(&iptc.to_bytes());
            encoder.add_ztxt_chunk(IPTC.to_owned(), profile_text("iptc", &resource))?;
        }
        Ok(())
    }

    /// Writes the chunk that the encoder cannot add.
    pub(in crate::photo) fn write_to_png<W: Write>(
        &self,
        writer: &mut Writer<W>,
    ) -> Result<(), EncodingError> {
        match &self.exif {
            Some(exif) => writer.write_chunk(chunk::eXIf, &exif.to_blob()),
            None => Ok(()),
        }
    }
}
