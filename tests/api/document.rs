//! `/openapi.json` serves the file in the project, and the server behaves as the file says.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::examples::python;
use crate::harness::{Picture, Server, Setup};

const DOCUMENT: &str = include_str!("../../docs/openapi.json");

#[test]
fn the_server_serves_the_document_and_shows_it_at_docs() {
    let server = Server::start();
    let said = server.get("/openapi.json");
    assert_eq!((said.status, said.header("content-type")), (200, "application/json"));
    assert_eq!(said.text(), DOCUMENT);
    let page = server.get("/docs");
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    // Templates also escape slashes.
    let shown = page.text().replace("&#x2f;", "/");
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    for (path, operations) in document["paths"].as_object().unwrap() {
        assert!(shown.contains(&format!("<code>{path}</code>")), "{path} is not on the page");
        for operation in operations.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(shown.contains(&format!("id=\"{id}\"")), "{id} is not on the page");
        }
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(shown.contains(&format!("id=\"{name}\"")), "{name} is not on the page");
    }
    assert!(!shown.contains("$ref") && !shown.contains("undefined"));
}

/// The document, changed to forbid undescribed members in responses. Clients must ignore unknown members, but the
/// document must describe every member that the server sends.
fn strict() -> Value {
    const TAKEN: [&str; 8] = [
        "Picture",
        "Form",
        "Known",
        "OpenAiEdit",
        "Configuration",
        "AlgorithmiaInput",
        "AlgorithmiaCollection",
        "AlgorithmiaReaders",
    ];
    let mut document: Value = serde_json::from_str(DOCUMENT).unwrap();
    for (name, schema) in document["components"]["schemas"].as_object_mut().unwrap() {
        if !TAKEN.contains(&name.as_str()) {
            close(schema);
        }
    }
    document
}

fn close(schema: &mut Value) {
    let Value::Object(members) = schema else {
        schema.as_array_mut().into_iter().flatten().for_each(close);
        return;
    };
    members.values_mut().for_each(close);
    if members.get("type").is_some_and(|kind| kind == "object") && members.contains_key("properties") {
        members.entry("additionalProperties").or_insert(json!(false));
    }
}

/// Runs all checks of schemathesis with real pictures (`hooks.py`). `schemathesis.toml` lists the exceptions and their
/// reasons.
#[test]
#[ignore = "takes minutes; part of tests/run --all"]
fn schemathesis_finds_nothing() {
    let Some(python) = python("schemathesis-4.32.5") else { return };
    let plenty = r#"{ rate = 1000000, burst = 1000000 }"#;
    let server = ["REQUESTS", "PICTURES"]
        .iter()
        .fold(Setup::new(), |setup, limit| setup.env(&format!("PIXCOLOR_QUOTA__LIMITS__{limit}"), plenty))
        .env("PIXCOLOR_FACADES__ALGORITHMIA__STORAGE", "true")
        .env("ADMIN", "let-me-in")
        .env("PIXCOLOR_ADMIN__TOKEN", "{ env = \"ADMIN\" }")
        .start();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| std::fs::write(folder.path().join(name), content).unwrap();
    for (name, format) in [
        ("jpeg", image::ImageFormat::Jpeg),
        ("png", image::ImageFormat::Png),
        ("webp", image::ImageFormat::WebP),
        ("tiff", image::ImageFormat::Tiff),
        ("bmp", image::ImageFormat::Bmp),
        ("gif", image::ImageFormat::Gif),
    ] {
        let picture = image::DynamicImage::from(Picture::landscape(48, 36, 1)).to_rgb8();
        write(&format!("photo.{name}"), &Picture::new(picture, format).bytes);
    }
    let photo = Picture::png(48, 36, 1);
    let made = server.colorize(&photo);
    let result = made.header("content-location").rsplit('/').next().unwrap();
    write("openapi.json", strict().to_string().as_bytes());
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api");
    let output = Command::new(python)
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(here.join("schemathesis.toml"))
        .args(["run", "openapi.json", "--no-color", "--url", &server.url("")])
        .env("SCHEMATHESIS_HOOKS", here.join("hooks.py"))
        .env("RESULT", result)
        .env("FINGERPRINT", hex(&Sha256::digest(&photo.bytes)))
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    // Schemathesis prints "Tested: " after it has called operations, and "unique failures" if checks failed.
    assert!(!said.contains("failures") && said.contains("Tested: "), "{said}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
