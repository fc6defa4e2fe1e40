#!/usr/bin/env python3
"""Colours a folder with many small photographs, interrupts the run, continues it, and reports memory and times.

    cargo build --release && benches/archive.py target/release/pixcolor [COUNT]

COUNT is 100,000 by default. Prints, for COUNT and for a tenth of it, ratios that show whether a cost grows faster than
the number of files. Fails if memory grows during a run, or if a cost grows much faster than the number of files. Needs
Linux and Python without further packages.
"""

import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from pathlib import Path

FOLDERS = 100
# Memory at the end of a run, as a multiple of memory after a tenth of it.
MOST_GROWTH = 1.4
# Ten times the files may take this many times as long.
MOST_RATIO = 25


def small_png(number):
    """A grey PNG of 16 x 16 pixels. The number is in its pixels, so that every file has other colour."""
    rows = b"".join(b"\0" + bytes((number * 7 + x * y * 3 + (number >> (x % 17))) % 256 for x in range(16))
                    for y in range(16))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", 16, 16, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def archive(folder, count):
    for number in range(count):
        path = folder / f"box {number % FOLDERS:03}" / f"{number:06}.png"
        if number < FOLDERS:
            path.parent.mkdir(parents=True)
        path.write_bytes(small_png(number))


class Run:
    """A run of `pixcolor colorize`, whose memory is sampled."""

    def __init__(self, binary, folder, *args):
        environment = {**os.environ, "HOME": str(folder), "PIXCOLOR_CACHE__ENABLED": "false"}
        command = [binary, "colorize", "scans", "-o", "out", *args]
        self.start = time.monotonic()
        self.child = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True)
        self.samples, self.lines, self.first = [], [], None
        self.reader = threading.Thread(target=self.read)
        self.reader.start()
        self.sampler = threading.Thread(target=self.sample)
        self.sampler.start()

    def read(self):
        for line in self.child.stdout:
            if self.first is None:
                self.first = time.monotonic() - self.start
            self.lines.append(line)

    def sample(self):
        while self.child.poll() is None:
            try:
                status = Path(f"/proc/{self.child.pid}/status").read_text()
            except FileNotFoundError:
                return
            rss = [line for line in status.splitlines() if line.startswith("VmRSS")]
            if rss and self.first is not None:
                self.samples.append(int(rss[0].split()[1]) / 1024)
            time.sleep(0.2)

    def end(self):
        code = self.child.wait()
        self.reader.join()
        self.sampler.join()
        return code, time.monotonic() - self.start, self.lines[-1].strip() if self.lines else ""

    def growth(self):
        """Memory at the end as a multiple of memory after a tenth of the run, without the warm-up."""
        tenth = len(self.samples) // 10
        early, late = self.samples[tenth:2 * tenth] or [1], self.samples[-tenth:] or [1]
        return max(late) / max(early)


def measure(binary, count):
    """The time until the first result, and the time of a run that finds everything done, for this many files."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        archive(folder / "scans", count)
        run = Run(binary, folder)
        while len(run.lines) < count // 3:
            time.sleep(0.1)
        run.child.send_signal(signal.SIGINT)
        interrupted = time.monotonic()
        code, _, _ = run.end()
        stopped = time.monotonic() - interrupted
        assert code == 130, code
        first = run.first
        run = Run(binary, folder)
        code, took, summary = run.end()
        assert code == 0 and f" of {count} photographs" in summary, summary
        done = len(list((folder / "out").rglob("*-coloured.png")))
        assert done == count, done
        again = Run(binary, folder)
        code, again_took, summary = again.end()
        assert code == 0 and summary.startswith(f"0 of {count} "), summary
        print(f"{count:7} files: first result after {first:.2f} s, Ctrl+C {stopped:.2f} s, rest {took:.0f} s, "
              f"memory at the end {max(run.samples):.0f} MiB = {run.growth():.2f} of the memory after a tenth, "
              f"all done before {again_took:.2f} s")
        assert run.growth() <= MOST_GROWTH, "the memory grows during the run"
        return first, again_took


def main():
    binary = str(Path(sys.argv[1]).resolve())
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    small, large = measure(binary, count // 10), measure(binary, count)
    print("ten times the files: first result after {:.1f} times the time, a run that finds all done {:.1f} times".format(
        large[0] / small[0], large[1] / small[1]))
    assert large[0] / small[0] <= MOST_RATIO and large[1] / small[1] <= MOST_RATIO, "a cost grows too fast"


if __name__ == "__main__":
    main()
