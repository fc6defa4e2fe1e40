"""Starts the fake provider and each server in turn, sends all of them the same uploads, and prints Markdown tables.
benches/peers/run calls this program and explains the options."""

import argparse
import json
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

import client
import peers
import pictures
import tables
from processes import Server, busy_seconds, processor_seconds

AT_ONCE = [1, 4, 16]
WARM_UP = 48
# Seconds before and after each load. A server can still work after its last response, and that work counts, too.
REST = 1


def progress(text):
    print(f"measure.py: {text}", file=sys.stderr, flush=True)


class Bench:
    def __init__(self, folder, count):
        self.folder, self.count, self.check = folder, count, pictures.Check()
        self.uploads = pictures.uploads(WARM_UP + len(AT_ONCE) * count)
        answer = pictures.answer()
        self.png = pictures.encoded(answer, "PNG")
        self.jpeg = pictures.encoded(answer, "JPEG", quality=90)
        self.provider = peers.provider(self.new_folder(), self.png, self.jpeg)

    def new_folder(self):
        return Path(tempfile.mkdtemp(dir=self.folder))

    def measure(self, name, build, start=None):
        """The rows of a server, or of the provider itself. `build` makes the requests for an upload."""
        progress(name)
        server = start(self.new_folder(), self.provider.port) if start else self.provider
        try:
            client.send_all(server.port, [build(upload) for upload in self.uploads[:WARM_UP]], max(AT_ONCE))
            return [self.row(name, build, server, step) for step in range(len(AT_ONCE))]
        except Exception:
            progress(f"{name} failed; the end of its log:\n{server.log_tail()}")
            raise
        finally:
            if start:
                server.stop()

    def row(self, name, build, server, step):
        """Measures one load. No server gets an upload twice."""
        first = WARM_UP + step * self.count
        exchanges = [build(upload) for upload in self.uploads[first:first + self.count]]
        time.sleep(REST)
        self.received()
        server.reset_peak()
        cpu, own, others, start = server.cpu(), processor_seconds(os.getpid()), busy_seconds(), time.monotonic()
        load = client.send_all(server.port, exchanges, AT_ONCE[step])
        time.sleep(REST)
        cpu, peak, received = server.cpu() - cpu, server.peak(), self.received()
        others = busy_seconds() - others - (processor_seconds(os.getpid()) - own)
        if received["calls"] != self.count:
            raise RuntimeError(f"{name} called the provider {received['calls']} times for {self.count} uploads")
        p50, relay = tables.medians(load.latencies)
        return tables.Row(
            name, self.check.size(name, load.last_body), AT_ONCE[step], p50,
            tables.quantile([latency.total for latency in load.latencies], 0.99), relay, self.count / load.seconds,
            cpu / self.count, peak, received["bytes"] / self.count,
            max(0, others) / (time.monotonic() - start) / peers.CORES)

    def received(self):
        """What the provider received since the last call of this function."""
        _, body = client.Connection(self.provider.port).send(client.request("GET", "/counts"))
        return json.loads(bytes(body))

    def facts(self, python_of_app, python_of_litellm, busy):
        """The sentences about the machine, the pictures and the versions."""
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        machine = f"{peers.CORES} cores ({found[1] if found else platform.machine()})"
        upload_size, answer_size = ("{} x {}".format(*size) for size in (pictures.UPLOAD_SIZE, pictures.ANSWER_SIZE))
        upload_bytes = statistics.fmean(map(len, self.uploads))
        app = versions(python_of_app, "flask", "gunicorn", "algorithmia", "requests")
        today = date.today()
        return (
            f"Measured on {today.day} {today:%B %Y} on {machine}, which the client, the servers and the fake provider "
            f"share; other programs used up to {100 * busy:.0f} % of them. {self.count} requests for each row. "
            f"Uploads: grey JPEGs of {upload_size} pixels and {upload_bytes / 1000:.0f} kB. "
            f"Results of the provider: {answer_size} pixels, as PNG {len(self.png) / 1000:.0f} kB, as JPEG "
            f"{len(self.jpeg) / 1000:.0f} kB. Python {platform.python_version()}, {app}, "
            f"{versions(python_of_litellm, 'litellm')}, fake provider: uvloop {version('uvloop')}.")


def versions(python, *packages):
    code = f"from importlib.metadata import version as v; print(*(p + ' ' + v(p) for p in {packages}), sep=', ')"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def measure_all(bench, options):
    """Measures each protocol. Returns the Markdown text."""
    protocols = [
        ("The page of 2017 (`POST /image`); the provider speaks Algorithmia's protocol", "the app of 2017",
         peers.apps_of_2017(options.app), client.algorithmia, client.page_of_2017, peers.ALGORITHMIA),
        ("OpenAI's image edits (`POST /v1/images/edits`); the provider speaks the same protocol", "LiteLLM",
         peers.litellms(options.litellm), client.openai_edit, client.openai_edit, peers.OPENAI),
    ]
    parts, comparisons, busy = [], [], 0
    for title, peer, starts, direct, build, provider_file in protocols:
        alone = bench.measure("provider alone", direct)
        theirs = [bench.measure(name, build, start) for name, start in starts.items()]
        own = [bench.measure(name, build, peers.pixcolor(options.binary, provider_file, variant))
               for name, variant in peers.VARIANTS.items()]
        servers = [alone, *theirs, *own]
        parts.append(tables.table(title, servers))
        comparisons += [tables.comparison(rows, peer, theirs) for rows in own]
        busy = max(busy, *(row.busy for rows in servers for row in rows))
    facts = bench.facts(options.app, options.litellm, busy)
    return "\n\n".join([facts, *parts, "\n".join(comparisons)])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=os.path.abspath, help="pixcolor")
    parser.add_argument("app", help="the Python that has the packages of the app of 2017")
    parser.add_argument("litellm", help="the Python that has LiteLLM")
    parser.add_argument("requests", nargs="?", type=int, default=400)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("measure.py: terminated"))
    folder = Path(tempfile.mkdtemp(prefix="peers-"))
    try:
        text = measure_all(Bench(folder, options.requests), options)
    finally:
        for server in list(Server.running):
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print(text)
    if options.write:
        tables.write(text)


if __name__ == "__main__":
    main()
