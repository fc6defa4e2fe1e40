//! `deploy/kubernetes`: the manifests agree with each other, the image and the binary, and the binary runs in the
//! environment that Kubernetes gives it.

use std::os::unix::fs::symlink;

use serde_json::Value;

use crate::containerfile::last_stage;
use crate::files::{path, text, yaml};
use crate::harness::Setup;

/// The one document of a manifest.
fn manifest(name: &str) -> Value {
    let mut documents = yaml(&format!("deploy/kubernetes/{name}.yaml"));
    assert_eq!(documents.len(), 1, "{name}");
    documents.remove(0)
}

fn configuration() -> String {
    text(&manifest("configmap"), "/data/pixcolor.toml").to_owned()
}

#[test]
fn the_manifests_agree_with_each_other_and_the_image() {
    let (deployment, service, image) = (manifest("deployment"), manifest("service"), last_stage());
    for resource in manifest("kustomization")["resources"].as_array().unwrap() {
        assert!(path("deploy/kubernetes").join(resource.as_str().unwrap()).is_file(), "{resource}");
    }
    let pod = deployment.pointer("/spec/template/spec").unwrap();
    let container = &pod["containers"][0];
    let labels = deployment.pointer("/spec/template/metadata/labels").unwrap();
    assert_eq!(deployment.pointer("/spec/selector/matchLabels"), Some(labels));
    assert_eq!(service.pointer("/spec/selector"), Some(labels));

    let port = |name: &str| {
        let ports = container["ports"].as_array().unwrap();
        ports.iter().find(|port| port["name"] == name).unwrap_or_else(|| panic!("{name}"))["containerPort"]
            .clone()
    };
    assert_eq!(port("http"), image.port);
    assert_eq!(text(&service, "/spec/ports/0/targetPort"), "http");
    for (probe, path) in
        [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")]
    {
        let get = container.pointer(&format!("/{probe}/httpGet")).unwrap();
        assert_eq!((&get["path"], &get["port"]), (&path.into(), &"http".into()));
    }
    let user = image.user.split(':').next().unwrap().parse::<u64>().unwrap();
    for id in ["runAsUser", "runAsGroup", "fsGroup"] {
        assert_eq!(pod["securityContext"][id], user, "{id}");
    }
    assert_eq!(pod.pointer("/securityContext/runAsNonRoot"), Some(&true.into()));
    assert_eq!(container.pointer("/securityContext/readOnlyRootFilesystem"), Some(&true.into()));
    assert!(
        container.pointer("/resources/limits/memory").is_some()
            && container.pointer("/resources/requests/cpu").is_some()
    );

    let mount = |name: &str| {
        let mounts = container["volumeMounts"].as_array().unwrap();
        mounts.iter().find(|mount| mount["name"] == name).unwrap_or_else(|| panic!("{name}"))
    };
    assert_eq!(mount("state")["mountPath"], image.volume);
    assert_eq!(mount("config")["mountPath"], format!("{}/config", image.workdir));
    assert_eq!(mount("config").get("subPath"), None, "a mount with `subPath` is never updated");
    let volumes = pod["volumes"].as_array().unwrap();
    assert_eq!(
        text(&volumes[0], "/persistentVolumeClaim/claimName"),
        text(&manifest("volume"), "/metadata/name")
    );
    let map = &volumes[1]["configMap"];
    assert_eq!(text(map, "/name"), text(&manifest("configmap"), "/metadata/name"));
    assert!(manifest("configmap").pointer(&format!("/data/{}", text(map, "/items/0/key"))).is_some());
    assert!(configuration().contains(&format!("0.0.0.0:{}", port("metrics"))));

    let stop = text(container, "/env/0/value");
    let seconds: u64 =
        stop.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse::<u64>().ok()).sum();
    assert!(seconds + 2 < pod["terminationGracePeriodSeconds"].as_u64().unwrap(), "{stop}");
}

#[test]
fn the_binary_starts_despite_the_variables_of_a_service_named_pixcolor() {
    let deployment = manifest("deployment");
    let shutdown = deployment.pointer("/spec/template/spec/containers/0/env/0").unwrap();
    // The environment variables that the kubelet sets for a Service named pixcolor.
    let server = Setup::new()
        .file("config/pixcolor.toml", configuration().replace("0.0.0.0:9464", "127.0.0.1:0"))
        .env(text(shutdown, "/name"), text(shutdown, "/value"))
        .env("PIXCOLOR_SERVICE_HOST", "10.96.12.34")
        .env("PIXCOLOR_SERVICE_PORT", "80")
        .env("PIXCOLOR_SERVICE_PORT_HTTP", "80")
        .env("PIXCOLOR_PORT", "tcp://10.96.12.34:80")
        .env("PIXCOLOR_PORT_80_TCP", "tcp://10.96.12.34:80")
        .env("PIXCOLOR_PORT_80_TCP_PROTO", "tcp")
        .env("PIXCOLOR_PORT_80_TCP_PORT", "80")
        .env("PIXCOLOR_PORT_80_TCP_ADDR", "10.96.12.34")
        .start();
    assert_eq!(server.get("/readyz").status, 200);
    assert!(server.said().contains("PIXCOLOR_PORT"), "it says what it ignores: {}", server.said());
}

/// As in a ConfigMap's folder, the files are links into a folder that is replaced as a whole.
#[test]
fn a_changed_config_map_takes_effect_without_a_restart() {
    let setup = Setup::new();
    let config = setup.path("config");
    std::fs::create_dir(&config).unwrap();
    let version = |number: u32, more: &str| {
        let folder = config.join(format!("..2026_11_23_{number}"));
        std::fs::create_dir(&folder).unwrap();
        let text = configuration().replace("0.0.0.0:9464", "127.0.0.1:0");
        std::fs::write(folder.join("pixcolor.toml"), format!("{more}{text}")).unwrap();
        symlink(folder.file_name().unwrap(), config.join("..data_tmp")).unwrap();
        std::fs::rename(config.join("..data_tmp"), config.join("..data")).unwrap();
    };
    version(1, "");
    symlink("..data/pixcolor.toml", config.join("pixcolor.toml")).unwrap();
    let server = setup.start();
    version(2, "on_colour = \"refuse\"\n");
    std::fs::remove_dir_all(config.join("..2026_11_23_1")).unwrap();
    server.until_said("on_colour");
}
