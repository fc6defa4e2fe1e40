//! Maps IPTC-IIM to XMP, for formats that have no place for IPTC-IIM (IPTC Photo Metadata Standard, "IIM mapping").

use super::names::{DC, IPTC_CORE, PHOTOSHOP};
use super::{Description, Packet, Property, escaped};
use crate::photo::metadata::iptc::Iptc;

/// How the values of a data set become a property.
#[derive(Clone, Copy)]
enum Form {
    /// The first value.
    Text,
    /// The first value, as text in the default language.
    Language,
    /// All values, in no order.
    Bag,
    /// All values, in their order.
    Sequence,
}

/// Data sets of the application record, and their properties.
const MAPPING: [(u8, &str, &str, Form); 21] = [
    (5, DC, "title", Form::Language),
    (120, DC, "description", Form::Language),
    (116, DC, "rights", Form::Language),
    (25, DC, "subject", Form::Bag),
    (80, DC, "creator", Form::Sequence),
    (10, PHOTOSHOP, "Urgency", Form::Text),
    (15, PHOTOSHOP, "Category", Form::Text),
    (20, PHOTOSHOP, "SupplementalCategories", Form::Bag),
    (40, PHOTOSHOP, "Instructions", Form::Text),
    (85, PHOTOSHOP, "AuthorsPosition", Form::Text),
    (90, PHOTOSHOP, "City", Form::Text),
    (95, PHOTOSHOP, "State", Form::Text),
    (101, PHOTOSHOP, "Country", Form::Text),
    (103, PHOTOSHOP, "TransmissionReference", Form::Text),
    (105, PHOTOSHOP, "Headline", Form::Text),
    (110, PHOTOSHOP, "Credit", Form::Text),
    (115, PHOTOSHOP, "Source", Form::Text),
    (122, PHOTOSHOP, "CaptionWriter", Form::Text),
    (92, IPTC_CORE, "Location", Form::Text),
    (100, IPTC_CORE, "CountryCode", Form::Text),
    (4, IPTC_CORE, "IntellectualGenre", Form::Text),
];

const DATE_CREATED: u8 = 55;
const TIME_CREATED: u8 = 60;

impl Packet {
    /// Adds the properties that the packet does not have.
    pub(in super::super) fn add_iptc(&mut self, iptc: &Iptc) {
        let mapped = MAPPING.iter().filter_map(|&(number, namespace, name, form)| {
            Some(Property::structured(
                namespace,
                prefix(namespace),
                name,
                content(&iptc.texts(number), form)?,
            ))
        });
        let date =
            date_created(iptc).map(|date| Property::simple(PHOTOSHOP, "photoshop", "DateCreated", &date));
        let properties: Vec<Property> =
            mapped.chain(date).filter(|property| !self.has(&property.namespace, &property.name)).collect();
        if !properties.is_empty() {
            let bindings = [DC, PHOTOSHOP, IPTC_CORE];
            let bindings = bindings.map(|namespace| (prefix(namespace).to_owned(), namespace.to_owned()));
            self.descriptions.push(Description { bindings: bindings.to_vec(), properties });
        }
    }
}

fn prefix(namespace: &str) -> &'static str {
    match namespace {
        DC => "dc",
        PHOTOSHOP => "photoshop",
        _ => "Iptc4xmpCore",
    }
}

/// The values as XML; `None` if there are none.
fn content(texts: &[String], form: Form) -> Option<String> {
    let first = escaped(texts.first()?);
    let items = || texts.iter().map(|text| format!("<rdf:li>{}</rdf:li>", escaped(text))).collect::<String>();
    Some(match form {
        Form::Text => first,
        Form::Language => format!("<rdf:Alt><rdf:li xml:lang=\"x-default\">{first}</rdf:li></rdf:Alt>"),
        Form::Bag => format!("<rdf:Bag>{}</rdf:Bag>", items()),
        Form::Sequence => format!("<rdf:Seq>{}</rdf:Seq>", items()),
    })
}

/// Date and time as XMP writes them, from `CCYYMMDD` and `HHMMSS±HHMM`.
fn date_created(iptc: &Iptc) -> Option<String> {
    let digits = |text: &str, at: usize, count: usize| {
        let digits = text.get(at..at + count)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.to_owned())
    };
    let date = iptc.texts(DATE_CREATED).into_iter().next()?;
    let date = [digits(&date, 0, 4)?, digits(&date, 4, 2)?, digits(&date, 6, 2)?].join("-");
    let time = iptc.texts(TIME_CREATED).into_iter().next().and_then(|time| {
        let clock = [digits(&time, 0, 2)?, digits(&time, 2, 2)?, digits(&time, 4, 2)?].join(":");
        let sign = time.get(6..7).filter(|sign| matches!(*sign, "+" | "-"));
        let zone =
            sign.and_then(|sign| Some(format!("{sign}{}:{}", digits(&time, 7, 2)?, digits(&time, 9, 2)?)));
        Some(format!("T{clock}{}", zone.unwrap_or_default()))
    });
    Some(date + &time.unwrap_or_default())
}
