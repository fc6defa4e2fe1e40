"""Photographs for training and evaluation, from folders and tar files. They are decoded once, into a cache.

Without the cache, decoding JPEG and WebP would take longer than a small network.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
HOLD_OUT = 60
"""One of this many photographs of each source, in name order, is never used for training."""
LONG = 1.5
"""A photograph's long side is cropped to at most this many times its short side."""


@dataclass(frozen=True)
class Photo:
    """One cached photograph."""

    name: str
    """Source and file name: `flowers/00042.webp`."""
    held_out: bool
    offset: int
    height: int
    width: int


def encoded(sources: list[Path]) -> Iterator[tuple[str, bool, bytes]]:
    """For every picture of each folder or tar file, in name order: its name, whether it is held out, and its bytes."""
    for source in sources:
        for index, (name, data) in enumerate(_in_name_order(source)):
            yield f"{source.stem}/{name}", index % HOLD_OUT == 0, data


def _in_name_order(source: Path) -> Iterator[tuple[str, bytes]]:
    if source.is_dir():
        files = (file for file in source.rglob("*") if file.suffix.lower() in SUFFIXES)
        for file in sorted(files, key=lambda file: file.relative_to(source).as_posix()):
            yield file.relative_to(source).as_posix(), file.read_bytes()
        return
    with tarfile.open(source) as archive:
        members = (member for member in archive if member.isfile())
        pictures = [member for member in members if Path(member.name).suffix.lower() in SUFFIXES]
        for member in sorted(pictures, key=lambda member: member.name):
            file = archive.extractfile(member)
            assert file is not None, "a regular file has content"
            yield member.name, file.read()


def decode(data: bytes, short: int) -> np.ndarray:
    """The pixels `H x W x 3` of a picture, scaled down to a short side of at most `short` and cropped to `LONG`."""
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    width, height = picture.size
    least = min(width, height)
    across, down = min(width, int(least * LONG)), min(height, int(least * LONG))
    left, top = (width - across) / 2, (height - down) / 2
    scale = min(1.0, short / least)
    size = (round(across * scale), round(down * scale))
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC, (left, top, left + across, top + down)))


class Cache:
    """All photographs of some sources, decoded, in one file that is mapped into memory."""

    def __init__(self, folder: Path, sources: list[Path], short: int) -> None:
        wanted = hashlib.sha256(json.dumps([[str(s.resolve()) for s in sources], short]).encode()).hexdigest()
        index, pixels = folder / f"{wanted[:16]}.json", folder / f"{wanted[:16]}.raw"
        if not index.exists():
            folder.mkdir(parents=True, exist_ok=True)
            _build(index, pixels, sources, short)
        self.photos = [Photo(*fields) for fields in json.loads(index.read_text())]
        self._pixels = np.memmap(pixels, np.uint8, "r")

    def __getitem__(self, photo: Photo) -> np.ndarray:
        size = photo.height * photo.width * 3
        return self._pixels[photo.offset :][:size].reshape(photo.height, photo.width, 3)

    def part(self, held_out: bool) -> list[Photo]:
        """The photographs that are held out, or those that are not."""
        return [photo for photo in self.photos if photo.held_out == held_out]


def _build(index: Path, pixels: Path, sources: list[Path], short: int) -> None:
    entries: list[tuple[str, bool, int, int, int]] = []
    offset = 0
    with pixels.open("wb") as file:
        for name, held_out, data in encoded(sources):
            array = decode(data, short)
            entries.append((name, held_out, offset, *array.shape[:2]))
            offset += file.write(array.tobytes())
    # The index is written last, so that an unfinished cache has no index.
    index.write_text(json.dumps(entries))


def crop(pixels: np.ndarray, side: int, box: tuple[int, int, int]) -> np.ndarray:
    """The square `(left, top, length)` of a picture, resized to `side` by `side` pixels."""
    left, top, length = box
    area = np.ascontiguousarray(pixels[top : top + length, left : left + length])
    return np.asarray(Image.fromarray(area).resize((side, side), Image.Resampling.BICUBIC))


def centre_box(pixels: np.ndarray) -> tuple[int, int, int]:
    """The largest square in the middle."""
    height, width = pixels.shape[:2]
    length = min(height, width)
    return (width - length) // 2, (height - length) // 2, length


def random_box(pixels: np.ndarray, random: np.random.Generator, least: float) -> tuple[int, int, int]:
    """A random square whose side is a share of the short side, from `least` to 1."""
    height, width = pixels.shape[:2]
    length = int(min(height, width) * random.uniform(least, 1.0))
    return int(random.integers(width - length + 1)), int(random.integers(height - length + 1)), length
