//! Text with fields: `Bearer {{secret.key}}`, `{{image.data_url}}`. The allowed fields depend on the position in the
//! request. An unknown field is an error that suggests the nearest one.

use std::collections::BTreeMap;
use std::fmt;

use crate::config::Secret;
use crate::config::kinds::kind;
use crate::config::place::Place;
use crate::config::problem::nearest;

/// A value that the gateway fills in for each call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateField {
    /// The image file in base64 (RFC 4648, with padding).
    ImageBase64,
    /// The image file as a `data:` URL (RFC 2397).
    ImageDataUrl,
    /// The image's media type, such as `image/jpeg`.
    ImageMediaType,
    /// In pixels.
    ImageWidth,
    /// In pixels.
    ImageHeight,
    /// The size of the image file, in bytes.
    ImageBytes,
    /// `model` of the provider's file.
    Model,
    /// `version` of the provider's file.
    Version,
    /// How long the host may work, in whole seconds.
    Timeout,
    /// A secret, by its name in `secrets`.
    Secret(String),
}

/// The part of the request that a template is for. Each part also allows the fields of the parts listed before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TemplatePosition {
    /// The path of an address, which is the same for every call.
    Path,
    /// A single line: a header or a query parameter.
    Line,
    Body,
}

/// All fields except secrets, each with the first position that allows it.
const FIELDS: [(&str, TemplateField, TemplatePosition); 9] = [
    ("image.base64", TemplateField::ImageBase64, TemplatePosition::Body),
    ("image.data_url", TemplateField::ImageDataUrl, TemplatePosition::Body),
    ("image.media_type", TemplateField::ImageMediaType, TemplatePosition::Line),
    ("image.width", TemplateField::ImageWidth, TemplatePosition::Line),
    ("image.height", TemplateField::ImageHeight, TemplatePosition::Line),
    ("image.bytes", TemplateField::ImageBytes, TemplatePosition::Line),
    ("model", TemplateField::Model, TemplatePosition::Path),
    ("version", TemplateField::Version, TemplatePosition::Path),
    ("timeout", TemplateField::Timeout, TemplatePosition::Line),
];

impl TemplatePosition {
    fn has(self, from: Self) -> bool {
        from as u8 <= self as u8
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Literal text.
    Text(String),
    Field(TemplateField),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    source: String,
    pieces: Vec<Piece>,
}

impl Template {
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Parses a template; an error says what is wrong with it. [`Template::check`] checks the names of its secrets.
    pub(super) fn parse(source: &str, position: TemplatePosition) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = source;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, behind) = after.split_once("}}").ok_or("has a `{{` without its `}}`")?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::Field(field(name.trim(), position)?));
            rest = behind;
        }
        if !rest.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self { source: source.to_owned(), pieces })
    }

    /// Notes every secret of the template at `tail` that is not defined.
    pub(super) fn check(&self, place: &Place<'_>, tail: &[&str], secrets: &BTreeMap<String, Secret>) {
        let unknown = |piece: &'_ Piece| match piece {
            Piece::Field(TemplateField::Secret(name)) if !secrets.contains_key(name) => Some(name.clone()),
            _ => None,
        };
        for name in self.pieces.iter().filter_map(unknown) {
            let secrets: Vec<String> = secrets.keys().map(|name| format!("secret.{name}")).collect();
            let hint = hint(&format!("secret.{name}"), secrets.iter().map(String::as_str));
            place.wrong(tail, format!("has an unknown field `{{{{secret.{name}}}}}`: {hint}"));
        }
    }
}

kind!(
    PathTemplate: Template, "path-template", TEMPLATE, "",
    |text| Template::parse(text, TemplatePosition::Path)
);
kind!(
    LineTemplate: Template, "line-template" string number boolean, TEMPLATE, "",
    |text| Template::parse(text, TemplatePosition::Line)
);
kind!(
    BodyTemplate: Template, "body-template" string number boolean, TEMPLATE, "",
    |text| Template::parse(text, TemplatePosition::Body)
);

/// What a template must be, for error messages.
const TEMPLATE: &str = "text, in which {{fields}} are filled in";

/// The path of a host's root.
pub(super) fn root() -> Template {
    Template { source: "/".to_owned(), pieces: vec![Piece::Text("/".to_owned())] }
}

fn field(name: &str, position: TemplatePosition) -> Result<TemplateField, String> {
    if let Some(secret) = name.strip_prefix("secret.") {
        return match position.has(TemplatePosition::Line) {
            true => Ok(TemplateField::Secret(secret.to_owned())),
            false => Err(misplaced(name, TemplatePosition::Line)),
        };
    }
    if let Some((_, field, from)) = FIELDS.iter().find(|(known, ..)| *known == name) {
        return if position.has(*from) { Ok(field.clone()) } else { Err(misplaced(name, *from)) };
    }
    let known = FIELDS.iter().filter(|(.., from)| position.has(*from)).map(|(name, ..)| *name);
    let secret = Some("secret.NAME").filter(|_| position.has(TemplatePosition::Line));
    Err(format!("has an unknown field `{{{{{name}}}}}`: {}", hint(name, known.chain(secret))))
}

fn hint<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    let known: Vec<&str> = known.collect();
    match nearest(name, known.iter().copied()) {
        Some(meant) => format!("did you mean `{{{{{meant}}}}}`?"),
        None if known.is_empty() => "no secret is defined".to_owned(),
        None => format!("the fields here are {}", known.join(", ")),
    }
}

fn misplaced(name: &str, from: TemplatePosition) -> String {
    let place = if from == TemplatePosition::Body { "a body" } else { "headers, the query and a body" };
    format!("contains `{{{{{name}}}}}`, which is allowed only in {place}")
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(source: &str, position: TemplatePosition) -> Result<Template, String> {
        Template::parse(source, position)
    }

    #[test]
    fn templates_are_split_into_text_and_fields() {
        let text = |text: &str| Piece::Text(text.to_owned());
        let key = || Piece::Field(TemplateField::Secret("key".to_owned()));
        for (source, pieces) in [
            ("", vec![text("")]),
            ("a", vec![text("a")]),
            ("Bearer {{ secret.key }}", vec![text("Bearer "), key()]),
            ("{{secret.key}}{{model}}.", vec![key(), Piece::Field(TemplateField::Model), text(".")]),
            ("{a} }}", vec![text("{a} }}")]),
        ] {
            let template = parse(source, TemplatePosition::Line).unwrap();
            assert_eq!((template.pieces(), template.to_string().as_str()), (pieces.as_slice(), source));
        }
    }

    #[test]
    fn an_unknown_field_is_an_error_with_a_hint() {
        for (source, position, said) in [
            (
                "{{image.base46}}",
                TemplatePosition::Body,
                "unknown field `{{image.base46}}`: did you mean `{{image.base64}}`?",
            ),
            ("{{image.widht}}", TemplatePosition::Line, "did you mean `{{image.width}}`?"),
            ("{{photo}}", TemplatePosition::Path, "the fields here are model, version"),
            ("{{", TemplatePosition::Line, "has a `{{` without its `}}`"),
            (
                "{{image.base64}}",
                TemplatePosition::Line,
                "`{{image.base64}}`, which is allowed only in a body",
            ),
            ("{{image.data_url}}", TemplatePosition::Path, "which is allowed only in a body"),
            (
                "{{secret.key}}",
                TemplatePosition::Path,
                "which is allowed only in headers, the query and a body",
            ),
            ("{{timeout}}", TemplatePosition::Path, "which is allowed only in headers, the query and a body"),
        ] {
            let error = parse(source, position).unwrap_err();
            assert!(error.contains(said), "{source}: {error}");
        }
    }
}
