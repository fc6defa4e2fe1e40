//! Encodes a rendition's optional remark as XMP (ISO 16684-1) for JPEG and WebP: `dc:description` in its own packet.

/// Start of an APP1 segment with XMP (XMP specification part 3, 1.1.3).
const JPEG_MARK: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";

/// Maximum characters of a remark; a JPEG segment holds less than 65,535 bytes.
const LONGEST: usize = 1000;

/// The body of an APP1 segment.
pub(super) fn jpeg_segment(note: &str) -> Vec<u8> {
    [JPEG_MARK, packet(note).as_bytes()].concat()
}

/// An XMP packet.
pub(super) fn packet(note: &str) -> String {
    let mut text = String::new();
    for character in note.chars().take(LONGEST) {
        match character {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            // XML 1.0 cannot represent most control characters.
            c if c.is_control() => text.push(' '),
            c => text.push(c),
        }
    }
    format!(
        "<?xpacket begin=\"\u{FEFF}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\
         <x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\
         <rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\
         <rdf:Description rdf:about=\"\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\">\
         <dc:description><rdf:Alt><rdf:li xml:lang=\"x-default\">{text}</rdf:li></rdf:Alt></dc:description>\
         </rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end=\"r\"?>"
    )
}
