//! Says that a network coloured the picture (IPTC Photo Metadata Standard 2025.1).

use super::names::{IPTC_EXT, XMP};
use super::{Description, Packet, Property};
use crate::photo::Mark;

/// A picture that was combined with what an algorithm made that had learned from samples.
const SOURCE_TYPE: &str =
    "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia";

const CREATOR_TOOL: &str = concat!("PixColor ", env!("CARGO_PKG_VERSION"));

impl Packet {
    /// Replaces what the upload says about these properties. The mark comes first, so that it stays in the main packet
    /// if a packet is divided.
    pub(in super::super) fn add_mark(&mut self, mark: &Mark) {
        const EXT: &str = "Iptc4xmpExt";
        for description in &mut self.descriptions {
            description.properties.retain(|property| !is_mark(property));
        }
        let mut properties = vec![
            Property::simple(IPTC_EXT, EXT, "DigitalSourceType", SOURCE_TYPE),
            Property::simple(XMP, "xmp", "CreatorTool", CREATOR_TOOL),
            Property::simple(IPTC_EXT, EXT, "AISystemUsed", &mark.model),
        ];
        if let Some(version) = &mark.version {
            properties.push(Property::simple(IPTC_EXT, EXT, "AISystemVersionUsed", version));
        }
        let bindings = [(EXT, IPTC_EXT), ("xmp", XMP)];
        let bindings = bindings.map(|(prefix, namespace)| (prefix.to_owned(), namespace.to_owned()));
        self.descriptions.insert(0, Description { bindings: bindings.to_vec(), properties });
    }
}

pub(super) fn is_mark(property: &Property) -> bool {
    match property.namespace.as_str() {
        IPTC_EXT => {
            matches!(property.name.as_str(), "DigitalSourceType" | "AISystemUsed" | "AISystemVersionUsed")
        }
        XMP => property.name == "CreatorTool",
        _ => false,
    }
}
