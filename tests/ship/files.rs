//! The files of the project, and YAML as PyYAML reads it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A file or folder of the project.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[track_caller]
pub fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The documents of a YAML file, by PyYAML; a duplicate key is an error.
#[track_caller]
pub fn yaml(name: &str) -> Vec<Value> {
    const READ: &str = r#"
import json, sys, yaml
class Strict(yaml.SafeLoader):
    pass
def mapping(loader, node):
    keys = [loader.construct_object(key) for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise yaml.YAMLError(f"twice: {twice}, {node.start_mark}")
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)
Strict.add_constructor("tag:yaml.org,2002:map", mapping)
json.dump(list(yaml.load_all(open(sys.argv[1]), Strict)), sys.stdout)
"#;
    let output = Command::new("python3").args(["-c", READ]).arg(path(name)).output().expect("python3");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The text at a JSON pointer.
#[track_caller]
pub fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no text at {pointer}: {value:#}"))
}
