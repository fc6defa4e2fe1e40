//! XMP packets (ISO 16684-1): read as a list of properties, changed, and written.
//!
//! The content of a property is copied as it is. Only the properties that the rendition changes are looked at, and
//! places at any depth. The form is made uniform: every property is an element, not an attribute.

mod edit;
mod extended;
mod from_iptc;
mod mark;
mod names;
mod parse;
#[cfg(test)]
mod tests;
mod well_formed;

use std::fmt::Write;

pub(super) use extended::Extension;

/// Maximum bytes of a packet that is written; namespaces are repeated, so it may be longer than the one that was read.
const MAX_PACKET: usize = 16 << 20;

/// The properties of a picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Packet {
    /// The name of the program that wrote the upload's packet, as an attribute's raw value.
    toolkit: Option<String>,
    /// What the properties are about, as an attribute's raw value; usually empty.
    about: String,
    descriptions: Vec<Description>,
}

/// Properties that share the bindings of their prefixes (`rdf:Description`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Description {
    /// Prefixes and namespaces. The prefix is empty for the default namespace.
    bindings: Vec<(String, String)>,
    properties: Vec<Property>,
}

/// A property as an XML element.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Property {
    namespace: String,
    prefix: String,
    name: String,
    /// The element's attributes as raw XML, each with a space before it.
    attributes: String,
    /// The element's content as raw XML.
    content: String,
}

impl Packet {
    /// Reads a packet; `None` if it is not well-formed XML. `without_location` drops places at any depth.
    pub(super) fn of(bytes: &[u8], without_location: bool) -> Option<Self> {
        match parse::packet(bytes, without_location) {
            Ok(packet) => Some(packet),
            Err(well_formed::Invalid(what)) => {
                tracing::debug!(what, "dropped an XMP packet");
                None
            }
        }
    }

    /// Adds the properties of the packet that extends this one.
    pub(super) fn merge(&mut self, extension: Self) {
        self.descriptions.extend(extension.descriptions);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.descriptions.iter().all(|description| description.properties.is_empty())
    }

    fn has(&self, namespace: &str, name: &str) -> bool {
        self.properties().any(|property| property.is(namespace, name))
    }

    fn properties(&self) -> impl Iterator<Item = &Property> {
        self.descriptions.iter().flat_map(|description| &description.properties)
    }

    /// The packet as it is embedded in a file.
    pub(super) fn to_text(&self) -> String {
        let body = self.body();
        // The first attribute contains a byte order mark, by which readers recognise the encoding.
        format!(
            "<?xpacket begin=\"\u{FEFF}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n{body}\n<?xpacket end=\"w\"?>"
        )
    }

    fn body(&self) -> String {
        let toolkit = match &self.toolkit {
            Some(toolkit) => format!(" x:xmptk=\"{toolkit}\""),
            None => String::new(),
        };
        let mut text = format!("<x:xmpmeta xmlns:x=\"{}\"{toolkit}>\n", names::META);
        let _ = writeln!(text, "<rdf:RDF xmlns:rdf=\"{}\">", names::RDF);
        for description in &self.descriptions {
            if text.len() > MAX_PACKET {
                tracing::debug!("dropped XMP properties because the packet is too long");
                break;
            }
            description.write(&self.about, &mut text);
        }
        text + "</rdf:RDF>\n</x:xmpmeta>"
    }
}

impl Description {
    fn write(&self, about: &str, text: &mut String) {
        if self.properties.is_empty() {
            return;
        }
        let _ = write!(text, "<rdf:Description rdf:about=\"{about}\"");
        for (prefix, namespace) in &self.bindings {
            let colon = if prefix.is_empty() { "" } else { ":" };
            let _ = write!(text, " xmlns{colon}{prefix}=\"{namespace}\"");
        }
        text.push_str(">\n");
        for property in &self.properties {
            property.write(text);
        }
        text.push_str("</rdf:Description>\n");
    }
}

impl Property {
    /// A property with text as its value.
    fn simple(namespace: &str, prefix: &str, name: &str, text: &str) -> Self {
        Self::structured(namespace, prefix, name, escaped(text))
    }

    /// A property with XML as its value.
    fn structured(namespace: &str, prefix: &str, name: &str, content: String) -> Self {
        let [namespace, prefix, name] = [namespace, prefix, name].map(str::to_owned);
        Self { namespace, prefix, name, attributes: String::new(), content }
    }

    fn is(&self, namespace: &str, name: &str) -> bool {
        self.namespace == namespace && self.name == name
    }

    fn write(&self, text: &mut String) {
        let Self { prefix, name, attributes, content, .. } = self;
        let colon = if prefix.is_empty() { "" } else { ":" };
        let _ = writeln!(text, "<{prefix}{colon}{name}{attributes}>{content}</{prefix}{colon}{name}>");
    }

    /// Bytes of the element, about.
    fn length(&self) -> usize {
        2 * (self.prefix.len() + self.name.len()) + self.attributes.len() + self.content.len() + 8
    }
}

/// Text as XML, without the characters that XML cannot contain.
fn escaped(text: &str) -> String {
    let allowed: String = text.chars().filter(|&character| is_allowed(character)).collect();
    quick_xml::escape::escape(allowed).into_owned()
}

/// Whether XML 1.0 can contain a character (2.2).
fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}
