//! Reads the configuration from files and the environment, validates it once, and returns an immutable value.
//!
//! Layers, lowest priority first: the built-in files; the files of a folder (`pixcolor.toml`, and
//! `providers/NAME.toml` for one provider each); environment variables (`PIXCOLOR_A__B` is the key `a.b`). One run
//! reports all problems, each with file and line. Loading has no side effects, so it can be repeated at any time.
//!
//! Each concern has its own struct and file. `source` finds the files and `env` the variables, `layer` knows the
//! lines of keys, `reader` merges the layers, `table` and `values` read them; `server` prepares Rocket's own
//! settings.

mod address;
mod admin;
mod algorithmia;
mod assets;
mod budgets;
mod cache;
mod clients;
mod env;
mod exec;
mod facades;
mod http;
mod keys;
mod layer;
mod limits;
mod log;
mod metrics;
mod on_color;
mod on_damage;
mod on_disconnect;
mod onnx;
mod output;
mod places;
mod price;
mod problem;
mod provider;
mod quota;
mod reader;
mod reference;
mod remote;
mod report;
mod secret;
mod server;
mod shared;
mod shown;
mod source;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod values;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;

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
use layer::Layer;
use problem::nearest;
use reader::Reader;
use reference::Words;
use table::Table;

const WORDS: Words = &[
    ("route", "The providers to try, in order. The first one that succeeds colours the photo."),
    ("state_dir", "The state folder, with the credit ledger and the API keys."),
    ("limits", "Limits on single requests and on all requests together."),
    ("quota", "Limits for each client."),
    ("output", "Encoding of results."),
    ("cache", "The cache of results. A repeated upload costs nothing."),
    ("admin", "Access to the admin routes."),
    ("metrics", "Access to the metrics."),
    ("log", "Client addresses in the log."),
    ("facades", "Other services' protocols, for their clients."),
    ("assets", "Files of the page on disk, in place of the embedded ones."),
    ("shared", "State that several gateways share."),
    (
        "providers",
        "A provider. The file `providers/NAME.toml` contains this table without the prefix: `timeout`, and `failures` under `[breaker]`.",
    ),
    ("budgets", "A cap on credit. Any number of budgets, each with its own name."),
    ("keys", "Limits and budgets of one API key, by the name from `pixcolor key new`."),
];

/// The whole configuration, validated and immutable.
#[derive(Clone, Debug)]
pub struct Config {
    /// The providers to try, in order. Never empty; each is in `providers`.
    pub route: Vec<String>,
    /// What to do with an upload that already has colour.
    pub on_color: OnColor,
    /// What to do with a damaged upload.
    pub on_damage: OnDamage,
    pub providers: BTreeMap<String, ProviderConfig>,
    pub limits: LimitsConfig,
    pub output: OutputConfig,
    pub cache: CacheConfig,
    pub clients: ClientsConfig,
    /// Rate limits and shares of one client.
    pub quota: QuotaConfig,
    pub admin: AdminConfig,
    pub metrics: MetricsConfig,
    pub log: LogConfig,
    /// The state folder; it may not exist yet.
    pub state_dir: PathBuf,
    pub assets: AssetsConfig,
    /// The Redis that replicas share.
    pub shared: SharedConfig,
    pub facades: FacadesConfig,
    /// Caps on credit, ordered by name.
    pub budgets: Budgets,
    /// Settings of single API keys.
    pub keys: KeysConfig,
}

/// Reads, merges and validates a configuration. Blocks on files, so async threads must not call it.
pub fn load(source: &ConfigSource) -> Result<Loaded, ConfigError> {
    let source::ConfigFiles { dir, mut layers } = source::read_files(source)?;
    let read = layers.iter().filter_map(Layer::on_disk).map(PathBuf::from).collect();
    let (_, files) = reader::merge(&layers);
    let env::Env { layers: variables, ignored } = env::env_layers(source, &files);
    layers.extend(variables);

    let reader = Reader::new(source, layers, ignored);
    let (config, notes) = reader.read(|table| Config::read(source, table));
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

/// The settings of Rocket and of the configuration that a file or a variable changes from their defaults, one line
/// each with the file or variable.
pub fn report_of_changes(source: &ConfigSource, loaded: &Loaded) -> Result<String, ConfigError> {
    let defaults = load(&ConfigSource::default())?.values();
    let mut report = server::server_report_of_changes(source)? + &loaded.report_of_changes(&defaults);
    if report.lines().all(|line| line.starts_with('#')) {
        report.push_str("# Every setting has its default.\n");
    }
    Ok(report)
}

impl Config {
    fn read(source: &ConfigSource, table: &mut Table<'_>) -> Self {
        table.describe(WORDS);
        let provider = ("the name of a provider", "local");
        let route = table.list("route", vec!["local".to_owned()], provider, |name| Some(name.to_owned()));
        let on_color = OnColor::read(table);
        let on_damage = OnDamage::read(table);
        let clients = ClientsConfig::read(table);
        let (state_dir, temporary) = source.state_dir();
        if temporary && !table.has("state_dir") {
            let folder = state_dir.display();
            table.warning(format!("HOME is not set, so that `state_dir` is the temporary folder {folder}"));
        }
        let state_dir = table.path("state_dir", Some(state_dir)).unwrap_or_default();
        let limits = table.table("limits", LimitsConfig::read);
        let mut quota = table.table("quota", |table| QuotaConfig::read(table, &limits));
        let output = table.table("output", OutputConfig::read);
        let cache = table.table("cache", |table| CacheConfig::read(source, table));
        let admin = table.table("admin", AdminConfig::read);
        let metrics = table.table("metrics", MetricsConfig::read);
        let log = table.table("log", LogConfig::read);
        let assets = table.table("assets", AssetsConfig::read);
        let shared = table.table("shared", SharedConfig::read);

        let (mut names, mut providers) = (Vec::new(), BTreeMap::new());
        table.named("providers", |name, table| {
            names.push(name.to_owned());
            providers.extend(ProviderConfig::read(name, table).map(|provider| (name.to_owned(), provider)));
        });
        check_route(table, &route, &names);
        let routed = route.iter().filter_map(|name| providers.get(name));
        for (provider, missing) in routed.filter_map(|it: &ProviderConfig| Some((it, it.kind.missing()?))) {
            let name = &provider.name;
            table.warning(format!("provider `{name}` is on the route and will be passed over: {missing}"));
        }
        for (name, provider) in &providers {
            if provider.common.timeout > limits.request {
                table.warning(format!(
                    "`providers.{name}.timeout` is longer than `limits.request_seconds`, which ends a call first"
                ));
            }
        }
        let facades = table.table("facades", |table| FacadesConfig::read(table, &names));
        let budgets = budgets::read(table, &names, &providers);
        let keys = KeysConfig::read(table, &mut quota, &limits, &budgets, &providers);
        Self {
            route,
            on_color,
            on_damage,
            providers,
            limits,
            output,
            cache,
            clients,
            quota,
            admin,
            metrics,
            log,
            state_dir,
            assets,
            shared,
            facades,
            budgets,
            keys,
        }
    }
}

impl Config {
    /// The monetary worth of one credit of a provider, if it is configured.
    pub fn worth(&self, provider: &str) -> Option<Worth> {
        self.providers.get(provider)?.price.worth
    }
}

fn check_route(table: &Table<'_>, route: &[String], providers: &[String]) {
    if route.is_empty() {
        table.problem(&["route"], "`route` is empty: name at least one provider, such as [\"local\"]");
    }
    // A value that is not a table is already reported as a problem.
    let Some(written) = table.reader.root.get(source::PROVIDERS).and_then(|all| all.as_dict()) else {
        return;
    };
    for (index, name) in route.iter().enumerate() {
        let place = index.to_string();
        if route.iter().take(index).any(|earlier| earlier == name) {
            table.problem(&["route", &place], format!("`route` names provider `{name}` twice"));
        }
        if !written.contains_key(name) {
            let known = providers.iter().map(String::as_str);
            let hint = nearest(name, known).map_or_else(
                || format!("the providers are {}", providers.join(", ")),
                |meant| format!("did you mean `{meant}`?"),
            );
            table.problem(
                &["route", &place],
                format!("`route` names provider `{name}`, which is not there: {hint}"),
            );
        }
    }
}
