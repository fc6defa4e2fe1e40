//! Reads a packet with quick-xml, and rejects what is not well-formed.
//!
//! quick-xml does not check everything that XML requires. What it does not check is checked here, because the content
//! of properties is copied into the rendition's packet, which must be well-formed.

use std::collections::HashSet;

use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{PrefixDeclaration, QName, ResolveResult};

use super::names::{self, META, RDF};
use super::well_formed::{Invalid, checked_name, checked_reference, decoded, text};
use super::{Description, Packet, Property, is_allowed};

/// Maximum bytes of a packet.
const MAX_BYTES: usize = 1 << 20;

/// Maximum number of elements and attributes, each of which takes much more memory than its text.
const MAX_PARTS: usize = 20_000;

/// Maximum numbers of descriptions, of prefixes in scope, and of bytes of all descriptions' prefixes, because each
/// description repeats the prefixes, and each name is compared with them.
const MAX_DESCRIPTIONS: usize = 1000;
const MAX_BINDINGS: usize = 200;
const MAX_BINDINGS_BYTES: usize = 1 << 20;

/// Maximum depth of elements.
const MAX_DEPTH: usize = 100;

pub(super) fn packet(bytes: &[u8], without_location: bool) -> Result<Packet, Invalid> {
    if bytes.len() > MAX_BYTES {
        return Err(Invalid("too long"));
    }
    let text = decoded(bytes)?;
    let text = text.trim_end_matches('\0').trim_start_matches('\u{FEFF}');
    if !text.chars().all(is_allowed) {
        return Err(Invalid("control characters"));
    }
    let reader = NsReader::from_str(text);
    let packet = Packet::default();
    let mut parser =
        Parser { reader, without_location, scopes: Vec::new(), bindings_bytes: 0, parts: 0, packet };
    parser.document()?;
    Ok(parser.packet)
}

struct Parser<'a> {
    reader: NsReader<&'a [u8]>,
    without_location: bool,
    /// For each open element, the number of prefixes that it binds.
    scopes: Vec<usize>,
    bindings_bytes: usize,
    /// The number of elements and attributes so far.
    parts: usize,
    packet: Packet,
}

/// An attribute: prefix, local name, namespace (empty without a prefix), and raw value between double quotes.
struct Attribute {
    prefix: String,
    name: String,
    namespace: String,
    value: String,
}

impl Attribute {
    fn is_binding(&self) -> bool {
        self.prefix == "xmlns" || (self.prefix.is_empty() && self.name == "xmlns")
    }
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Result<Event<'a>, Invalid> {
        let event = self.reader.read_event().map_err(|_| Invalid("not well-formed"))?;
        if let Event::Start(start) | Event::Empty(start) = &event {
            self.parts += 1 + start.attributes().with_checks(false).count();
            if self.parts > MAX_PARTS {
                return Err(Invalid("too many elements"));
            }
        }
        match &event {
            Event::Start(start) => {
                let mut attributes = start.attributes();
                let attributes = attributes.with_checks(false).flatten();
                self.scopes.push(attributes.filter(|a| a.key.0.starts_with(b"xmlns")).count());
                if self.scopes.len() > MAX_DEPTH || self.scopes.iter().sum::<usize>() > MAX_BINDINGS {
                    return Err(Invalid("too many open elements or prefixes"));
                }
            }
            Event::End(_) => _ = self.scopes.pop(),
            Event::DocType(_) => return Err(Invalid("a document type")),
            _ => {}
        }
        Ok(event)
    }

    /// Reads the elements around the descriptions.
    fn document(&mut self) -> Result<(), Invalid> {
        let mut depth = 0;
        loop {
            match self.next()? {
                Event::Start(start) => {
                    let (namespace, name) = self.element(start.name())?;
                    let attributes = self.attributes(&start)?;
                    if (namespace.as_str(), name.as_str()) == (RDF, "RDF") {
                        self.descriptions()?;
                        continue;
                    }
                    let toolkit = attributes.into_iter().find(|a| a.namespace == META && a.name == "xmptk");
                    self.packet.toolkit = toolkit.map(|toolkit| toolkit.value).or(self.packet.toolkit.take());
                    depth += 1;
                }
                Event::End(_) => depth -= 1,
                Event::Eof if depth == 0 => return Ok(()),
                Event::Eof => return Err(Invalid("cut off")),
                _ => {}
            }
        }
    }

    /// Reads the children of `rdf:RDF`.
    fn descriptions(&mut self) -> Result<(), Invalid> {
        loop {
            if self.packet.descriptions.len() > MAX_DESCRIPTIONS {
                return Err(Invalid("too many descriptions"));
            }
            match self.next()? {
                Event::Start(start) => {
                    let mut description = self.description(&start)?;
                    self.properties(&mut description)?;
                    self.packet.descriptions.push(description);
                }
                Event::Empty(start) => {
                    let description = self.description(&start)?;
                    self.packet.descriptions.push(description);
                }
                Event::End(_) => return Ok(()),
                Event::Eof => return Err(Invalid("cut off")),
                _ => {}
            }
        }
    }

    /// Reads the start tag of a description, whose attributes are properties.
    fn description(&mut self, start: &BytesStart<'_>) -> Result<Description, Invalid> {
        self.element(start.name())?;
        let mut description = Description { bindings: self.bindings()?, properties: Vec::new() };
        for attribute in self.attributes(start)? {
            if attribute.is_binding() || attribute.prefix == "xml" {
                continue;
            }
            if attribute.name == "about" && (attribute.prefix.is_empty() || attribute.namespace == RDF) {
                if self.packet.about.is_empty() {
                    self.packet.about = attribute.value;
                }
                continue;
            }
            if attribute.prefix.is_empty() || attribute.namespace == RDF {
                continue;
            }
            if !self.is_dropped(&attribute.namespace, &attribute.name) {
                description.properties.push(attribute.into_property());
            }
        }
        Ok(description)
    }

    /// Prefixes and namespaces in scope, except those that every packet has.
    fn bindings(&mut self) -> Result<Vec<(String, String)>, Invalid> {
        let mut bindings = Vec::new();
        for (prefix, namespace) in self.reader.resolver().bindings() {
            let prefix = match prefix {
                PrefixDeclaration::Default => String::new(),
                PrefixDeclaration::Named(prefix) => text(prefix)?,
            };
            let namespace = text(namespace.0)?;
            // Two forms of a namespace would not be recognised as the same.
            self.bindings_bytes += prefix.len() + namespace.len();
            if namespace.contains(['&', '<', '"']) || self.bindings_bytes > MAX_BINDINGS_BYTES {
                return Err(Invalid("namespaces"));
            }
            match (prefix.as_str(), namespace.as_str()) {
                ("rdf", RDF) | ("x", META) => {}
                ("rdf", _) | (_, "") => return Err(Invalid("namespaces")),
                _ => bindings.push((prefix, namespace)),
            }
        }
        Ok(bindings)
    }

    /// Reads the children of a description.
    fn properties(&mut self, description: &mut Description) -> Result<(), Invalid> {
        loop {
            match self.next()? {
                Event::Start(start) => {
                    let mut property = self.property(&start)?;
                    self.content(&mut property.content)?;
                    self.push(description, property);
                }
                Event::Empty(start) => {
                    let property = self.property(&start)?;
                    self.push(description, property);
                }
                Event::End(_) => return Ok(()),
                Event::Eof => return Err(Invalid("cut off")),
                _ => {}
            }
        }
    }

    fn push(&self, description: &mut Description, property: Property) {
        if !self.is_dropped(&property.namespace, &property.name) {
            description.properties.push(property);
        }
    }

    fn is_dropped(&self, namespace: &str, name: &str) -> bool {
        self.without_location && names::is_location(namespace, name)
    }

    fn property(&mut self, start: &BytesStart<'_>) -> Result<Property, Invalid> {
        let (namespace, name) = self.element(start.name())?;
        let prefix = match start.name().prefix() {
            Some(prefix) => text(prefix.as_ref())?,
            None => String::new(),
        };
        let attributes = self.raw_attributes(start)?;
        Ok(Property { namespace, prefix, name, attributes, content: String::new() })
    }

    /// Copies everything up to the end tag of the current element, without comments and dropped elements.
    fn content(&mut self, copy: &mut String) -> Result<(), Invalid> {
        // For each open element, whether it is dropped.
        let mut open = Vec::new();
        loop {
            let event = self.next()?;
            let is_kept = open.last() != Some(&true);
            match event {
                Event::Start(start) => {
                    let tag = self.tag(&start)?;
                    if let (true, Some(tag)) = (is_kept, &tag) {
                        copy.push_str(&format!("<{tag}>"));
                    }
                    open.push(!is_kept || tag.is_none());
                }
                Event::Empty(start) => {
                    if let (true, Some(tag)) = (is_kept, self.tag(&start)?) {
                        copy.push_str(&format!("<{tag}/>"));
                    }
                }
                Event::End(end) => match open.pop() {
                    None => return Ok(()),
                    Some(false) => copy.push_str(&format!("</{}>", text(end.name().0)?)),
                    Some(true) => {}
                },
                Event::Text(part) => {
                    let part = text(&part)?;
                    if part.contains("]]>") {
                        return Err(Invalid("the end of a CDATA section in text"));
                    }
                    if is_kept {
                        copy.push_str(&part);
                    }
                }
                Event::CData(part) if is_kept => copy.push_str(&super::escaped(&text(&part)?)),
                Event::GeneralRef(reference) => {
                    let name = text(&reference)?;
                    checked_reference(&format!("&{name};"))?;
                    if is_kept {
                        copy.push_str(&format!("&{name};"));
                    }
                }
                Event::Eof => return Err(Invalid("cut off")),
                _ => {}
            }
        }
    }

    /// Name and attributes of an element as raw XML; `None` if the element is dropped.
    fn tag(&self, start: &BytesStart<'_>) -> Result<Option<String>, Invalid> {
        let (namespace, name) = self.element(start.name())?;
        let attributes = self.raw_attributes(start)?;
        let tag = text(start.name().0)? + &attributes;
        Ok((!self.is_dropped(&namespace, &name)).then_some(tag))
    }

    /// The attributes that are not dropped, as raw XML.
    fn raw_attributes(&self, start: &BytesStart<'_>) -> Result<String, Invalid> {
        let mut raw = String::new();
        for Attribute { prefix, name, namespace, value } in self.attributes(start)? {
            if !self.is_dropped(&namespace, &name) {
                let colon = if prefix.is_empty() { "" } else { ":" };
                raw += &format!(" {prefix}{colon}{name}=\"{value}\"");
            }
        }
        Ok(raw)
    }

    /// Namespace and local name of an element.
    fn element(&self, name: QName<'_>) -> Result<(String, String), Invalid> {
        let (namespace, local) = self.reader.resolver().resolve_element(name);
        let namespace = match namespace {
            ResolveResult::Bound(namespace) => text(namespace.0)?,
            ResolveResult::Unbound => String::new(),
            ResolveResult::Unknown(_) => return Err(Invalid("an unknown prefix")),
        };
        checked_name(name)?;
        Ok((namespace, text(local.as_ref())?))
    }

    fn attributes(&self, start: &BytesStart<'_>) -> Result<Vec<Attribute>, Invalid> {
        let mut attributes = Vec::new();
        let mut seen = HashSet::new();
        // quick-xml's own check takes quadratic time.
        for attribute in start.attributes().with_checks(false) {
            let attribute = attribute.map_err(|_| Invalid("attributes"))?;
            checked_name(attribute.key)?;
            let value = text(&attribute.value)?;
            if value.contains('<') {
                return Err(Invalid("attributes"));
            }
            value.split('&').skip(1).try_for_each(|part| match part.split_once(';') {
                Some((name, _)) => checked_reference(&format!("&{name};")),
                None => Err(Invalid("attributes")),
            })?;
            let (namespace, local) = self.reader.resolver().resolve_attribute(attribute.key);
            let namespace = match namespace {
                ResolveResult::Bound(namespace) => text(namespace.0)?,
                ResolveResult::Unbound => String::new(),
                ResolveResult::Unknown(_) => return Err(Invalid("an unknown prefix")),
            };
            let prefix = attribute.key.prefix().map(|prefix| text(prefix.as_ref())).transpose()?;
            let prefix = prefix.unwrap_or_default();
            let name = text(local.as_ref())?;
            // Two prefixes may stand for the same namespace. A prefix may have the name of an attribute.
            let is_binding = prefix == "xmlns";
            if !seen.insert((is_binding, namespace.clone(), name.clone())) {
                return Err(Invalid("an attribute twice"));
            }
            attributes.push(Attribute { prefix, name, namespace, value: value.replace('"', "&quot;") });
        }
        Ok(attributes)
    }
}

impl Attribute {
    fn into_property(self) -> Property {
        let Self { prefix, name, namespace, value } = self;
        // A reader of XML replaces these by spaces in an attribute, but not in an element.
        let content = value.replace(['\t', '\n', '\r'], " ").replace('>', "&gt;");
        Property { namespace, prefix, name, attributes: String::new(), content }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_of_very_many_elements_is_refused() {
        let packet_of = |count: usize| {
            let elements = "<o:a/>".repeat(count);
            format!(
                "<rdf:RDF xmlns:rdf='{RDF}'><rdf:Description rdf:about='' xmlns:o='urn:o'>{elements}\
                 </rdf:Description></rdf:RDF>"
            )
        };
        assert!(packet(packet_of(1000).as_bytes(), false).is_ok());
        assert!(packet(packet_of(MAX_PARTS).as_bytes(), false).is_err());
        assert!(packet(&[b' '; MAX_BYTES + 1], false).is_err());
    }
}
