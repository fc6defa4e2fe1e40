"""Tests the rows of docs/network.md that can be tested on one machine: which client address the gateway sees."""

import subprocess
from contextlib import contextmanager

from image import NAME
from common import ROOT, check, wait_for
from machine import CLIENT, CLIENT4, CLIENT6, HOST4, HOST6, curl_elsewhere, machine, taken_for

QUOTA = ":8080/v1/quota"
# Subnets of an engine's default network and of the networks created here.
BRIDGE = "172.17.0.1"
SIX_SUBNET, SIX_BRIDGE = "fd00:204::/64", "fd00:204::1"
BOTH = ["-e", "ROCKET_ADDRESS=::"]
PUBLISHED = ["-p", "8080:8080"]


def peers(host):
    """The peer addresses that the gateway sees for clients on another machine (IPv4, IPv6) and on the host's loopback."""
    asked = curl_elsewhere(HOST4 + QUOTA), curl_elsewhere(f"[{HOST6}]{QUOTA}"), host.curl("127.0.0.1" + QUOTA)
    return tuple(taken_for(answer)[1] for answer in asked)


@contextmanager
def container(host, engine, *options, user=False):
    """Runs the image in the host's engine."""
    host.run(*engine, "rm", "-f", "gateway", user=user)
    host.run(*engine, "run", "-d", "--name", "gateway", *options, user=user)
    try:
        wait_for(lambda: host.run(*engine, "exec", "gateway", "pixcolor", "health", user=user) is not None, "it does not serve")
        yield
    finally:
        host.run(*engine, "rm", "-f", "gateway", user=user)


def row(what, expected, host, engine, *options, user=False):
    """Tests one row of the table: `peers` must return the expected addresses."""
    with check(f"{what}: {shown(expected)}"), container(host, engine, *options, user=user):
        found = peers(host)
        if None in found and found != expected:
            # A slow machine may have missed a response.
            found = peers(host)
        assert found == expected, f"found: {shown(found)}"


def shown(found):
    return "other machine {}, by IPv6 {}, loopback {}".format(*(peer or "no answer" for peer in found))


def checks(built):
    with machine(NAME) as host:
        alone(host)
        bridges(host)
        behind_nginx(host)
        rootless_docker(host)
        rootless_podman(host)


@contextmanager
def binary(host, *settings):
    with host.program("env", *settings, "/srv/pixcolor", "serve"):
        wait_for(lambda: host.curl("127.0.0.1:8080/healthz"), "it does not serve")
        yield


def alone(host):
    expected = (CLIENT4, CLIENT6, "127.0.0.1")
    with check(f"without a container: {shown(expected)}"), binary(host, "ROCKET_ADDRESS=::"):
        found = peers(host)
        assert found == expected, f"found: {shown(found)}"


def bridges(host):
    plain = ["docker"]
    published = [*PUBLISHED, NAME]
    six = ["--network", "six", *BOTH, *published]
    with host.engine("--userland-proxy=true"):
        host.run("docker", "load", "-i", "/srv/image.tar")
        row("--network host", (CLIENT4, CLIENT6, "127.0.0.1"), host, plain, "--network", "host", *BOTH, NAME)
        row("Docker, bridge, with userland proxy", (CLIENT4, BRIDGE, BRIDGE), host, plain, *published)
        host.run("sh", "-c", f"docker network inspect six || docker network create --ipv6 --subnet {SIX_SUBNET} six")
        bridge = host.run("docker", "network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "six")
        row("the same, its network with IPv6, no ip6tables", (CLIENT4, HOST6, bridge), host, plain, *six)
    rules = ["--experimental", "--ip6tables"]
    with host.engine("--userland-proxy=true", *rules):
        row("the same, with ip6tables", (CLIENT4, CLIENT6, bridge), host, plain, *six)
        silent = ["--network", "six", *published]
        row("the same, the gateway at 0.0.0.0", (CLIENT4, None, bridge), host, plain, *silent)
    with host.engine("--userland-proxy=false"):
        row("Docker, bridge, without userland proxy", (CLIENT4, None, BRIDGE), host, plain, *published)
    with host.engine("--userland-proxy=false", *rules):
        row("the same, with IPv6 and ip6tables", (CLIENT4, CLIENT6, bridge), host, plain, *six)
    with host.engine("--userland-proxy=true", "--iptables=false"):
        # Removes the rules of the engines that ran before.
        for table in ["nat", "filter"]:
            host.run("iptables", "-t", table, "-F")
        host.run("iptables", "-P", "FORWARD", "ACCEPT")
        row("Docker, bridge, --iptables=false", (BRIDGE, BRIDGE, BRIDGE), host, plain, *published)


def rootless_docker(host):
    docker, published = ["docker"], [*PUBLISHED, NAME]
    bridge = (BRIDGE, BRIDGE, BRIDGE)
    for what, expected, settings in [
        ("Docker, rootless, port driver builtin (default)", bridge, {}),
        ("Docker, rootless, slirp4netns", (CLIENT4, None, "10.0.2.2"), {"NET": "slirp4netns", "PORT_DRIVER": "slirp4netns"}),
        ("Docker, rootless, implicit with pasta", (CLIENT4, None, "10.0.2.100"), {"NET": "pasta", "PORT_DRIVER": "implicit"}),
    ]:
        with host.rootless_engine(**settings):
            host.run("docker", "load", "-i", "/srv/image.tar", user=True)
            row(what, expected, host, docker, *published, user=True)


def rootless_podman(host):
    podman = ["podman", "--cgroup-manager=cgroupfs"]
    host.run(*podman, "load", "-i", "/srv/image.tar", user=True)
    published = [*BOTH, *PUBLISHED, NAME]
    row("Podman, rootless, pasta (default)", (CLIENT4, CLIENT6, HOST4), host, podman, *published, user=True)
    slirp = "slirp4netns"
    address = "10.0.2.100"
    row("Podman, rootless, slirp4netns", (address,) * 3, host, podman, "--network", slirp, *published, user=True)
    kept = f"{slirp}:port_handler=slirp4netns"
    row(f"Podman, rootless, {kept}", (CLIENT4, None, "10.0.2.2"), host, podman, "--network", kept, *published, user=True)
    host.run(*podman, "network", "rm", "-f", "own", user=True)
    host.run(*podman, "network", "create", "--subnet", "10.89.7.0/24", "own", user=True)
    # The container's own address in that network.
    own = ("10.89.7.2",) * 3
    row("Podman, rootless, a network of its own", own, host, podman, "--network", "own", *published, user=True)


@contextmanager
def nginx(host, upstream="127.0.0.1:8080"):
    """Runs nginx on the host with the shipped file."""
    site = (ROOT / "deploy/nginx.conf").read_text().replace("server 127.0.0.1:8080;", f"server {upstream};")
    (host.root / "etc/nginx/conf.d/pixcolor.conf").write_text(site)
    (host.root / "etc/nginx/sites-enabled/default").unlink(missing_ok=True)
    with host.program("nginx", "-g", "daemon off;"):
        yield


NAMED = ["-H", "Host: pixcolor.example.org"]


def through_nginx():
    """The addresses that the gateway sees for a client on the other machine that sends a false X-Forwarded-For."""
    url = f"http://{HOST4}/v1/quota"
    answer = wait_for(lambda: curl_elsewhere("-f", *NAMED, "-H", "X-Forwarded-For: 203.0.113.9", url), "nginx does not answer")
    return taken_for(answer)


def trusted(address):
    return f'PIXCOLOR_TRUSTED_PROXIES=["{address}"]'


def behind_nginx(host):
    with check("nginx on the same machine, the gateway without a container: 127.0.0.1"):
        with nginx(host), binary(host, trusted("127.0.0.1")):
            assert through_nginx() == (CLIENT4, "127.0.0.1"), through_nginx()
    local = ["-p", "127.0.0.1:8080:8080"]
    for what, engine, address, options in [
        ("the gateway with --network host", "true", "127.0.0.1", ["--network", "host"]),
        ("published as -p 127.0.0.1:8080:8080", "true", BRIDGE, local),
        ("the same, without userland proxy", "false", BRIDGE, local),
    ]:
        with host.engine(f"--userland-proxy={engine}"), nginx(host):
            with check(f"nginx on the same machine, {what}: {address}"):
                with container(host, ["docker"], *options, "-e", trusted(address), NAME):
                    assert through_nginx() == (CLIENT4, address), through_nginx()
    with check(f"nginx on another machine: {HOST4}"), nginx(host, f"{CLIENT4}:8080"), elsewhere(host):
        assert wait_for(through_nginx, "no answer") == (CLIENT4, HOST4), through_nginx()


@contextmanager
def elsewhere(host):
    """Runs the gateway on the other machine."""
    settings = ["ROCKET_ADDRESS=0.0.0.0", trusted(HOST4), "XDG_STATE_HOME=/nonexistent", "PATH=/usr/bin"]
    words = ["ip", "netns", "exec", CLIENT, "env", "-i", *settings, host.root / "srv/pixcolor", "serve"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: curl_elsewhere(f"{CLIENT4}:8080/healthz"), "it does not serve")
        yield
    finally:
        process.terminate()
        process.wait(60)
