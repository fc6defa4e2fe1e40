"""Root folders and images made of Debian's packages: for the builder, the stand-ins and the machine of the network tests."""

import hashlib
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

from common import STATE, docker, run

# The Containerfile's default base, with Rust and a C compiler.
RUST = "docker.io/library/rust:1-bookworm"
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


def debian(name, suite, packages, finish=None):
    """Returns a folder with a minimal Debian and these packages. It is created once, and again if the list has changed."""
    root, listed = STATE / name, STATE / f"{name}.packages"
    wanted = " ".join([suite, *packages])
    if listed.exists() and listed.read_text() == wanted:
        return root
    print(f"creating a Debian root folder for {name}", flush=True)
    listed.unlink(missing_ok=True)
    shutil.rmtree(root, ignore_errors=True)
    run("debootstrap", "--variant=minbase", suite, root, timeout=1800)
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    # Packages must not start their services.
    (root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
    (root / "usr/sbin/policy-rc.d").chmod(0o755)
    settings = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    inside = {"env": settings, "timeout": 1800}
    run("chroot", root, "apt-get", "update", "-q", **inside)
    run("chroot", root, "apt-get", "install", "-y", "-q", "--no-install-recommends", "ca-certificates", *packages, **inside)
    # The certificate authorities that this machine trusts, for example a proxy's.
    if AUTHORITIES.exists():
        shutil.copy(AUTHORITIES, root / AUTHORITIES.relative_to("/"))
    if finish:
        finish(root, inside)
    run("chroot", root, "apt-get", "clean", **inside)
    listed.write_text(wanted)
    return root


def imported(name, key, root):
    """Imports the folder as an image and returns its tag."""
    tag = f"pixcolor-test/{name}:{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    if not docker("images", "-q", tag):
        with subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE) as tar:
            docker("import", "-", tag, stdin=tar.stdout)
    return tag


def builder():
    """The image for the Containerfile's build stage: Debian's C compiler and this machine's Rust."""
    compiler = run("rustc", "-vV")
    sysroot = Path(run("rustc", "--print", "sysroot"))
    host = next(line.removeprefix("host: ") for line in compiler.splitlines() if line.startswith("host: "))
    root = debian("builder", "bookworm", ["gcc", "libc6-dev"])
    version = root / "usr/local/rust-version"
    if not version.exists() or version.read_text() != compiler:
        for program in ["cargo", "rustc"]:
            shutil.copy(sysroot / "bin" / program, root / "usr/local/bin" / program)
        shutil.copytree(sysroot / "lib", root / "usr/local/lib", dirs_exist_ok=True, symlinks=True,
                        ignore=lambda folder, names: others(folder, names, host))
        version.write_text(compiler)
    return {RUST: imported("builder", compiler + (STATE / "builder.packages").read_text(), root)}


def others(folder, names, host):
    """The libraries of a toolchain that are for other target platforms; they are not copied."""
    return [name for name in names if name != host and name != "etc"] if folder.endswith("/rustlib") else []


def standins():
    """Stand-in images for deploy/compose.yaml, by the names of the images that they replace."""
    packages = ["nginx-light", "valkey-server", "valkey-tools", "prometheus", "python3-venv", "curl"]

    def finish(root, inside):
        (root / "etc/nginx/sites-enabled/default").unlink()
        python = "/opt/moto/bin/python"
        run("chroot", root, "python3", "-m", "venv", "/opt/moto", **inside)
        run("chroot", root, python, "-m", "pip", "install", "-q", "moto[s3]==5.2.5", "flask", "flask-cors", **inside)

    root = debian("services", "trixie", packages, finish)
    base = imported("services", (STATE / "services.packages").read_text(), root)
    prometheus = ["prometheus", "--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
    # Image name, stand-in name, program, and files from the folder standins/.
    made = {
        "docker.io/library/nginx:1": ("nginx", ["nginx", "-g", "daemon off;"], []),
        "docker.io/valkey/valkey:8": ("valkey", [], []),
        "docker.io/prom/prometheus:v3.5.0": ("prometheus", prometheus, []),
        "pixcolor-test/store": ("store", ["/opt/moto/bin/python", "/opt/store.py"], ["store.py"]),
        "pixcolor-test/mc": ("mc", [], ["mc"]),
    }
    images = {}
    for name, (short, program, files) in made.items():
        words = ", ".join(f'"{word}"' for word in program)
        lines = [f"FROM {base}", "WORKDIR /data", *(f"COPY {file} /opt/{file}" for file in files)]
        # As in the official nginx image.
        lines += ["RUN ln -sf /dev/stderr /var/log/nginx/error.log"] if short == "nginx" else []
        lines += ["ENV PATH=/opt:/usr/sbin:/usr/bin:/sbin:/bin", f"ENTRYPOINT [{words}]"]
        folder = Path(__file__).parent / "standins"
        tag = f"pixcolor-test/standin-{short}"
        run("docker", "build", "-q", "-t", tag, "-f", "-", folder, input="\n".join(lines))
        images[name] = tag
    return images


@contextmanager
def tags(images):
    """Tags images temporarily with the names that they replace, except names for which the engine has an image."""
    given = [name for name, image in images.items() if not docker("images", "-q", name)]
    for name in given:
        docker("tag", images[name], name)
    try:
        yield
    finally:
        for name in given:
            docker("rmi", "--no-prune", name)
