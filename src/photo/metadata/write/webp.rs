//! The chunks of a WebP.

use webpx::EncoderConfig;

use crate::photo::metadata::{Tags, profile};

impl Tags {
    /// WebP has no place for IPTC-IIM, which becomes XMP, and for the resolution, which becomes EXIF.
    pub(in crate::photo) fn add_to_webp(&self, mut config: EncoderConfig) -> EncoderConfig {
        if self.profile {
            config = config.icc_profile(profile::srgb());
        }
        let mut exif = self.exif.clone();
        if let Some(resolution) = self.resolution {
            exif.get_or_insert_default().add_resolution(resolution);
        }
        if let Some(exif) = exif {
            config = config.exif(exif.to_blob());
        }
        let mut xmp = self.xmp.clone().unwrap_or_default();
        if let Some(iptc) = &self.iptc {
            xmp.add_iptc(iptc);
        }
        if !xmp.is_empty() {
            config = config.xmp(xmp.to_text());
        }
        config
    }
}
