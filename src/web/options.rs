//! The parameters of a request that choose its provider and its rendition: in the query, in a form or in JSON.

use rocket::FromForm;
use rocket::http::Accept;

use super::problem::Problem;
use super::request::{explicit_format, parse_format, single};
use super::upload::UploadFields;
use crate::config::Config;
use crate::gateway::RenditionOptions;
use crate::photo::{DecodeOptions, MetadataPolicy, UnknownOption};

/// The names of the parameters.
pub const NAMES: [&str; 6] = ["provider", "format", "metadata", "depth", "rotate", "page"];

/// The parameters in a query. A list each, because a repeated parameter is an error.
#[derive(Debug, FromForm)]
pub struct OptionQuery {
    provider: Vec<String>,
    format: Vec<String>,
    metadata: Vec<String>,
    depth: Vec<String>,
    rotate: Vec<String>,
    page: Vec<String>,
}

impl OptionQuery {
    /// The parameters, with those of the body for parameters that the query does not have.
    pub fn or(self, fields: UploadFields) -> Result<UploadFields, Problem> {
        let Self { provider, format, metadata, depth, rotate, page } = self;
        Ok(UploadFields {
            provider: single("provider", provider)?.or(fields.provider),
            format: single("format", format)?.or(fields.format),
            metadata: single("metadata", metadata)?.or(fields.metadata),
            depth: single("depth", depth)?.or(fields.depth),
            rotate: single("rotate", rotate)?.or(fields.rotate),
            page: single("page", page)?.or(fields.page),
            file_name: fields.file_name,
        })
    }
}

/// The options of a request that names none.
pub fn default_options(config: &Config) -> RenditionOptions {
    RenditionOptions {
        metadata: config.metadata.unwrap_or(MetadataPolicy::Strip),
        ..RenditionOptions::default()
    }
}

impl UploadFields {
    /// Parses the options. Without a named format, the format is that of `Accept`, if it names one.
    pub fn options(&self, config: &Config, accept: Option<&Accept>) -> Result<RenditionOptions, Problem> {
        let defaults = default_options(config);
        let format = match &self.format {
            Some(name) => Some(parse_format(name)?),
            None => accept.and_then(explicit_format),
        };
        Ok(RenditionOptions {
            format,
            metadata: parse("metadata", self.metadata.as_deref())?.unwrap_or(defaults.metadata),
            depth: parse("depth", self.depth.as_deref())?.unwrap_or(defaults.depth),
            decode: DecodeOptions {
                page: self.page.as_deref().map(page).transpose()?.unwrap_or(defaults.decode.page),
                rotation: parse("rotate", self.rotate.as_deref())?.unwrap_or(defaults.decode.rotation),
            },
        })
    }
}

fn parse<T: std::str::FromStr<Err = UnknownOption>>(
    name: &'static str,
    value: Option<&str>,
) -> Result<Option<T>, Problem> {
    let wrong = |error| Problem::bad_request(format!("Unknown value of `{name}`: {error}.")).about(name);
    value.map(str::parse).transpose().map_err(wrong)
}

fn page(number: &str) -> Result<u32, Problem> {
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    // No file has as many pages as the largest number.
    let page = if digits { number.parse().unwrap_or(u32::MAX) } else { 0 };
    match page {
        0 => Err(Problem::bad_request("`page` must be a whole number from 1 on.").about("page")),
        page => Ok(page),
    }
}
