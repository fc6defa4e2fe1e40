"""Makes a sheet of worn photographs and the program's results: each result is below its input.

    python sheet.py --binary ../../target/release/pixcolor --photos ../../tests/data/grace_hopper.jpg --out sheet.jpg

Every case is made from the photograph in grey. The program colours the whole file through its normal command line.
"""

import argparse
import io
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps

TILE = 130
"""Height of a tile in pixels."""


def _noise(picture: Image.Image, amount: float) -> Image.Image:
    random = np.random.default_rng(0)
    noise = random.normal(0, amount, (picture.height, picture.width))
    return Image.fromarray((np.asarray(picture) + noise).clip(0, 255).astype(np.uint8))


def _scratched(picture: Image.Image) -> Image.Image:
    random = np.random.default_rng(1)
    pixels = np.asarray(picture).copy()
    for _ in range(6):
        along = np.arange(pixels.shape[0])
        at = random.uniform(0, pixels.shape[1]) + along * random.normal(0, 0.1)
        inside = (at >= 0) & (at < pixels.shape[1] - 2)
        for wide in range(2):
            pixels[along[inside], at[inside].astype(int) + wide] = random.choice([15, 245])
    return Image.fromarray(pixels)


def _blocks(picture: Image.Image) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=8)
    return Image.open(file).convert("L")


def _side(picture: Image.Image, side: int) -> Image.Image:
    scale = side / max(picture.size)
    return picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BICUBIC)


CASES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "as it is": lambda picture: picture,
    "sepia": lambda picture: ImageOps.colorize(picture, (40, 24, 10), (245, 222, 179)),
    "yellowed": lambda picture: ImageOps.colorize(picture, (20, 20, 10), (235, 225, 150)),
    "low contrast": lambda picture: picture.point(lambda level: 110 + level * 0.3),
    "grain": lambda picture: _noise(picture, 22),
    "blurred": lambda picture: picture.filter(ImageFilter.GaussianBlur(max(picture.size) / 150)),
    "scratched": _scratched,
    "JPEG blocks": _blocks,
    "border": lambda picture: ImageOps.expand(picture, max(picture.size) // 12, 240),
    "64 pixels": lambda picture: _side(picture, 64),
    "40 megapixels": lambda picture: _side(picture, int((40e6 * max(picture.size) / min(picture.size)) ** 0.5)),
}


def _tile(picture: Image.Image) -> Image.Image:
    return picture.convert("RGB").resize((round(picture.width * TILE / picture.height), TILE))


def row(program: list[str | Path], photo: Path) -> Image.Image:
    """Two rows of tiles: the cases of a photograph, and their results."""
    grey = ImageOps.exif_transpose(Image.open(photo)).convert("L")
    with tempfile.TemporaryDirectory() as name:
        before, after = Path(name, "before"), Path(name, "after")
        before.mkdir()
        files = []
        for number, case in enumerate(CASES.values()):
            files.append(before / f"{number:02}.png")
            case(grey).save(files[-1])
        command = [*program, "colorize", "--format", "png", "--output", after, *files]
        # An empty home folder, so that no result comes from a cache.
        subprocess.run(command, check=True, env={"HOME": name}, cwd=name, stdout=subprocess.DEVNULL)
        made = sorted(after.iterdir())
        assert len(made) == len(files), f"{len(made)} of {len(files)} cases were coloured"
        tiles = [(_tile(Image.open(a)), _tile(Image.open(b))) for a, b in zip(files, made, strict=True)]
    sheet = Image.new("RGB", (sum(b.width + 4 for _, b in tiles), 2 * TILE + 12), "white")
    left = 0
    for above, below in tiles:
        sheet.paste(above, (left, 0))
        sheet.paste(below, (left, TILE + 4))
        left += below.width + 4
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description="A sheet of worn photographs and their colour.")
    parser.add_argument("--binary", type=Path, required=True, help="the program")
    parser.add_argument("--config", type=Path, help="the program's configuration [default: built in]")
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True, help="the picture to write")
    options = parser.parse_args()
    program = [options.binary.resolve(), *(["--config", options.config.resolve()] if options.config else [])]
    rows = [row(program, photo) for photo in options.photos]
    sheet = Image.new("RGB", (max(row.width for row in rows), sum(row.height for row in rows)), "white")
    top = 0
    for line in rows:
        sheet.paste(line, (0, top))
        top += line.height
    sheet.save(options.out, quality=80)
    print(", ".join(CASES))


if __name__ == "__main__":
    main()
