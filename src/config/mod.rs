//! Reads the configuration from files and the environment, validates it once, and returns an immutable value.
//!
//! Layers, lowest priority first: the built-in files; the files of a folder (`pixcolor.toml`, and
//! `providers/NAME.toml` for one provider each); environment variables (`PIXCOLOR_A__B` is the key `a.b`). If
//! every file is valid TOML, one run reports all problems, each with file and line. Loading has no side effects, so it
//! can be repeated at any time.
//!
//! Each section has its own struct and file; the struct is the only place that defines its keys. `source` finds the
//! files and `env` the variables, `layer` knows the lines of keys, `defaults` adds the layers below the
//! files, and `reader` merges the layers. `schema` derives a schema from the structs, `kinds` and `values` say how
//! single values are written, and `check` checks the merged layers against the schema, so that serde converts them
//! without an error. The structs' own functions check what a schema cannot express; a [`Place`] adds the file
//! and the line to their messages. `server` prepares Rocket's own settings, whose keys are in `server_keys`.

mod address;
mod admin;
mod algorithmia;
mod assets;
mod budgets;
mod cache;
mod check;
mod clients;
mod defaults;
mod env;
mod exec;
mod facades;
mod http;
mod keys;
mod kinds;
mod layer;
mod limits;
mod log;
mod metadata;
mod metrics;
mod on_color;
mod on_damage;
mod on_disconnect;
mod onnx;
mod output;
mod place;
mod places;
mod price;
mod problem;
mod provider;
mod quota;
mod reader;
mod reference;
mod remote;
mod report;
mod schema;
mod secret;
mod server;
mod server_keys;
mod shared;
mod shown;
mod source;
mod store;
#[cfg(test)]
mod tests;
mod values;
mod watch;

use std::collections::BTreeMap;
use std::mem;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use smart_default::SmartDefault;

pub use admin::AdminConfig;
pub use algorithmia::{Algorithm, AlgorithmiaConfig};
pub use assets::AssetsConfig;
pub use cache::{CacheConfig, CacheSharing};
pub use clients::{ClientsConfig, ForwardedHeader};
pub use exec::{ExecConfig, Variable, Word};
pub use facades::{AlgorithmiaFacade, FacadesConfig, InputHost, Serves};
pub use http::{
    AcceptsConfig, BalanceConfig, BodyConfig, Equals, FormField, HostPattern, HttpConfig, JsonTemplate,
    Piece, PollConfig, ReplyConfig, ReplyOutput, RequestConfig, RequestPart, Template, TemplateField,
};
pub use keys::KeysConfig;
pub use limits::LimitsConfig;
pub use log::LogConfig;
pub use metrics::MetricsConfig;
pub use on_color::OnColor;
pub use on_damage::OnDamage;
pub use on_disconnect::OnDisconnect;
pub use onnx::OnnxConfig;
pub use output::OutputConfig;
pub use problem::{ConfigError, ConfigProblem, ValueOrigin};
pub use provider::{Common, KindConfig, ProviderConfig};
pub use quota::{QuotaConfig, RequestAmounts};
pub use reference::reference;
pub use remote::{BreakerConfig, RemoteConfig};
pub use report::{Loaded, ReportedValues, changed};
pub use secret::Secret;
pub use server::{StopTimes, server_figment, server_file, server_report, server_values, stop_times};
pub use shared::{SharedConfig, WhenDown};
pub use source::ConfigSource;
pub use store::{StoreConfig, StoreCredentials};
pub use watch::Watch;

use crate::credit::{Budgets, Worth};
use crate::photo::MetadataPolicy;
use budgets::BudgetConfig;
use keys::KeyConfig;
use kinds::{List, Optional, kind};
use layer::Layer;
use metadata::MetadataWord;
use place::Place;
use provider::{ProviderTable, provider_hint};
use quota::QuotaTable;
use reader::Reader;

/// All keys of the configuration.
// Validated and immutable. Private fields contain the tables as they are written; `complete` turns them into the fields
// with `#[serde(skip)]`.
#[derive(Clone, Debug, Deserialize, JsonSchema, SmartDefault)]
#[serde(default)]
pub struct Config {
    /// The providers to try, in order. The first one that succeeds colours the photo.
    // Never empty; each name is in `providers`.
    #[schemars(with = "List::<ProviderName>", length(min = 1))]
    #[schemars(extend("x-empty" = "name at least one provider, such as [\"local\"]"))]
    #[default(vec!["local".to_owned()])]
    pub route: Vec<String>,
    /// How to treat a photo that is already in colour: "pass" returns its own picture at no cost, "refuse" rejects it
    /// with 422, "recolour" colours it again and pays for it.
    #[serde(rename = "on_colour")]
    pub on_color: OnColor,
    /// How to treat a damaged file that can be decoded in part: "accept" colours that part and adds a warning to the
    /// response, "refuse" rejects it with 422.
    pub on_damage: OnDamage,
    /// Which metadata of a photo (EXIF, IPTC, XMP, resolution) its result contains: "keep" all of it,
    /// "keep-without-location" all without coordinates and names of places, "strip" nothing. A request may choose another
    /// value. Default: "keep" on the command line, "strip" over HTTP.
    #[serde(with = "Optional::<MetadataWord>")]
    pub metadata: Option<MetadataPolicy>,
    #[serde(flatten)]
    pub clients: ClientsConfig,
    /// The state folder, with the credit ledger and the API keys.
    // It may not exist yet.
    #[schemars(extend("format" = "path", "default" = null))]
    pub state_dir: PathBuf,
    pub limits: LimitsConfig,
    #[serde(rename = "quota")]
    quota_table: QuotaTable,
    /// Rate limits and shares of one client.
    #[serde(skip)]
    pub quota: QuotaConfig,
    pub output: OutputConfig,
    pub cache: CacheConfig,
    pub admin: AdminConfig,
    pub metrics: MetricsConfig,
    pub log: LogConfig,
    pub assets: AssetsConfig,
    pub shared: SharedConfig,
    #[serde(rename = "providers")]
    #[schemars(extend("default" = {}))]
    provider_tables: BTreeMap<String, ProviderTable>,
    #[serde(skip)]
    pub providers: BTreeMap<String, ProviderConfig>,
    pub facades: FacadesConfig,
    #[serde(rename = "budgets")]
    #[schemars(extend("default" = {}))]
    budget_tables: BTreeMap<String, BudgetConfig>,
    /// Caps on credit, ordered by name.
    #[serde(skip)]
    pub budgets: Budgets,
    #[serde(rename = "keys")]
    #[schemars(extend("default" = {}))]
    key_tables: BTreeMap<String, KeyConfig>,
    /// Settings of single API keys.
    #[serde(skip)]
    pub keys: KeysConfig,
}

kind!(ProviderName: String, "provider-name", "the name of a provider", "local", |text| Some(text.to_owned()));

/// Reads, merges and validates a configuration. Blocks on files, so async threads must not call it.
pub fn load(source: &ConfigSource) -> Result<Loaded, ConfigError> {
    let source::ConfigFiles { dir, mut layers } = source::read_files(source)?;
    let read = layers.iter().filter_map(Layer::on_disk).map(PathBuf::from).collect();
    let (_, files) = reader::merge(&layers);
    let env::Env { layers: variables, ignored } = env::env_layers(source, &files);
    layers.extend(variables);

    let reader = Reader::new(source, layers, ignored);
    let (config, notes) = reader.read();
    ConfigError::check(notes.problems)?;
    let on_route = |path: &[String]| match path {
        [all, name, ..] => all == source::PROVIDERS && config.route.contains(name),
        _ => false,
    };
    let unset = notes.unset.into_iter().filter(|(path, _)| on_route(path)).map(|(_, mut problem)| {
        problem.message += "; set it, or take this provider off the route";
        problem
    });
    let unset = unset.collect();
    let warnings = notes.warnings;
    Ok(Loaded { config, warnings, unset, dir, read, files: notes.files, entries: notes.entries })
}

/// A file that has a JSON Schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum SchemaFile {
    /// `pixcolor.toml`
    Pixcolor,
    /// `providers/NAME.toml`
    Provider,
}

/// The JSON Schema (draft 7) of a file.
pub fn schema(file: SchemaFile) -> String {
    match file {
        SchemaFile::Pixcolor => schema::published::<Config>("pixcolor.toml"),
        SchemaFile::Provider => schema::published::<ProviderTable>("providers/NAME.toml"),
    }
}

/// Lists the settings of Rocket and of the configuration whose values differ from their defaults, one per line, each
/// with the file or variable that sets it.
pub fn report_of_changes(source: &ConfigSource, loaded: &Loaded) -> Result<String, ConfigError> {
    let defaults = load(&ConfigSource::default())?.values();
    let mut report = server::server_report_of_changes(source)? + &loaded.report_of_changes(&defaults);
    if report.lines().all(|line| line.starts_with('#')) {
        report.push_str("# Every setting has its default.\n");
    }
    Ok(report)
}

impl Config {
    /// Checks the tables against each other, and completes them.
    fn complete(&mut self, place: &Place<'_>) {
        let (temporary, origin) = (place.reader.source.state_dir().1, place.origin(&["state_dir"]));
        if temporary && origin == ValueOrigin::Default {
            let folder = self.state_dir.display();
            place.warning(format!("HOME is not set, so that `state_dir` is the temporary folder {folder}"));
        }
        self.limits.check(&place.at(&["limits"]));
        let table = mem::take(&mut self.quota_table);
        self.quota = QuotaConfig::checked(table, &place.at(&["quota"]), &self.limits);
        self.cache.complete(&place.at(&["cache"]));
        let warnings =
            [self.clients.warning(), self.admin.warning(), self.metrics.warning(), self.shared.warning()];
        warnings.into_iter().flatten().for_each(|warning| place.warning(warning));

        let (names, all) = (place.names(&[source::PROVIDERS]), place.at(&[source::PROVIDERS]));
        for (name, table) in mem::take(&mut self.provider_tables) {
            let provider = ProviderConfig::checked(&name, table, &all.at(&[&name]));
            self.providers.insert(name, provider);
        }
        check_route(place, &names);
        self.warn_of_providers(place);
        self.facades.algorithmia.check(&place.at(&["facades", "algorithmia"]), &names);
        let tables = mem::take(&mut self.budget_tables);
        self.budgets = budgets::checked(tables, &place.at(&["budgets"]), &names, &self.providers);
        let (tables, place) = (mem::take(&mut self.key_tables), place.at(&["keys"]));
        let Self { quota, limits, budgets, providers, .. } = self;
        self.keys = KeysConfig::checked(tables, &place, quota, limits, budgets, providers);
    }

    /// Warns of providers that are not ready, and of time-outs that have no effect.
    fn warn_of_providers(&self, place: &Place<'_>) {
        let routed = self.route.iter().filter_map(|name| self.providers.get(name));
        for (provider, missing) in routed.filter_map(|it| Some((it, it.kind.missing()?))) {
            let name = &provider.name;
            place.warning(format!("provider `{name}` is on the route and will be passed over: {missing}"));
        }
        for (name, provider) in &self.providers {
            if provider.common.timeout > self.limits.request {
                place.warning(format!(
                    "`providers.{name}.timeout` is longer than `limits.request_seconds`, which ends a call first"
                ));
            }
        }
    }

    /// The monetary worth of one credit of a provider, if it is configured.
    pub fn worth(&self, provider: &str) -> Option<Worth> {
        self.providers.get(provider)?.price.worth
    }
}

/// Checks the route as it is written, so that an invalid item does not hide problems with others.
fn check_route(place: &Place<'_>, providers: &[String]) {
    // Built-in providers always exist. If there is none, the table of providers is invalid, which is reported already.
    if providers.is_empty() {
        return;
    }
    let route = place.texts("route");
    for (index, name) in &route {
        let path = ["route", &index.to_string()];
        if route.iter().any(|(earlier, other)| earlier < index && other == name) {
            place.problem(&path, format!("`route` names provider `{name}` twice"));
        }
        if providers.iter().all(|known| known != name) {
            let hint = provider_hint(name, providers, "");
            place.problem(&path, format!("`route` names provider `{name}`, which does not exist: {hint}"));
        }
    }
}
