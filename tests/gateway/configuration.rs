//! Configuration for an operator: files, environment variables, and messages about errors in them.

use crate::harness::server::pixcolor;
use crate::harness::{Picture, Setup};

#[track_caller]
fn check(files: &[(&str, &str)], env: &[(&str, &str)]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let output = pixcolor(folder.path()).arg("check").envs(env.iter().copied()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn check_shows_each_value_and_its_origin() {
    let files = [("config/pixcolor.toml", "[limits]\nupload_bytes = 5000000\n")];
    let (code, said) = check(&files, &[("PIXCOLOR_OUTPUT__JPEG_QUALITY", "77")]);
    assert_eq!(code, Some(0), "{said}");
    let line = |key: &str| said.lines().find(|line| line.starts_with(key)).unwrap_or_default().to_owned();
    assert!(line("limits.upload_bytes").contains("config/pixcolor.toml:2"), "{said}");
    assert!(line("output.jpeg_quality").contains("PIXCOLOR_OUTPUT__JPEG_QUALITY"), "{said}");
    assert!(line("route").contains("local"), "{said}");
}

#[test]
fn check_shows_only_what_differs_from_the_defaults() {
    let changed = |files: &[(&str, &str)], env: &[(&str, &str)]| {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let mut command = pixcolor(folder.path());
        let output = command.args(["check", "--changed"]).envs(env.iter().copied()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        said.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(changed(&[], &[]), Vec::<String>::new());
    // The project's own `config` folder contains only defaults.
    let (main, local) =
        (include_str!("../../config/pixcolor.toml"), include_str!("../../config/providers/local.toml"));
    let own = [("config/pixcolor.toml", main), ("config/providers/local.toml", local)];
    assert_eq!(changed(&own, &[]), Vec::<String>::new());
    let files = [
        ("config/pixcolor.toml", "anonymous = true\n[limits]\nupload_bytes = 5000000\n"),
        ("config/providers/mine.toml", "kind = \"exec\"\ncommand = [\"cat\"]\n"),
        ("Rocket.toml", "[default]\nkeep_alive = 77\n"),
    ];
    let env = [("PIXCOLOR_OUTPUT__JPEG_QUALITY", "77"), ("ROCKET_PORT", "8081"), ("API_KEY", "simSecret")];
    let lines = changed(&files, &env);
    let expected = [
        "server.port = 8081  # environment variable ROCKET_PORT",
        "server.keep_alive = 77  # Rocket.toml:2",
        "limits.upload_bytes = 5000000  # config/pixcolor.toml:3",
        "output.jpeg_quality = 77  # environment variable PIXCOLOR_OUTPUT__JPEG_QUALITY",
        "providers.mine.kind = \"exec\"  # config/providers/mine.toml:1",
        "providers.mine.command = [\"cat\"]  # config/providers/mine.toml:2",
    ];
    for line in expected {
        assert!(lines.iter().any(|found| found == line), "{line}: {lines:#?}");
    }
    let others: Vec<_> = lines.iter().filter(|line| !expected.contains(&line.as_str())).collect();
    assert!(
        others.iter().all(|line| line.starts_with("providers.") && line.contains("api_key")),
        "{others:?}"
    );
}

#[test]
fn an_unknown_key_stops_the_start_with_file_line_and_the_nearest_key() {
    let (code, said) = check(&[("config/pixcolor.toml", "# mine\nrout = [\"local\"]\n")], &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("config/pixcolor.toml:2") && said.contains("`rout`") && said.contains("`route`"),
        "{said}"
    );
}

#[test]
fn an_invalid_model_is_reported_with_its_file() {
    let recipe = include_str!("../../models/colorizer.toml");
    let files = [
        ("config/pixcolor.toml", "route = [\"mine\"]\n"),
        ("config/providers/mine.toml", "kind = \"onnx\"\nmodel = \"mine.onnx\"\n"),
        ("config/providers/mine.onnx", "not a model"),
        ("config/providers/mine.toml.bak", "kind = \"rubbish\""),
    ];
    let (code, said) = check(&files, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("`mine`"), "{said}");
    // With a valid recipe, the error is about the model file.
    let files = [
        ("config/pixcolor.toml", "route = [\"mine\"]\n"),
        ("config/providers/mine.toml", "kind = \"onnx\"\nmodel = \"net.onnx\"\n"),
        ("config/providers/net.onnx", "not a model"),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    std::fs::write(folder.path().join("net-recipe.toml"), recipe).unwrap();
    let provider = "kind = \"onnx\"\nmodel = \"net.onnx\"\nrecipe = \"../../net-recipe.toml\"\n";
    std::fs::write(folder.path().join("config/providers/mine.toml"), provider).unwrap();
    let output = pixcolor(folder.path()).arg("check").output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("net.onnx"), "{said}");
}

#[test]
fn variables_that_kubernetes_sets_do_not_stop_the_start() {
    let server = Setup::new()
        .env("PIXCOLOR_PORT", "tcp://10.0.0.1:8080")
        .env("PIXCOLOR_SERVICE_HOST", "10.0.0.1")
        .env("PIXCOLOR_PORT_8080_TCP_ADDR", "10.0.0.1")
        .start();
    assert_eq!(server.colorize(&Picture::png(32, 32, 1)).status, 200);
    assert!(server.said().contains("PIXCOLOR_PORT"), "{}", server.said());
}

#[test]
fn a_port_in_use_is_reported_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = pixcolor(folder.path()).env("ROCKET_PORT", &port).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains(&port) && said.contains("ROCKET_PORT") && !said.contains("panicked"), "{said}");
}

#[test]
fn templates_and_static_files_on_disk_replace_the_embedded_ones() {
    let server = Setup::new()
        .file("pages/index.html", "<p>{{ version }} of our own</p>")
        .file("files/ours.css", "p { color: green }")
        .file("config/pixcolor.toml", "[assets]\ntemplates = \"../pages\"\nstatic = \"../files\"\n")
        .start();
    assert_eq!(server.get("/").text(), "<p>0.1.0 of our own</p>");
    assert_eq!(server.get("/static/ours.css").text(), "p { color: green }");
    assert_eq!(server.get("/static/favicon.svg").status, 200);
}
