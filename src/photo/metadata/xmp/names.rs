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
const GEO: &str = "http://www.w3.org/2003/01/geo/wgs84_pos#";
const MEDIA_PRO: &str = "http://ns.iview-multimedia.com/mediapro/1.0/";
const DYNAMIC_MEDIA: &str = "http://ns.adobe.com/xmp/1.0/DynamicMedia/";

/// Whether a property names a place or its coordinates. Properties of structures count as well, for example those of
/// the pictures of which a picture is composed.
pub(super) fn is_location(namespace: &str, name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    if lower.starts_with("gps") || matches!(lower.as_str(), "latitude" | "longitude") {
        return true;
    }
    match namespace {
        PHOTOSHOP => matches!(name, "City" | "State" | "Country"),
        IPTC_CORE => matches!(name, "Location" | "CountryCode"),
        IPTC_EXT => matches!(
            name,
            "LocationCreated"
                | "LocationShown"
                | "LocationId"
                | "LocationName"
                | "Sublocation"
                | "City"
                | "ProvinceState"
                | "CountryName"
                | "CountryCode"
                | "WorldRegion"
        ),
        DC => name == "coverage",
        MEDIA_PRO => name == "Location",
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
