//! Namespaces and properties that are read or changed.

pub(super) const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";
pub(super) const META: &str = "adobe:ns:meta/";
pub(super) const NOTE: &str = "http://ns.adobe.com/xmp/note/";
pub(super) const XMP: &str = "http://ns.adobe.com/xap/1.0/";
pub(super) const DC: &str = "http://purl.org/dc/elements/1.1/";
pub(super) const TIFF: &str = "http://ns.adobe.com/tiff/1.0/";
pub(super) const EXIF: &str = "http://ns.adobe.com/exif/1.0/";
const EXIF_EX: &str = "http://cipa.jp/exif/1.0/";
pub(super) const PHOTOSHOP: &str = "http://ns.adobe.com/photoshop/1.0/";
pub(super) const IPTC_CORE: &str = "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/";
pub(super) const IPTC_EXT: &str = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/";
const DC_TERMS: &str = "http://purl.org/dc/terms/";
const DARWIN_CORE: &str = "http://rs.tdwg.org/dwc/terms/";
const DARWIN_CORE_INDEX: &str = "http://rs.tdwg.org/dwc/index.htm";
const GEO: &str = "http://www.w3.org/2003/01/geo/wgs84_pos#";
const DYNAMIC_MEDIA: &str = "http://ns.adobe.com/xmp/1.0/DynamicMedia/";

/// Names of properties that name a place in any namespace, in lower case.
const PLACES: [&str; 12] = [
    "city",
    "state",
    "country",
    "location",
    "sublocation",
    "provincestate",
    "countryname",
    "countrycode",
    "locationidentifier",
    "locality",
    "stateprovince",
    "worldregion",
];

/// Whether a property names a place or its coordinates. Properties of structures count as well, for example those of
/// the pictures of which a picture is composed.
pub(super) fn is_location(namespace: &str, name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let parts = ["gps", "latitude", "longitude", "geotag"];
    if parts.iter().any(|part| lower.contains(part)) || PLACES.contains(&lower.as_str()) {
        return true;
    }
    // Coordinates of drones, such as `RtkLat`. `Flat` and the like are other words.
    if ["Lat", "Lon"].iter().any(|end| name.ends_with(end)) {
        return true;
    }
    match namespace {
        IPTC_EXT => matches!(name, "LocationCreated" | "LocationShown" | "LocationId" | "LocationName"),
        DC | DC_TERMS => matches!(name, "coverage" | "spatial"),
        DARWIN_CORE | DARWIN_CORE_INDEX => true,
        DYNAMIC_MEDIA => name == "shotLocation",
        GEO => true,
        _ => false,
    }
}

/// Whether a property describes how the upload was stored, and so is wrong for its rendition.
pub(super) fn describes_image_data(namespace: &str, name: &str) -> bool {
    match namespace {
        TIFF => matches!(
            name,
            "BitsPerSample"
                | "Compression"
                | "PhotometricInterpretation"
                | "SamplesPerPixel"
                | "PlanarConfiguration"
                | "YCbCrSubSampling"
                | "YCbCrPositioning"
                | "YCbCrCoefficients"
                | "TransferFunction"
                | "WhitePoint"
                | "PrimaryChromaticities"
                | "ReferenceBlackWhite"
        ),
        EXIF | EXIF_EX => name == "Gamma",
        XMP => name == "Thumbnails",
        NOTE => name == "HasExtendedXMP",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_recognized_in_any_namespace_and_other_words_are_not() {
        for (namespace, name) in [
            (EXIF, "GPSLatitude"),
            (PHOTOSHOP, "City"),
            (IPTC_EXT, "LocationShown"),
            (IPTC_EXT, "LocationIdentifier"),
            (DARWIN_CORE, "decimalLatitude"),
            (DARWIN_CORE_INDEX, "anything"),
            (DC_TERMS, "spatial"),
            ("http://prismstandard.org/namespaces/basic/2.1/", "location"),
            ("http://www.dji.com/drone-dji/1.0/", "RtkLat"),
            ("http://ns.acdsee.com/iptc/1.0/", "city"),
        ] {
            assert!(is_location(namespace, name), "{namespace} {name}");
        }
        for (namespace, name) in
            [(DC, "title"), (DC, "subject"), (XMP, "CreatorTool"), (PHOTOSHOP, "Credit"), (TIFF, "Model")]
        {
            assert!(!is_location(namespace, name), "{namespace} {name}");
        }
    }
}
