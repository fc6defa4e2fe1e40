"""Tests deploy/compose.yaml, all services except Grafana. Stand-ins replace the images that are only in registries: Debian's
nginx, Valkey and Prometheus, moto for MinIO, and a script for MinIO's client."""

import json
import os
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request

from bases import builder, standins, tags
from common import ROOT, STATE, bridge, check, docker, picture, run, wait_for

PROJECT = "pixcolor-test"
# A loopback address of its own, so that a server at 127.0.0.1:8080 does not conflict.
LISTEN = "127.80.80.80"
URL = f"http://{LISTEN}:8080"
VARIABLES = {
    "LISTEN": LISTEN,
    "STORE_IMAGE": "pixcolor-test/store",
    "STORE_CLIENT_IMAGE": "pixcolor-test/mc",
    # Without buildx, Docker uses its older builder.
    "DOCKER_BUILDKIT": "0",
}
# Debian's Compose package, from the release whose version supports this file.
PACKAGE, SUITE, PLUGIN = "docker-compose", "trixie", "usr/libexec/docker/cli-plugins/docker-compose"


def command():
    """The command of Compose version 2: this machine's, or that of Debian's package, unpacked without installing it."""
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return ["docker", "compose"]
    plugin = STATE / "docker-compose"
    if not plugin.exists():
        # A root with the package lists of that release.
        root = STATE / "services"
        run("chroot", root, "sh", "-c", f"cd /tmp && apt-get download -q {PACKAGE} && dpkg -x {PACKAGE}_*.deb . && rm {PACKAGE}_*.deb")
        shutil.move(root / "tmp" / PLUGIN, plugin)
    return [str(plugin)]


def ask(path, body=None, headers=None):
    request = urllib.request.Request(URL + path, body, headers or {})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.headers, answer.read()


def colorize(seed):
    headers, _ = ask("/v1/colorize", picture(seed), {"Content-Type": "image/png"})
    return headers["Cache-Status"]


def checks(built):
    with tags(standins() | (builder() if built else {})):
        file = ["-p", PROJECT, "-f", ROOT / "deploy/compose.yaml", "--env-file", ROOT / "deploy/compose/example.env"]
        compose = [*command(), *file]
        environment = {**os.environ, **VARIABLES}

        def call(*words, timeout=900):
            return run(*compose, *words, env=environment, timeout=timeout)

        call("down", "-v", "--remove-orphans")
        try:
            started(call, "--build" if built else "--no-build")
        finally:
            call("down", "-v", "--remove-orphans")


def started(call, build):
    version = call("version", "--short")
    with check(f"`docker compose up {build} -d` (Compose {version}) starts all services except Grafana"):
        call("up", build, "-d", "nginx", "prometheus", timeout=7200)
        wait_for(lambda: ask("/readyz"), "the gateways are not ready")
        running = set(call("ps", "--services", "--status", "running").split())
        assert running == {"gateway-1", "gateway-2", "nginx", "valkey", "store", "prometheus"}, running
        for gateway in ["gateway-1", "gateway-2"]:
            state = json.loads(docker("inspect", "-f", "{{json .State.Health}}", f"{PROJECT}-{gateway}-1"))
            assert state["Status"] == "healthy", state
    with check("nginx forwards the client's address, and the gateways trust it"):
        said = json.loads(ask("/v1/quota", headers={"X-Forwarded-For": "203.0.113.9"})[1])
        gateway = bridge(f"{PROJECT}_pixcolor")
        seen = said["client"].removeprefix("ip:"), said["peer"]
        assert seen == (gateway, "172.30.8.2"), seen
    with check("the gateways use Valkey, and both return the same cached result"):
        keys = call("exec", "-T", "valkey", "sh", "-c", "valkey-cli --scan | head -20")
        assert keys, "Valkey is empty"
        assert colorize(1).startswith("PixColor; fwd=miss")
        assert "hit" in colorize(1)
    with check("a result of one gateway is found by the other one in the store"):
        call("stop", "gateway-2")
        assert "fwd=miss" in colorize(2)
        wait_for(lambda: "cache/" in stored(call), "the store has no results")
        call("start", "gateway-2")
        healthy(call, "gateway-2")
        call("stop", "gateway-1")
        assert "hit" in colorize(2)
        call("start", "gateway-1")
        healthy(call, "gateway-1")
    with check("the bucket removes old entries"):
        rules = call("run", "--rm", "-T", "bucket", "mc alias set store http://store:9000 a b; mc ilm rule ls store/pixcolor")
        assert "cache/ 30" in rules, rules
    with check("Prometheus reads both gateways and has loaded its rules"):
        wait_for(lambda: up(call) == ["1", "1"], "the gateways are not both up", 90)
        rules = json.loads(call("exec", "-T", "prometheus", "curl", "-s", "http://127.0.0.1:9090/api/v1/rules"))
        assert rules["data"]["groups"], rules
    with check("no request through nginx fails while one gateway stops and starts"):
        failures, over = [], threading.Event()
        clients = [threading.Thread(target=client, args=(seed, over, failures)) for seed in range(3)]
        for thread in clients:
            thread.start()
        call("stop", "gateway-2")
        call("start", "gateway-2")
        over.set()
        for thread in clients:
            thread.join()
        assert not failures, f"{len(failures)}: {failures[:3]}; {call('logs', '--tail', '20', 'nginx')}"


def healthy(call, service):
    wait_for(lambda: "(healthy)" in call("ps", service), f"{service} is not healthy", 90)


def stored(call):
    script = "import boto3; s = boto3.client('s3', endpoint_url='http://127.0.0.1:9000', aws_access_key_id='a', aws_secret_access_key='b', region_name='us-east-1'); print(*[o['Key'] for o in s.list_objects_v2(Bucket='pixcolor').get('Contents', [])])"
    return call("exec", "-T", "store", "/opt/moto/bin/python", "-c", script)


def up(call):
    url = "http://127.0.0.1:9090/api/v1/query?query=up"
    said = json.loads(call("exec", "-T", "prometheus", "curl", "-s", url))
    return [one["value"][1] for one in said["data"]["result"]]


def client(seed, over, failures):
    """Uploads one picture after the other, and records failed requests."""
    number = 0
    while not over.is_set():
        number += 1
        try:
            colorize(1000 * (seed + 1) + number % 5)
        except (OSError, urllib.error.URLError) as error:
            failures.append(repr(error))
            time.sleep(0.1)
