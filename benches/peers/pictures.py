"""The uploads, and the picture with which the fake provider answers."""

import base64
import io
import json
import random
from pathlib import Path

from PIL import Image, ImageChops, ImageOps, ImageStat

SAMPLE = Path(__file__).resolve().parents[2] / "static/sample.jpg"
UPLOAD_SIZE, ANSWER_SIZE = (1152, 864), (640, 480)


def photograph():
    """The sample in grey, cropped to 4:3 and enlarged to 1 megapixel."""
    with Image.open(SAMPLE) as sample:
        return sample.convert("L").crop((0, 0, 1024, 768)).resize(UPLOAD_SIZE, Image.Resampling.BICUBIC)


def grain():
    """Grey noise from 118 to 138."""
    noise = random.Random(1).randbytes(UPLOAD_SIZE[0] * UPLOAD_SIZE[1])
    noise = noise.translate(bytes(118 + 20 * level // 255 for level in range(256)))
    return Image.frombytes("L", UPLOAD_SIZE, noise)


def with_grain(photo, noise):
    return ImageChops.add(photo, noise, 1, -128)


def encoded(picture, file_format, **options):
    file = io.BytesIO()
    picture.save(file, file_format, **options)
    return file.getvalue()


def uploads(count):
    """Different JPEGs of one photograph: each has the same grain, shifted by another distance."""
    photo, noise = photograph(), grain()
    shifted = (ImageChops.offset(noise, index % UPLOAD_SIZE[0], index * 29 % UPLOAD_SIZE[1]) for index in range(count))
    return [encoded(with_grain(photo, layer), "JPEG", quality=90) for layer in shifted]


def answer():
    """The photograph with grain, smaller and in colour."""
    small = with_grain(photograph(), grain()).resize(ANSWER_SIZE, Image.Resampling.LANCZOS)
    return ImageOps.colorize(small, black=(20, 16, 40), mid=(150, 120, 90), white=(255, 244, 214))


def response_picture(body):
    """Decodes the picture in a response: a file, a data URL, or OpenAI's JSON."""
    if body.startswith(b"data:"):
        body = base64.b64decode(body.split(b",", 1)[1])
    elif body.startswith(b"{"):
        body = base64.b64decode(json.loads(body)["data"][0]["b64_json"])
    return Image.open(io.BytesIO(body)).convert("RGB")


class Check:
    """Checks that a response contains the provider's picture."""

    def __init__(self):
        self.gray = photograph().resize(ANSWER_SIZE)

    def size(self, server, body):
        """The size of the picture in a response."""
        picture = response_picture(body)
        red, _, blue = ImageStat.Stat(picture).mean
        difference = ImageChops.difference(picture.convert("L").resize(ANSWER_SIZE), self.gray)
        if red - blue < 10 or ImageStat.Stat(difference).mean[0] > 40:
            raise RuntimeError(f"{server} returned another picture")
        return picture.size
