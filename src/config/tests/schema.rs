//! Checks the published schemas with an independent validator of JSON Schema.

use std::path::Path;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value as Json;

use super::Setup;
use super::shipped::{MAIN, shipped, uncommented};
use crate::config::layer::Layer;
use crate::config::{SchemaFile, load, schema};

struct Validator {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Validator {
    fn new(file: SchemaFile) -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource("schema.json", serde_json::from_str(&schema(file)).unwrap()).unwrap();
        let index = compiler.compile("schema.json", &mut schemas).unwrap();
        Self { schemas, index }
    }

    fn check(&self, toml: &str) -> Result<(), String> {
        self.schemas.validate(&json(toml), self.index).map_err(|error| format!("{error:#}"))
    }
}

fn json(toml: &str) -> Json {
    let layer = Layer::file(Path::new("x.toml"), false, toml.to_owned(), &[]);
    serde_json::to_value(layer.map_err(|problem| problem.to_string()).unwrap().data).unwrap()
}

#[track_caller]
fn accepted(validator: &Validator, toml: &str) {
    if let Err(error) = validator.check(toml) {
        panic!("{error}\n{toml}");
    }
}

/// The files that are committed with the shipped configuration, where its `#:schema` lines name them.
#[test]
fn the_committed_schemas_are_up_to_date() {
    for (file, name) in [(SchemaFile::Pixcolor, "pixcolor"), (SchemaFile::Provider, "provider")] {
        let committed = shipped(&format!("config/{name}.schema.json"));
        assert!(
            committed == schema(file),
            "write it anew with `pixcolor check --schema {name} > config/{name}.schema.json`"
        );
    }
}

#[test]
fn shipped_files_and_documented_examples_fit_their_schema() {
    let (main, provider) = (Validator::new(SchemaFile::Pixcolor), Validator::new(SchemaFile::Provider));
    assert!(MAIN.starts_with("#:schema pixcolor.schema.json\n"));
    accepted(&main, MAIN);
    accepted(&main, &uncommented(MAIN));
    accepted(&main, include_str!("../reference/everything.toml"));
    accepted(&main, "quota.limits.requests.of = \"requests\"");
    accepted(&main, "keys.bob.limits.key-pictures = { of = \"pictures\", burst = 7 }");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/providers");
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(text.starts_with("#:schema ../provider.schema.json\n"), "{text}");
        accepted(&provider, &text);
        accepted(&provider, &uncommented(&text));
    }
    accepted(&provider, &uncommented(super::http::every_key()));
}

#[test]
fn the_schema_and_the_program_refuse_the_same_mistakes() {
    let (main, provider) = (Validator::new(SchemaFile::Pixcolor), Validator::new(SchemaFile::Provider));
    for text in [
        "rout = []",
        "route = \"local\"",
        "route = []",
        "route = [7]",
        "on_colour = \"recolor\"",
        "ipv6_prefix = 129",
        "anonymous = \"yes\"",
        "state_dir = 5",
        "limits = 5",
        "limits.pixel = 5",
        "limits.side = 0",
        "limits.side = 1.5",
        "limits.upload_bytes = \"20 pounds\"",
        "limits.upload_bytes = 0",
        "limits.request_seconds = 0",
        "output.jpeg_quality = 101",
        "output.mark = 1",
        "cache.s3.credentials = \"rule\"",
        "cache.s3.bucket = \"b\"",
        "admin.token = \"hunter2\"",
        "admin.token = { env = \"A\", file = \"b\" }",
        "quota.limits.pictures = { of = \"pictures\", rate = 0 }",
        "budgets.a.window = \"day\"",
        "budgets.a = { credits = \"1\" }",
        "keys.bob.limits.key-requests = { of = \"requests\", rate = 1, by = \"all\" }",
        "facades.algorithmia.hosts = [5]",
        "providers.x = 5",
        "providers.x.kind = \"onxn\"",
    ] {
        assert!(main.check(text).is_err(), "{text}");
        assert!(load(&Setup::new().main(text).source).is_err(), "{text}");
    }
    for text in [
        "threads = 1",
        "kind = \"onnx\"\nthread = 1",
        "kind = \"onnx\"\nretries = 1",
        "kind = \"exec\"\ncommand = [\"a\"]\nenv.A = 5",
        "kind = \"algorithmia\"\nbreaker.failures = 33",
        "kind = \"http\"\nprice.terms = []",
        "kind = \"http\"\nmodel = \"m\"\nprice.terms = []\nrequest.body = \"raw\"\nreply.output = \"json_url\"",
        "kind = \"http\"\nmodel = \"m\"\nprice.terms = []\nrequest.body = \"json\"\nreply.output = \"raw\"",
        "kind = \"onnx\"\nprice.terms = [{ per = \"call\", rate = 1, round = \"up\" }]",
        "kind = \"onnx\"\nprice.terms = [{ per = \"week\", rate = 1 }]",
    ] {
        assert!(provider.check(text).is_err(), "{text}");
        let setup = Setup::new().main("").file("config/providers/x.toml", text);
        assert!(load(&setup.source).is_err(), "{text}");
    }
}
