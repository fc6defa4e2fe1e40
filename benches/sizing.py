#!/usr/bin/env python3
"""Measures the memory, processor time and disk space that a gateway needs for pictures of several sizes, and prints the
tables of docs/sizing.md. Needs Linux and Python without further packages.

    cargo build --release && benches/sizing.py target/release/pixcolor
"""

import os
import random
import struct
import subprocess
import sys
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gateway import Gateway, environment

SIZES = [(1200, 900), (4000, 3000), (8000, 6000)]  # 1, 12 and 48 megapixels
AT_ONCE = [1, 2, 4]
UNBOUNDED = {"LIMITS__DECODING_PIXELS": "1000000000"}
MACHINES = {
    "256 MiB": {"LIMITS__PIXELS": "12000000", "LIMITS__DECODING_PIXELS": "12000000",
                "LIMITS__UPLOAD_MEMORY": "64 MiB", "CACHE__MEMORY": "16 MiB"},
    "1 GiB": {},
}


def grey_png(path, width, height):
    """Writes a vertical gradient with grain. As a JPEG it has about as many bytes as a photograph of this size."""
    noise = bytes(random.Random(1).choices(range(12), k=width + 4099))
    packer, packed = zlib.compressobj(1), []
    for y in range(height):
        base = 210 - 160 * y // height
        row = noise[(y * 61) % 4096:][:width].translate(bytes(min(255, base + level) for level in range(256)))
        packed.append(packer.compress(b"\0" + row))
    packed.append(packer.flush())
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"".join(packed)) + chunk(b"IEND", b""))


def peak_of(binary, folder, settings, picture, count):
    """The peak memory, in MiB, of a gateway that receives a picture in `count` requests at once."""
    gateway = Gateway(binary, folder, settings)
    # A different extra byte at the end makes each upload different, so the requests do not share a call.
    with ThreadPoolExecutor(count) as clients:
        answers = [clients.submit(gateway.colorize, picture + bytes([client])) for client in range(count)]
    for answer in answers:
        answer.result()
    peak = gateway.peak()
    gateway.stop()
    return f"{peak:.0f} MiB"


def coloured(binary, folder, width, height):
    """A coloured JPEG of this size."""
    png = Path(folder) / "photo.png"
    grey_png(png, width, height)
    subprocess.run([binary, "colorize", png, "-o", folder, "--format", "jpeg"], check=True, cwd=folder,
                   env=environment(folder, {}), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    made = Path(folder) / "photo-coloured.jpg"
    picture = made.read_bytes()
    made.unlink()
    return picture


def main():
    binary = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway(binary, folder, UNBOUNDED)
        print(f"idle: {gateway.peak():.0f} MiB\n")
        gateway.stop()
        print("| picture | size as a JPEG | memory, 1 at once | 2 at once | 4 at once | processor seconds per picture | on disk, 1,000 results |")
        print("|---|---|---|---|---|---|---|")
        for width, height in SIZES:
            picture = coloured(binary, folder, width, height)
            peaks = [peak_of(binary, folder, UNBOUNDED, picture, count) for count in AT_ONCE]
            gateway = Gateway(binary, folder, UNBOUNDED)
            gateway.colorize(picture)
            before, disk = gateway.seconds(), gateway.on_disk()
            for _ in range(3):
                gateway.colorize(picture)
            seconds = (gateway.seconds() - before) / 3
            gateway.stop()
            print(f"| {width * height / 1e6:.0f} megapixel{'' if width * height < 2e6 else 's'} | {len(picture) / 1e6:.1f} MB | {' | '.join(peaks)} "
                  f"| {seconds:.2f} | {disk * 1000 / 2**30:.1f} GiB |", flush=True)
        print("\n| machine | sixteen of 12 megapixels sent at once |")
        print("|---|---|")
        picture = coloured(binary, folder, *SIZES[1])
        for machine, settings in MACHINES.items():
            print(f"| {machine} | {peak_of(binary, folder, settings, picture, 16)} |", flush=True)


main()
