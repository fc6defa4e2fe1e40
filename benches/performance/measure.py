"""The measurements: a photograph of one size, a remote provider, a folder of photographs, and cache hits."""

import io
import math
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from gateway import Gateway, environment

from . import ROOT
from .pictures import SIZES, jpeg, photograph
from .upstream import Upstream

FOLDER = 120  # photographs
# In each round the gateway works for about this many seconds per size, because processor time is counted in
# hundredths of a second.
ROUND = 0.6
SETTLE = 0.2  # seconds after a response in which the gateway finishes its writes


class Requests:
    """Sends a photograph to a gateway again and again; the results are the minima of all rounds."""

    def __init__(self, gateway, upload):
        self.gateway, self.upload, self.sent = gateway, upload, 0
        self.cpu = self.wall = math.inf
        self.steps, self.shares = {}, []
        self.post()  # a first request starts threads and allocates memory
        time.sleep(SETTLE)
        before = gateway.seconds()
        self.post()
        time.sleep(SETTLE)
        self.per_round = max(2, math.ceil(ROUND / max(gateway.seconds() - before, 0.01)))

    def post(self):
        # Different bytes at the end make each upload different.
        answer = self.gateway.colorize(self.upload + self.sent.to_bytes(4))
        self.sent += 1
        assert "hit" not in answer.headers["Cache-Status"], answer.headers["Cache-Status"]
        steps = {name: float(ms) / 1e3 for name, ms in
                 re.findall(r"(\w+);dur=([\d.]+)", answer.headers["Server-Timing"])}
        self.shares.append(sum(steps.values()) / answer.seconds)
        if answer.seconds < self.wall:
            self.wall, self.steps = answer.seconds, steps

    def round(self):
        before = self.gateway.seconds()
        for _ in range(self.per_round):
            self.post()
        time.sleep(SETTLE)
        self.cpu = min(self.cpu, (self.gateway.seconds() - before) / self.per_round)

    def share(self):
        """The median of the sum of Server-Timing's steps, divided by the wall time that the client measured."""
        return sorted(self.shares)[len(self.shares) // 2]


class Size:
    """The measurements of one size: the gateway's and the peer's."""

    def __init__(self, binary, folder, peer, megapixels, rounds):
        upload = jpeg(photograph(*SIZES[megapixels]).convert("L"))
        self.megapixels = megapixels
        gateway = Gateway(binary, folder, {})
        requests = Requests(gateway, upload)
        peer.colorize(upload)
        self.peer_steps = {}
        for _ in range(rounds):
            requests.round()
            for _ in range(max(2, requests.per_round // 2)):
                for step, seconds in peer.colorize(upload)[1].items():
                    self.peer_steps[step] = min(seconds, self.peer_steps.get(step, math.inf))
        self.cpu, self.wall, self.steps, self.share = requests.cpu, requests.wall, requests.steps, requests.share()
        self.peak = gateway.peak()
        gateway.stop()
        self.peer = sum(self.peer_steps.values())
        # Without the peer's own reduction and merge: what every program must do at least.
        self.bound = sum(self.peer_steps[step] for step in ("decode", "network", "encode"))


class Remote:
    """The measurements of a remote provider that answers at once with a PNG of 640 x 640."""

    def __init__(self, binary, folder, rounds):
        square = photograph(1000, 1000)
        png = io.BytesIO()
        square.resize((640, 640)).save(png, "PNG")
        upstream = Upstream(png.getvalue())
        config = Path(folder) / "remote"
        (config / "providers").mkdir(parents=True)
        (config / "pixcolor.toml").write_text('route = ["remote"]\n')
        (config / "providers/remote.toml").write_text(
            f'kind = "http"\nmodel = "performance"\nbase_url = "http://127.0.0.1:{upstream.port}"\n'
            'allow_private = true\nprice.terms = []\n[request]\nbody = "raw"\n[reply]\noutput = "raw"\n')
        gateway = Gateway(binary, folder, {"CONFIG": str(config)})
        requests = Requests(gateway, jpeg(square.convert("L")))
        for _ in range(rounds):
            requests.round()
        self.cpu, self.wall, self.steps, self.share = requests.cpu, requests.wall, requests.steps, requests.share()
        self.upstream = upstream.seconds
        gateway.stop()


class Folder:
    """The pictures per second of `pixcolor colorize` for many photographs, on one core and on two."""

    def __init__(self, binary, folder):
        self.per_second = {1: 0, 2: 0}
        self.cores = sorted(os.sched_getaffinity(0))[:2]
        photographs = Path(folder) / "photographs"
        photographs.mkdir()
        pixels = np.asarray(photograph(*SIZES[1]).convert("L"))
        for number in range(FOLDER):
            # Moved pixels make each photograph different, so that none gets the cached colour of another.
            moved = Image.fromarray(np.roll(pixels, 9 * number, axis=1))
            (photographs / f"{number}.jpg").write_bytes(jpeg(moved))
        for _ in range(2):
            for count in range(1, len(self.cores) + 1):
                with tempfile.TemporaryDirectory(dir=folder) as home:
                    start = time.perf_counter()
                    subprocess.run([binary, "colorize", *photographs.iterdir(), "-o", f"{home}/coloured"], check=True,
                                   env=environment(home, {}), cwd=home, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL,
                                   preexec_fn=lambda: os.sched_setaffinity(0, self.cores[:count]))
                    seconds = time.perf_counter() - start
                    assert len(list(Path(home, "coloured").iterdir())) == FOLDER
                self.per_second[count] = max(self.per_second[count], FOLDER / seconds)


def hits(binary, seconds):
    """The rows of benches/hits.sh: requests per second, and microseconds of processor time per request."""
    result = subprocess.run([ROOT / "benches/hits.sh", str(seconds)], env=dict(os.environ, BINARY=binary),
                            stdout=subprocess.PIPE, text=True)
    rows = {}
    for line in result.stdout.splitlines():
        if found := re.match(r"(\S.{33}) +(\d+) .* (\d+)$", line):
            rows[re.sub(", . cores$", "", found[1].rstrip())] = (int(found[2]), int(found[3]))
    return rows if result.returncode == 0 else {}
