"""Measures the cost of a photograph of one megapixel in the program, and of the same network in onnxruntime.

    python speed.py --binary ../../target/release/pixcolor --models ../colorizer.onnx --sizes 224 256 320 384

Everything runs on one core. Times are processor time, so that other work on the machine has little effect. "network"
is the time of the provider as the program counts it (from grey picture to ab). "whole picture" is all time that the
program's process used between upload and response. "memory" is the peak memory of that process.
"""

import argparse
import io
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
import tomllib
import urllib.request
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from evaluate import input_size

PHOTO = Path(__file__).parents[2] / "tests/data/rocket.jpg"
PIXELS = 1_000_000
TICK = os.sysconf("SC_CLK_TCK")


def photographs(file: Path, count: int) -> tuple[list[bytes], tuple[int, int]]:
    """Grey JPEGs of the photograph at one megapixel, each different, so that none is cached, and their
    height and width."""
    picture = Image.open(file).convert("L")
    scale = (PIXELS / (picture.width * picture.height)) ** 0.5
    width, height = round(picture.width * scale), round(picture.height * scale)
    picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    made = []
    for number in range(count):
        picture.paste(5 * number % 256, (0, 0, 32, 32))
        data = io.BytesIO()
        picture.save(data, "JPEG", quality=90)
        made.append(data.getvalue())
    return made, (height, width)


class Program:
    """The program serving one network, on one core."""

    def __init__(self, binary: Path, model: Path, size: int) -> None:
        self.folder = tempfile.TemporaryDirectory()
        folder = Path(self.folder.name)
        (folder / "providers").mkdir()
        shutil.copy(model, folder / "net.onnx")
        recipe = re.sub(r"(?m)^size = \d+", f"size = {size}", model.with_suffix(".toml").read_text())
        (folder / "net.toml").write_text(recipe)
        (folder / "pixcolor.toml").write_text("")
        (folder / "providers/net.toml").write_text(
            'kind = "onnx"\nmodel = "../net.onnx"\nthreads = 1\n'
        )
        environment = {"ROCKET_PORT": "0", "PIXCOLOR_QUOTA__ENABLED": "false", "HOME": str(folder)}
        core = min(os.sched_getaffinity(0))
        self.process = subprocess.Popen(
            [binary, "--config", folder, "serve"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"listens on (http://\S+)", line):
                self.address = found[1]
                return
        raise RuntimeError(f"{binary} does not serve {model}")

    def colour(self, photo: bytes) -> tuple[float, float]:
        """Milliseconds of the network and of the whole picture."""
        network, whole = self._network_seconds(), self._seconds()
        url = f"{self.address}/v1/colorize?provider=net&format=jpeg"
        request = urllib.request.Request(url, photo, {"Content-Type": "image/jpeg"})
        urllib.request.urlopen(request).read()
        # The process clock has a resolution of 10 ms, so only the mean of many measurements is meaningful.
        spent = self._seconds() - whole
        return 1000 * (self._network_seconds() - network), 1000 * spent

    def _network_seconds(self) -> float:
        usage = json.load(urllib.request.urlopen(f"{self.address}/v1/usage?by=provider"))
        return usage["total"]["cpu_seconds"]

    def _seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory(self) -> int:
        """Peak megabytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        return round(int(found[1]) / 1000)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()
        self.folder.cleanup()


def beside(model: Path, height: int, width: int, times: int) -> list[float]:
    """Milliseconds that onnxruntime takes on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    lightness = np.random.default_rng(0).random((1, 1, height, width), np.float32) * 100
    taken = []
    for _ in range(times + 1):
        start = time.process_time()
        session.run(None, {session.get_inputs()[0].name: lightness})
        taken.append(1000 * (time.process_time() - start))
    return taken[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures the program's speed beside onnxruntime.")
    parser.add_argument("--binary", type=Path, required=True, help="the program, built with --release")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="ONNX files with their recipes")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256], help="sides of the network's input")
    parser.add_argument("--photo", type=Path, default=PHOTO, help="the photograph, which is resized to one megapixel")
    parser.add_argument("--times", type=int, default=20)
    options = parser.parse_args()
    photos, (height, width) = photographs(options.photo, options.times + 1)
    print("| network | size | network, ms (least) | onnxruntime, ms (least) | whole picture, ms | memory, MB |")
    print("|---|---|---|---|---|---|")
    for model in options.models:
        assert tomllib.loads(model.with_suffix(".toml").read_text())["output"]["give"] == "ab"
        for size in options.sizes:
            program = Program(options.binary.resolve(), model, size)
            taken = [program.colour(photo) for photo in photos][1:]
            network, whole = zip(*taken, strict=True)
            memory = program.memory()
            program.stop()
            other = beside(model, *input_size(height, width, size), options.times)
            cells = [f"{statistics.median(t):.0f} ({min(t):.0f})" for t in (network, other)]
            cells += [f"{statistics.mean(whole):.0f}", str(memory)]
            print(f"| {model.stem} | {size} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
