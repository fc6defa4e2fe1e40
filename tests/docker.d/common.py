"""Helpers of all checks: commands, waiting, pictures, and the report of a check."""

import json
import struct
import subprocess
import time
import zlib
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STATE = ROOT / ".test/docker"

_results = {"passed": 0, "failed": 0}


@contextmanager
def check(sentence):
    """Runs a check and reports it. A failure is counted, and the next check runs."""
    began = time.monotonic()
    try:
        yield
    except (AssertionError, subprocess.SubprocessError, OSError, LookupError, ValueError) as error:
        _results["failed"] += 1
        print(f"FAILED  {sentence}\n        {told(error)}", flush=True)
    else:
        _results["passed"] += 1
        print(f"ok      {sentence} ({time.monotonic() - began:.0f} s)", flush=True)


def told(error):
    """An error with the output of the failed command."""
    texts = [getattr(error, "stdout", None), getattr(error, "stderr", None), *getattr(error, "__notes__", [])]
    said = "\n".join(text for text in texts if text)
    return f"{error!r}\n{said}".strip()[-2000:].replace("\n", "\n        ")


def summary():
    """Prints the numbers of passed and failed checks; returns the exit status."""
    print(f"\ndocker: {_results['passed']} passed, {_results['failed']} failed")
    return 1 if _results["failed"] else 0


def run(*command, timeout=600, **more):
    """Runs a command, which must succeed, and returns its output."""
    command = [str(word) for word in command]
    ended = subprocess.run(command, check=True, capture_output=True, text=True, timeout=timeout, **more)
    return ended.stdout.strip()


def docker(*words, **more):
    return run("docker", *words, **more)


def wait_for(condition, what, seconds=60):
    """Waits until a condition returns a true value, and returns that value. Expected errors count as false."""
    end = time.monotonic() + seconds
    last = None
    while time.monotonic() < end:
        try:
            if result := condition():
                return result
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            last = error
        time.sleep(0.1)
    raise AssertionError(f"{what} after {seconds} s; {told(last) if last else ''}")


def inspect(container, path):
    """A part of `docker inspect` of a container, such as `State.Health`."""
    return json.loads(docker("inspect", "-f", "{{json ." + path + "}}", container))


def bridge(network):
    """This machine's address in a network of the engine."""
    subnet = docker("network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", network)
    return json.loads(run("ip", "-j", "addr", "show", "to", subnet))[0]["addr_info"][0]["local"]


def logs(container):
    ended = subprocess.run(["docker", "logs", container], capture_output=True, text=True, check=True)
    return ended.stdout + ended.stderr


def picture(seed, width=320, height=240):
    """A grey PNG, different for each seed."""
    rows = b"".join(
        b"\0" + bytes((x * (seed + 3) // 7 + y * 2 + (x * y * (seed + 1)) // 997) % 256 for x in range(width))
        for y in range(height)
    )

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts
