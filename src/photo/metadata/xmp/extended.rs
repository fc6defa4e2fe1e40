//! Divides a packet that is too long for a segment of a JPEG (ISO 16684-3, 7.3).

use md5::{Digest, Md5};

use super::names::NOTE;
use super::{Description, Packet, Property, mark};

/// A packet, and the packet that contains its longest properties.
pub(in super::super) struct Divided {
    pub(in super::super) main: String,
    pub(in super::super) extension: Option<Extension>,
}

pub(in super::super) struct Extension {
    pub(in super::super) text: String,
    /// The MD5 of the text, which the main packet names.
    pub(in super::super) guid: String,
}

impl Packet {
    /// A main packet of at most `limit` bytes.
    pub(in super::super) fn divided(&self, limit: usize) -> Divided {
        let main = self.to_text();
        if main.len() <= limit {
            return Divided { main, extension: None };
        }
        let (rest, long) = self.parted(main.len() + NOTE_LENGTH - limit);
        let text = Self { toolkit: None, ..long }.body();
        let guid = hex(&Md5::digest(&text));
        let mut main = rest.with_note(&guid).to_text();
        if main.len() > limit {
            // The bindings of the prefixes are too long.
            let mark = rest.descriptions.first().filter(|first| first.properties.iter().all(mark::is_mark));
            let few = Self { descriptions: mark.cloned().into_iter().collect(), ..Self::default() };
            main = few.with_note(&guid).to_text();
        }
        Divided { main, extension: Some(Extension { text, guid }) }
    }

    /// Moves the longest properties, except the mark, of at least `excess` bytes together to a second packet.
    fn parted(&self, excess: usize) -> (Self, Self) {
        let mut lengths: Vec<usize> =
            self.properties().filter(|property| !mark::is_mark(property)).map(Property::length).collect();
        lengths.sort_unstable();
        let mut moved = 0;
        let mut least = usize::MAX;
        while moved < excess
            && let Some(length) = lengths.pop()
        {
            moved += length;
            least = length;
        }
        let is_long = |property: &&Property| property.length() >= least && !mark::is_mark(property);
        let [mut rest, mut long] =
            [self, self].map(|packet| Self { descriptions: Vec::new(), ..packet.clone() });
        for Description { bindings, properties } in &self.descriptions {
            let part = |properties: Vec<&Property>| {
                let properties = properties.into_iter().cloned().collect();
                Description { bindings: bindings.clone(), properties }
            };
            let (of_long, of_rest) = properties.iter().partition::<Vec<_>, _>(is_long);
            rest.descriptions.push(part(of_rest));
            long.descriptions.push(part(of_long));
        }
        (rest, long)
    }

    fn with_note(&self, guid: &str) -> Self {
        let mut packet = self.clone();
        packet.descriptions.push(Description {
            bindings: vec![("xmpNote".to_owned(), NOTE.to_owned())],
            properties: vec![Property::simple(NOTE, "xmpNote", "HasExtendedXMP", guid)],
        });
        packet
    }
}

/// Bytes of the property that names the extension, and some more.
const NOTE_LENGTH: usize = 256;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
