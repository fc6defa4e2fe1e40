"""Tests the image as docs/operations.md describes it: read-only and not as root, API keys, health, wrong mounts, and a stop
during uploads."""

import http.client
import http.server
import json
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from common import ROOT, bridge, check, docker, inspect, logs, picture, run, wait_for

NAME = "pixcolor"
CONTAINER = "pixcolor-test"
VOLUME = "pixcolor-test"
# Long enough for slow machines.
SHUTDOWN = "ROCKET_SHUTDOWN={ delay = 0, grace = 60, mercy = 3 }"
RESTRICTED = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]


def build(folder=ROOT):
    """Runs the documented command and returns its output."""
    return docker("build", "-f", "Containerfile", "-t", NAME, ".", cwd=folder, timeout=7200)


def nothing_is_built_again():
    before = docker("images", "-q", NAME)
    with tempfile.TemporaryDirectory() as folder:
        files = run("git", "ls-files", "-z", cwd=ROOT).rstrip("\0").split("\0")
        there = [file for file in files if (ROOT / file).exists()]
        run("cp", "-a", "--parents", *there, folder, cwd=ROOT)
        for document in ["README.md", "CHANGELOG.md", "docs/operations.md", "static/README.md"]:
            with open(Path(folder) / document, "a") as file:
                file.write("One more line.\n")
        said = build(folder)
    assert docker("images", "-q", NAME) == before, said


@contextmanager
def running(*options, command=()):
    """Starts a container, and removes it afterwards."""
    docker("run", "-d", "--name", CONTAINER, *options, NAME, *command)
    try:
        yield CONTAINER
    finally:
        docker("rm", "-f", "-v", CONTAINER)


def ask(method, path, body=None, headers=None, timeout=60):
    """Sends a request to the container's own address, without the engine's port forwarding, and returns the response."""
    address = inspect(CONTAINER, "NetworkSettings.IPAddress")
    connection = http.client.HTTPConnection(address, 8080, timeout=timeout)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    answer.body = answer.read()
    return answer


def colorize(seed):
    answer = ask("POST", "/v1/colorize", picture(seed), {"Content-Type": "image/png"})
    assert answer.status == 200, (answer.status, answer.body)
    return answer


def serves():
    wait_for(lambda: ask("GET", "/healthz").status == 200, "it does not serve")


def checks(built):
    with check("the image is small and has no shell"):
        size = int(docker("image", "inspect", "-f", "{{.Size}}", NAME))
        print(f"        {size / 1e6:.1f} MB")
        assert size < 60e6, size
        shell = subprocess.run(["docker", "run", "--rm", "--entrypoint", "/bin/sh", NAME], capture_output=True)
        assert shell.returncode == 127, shell
    docker("volume", "rm", "-f", VOLUME)
    try:
        read_only()
    finally:
        docker("volume", "rm", "-f", VOLUME)
    key()
    wrong_mounts()
    stop()


def read_only():
    options = [*RESTRICTED, "-v", f"{VOLUME}:/var/lib/pixcolor"]
    with check("it colours a picture read-only, without capabilities and not as root"), running(*options):
        serves()
        assert "fwd=miss" in colorize(1).headers["Cache-Status"]
        status = Path(f"/proc/{inspect(CONTAINER, 'State.Pid')}/status").read_text()
        fields = dict(line.split(":\t", 1) for line in status.splitlines())
        assert fields["Uid"].split()[0] == "65532" and fields["CapEff"].strip("0") == "", status
        with check("its HEALTHCHECK becomes healthy"):
            wait_for(lambda: inspect(CONTAINER, "State.Health.Status") == "healthy", "it is not healthy", 90)
        with check("`docker exec NAME pixcolor key new` makes a valid key"):
            said = docker("exec", CONTAINER, "pixcolor", "key", "new", "bob")
            made = next(line for line in said.splitlines() if line.startswith("sim"))
            asked = lambda: json.loads(ask("GET", "/v1/quota", headers={"Authorization": made}).body)
            wait_for(lambda: asked()["client"] == "key:bob", "the key is not valid", 10)
        docker("stop", CONTAINER)
        assert inspect(CONTAINER, "State.ExitCode") == 0, logs(CONTAINER)
    with check("cached results are in the volume after a restart"), running(*options):
        serves()
        assert "hit; detail=disk" in colorize(1).headers["Cache-Status"]
    with check("without a writable folder it serves, and /readyz reports that paid providers are off"):
        with running("--read-only", "-v", f"{VOLUME}:/var/lib/pixcolor:ro"):
            serves()
            colorize(2)
            assert "paid_providers_are_off" in json.loads(ask("GET", "/readyz").body)


class Host(http.server.BaseHTTPRequestHandler):
    """A host with Algorithmia's protocol that answers every request with 401."""

    seen = []

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.seen.append(self.headers.get("Authorization"))
        self.send_error(401)

    do_GET = do_PUT = do_HEAD = do_POST

    def log_message(self, *_):
        pass


def key():
    gateway = bridge("bridge")
    server = http.server.ThreadingHTTPServer((gateway, 0), Host)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://{gateway}:{server.server_port}"
    options = ["-e", "API_KEY=simPlanted", "-e", f"ALGORITHMIA_API={url}", "-e", 'PIXCOLOR_ROUTE=["algorithmia", "local"]']
    with check("the host receives the key of `-e API_KEY`, and no log contains it"), running(*options):
        serves()
        assert colorize(3).headers["X-PixColor-Provider"] == "local"
        assert Host.seen and set(Host.seen) == {"Simple simPlanted"}, Host.seen
        assert "simPlanted" not in logs(CONTAINER)
    server.shutdown()


def wrong_mounts():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        folder.chmod(0o755)
        (folder / "private").mkdir(mode=0o700)
        (folder / "private/pixcolor.toml").write_text("")
        mounts = {
            "a mistyped folder, which the engine creates,": (folder / "mistyped", "has no pixcolor.toml"),
            "a folder that the user of the image cannot read": (folder / "private", "ermission denied"),
        }
        for what, (mounted, reason) in mounts.items():
            with check(f"{what} at /etc/pixcolor/config stops the start with an error message"):
                with running("-v", f"{mounted}:/etc/pixcolor/config:ro"):
                    wait_for(lambda: inspect(CONTAINER, "State.Status") == "exited", "it serves")
                    said = logs(CONTAINER)
                    assert inspect(CONTAINER, "State.ExitCode") != 0, said
                    assert reason in said and len(said.splitlines()) < 5, said


def half_sent(address, body):
    """Sends the first half of an upload and returns the connection."""
    connection = http.client.HTTPConnection(address, 8080, timeout=60)
    connection.putrequest("POST", "/v1/colorize")
    connection.putheader("Content-Type", "image/png")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders()
    connection.send(body[: len(body) // 2])
    return connection


def listens(address):
    try:
        http.client.HTTPConnection(address, 8080, timeout=5).connect()
    except OSError:
        return False
    return True


def finished(upload, body):
    """Sends the second half and returns the status and the body of the response."""
    upload.send(body[len(body) // 2 :])
    answer = upload.getresponse()
    return answer.status, answer.read()


def stop():
    with check("`docker stop` under load: uploads that have begun get responses, and the container exits with 0"):
        with running("-e", SHUTDOWN), ThreadPoolExecutor(16) as pool:
            serves()
            address = inspect(CONTAINER, "NetworkSettings.IPAddress")
            bodies = [picture(seed, 640, 480) for seed in range(10, 18)]
            uploads = [half_sent(address, body) for body in bodies]
            # Connections are accepted in order: a response on this one shows that the earlier ones were accepted.
            assert ask("GET", "/healthz").status == 200
            over = threading.Event()
            tally = []
            try:
                others = [pool.submit(post, address, picture(seed), over, tally) for seed in range(20, 24)]
                wait_for(lambda: len(tally) >= 4, "there is no response")
                stopping = pool.submit(docker, "stop", "-t", "70", CONTAINER)
                wait_for(lambda: not listens(address), "the port is still open")
                # All clients read at the same time: a container's network ends with its last process, so a client that
                # reads late would lose its response.
                answers = list(pool.map(finished, uploads, bodies))
            finally:
                over.set()
            assert [status for status, _ in answers] == [200] * 8, [status for status, _ in answers]
            assert all(body.startswith(b"\x89PNG") for _, body in answers)
            stopping.result()
            for other in others:
                other.result()
            assert "cut" not in tally, f"{tally.count('cut')} responses of {len(tally)} were cut"
            said = logs(CONTAINER)
            assert inspect(CONTAINER, "State.ExitCode") == 0 and "PixColor has stopped" in said, said[-2000:]


def post(address, body, over, tally):
    """Uploads a picture repeatedly until `over` is set, and records each status, or "cut" for an incomplete response."""
    while not over.is_set():
        try:
            connection = http.client.HTTPConnection(address, 8080, timeout=60)
            connection.request("POST", "/v1/colorize", body, {"Content-Type": "image/png"})
            answer = connection.getresponse()
        except OSError:
            # The connection was refused, or was reset before the response.
            time.sleep(0.05)
            continue
        try:
            answer.read()
            tally.append(answer.status)
        except (OSError, http.client.HTTPException):
            tally.append("cut")
