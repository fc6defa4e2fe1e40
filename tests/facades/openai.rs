//! The OpenAI facade, tested with OpenAI's own Python package, which `tests/run` installs.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::fakes::algorithmia::{Algorithmia, Behavior};
use crate::harness::picture::colorfulness;
use crate::harness::{Picture, Server, Setup};

/// Performs the request on standard input with the package and prints the result.
const SCRIPT: &str = r#"
import base64, json, sys
import openai
ask = json.load(sys.stdin)
client = openai.OpenAI(base_url=ask["address"] + "/v1", api_key=ask["key"], max_retries=2)
def file(picture):
    return ("photo.png", base64.b64decode(picture))
try:
    if "models" in ask:
        said = {"ids": [model.id for model in client.models.list()],
                "one": client.models.retrieve(ask["models"]).to_dict()}
    else:
        args = dict(ask["args"])
        pictures = [file(picture) for picture in ask["pictures"]]
        if "mask" in args:
            args["mask"] = pictures[0]
        image = pictures if ask["list"] else pictures[0]
        raw = client.images.with_raw_response.edit(image=image, **args)
        said = {"answer": raw.parse().to_dict(), "headers": {k.lower(): v for k, v in raw.headers.items()}}
except openai.APIStatusError as error:
    said = {"error": type(error).__name__, "status": error.status_code, "message": str(error),
            "type": error.type, "param": error.param, "code": error.code,
            "retry_after": error.response.headers.get("retry-after")}
json.dump(said, sys.stdout)
"#;

/// Performs a request with the package; `None` if `tests/run` has not installed it.
fn client(address: &str, key: &str, mut ask: Value) -> Option<Value> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".test/openai-3.54.0/bin/python");
    if !python.exists() {
        assert!(std::env::var_os("CI").is_none(), "{} is missing: run tests/run", python.display());
        eprintln!("skipped: {} is missing; tests/run installs it", python.display());
        return None;
    }
    ask["address"] = json!(address);
    ask["key"] = json!(key);
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(ask.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// Calls `images.edit` with these pictures and arguments.
fn edit_all(server: &Server, pictures: &[&Picture], args: Value) -> Option<Value> {
    let pictures: Vec<_> = pictures.iter().map(|picture| BASE64.encode(&picture.bytes)).collect();
    let list = pictures.len() > 1 || args["list"] == true;
    let mut args = args;
    args.as_object_mut().unwrap().remove("list");
    client(&server.url(""), "any-key", json!({ "pictures": pictures, "list": list, "args": args }))
}

fn edit(server: &Server, picture: &Picture, args: Value) -> Option<Value> {
    edit_all(server, &[picture], args)
}

/// The picture in a response.
#[track_caller]
fn colored(said: &Value) -> Vec<u8> {
    let [picture] = said["answer"]["data"].as_array().unwrap_or_else(|| panic!("{said}")).as_slice() else {
        panic!("{said}")
    };
    BASE64.decode(picture["b64_json"].as_str().unwrap()).unwrap()
}

#[track_caller]
fn is_error(said: &Value, error: &str, status: u16, code: &str, param: Option<&str>) {
    let expected = json!([error, status, code, param]);
    assert_eq!(json!([said["error"], said["status"], said["code"], said["param"]]), expected, "{said}");
}

/// A gateway whose route has one paid provider, with a budget of `credits`. A call costs 2 credits; its maximum is 5.
fn paid(fake: &Algorithmia, credits: u32) -> Server {
    let provider = format!(
        "kind = \"algorithmia\"\nbase_url = \"{}\"\nallow_private = true\napi_key = {{ env = \"ALGORITHMIA_API_KEY\" }}\n\
         algorithm = \"deeplearning/ColorfulImageColorization/1.1.5\"\ntimeout = 5\n",
        fake.url()
    );
    let main = format!("route = [\"algorithmia\"]\n[budgets.small]\nscope = \"all\"\ncredits = {credits}\n");
    Setup::new()
        .env("ALGORITHMIA_API_KEY", crate::fakes::KEY)
        .file("config/providers/algorithmia.toml", provider)
        .file("config/pixcolor.toml", main)
        .start()
}

#[test]
fn the_sdk_receives_a_colored_photograph_and_the_ignored_parameters() {
    let server = Server::start();
    let picture = Picture::jpeg(320, 240, 1);
    let Some(said) = edit(&server, &picture, json!({ "prompt": "colourise it, please" })) else { return };
    let bytes = colored(&said);
    assert_eq!(
        image::guess_format(&bytes).unwrap(),
        image::ImageFormat::Png,
        "PNG is the default, as in OpenAI's API"
    );
    let made = image::load_from_memory(&bytes).unwrap();
    assert_eq!((made.width(), made.height()), (320, 240));
    assert!(colorfulness(&made) > 2.0);
    let answer = &said["answer"];
    assert_eq!((&answer["output_format"], &answer["size"]), (&json!("png"), &json!("320x240")));
    assert!(answer["created"].as_i64().unwrap() > 1_790_000_000, "{}", answer["created"]);
    // The built-in network uses no tokens.
    assert_eq!(answer["usage"]["total_tokens"], 0);
    assert_eq!(answer["usage"]["input_tokens_details"]["image_tokens"], 0);
    let headers = &said["headers"];
    assert_eq!(headers["x-pixcolor-ignored"], "prompt");
    assert_eq!(
        (&headers["x-pixcolor-provider"], &headers["x-pixcolor-credits"]),
        (&json!("local"), &json!("0"))
    );
    assert!(headers["cache-status"].as_str().unwrap().contains("fwd=miss"), "{headers}");
    assert!(
        headers["ratelimit"].as_str().is_some() && headers["content-length"].as_str().is_some(),
        "{headers}"
    );

    // Old programs request a model that OpenAI offered when they were written. The gateway ignores the model's name.
    // The same picture is free the second time.
    let args = json!({
        "prompt": "colourise it".repeat(1_500), "model": "gpt-image-1", "size": "1024x1024", "n": 1,
        "quality": "high", "response_format": "b64_json", "user": "somebody", "list": true,
    });
    let again = edit(&server, &picture, args).unwrap();
    assert_eq!(colored(&again), bytes);
    let headers = &again["headers"];
    assert_eq!(headers["x-pixcolor-ignored"], "model, prompt, quality, size, user");
    assert!(headers["cache-status"].as_str().unwrap().starts_with("PixColor; hit"), "{headers}");

    for (format, kind) in [("jpeg", image::ImageFormat::Jpeg), ("webp", image::ImageFormat::WebP)] {
        let args = json!({ "prompt": "", "model": "local", "output_format": format, "size": "auto" });
        let said = edit(&server, &picture, args).unwrap();
        assert_eq!(image::guess_format(&colored(&said)).unwrap(), kind);
        assert_eq!(said["answer"]["output_format"], format);
        assert_eq!(said["headers"]["x-pixcolor-ignored"], "prompt");
    }
}

#[test]
fn unsupported_parameters_are_refused_by_name() {
    let server = Server::start();
    let picture = Picture::png(32, 24, 1);
    for (args, param) in [
        (json!({ "n": 2 }), "n"),
        (json!({ "mask": true }), "mask"),
        (json!({ "response_format": "url" }), "response_format"),
        (json!({ "output_format": "gif" }), "output_format"),
        (json!({ "output_format": "tiff" }), "output_format"),
        (json!({ "extra_body": { "stream": "true" } }), "stream"),
    ] {
        let mut args = args;
        args["prompt"] = json!("colour");
        let Some(said) = edit(&server, &picture, args) else { return };
        is_error(&said, "BadRequestError", 400, "invalid_value", Some(param));
    }
    let said = edit_all(&server, &[&picture, &Picture::png(32, 24, 2)], json!({ "prompt": "" })).unwrap();
    is_error(&said, "BadRequestError", 400, "invalid_value", Some("image"));
    // A typing error in the name must not send the picture to another provider.
    let said = edit(&server, &picture, json!({ "prompt": "", "model": "locla" })).unwrap();
    is_error(&said, "NotFoundError", 404, "model_not_found", Some("model"));
    let text = Picture { bytes: b"no picture".to_vec(), media_type: "image/png" };
    let said = edit(&server, &text, json!({ "prompt": "" })).unwrap();
    is_error(&said, "BadRequestError", 400, "unsupported_image", None);
    let broken = Picture { bytes: picture.bytes[..60].to_vec(), media_type: "image/png" };
    let said = edit(&server, &broken, json!({ "prompt": "" })).unwrap();
    is_error(&said, "BadRequestError", 400, "unusable_image", None);
}

#[test]
fn the_models_are_the_route_and_the_configured_providers() {
    let fake = Algorithmia::start();
    let server = paid(&fake, 100);
    let Some(said) = client(&server.url(""), "any-key", json!({ "models": "local" })) else { return };
    // Providers that are not on the route and lack a key are not listed.
    assert_eq!(said["ids"], json!(["pixcolor", "algorithmia", "local"]));
    let one = json!({ "id": "local", "object": "model", "created": 0, "owned_by": "pixcolor" });
    assert_eq!(said["one"], one);
    let said = client(&server.url(""), "any-key", json!({ "models": "replicate" })).unwrap();
    is_error(&said, "NotFoundError", 404, "model_not_found", Some("model"));
}

#[test]
fn a_wrong_key_and_too_many_requests_raise_the_sdks_exceptions() {
    let setup = Setup::new()
        .env("PIXCOLOR_ANONYMOUS", "false")
        .env("PIXCOLOR_QUOTA__LIMITS__REQUESTS", r#"{ rate = 2, per = "day", burst = 2, by = "key" }"#);
    let key = setup.command(&["key", "new", "bob"]);
    let server = setup.start();
    let ask = |key: &str| {
        let pictures = [BASE64.encode(Picture::png(32, 24, 1).bytes)];
        let ask = json!({ "pictures": pictures, "list": false, "args": { "prompt": "" } });
        client(&server.url(""), key, ask)
    };
    let Some(said) = ask("sim-of-nobody") else { return };
    is_error(&said, "AuthenticationError", 401, "invalid_api_key", None);
    for _ in 0..2 {
        colored(&ask(&key).unwrap());
    }
    let said = ask(&key).unwrap();
    is_error(&said, "RateLimitError", 429, "rate_limit_exceeded", None);
    assert!(said["retry_after"].as_str().unwrap().parse::<u64>().unwrap() > 60, "{said}");
    assert!(said["message"].as_str().unwrap().contains("Ask again in"), "{said}");
}

#[test]
fn a_possibly_charged_request_is_not_retried_and_a_spent_budget_is_insufficient_quota() {
    let fake = Algorithmia::start();
    let server = paid(&fake, 9);
    let Some(said) = edit(&server, &Picture::png(32, 24, 1), json!({ "prompt": "" })) else { return };
    colored(&said);
    assert_eq!(said["headers"]["x-pixcolor-credits"], "2");
    // The number of tokens that a remote host used is unknown, so `usage` is null and not 0.
    assert_eq!(said["answer"]["usage"], json!(null), "{}", said["answer"]);
    let again = edit(&server, &Picture::png(32, 24, 1), json!({ "prompt": "" })).unwrap();
    assert_eq!(again["answer"]["usage"]["total_tokens"], 0);

    fake.next([Behavior::HangUp]);
    let said = edit(&server, &Picture::png(32, 24, 2), json!({ "prompt": "" })).unwrap();
    is_error(&said, "InternalServerError", 502, "provider_failed", None);
    assert_eq!(fake.calls(), 2, "the SDK must not retry, which it would do twice");

    let said = edit(&server, &Picture::png(32, 24, 3), json!({ "prompt": "" })).unwrap();
    is_error(&said, "RateLimitError", 429, "insufficient_quota", None);
    assert_eq!(fake.calls(), 2);
}

#[test]
fn errors_have_openais_format_at_openais_addresses_only() {
    let server = Server::start();
    for (answer, status) in [
        (server.get("/v1/images/edits"), 405),
        (server.get("/v1/images/generations"), 404),
        (server.get("/v1/models/nobody"), 404),
        (server.post("/v1/images/edits", &[("Content-Type", "application/json")], b"{}"), 400),
        (server.post("/v1/images/edits", &[("Content-Type", "multipart/form-data")], b"x"), 400),
    ] {
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, "application/json"),
            "{answer:?}"
        );
        let json = answer.json();
        assert_eq!(json["error"]["type"], "invalid_request_error", "{json}");
        assert!(json["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{json}");
        assert!(json["error"].get("param").is_some() && json["error"].get("code").is_some(), "{json}");
    }
    assert_eq!(server.get("/v1/images/edits").header("allow"), "POST");
    server.get("/v1/imagesque").problem(404);
}
