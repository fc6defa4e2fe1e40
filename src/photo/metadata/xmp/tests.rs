use proptest::prelude::*;

use super::Packet;
use super::names::{DC, EXIF, IPTC_CORE, IPTC_EXT, PHOTOSHOP, RDF, TIFF, XMP};
use crate::photo::Mark;
use crate::photo::metadata::exif::Changes;
use crate::photo::metadata::iptc::Iptc;

const CHANGES: Changes = Changes { without_location: false, size: (640, 480), turned: false };

fn mark() -> Mark {
    Mark { model: "colour & <model>".to_owned(), version: Some("1.2".to_owned()) }
}

/// A packet with these attributes and children of its only description.
fn packet(attributes: &str, children: &str) -> String {
    format!(
        r#"<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Tool 1">
        <rdf:RDF xmlns:rdf="{RDF}"><rdf:Description rdf:about="uuid:1" xmlns:t="{TIFF}" xmlns:e="{EXIF}"
        xmlns:xmp="{XMP}" xmlns:p="{PHOTOSHOP}" xmlns:c="{IPTC_CORE}" xmlns:i="{IPTC_EXT}" xmlns:dc="{DC}"
        xmlns:o="http://example.com/" {attributes}>{children}</rdf:Description></rdf:RDF></x:xmpmeta>
        <?xpacket end="w"?>"#
    )
}

fn read(text: &str, without_location: bool) -> Packet {
    Packet::of(text.as_bytes(), without_location).unwrap_or_else(|| panic!("{text}"))
}

fn edited(text: &str, changes: &Changes) -> Packet {
    let mut packet = read(text, changes.without_location);
    packet.edit(changes);
    packet
}

/// The simple properties of a packet, as another parser reads them.
fn properties(text: &str) -> Vec<(String, String, String)> {
    let document = roxmltree::Document::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let descriptions = document.descendants().filter(|node| node.has_tag_name((RDF, "Description")));
    let mut all: Vec<_> = descriptions
        .flat_map(|description| description.children().filter(roxmltree::Node::is_element))
        .map(|node| {
            let name = node.tag_name();
            let value = node.descendants().filter(|node| node.is_text()).filter_map(|node| node.text());
            (name.namespace().unwrap_or_default().to_owned(), name.name().to_owned(), value.collect())
        })
        .collect();
    all.sort();
    all
}

/// The value of a property; panics if there are several.
fn value(text: &str, namespace: &str, name: &str) -> Option<String> {
    let mut found: Vec<_> =
        properties(text).into_iter().filter(|p| p.0 == namespace && p.1 == name).collect();
    assert!(found.len() < 2, "{found:?}");
    found.pop().map(|property| property.2)
}

#[test]
fn attributes_and_elements_that_describe_the_upload_are_corrected() {
    let attributes = r#"t:Orientation="6" e:ColorSpace="65535" e:PixelXDimension="1" t:ImageLength="2""#;
    let elements = "<t:Orientation>6</t:Orientation><e:ColorSpace>65535</e:ColorSpace>\
                    <e:PixelXDimension>1</e:PixelXDimension><t:ImageLength>2</t:ImageLength>";
    for text in [packet(attributes, ""), packet("", elements)] {
        let text = edited(&text, &CHANGES).to_text();
        for (namespace, name, wanted) in [
            (TIFF, "Orientation", "1"),
            (EXIF, "ColorSpace", "1"),
            (EXIF, "PixelXDimension", "640"),
            (TIFF, "ImageLength", "480"),
        ] {
            assert_eq!(value(&text, namespace, name).as_deref(), Some(wanted), "{name}");
        }
        assert_eq!(properties(&text).len(), 4, "nothing is added");
        assert!(text.contains("rdf:about=\"uuid:1\"") && text.contains("x:xmptk=\"Tool 1\""), "{text}");
    }
}

#[test]
fn everything_else_is_copied() {
    let children = "<o:a>1 &amp; 2</o:a><o:b rdf:parseType='Resource'><o:c o:d='\"x\"'>&#x3C0;</o:c></o:b>\
                    <o:e><rdf:Bag><rdf:li>one</rdf:li><rdf:li/></rdf:Bag></o:e><o:f><![CDATA[<&]]></o:f>\
                    <dc:title><rdf:Alt><rdf:li xml:lang='x-default'>T</rdf:li></rdf:Alt></dc:title><!-- no -->";
    let before = packet("o:g='a &quot;>&lt;b' o:h='line\nbreak'", children);
    let after = edited(&before, &CHANGES).to_text();
    let own = |name: &str| value(&after, "http://example.com/", name).unwrap();
    let wanted =
        [("a", "1 & 2"), ("b", "\u{3C0}"), ("e", "one"), ("f", "<&"), ("g", "a \"><b"), ("h", "line break")];
    for (name, wanted) in wanted {
        assert_eq!(own(name), wanted, "{name}");
    }
    assert_eq!(value(&after, DC, "title").as_deref(), Some("T"));
    assert!(
        after.contains("<o:c o:d=\"&quot;x&quot;\">") && after.contains("xml:lang=\"x-default\""),
        "{after}"
    );
    assert_eq!(edited(&after, &CHANGES).to_text(), after, "a second time changes nothing");
}

#[test]
fn a_quarter_turn_swaps_the_resolutions() {
    let text = packet("t:XResolution='300/1'", "<t:YResolution>150/1</t:YResolution>");
    let text = edited(&text, &Changes { turned: true, ..CHANGES }).to_text();
    assert_eq!(value(&text, TIFF, "XResolution").as_deref(), Some("150/1"));
    assert_eq!(value(&text, TIFF, "YResolution").as_deref(), Some("300/1"));
}

#[test]
fn places_are_dropped_at_any_depth() {
    let attributes = "p:City='Zzyzx' e:GPSLatitude='35,8N' o:GpsLongitude='Zzyzx'";
    let children = "<p:State>Zzyzx</p:State><i:LocationShown><rdf:Bag><rdf:li i:City='Zzyzx'/></rdf:Bag>\
                    </i:LocationShown><o:Pantry><rdf:Bag><rdf:li p:Country='Zzyzx' o:k='kept'><e:GPSAltitude>Zzyzx\
                    <o:x/></e:GPSAltitude><o:y>kept</o:y></rdf:li></rdf:Bag></o:Pantry><c:Location>Zzyzx</c:Location>";
    let text =
        edited(&packet(attributes, children), &Changes { without_location: true, ..CHANGES }).to_text();
    assert!(!text.contains("Zzyzx") && !text.contains("35,8N") && !text.contains("GPS"), "{text}");
    assert!(text.contains("o:k=\"kept\"") && text.contains("<o:y>kept</o:y>"), "{text}");
    let kept = edited(&packet(attributes, children), &CHANGES).to_text();
    assert_eq!(kept.matches("Zzyzx").count(), 7);
}

#[test]
fn the_mark_replaces_what_the_upload_says() {
    let old = packet(
        "i:DigitalSourceType='old' xmp:CreatorTool='old'",
        "<i:AISystemUsed>old</i:AISystemUsed><i:AISystemVersionUsed>old</i:AISystemVersionUsed><o:a>1</o:a>",
    );
    for mut packet in [read(&old, false), Packet::default()] {
        packet.add_mark(&mark());
        let text = packet.to_text();
        assert!(!text.contains("old"), "{text}");
        let source = value(&text, IPTC_EXT, "DigitalSourceType").unwrap();
        assert_eq!(
            source,
            "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
        );
        assert_eq!(value(&text, IPTC_EXT, "AISystemUsed"), Some(mark().model));
        assert_eq!(value(&text, IPTC_EXT, "AISystemVersionUsed"), mark().version);
        let tool = value(&text, XMP, "CreatorTool").unwrap();
        assert_eq!(tool, concat!("PixColor ", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn malformed_packets_are_rejected() {
    let of = |children: &str| Packet::of(packet("", children).as_bytes(), false);
    assert!(of("<o:a>1</o:a>").is_some());
    for children in [
        "<o:a>",
        "</o:a>",
        "<o:a></o:b>",
        "<q:a/>",
        "<o:a q:b='1'/>",
        "<o:a b='1' b='2'/>",
        "<o:a>&nbsp;</o:a>",
        "<o:a>&#1;</o:a>",
        "<o:a>&#xD800;</o:a>",
        "<o:a>\u{1}</o:a>",
        "<o:a b='&x;'/>",
        "<o:a b='<'/>",
        "<o:1/>",
        "<o:a>]]></o:a>",
        "<o:a b=1/>",
        "<o:a>& </o:a>",
        "<a:b:c xmlns:a='x'/>",
        "<rdf:li xmlns:rdf='x'/><rdf:Description",
        "<o:a xmlns:n='http://example.com/' o:b='1' n:b='2'/>",
    ] {
        assert_eq!(of(children), None, "{children}");
    }
    let whole = packet("", "<o:a>1</o:a>");
    let cut = whole.find("</rdf:RDF>").unwrap();
    assert_eq!(Packet::of(&whole.as_bytes()[..cut], false), None);
    let doctype = whole.replace("<x:xmpmeta", "<!DOCTYPE x [<!ENTITY a 'b'>]><x:xmpmeta");
    assert_eq!(Packet::of(doctype.as_bytes(), false), None);
}

#[test]
fn a_hostile_packet_is_refused() {
    let many =
        |part: &str, count: usize| (0..count).map(|i| part.replace('#', &i.to_string())).collect::<String>();
    let of = |attributes: &str, children: &str| Packet::of(packet(attributes, children).as_bytes(), true);
    assert!(of(&many(" o:a#=''", 10_000), "").is_some());
    assert_eq!(of(&many(" o:a#=''", 50_000), ""), None);
    assert_eq!(of("", &format!("<o:a {}/>", many(" o:a#=''", 50_000))), None);
    assert_eq!(of("", &many("<o:a xmlns:p#='urn:x'>", 500)), None);
    assert_eq!(of("", &"<o:a>".repeat(1_000_000)), None);
    let long = format!("xmlns:long='{}'", "x".repeat(1_000_000));
    let descriptions =
        format!("<rdf:RDF xmlns:rdf='{RDF}' {long}>{}</rdf:RDF>", "<rdf:Description/>".repeat(900));
    assert_eq!(Packet::of(descriptions.as_bytes(), false), None);
}

#[test]
fn utf_16_is_read() {
    let text = packet("", "<o:a>\u{3C0}</o:a>");
    let units: Vec<u16> = text.encode_utf16().collect();
    let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
    let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    assert_eq!(Packet::of(&big, false).unwrap(), read(&text, false));
    assert_eq!(Packet::of(&little, false).unwrap(), read(&text, false));
}

#[test]
fn a_long_packet_is_divided_and_the_mark_stays_in_the_first_part() {
    let children: String = (0..300).map(|i| format!("<o:a{i}>{}</o:a{i}>", "x".repeat(i * 10))).collect();
    let mut whole = read(&packet("", &children), false);
    whole.add_mark(&mark());
    for limit in [200_000, 65_502, 10_000, 2_000] {
        let divided = whole.divided(limit);
        assert!(divided.main.len() <= limit && divided.main.contains("AISystemUsed"));
        let mut again = read(&divided.main, false);
        if let Some(extension) = &divided.extension {
            assert!(divided.main.contains(&extension.guid));
            again.merge(read(&extension.text, false));
            again.edit(&CHANGES);
        }
        if limit > 2_000 {
            assert!(divided.main.len() > limit / 2 || divided.extension.is_none(), "{limit}");
        }
        assert_eq!(properties(&again.to_text()), properties(&whole.to_text()), "{limit}");
    }
}

#[test]
fn iptc_becomes_xmp_where_the_packet_has_none() {
    let mut iptc = Vec::new();
    for (number, value) in [
        (5, "T\u{EF}tle"),
        (25, "one"),
        (25, "two & 2"),
        (80, "A"),
        (55, "20040226"),
        (60, "123456+0100"),
        (90, "X"),
    ] {
        iptc.extend([0x1C, 2, number, 0, value.len() as u8]);
        iptc.extend(value.as_bytes());
    }
    let mut packet = read(&packet("p:City='Y'", ""), false);
    packet.add_iptc(&Iptc::of(&iptc));
    let text = packet.to_text();
    assert_eq!(value(&text, PHOTOSHOP, "City").as_deref(), Some("Y"));
    assert_eq!(value(&text, DC, "title").as_deref(), Some("T\u{EF}tle"));
    assert_eq!(value(&text, DC, "subject").as_deref(), Some("onetwo & 2"));
    assert_eq!(value(&text, PHOTOSHOP, "DateCreated").as_deref(), Some("2004-02-26T12:34:56+01:00"));
}

/// XML that is often almost well-formed.
fn xml() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("<o:a>"),
        Just("</o:a>"),
        Just("<o:b o:c='1'/>"),
        Just("text &amp; "),
        Just("<!-- c -->"),
        Just("]]>"),
        Just("<![CDATA[<x>]]>"),
        Just("&#65;"),
        Just("<e:GPSLatitude>"),
        Just("</e:GPSLatitude>"),
        Just("<o:d xmlns:o='urn:x' xmlns='urn:y'>"),
        Just("</o:d>"),
        Just("<?pi x?>"),
        Just("<z/>"),
        Just("\u{E9}"),
        Just("<rdf:Description>"),
        Just("</rdf:Description>"),
        Just("<"),
        Just("&"),
        Just("<p:City q='<'/>"),
        Just("\""),
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_written_is_well_formed(children in xml(), attributes in "[a-z:='\"&; <]{0,20}", without_location: bool) {
        for attributes in ["", "o:x='1' p:State='S'", &attributes] {
            let text = packet(attributes, &children);
            let Some(mut packet) = Packet::of(text.as_bytes(), without_location) else { continue };
            packet.edit(&CHANGES);
            packet.add_mark(&mark());
            let written = packet.to_text();
            let names = properties(&written);
            if without_location {
                prop_assert!(!written.contains("GPSLatitude"));
            }
            prop_assert_eq!(&properties(&read(&written, false).to_text()), &names);
            let divided = packet.divided(written.len() - 1);
            properties(&divided.main);
            properties(&divided.extension.unwrap().text);
        }
    }

    #[test]
    fn a_well_formed_packet_is_read(children in xml()) {
        let text = packet("", &children);
        let is_well_formed = roxmltree::Document::parse(&text).is_ok();
        prop_assert!(!is_well_formed || Packet::of(text.as_bytes(), false).is_some(), "{}", text);
    }

    #[test]
    fn mutated_packets_never_panic(at in 0_usize..700, with: Vec<u8>, cut in 0_usize..10) {
        let mut bytes = packet("t:Orientation='6'", "<o:a>1</o:a><p:City>x</p:City>").into_bytes();
        let end = (at + cut).min(bytes.len());
        bytes.splice(at.min(end)..end, with);
        if let Some(mut packet) = Packet::of(&bytes, true) {
            packet.edit(&CHANGES);
            properties(&packet.to_text());
        }
    }
}
