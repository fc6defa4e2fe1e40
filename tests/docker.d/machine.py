"""Two simulated machines: a host for container engines, with its own root, processes and network, and a second machine for
the clients, which is only a network namespace."""

import json
import os
import signal
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from bases import debian
from common import docker, run, wait_for

PACKAGES = [
    "docker.io", "docker-cli", "podman", "passt", "slirp4netns", "rootlesskit", "uidmap", "netavark", "aardvark-dns",
    "nftables", "iptables", "iproute2", "nginx-light", "curl", "procps",
]
HOST, CLIENT = "pixcolor-host", "pixcolor-client"
HOST4, HOST6 = "10.203.0.1", "fd00:203::1"
CLIENT4, CLIENT6 = "10.203.0.2", "fd00:203::2"
USER = "px"
ROOTLESS = "/usr/share/docker.io/contrib/dockerd-rootless.sh"


def user(root, inside):
    run("chroot", root, "useradd", "-m", "-u", "1000", USER, **inside)


class Machine:
    """The running host."""

    def __init__(self, process, pid, root):
        self.process, self.pid, self.root = process, pid, root

    def words(self, *command, user=False):
        """The command line that runs a command on the host."""
        enter = ["nsenter", "-t", self.pid, "-m", "-p", "-n", "-u", "-i", "--", "env", "-i"]
        variables = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        if not user:
            return [*enter, *variables, "HOME=/root", *command]
        run_dir = "/run/user/1000"
        variables += [f"HOME=/home/{USER}", f"XDG_RUNTIME_DIR={run_dir}", f"DOCKER_HOST=unix://{run_dir}/docker.sock"]
        # cgroups v1 are enough for these checks.
        variables += ["PODMAN_IGNORE_CGROUPSV1_WARNING=1"]
        return [*enter, *variables, "setpriv", "--reuid", USER, "--regid", USER, "--init-groups", "--", *command]

    def run(self, *command, user=False, **more):
        return run(*self.words(*command, user=user), **more)

    def curl(self, *words):
        return curl(self.words("curl"), *words)

    @contextmanager
    def program(self, *command, user=False):
        """Runs a program on the host until the block ends."""
        # Signals must be sent inside the host, because nsenter forwards none.
        file = f"/tmp/program-{os.urandom(4).hex()}"
        words = self.words("sh", "-c", 'echo $$ >"$0"; exec "$@"', file, *command, user=user)
        with tempfile.TemporaryFile("w+") as said:
            process = subprocess.Popen([str(word) for word in words], stdout=said, stderr=subprocess.STDOUT)
            try:
                yield process
                assert process.poll() is None, "the program has ended early"
            except Exception as error:
                said.seek(0)
                error.add_note(said.read()[-1000:])
                raise
            finally:
                if process.poll() is None:
                    self.run("sh", "-c", f"kill $(cat {file})")
                process.wait(60)

    @contextmanager
    def engine(self, *options):
        with self.program("dockerd", *options):
            wait_for(lambda: self.run("docker", "info"), "dockerd does not answer")
            yield

    @contextmanager
    def rootless_engine(self, **settings):
        variables = [f"DOCKERD_ROOTLESS_ROOTLESSKIT_{name}={value}" for name, value in settings.items()]
        with self.program("env", *variables, ROOTLESS, user=True):
            wait_for(lambda: self.run("docker", "info", user=True), "the rootless dockerd does not answer")
            yield


def curl(command, *words):
    """The body of the response; None if curl fails."""
    words = [*command, "-sg", "--max-time", "5", *words]
    ended = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    return ended.stdout if ended.returncode == 0 else None


def curl_elsewhere(*words):
    """Runs curl on the other machine."""
    return curl(["ip", "netns", "exec", CLIENT, "curl"], *words)


def taken_for(answer):
    """The addresses of the client and of the peer that the gateway sees, from a response of /v1/quota."""
    if answer is None:
        return None, None
    said = json.loads(answer)
    return said["client"].removeprefix("ip:"), said["peer"]


def network():
    run("ip", "link", "add", "pixcolor-h", "netns", HOST, "type", "veth", "peer", "name", "pixcolor-c", "netns", CLIENT)
    for space, device, addresses in [
        (HOST, "pixcolor-h", [f"{HOST4}/24", f"{HOST6}/64"]),
        (CLIENT, "pixcolor-c", [f"{CLIENT4}/24", f"{CLIENT6}/64"]),
    ]:
        for address in addresses:
            run("ip", "-n", space, "addr", "add", address, "dev", device, *(["nodad"] if ":" in address else []))
        run("ip", "-n", space, "link", "set", "lo", "up")
        run("ip", "-n", space, "link", "set", device, "up")
    # Engines must be able to route between their networks and this one.
    forward = "echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding"
    run("ip", "netns", "exec", HOST, "sh", "-c", forward)


def remove_networks():
    for space in [HOST, CLIENT]:
        if Path("/run/netns", space).exists():
            run("ip", "netns", "del", space)


def end(process, there):
    """Kills the first process of the machine, which ends all others."""
    if there and process.poll() is None:
        os.kill(int(there.pid), signal.SIGKILL)
    else:
        # The PID is not known yet; `--kill-child` ends the process together with its parent.
        process.kill()
    process.wait(30)


@contextmanager
def machine(image):
    """Starts the host with the image in /srv/image.tar and the image's binary in /srv/pixcolor."""
    root = debian("machine", "trixie", PACKAGES, user)
    docker("save", "-o", root / "srv/image.tar", image)
    (root / "srv/image.tar").chmod(0o644)
    (root / "root").chmod(0o755)
    container = docker("create", image)
    docker("cp", f"{container}:/usr/bin/pixcolor", root / "srv/pixcolor")
    docker("rm", container)
    remove_networks()
    for space in [HOST, CLIENT]:
        run("ip", "netns", "add", space)
    process = there = None
    try:
        network()
        with tempfile.TemporaryDirectory() as folder:
            pid = Path(folder) / "pid"
            enter = ["nsenter", f"--net=/run/netns/{HOST}", "unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child"]
            words = [*enter, Path(__file__).with_name("machine.sh"), root, pid]
            process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
            host = wait_for(lambda: pid.exists() and pid.read_text().strip(), "the machine does not start")
            there = Machine(process, host, root)
            wait_for(lambda: there.run("cat", "/run/ready"), "the machine is not ready")
        there.run("install", "-d", "-o", USER, "/run/user/1000")
        yield there
    finally:
        try:
            if process:
                end(process, there)
        finally:
            remove_networks()
