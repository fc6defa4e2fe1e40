"""The photographs that the gateway and the peer get."""

import io

import numpy as np
from PIL import Image

from . import ROOT

QUALITY = 90  # of JPEG results, the gateway's default
SIZES = {1: (1155, 866), 2: (1633, 1225), 4: (2309, 1732), 8: (3266, 2449), 12: (4000, 3000), 24: (5657, 4243),
         50: (8160, 6120)}  # megapixels: width, height


def photograph(width, height):
    """A colour photograph of this size, as in benches/photograph: enlarged, with film grain."""
    with Image.open(ROOT / "tests/data/rocket.jpg") as small:
        large = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))
    grain = np.random.default_rng(1).integers(0, 16, (height, width, 1), dtype=np.uint8)
    return Image.fromarray(np.maximum(np.minimum(large, 240) + grain, 8) - 8)


def jpeg(picture):
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
