"""Decodes every picture in a folder with Pillow, and converts colours with littleCMS. Writes each result beside its input."""

import io
import pathlib
import sys

from PIL import Image, ImageCms

SRGB = ImageCms.createProfile("sRGB")

for path in pathlib.Path(sys.argv[1]).iterdir():
    if path.suffix == ".bmp":
        with Image.open(path) as image:
            path.with_suffix(".rgb").write_bytes(image.convert("RGBA").tobytes())
    elif path.suffix == ".icc":
        # Converts one row of samples from the profile's colour space to sRGB, with the relative colorimetric intent.
        samples = path.with_suffix(".raw").read_bytes()
        mode = path.stem.split("-")[0]
        image = Image.frombytes(mode, (len(samples) // len(Image.new(mode, (1, 1)).getbands()), 1), samples)
        profile = ImageCms.ImageCmsProfile(io.BytesIO(path.read_bytes()))
        done = ImageCms.profileToProfile(
            image,
            profile,
            SRGB,
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            # littleCMS's lookup tables for speed are too coarse in dark colours.
            flags=ImageCms.Flags.NOOPTIMIZE,
        )
        path.with_suffix(".rgb").write_bytes(done.tobytes())
