"""The peer: Pillow and onnxruntime do the gateway's work."""

import io
import math
import time
import tomllib

import numpy as np
import onnxruntime
from PIL import Image

from . import ROOT
from .pictures import jpeg


class Peer:
    """Colours a photograph as a short Python program would: Pillow decodes, merges and encodes, and onnxruntime runs
    the built-in network on one thread. The merge is the fastest that Pillow offers: it enlarges Cb and Cr, and the JPEG
    gets Y, Cb and Cr without a conversion."""

    def __init__(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(ROOT / "models/colorizer.onnx", options)
        self.recipe = tomllib.loads((ROOT / "models/colorizer.toml").read_text())["input"]
        grey = np.arange(256) / 255
        linear = np.where(grey <= 0.04045, grey / 12.92, ((grey + 0.055) / 1.055) ** 2.4)
        self.lightness = (116 * lab_curve(linear) - 16).astype(np.float32)

    def colorize(self, upload):
        """The coloured JPEG, and the processor time of each step in seconds."""
        times, last = {}, time.process_time()

        def end(step):
            nonlocal last
            now = time.process_time()
            times[step], last = now - last, now

        photo = Image.open(io.BytesIO(upload))
        photo.load()
        end("decode")
        lightness = self.lightness[np.asarray(photo.resize(self.input_size(*photo.size), reducing_gap=2.0))]
        end("reduce")
        lightness = self.stretched(lightness)
        (ab,) = self.session.run(None, {"L": lightness[None, None]})
        end("network")
        small = photo.resize((ab.shape[3], ab.shape[2]), reducing_gap=2.0)
        rgb = srgb(self.lightness[np.asarray(small)], ab[0, 0], ab[0, 1])
        _, cb, cr = Image.fromarray(rgb).convert("YCbCr").split()
        merged = Image.merge("YCbCr", (photo, cb.resize(photo.size), cr.resize(photo.size)))
        end("merge")
        coloured = jpeg(merged)
        end("encode")
        return coloured, times

    def input_size(self, width, height):
        """See src/provider/onnx/recipe.rs."""
        size, multiple = self.recipe["size"], self.recipe["multiple"]
        side = lambda length: max(1, round(length * size / math.sqrt(width * height) / multiple)) * multiple
        return side(width), side(height)

    def stretched(self, lightness):
        """See src/provider/onnx/contrast.rs."""
        low, high = np.percentile(lightness, [1, 99])
        factor = min(4, self.recipe["contrast"] / max(high - low, 0.01))
        if factor <= 1:
            return lightness
        middle, half = (low + high) / 2, (high - low) * factor / 2
        center = min(max(middle, half), 100 - half)
        return np.clip((lightness - middle) * factor + center, 0, 100).astype(np.float32)


def lab_curve(linear):
    return np.where(linear > 0.008856, np.cbrt(linear), 7.787 * linear + 16 / 116)


def srgb(lightness, a, b):
    """8-bit sRGB of CIE L*a*b* (D65)."""
    y = (lightness + 16) / 116
    curves = np.stack([y + a / 500, y, y - b / 200], axis=-1)
    xyz = np.where(curves > 0.2069, curves ** 3, (curves - 16 / 116) / 7.787) * [0.95047, 1, 1.08883]
    matrix = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])
    linear = np.clip(xyz @ matrix.T, 0, 1)
    encoded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (encoded * 255 + 0.5).astype(np.uint8)
