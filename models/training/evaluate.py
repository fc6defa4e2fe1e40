"""Measures ONNX colourisers on the held-out photographs, in comparison with grey results.

    python evaluate.py --photos a.tar b/ --cache CACHE --models first.onnx second.onnx

onnxruntime runs the exported file on an input as large as in the program: the aspect ratio is kept, the area is about
the square of a number in `--sizes`, and the sides are multiples of 32. The resulting ab is resized to the photograph's
size (short side at most 176) and combined with the photograph's lightness. `--contrast` stretches faded pictures as the
setting of a recipe does. `--worn` gives the networks photographs with simulated ageing (`degrade.py`). Intervals are
95 % bootstrap intervals over pictures.
"""

import argparse
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F
from torch import Tensor

from bins import SoftEncoding, bins_in_gamut
from degrade import degrade
from lab import lab_of_srgb, srgb_of_lab
from metrics import MEASURES, Score, bootstrap, colourfulness, interval, means, score
from photos import Cache, Photo

MULTIPLE = 32


def input_size(height: int, width: int, size: int) -> tuple[int, int]:
    """The size of the network's input for a picture, as the program's `Input::dimensions` computes it."""
    scale = size / (height * width) ** 0.5
    rows, columns = (min(max(1, round(side * scale / MULTIPLE)), size * 4 // MULTIPLE) for side in (height, width))
    return rows * MULTIPLE, columns * MULTIPLE


def class_weights(cache: Cache, photos: list[Photo], nearest: SoftEncoding) -> Tensor:
    """The inverse of each bin's share of these photographs' pixels (lambda 0 in equation 4), so that all colours that
    occur count equally."""
    total = torch.zeros(int(nearest.bins.max()) + 1)
    for photo in photos:
        classes = nearest(lab_of_srgb(_srgb(cache[photo]))[:, 1:])[0][:, 0].flatten()
        total += torch.bincount(classes, minlength=len(total)) / len(classes)
    return torch.where(total > 0, len(photos) / total, 0)


def _srgb(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255


def stretched(lightness: Tensor, span: float) -> Tensor:
    """Stretches lightness to a range of at least `span`, as the program's `onnx::contrast` does."""
    low, high = np.percentile(lightness.numpy(), [1, 99])
    factor = min(span / max(high - low, 1e-3), 4.0)
    if factor <= 1:
        return lightness
    middle, half = (low + high) / 2, (high - low) * factor / 2
    return ((lightness - middle) * factor + min(max(middle, half), 100 - half)).clamp(0, 100)


class Colour:
    """An exported network. Called with the lightness of a picture, it returns ab."""

    def __init__(self, file: Path, size: int, flip: bool, contrast: float = 0) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        self.size, self.flip, self.contrast = size, flip, contrast

    def __call__(self, lightness: Tensor) -> Tensor:
        height, width = lightness.shape[-2:]
        small = F.interpolate(lightness, size=input_size(height, width, self.size), mode="bicubic", antialias=True)
        small = stretched(small, self.contrast)
        ab = self._run(small)
        if self.flip:
            ab = (ab + self._run(small.flip(-1)).flip(-1)) / 2
        return F.interpolate(ab, size=(height, width), mode="bilinear", align_corners=False)

    def _run(self, lightness: Tensor) -> Tensor:
        (ab,) = self.session.run(None, {self.session.get_inputs()[0].name: lightness.numpy()})
        return torch.from_numpy(ab)


def evaluate(cache: Cache, photos: list[Photo], models: dict[str, Colour], worn: bool) -> tuple[dict, list[float]]:
    """For each photograph: the scores of each model, grey first, and the colourfulness of the original."""
    nearest = SoftEncoding(bins_in_gamut())
    weights = class_weights(cache, photos, nearest)
    scores: dict[str, list[Score]] = {name: [] for name in ["grey", *models]}
    true_colour = []
    for index, photo in enumerate(photos):
        truth = _srgb(cache[photo])
        lab = lab_of_srgb(truth)
        seen = lab[:, :1]
        if worn:
            light, _ = degrade(seen[0, 0].numpy() / 100, np.random.default_rng(index))
            seen = torch.from_numpy(light)[None, None] * 100
        weight = weights[nearest(lab[:, 1:])[0][:, 0]][0].numpy()
        planes = [t[0].permute(1, 2, 0).numpy() for t in (lab, truth)]
        true_colour.append(colourfulness(planes[1]))
        for name, kept in scores.items():
            ab = models[name](seen) if name in models else torch.zeros_like(lab[:, 1:])
            made = torch.cat([lab[:, :1], ab], 1)
            srgb = srgb_of_lab(made)
            kept.append(score(*(t[0].permute(1, 2, 0).numpy() for t in (made, srgb)), *planes, weight))
    return scores, true_colour


def table(scores: dict[str, list[Score]], truth: list[float]) -> str:
    """A Markdown table of every measure with its interval, and of its difference from grey."""
    draws = bootstrap(len(truth))
    grey = means(scores["grey"], truth, draws)
    lines = ["| | " + " | ".join(MEASURES) + " |", "|---" * (len(MEASURES) + 1) + "|"]

    def line(name: str, values: np.ndarray, sign: str) -> None:
        cells = ("{:{s}.2f} ({:.2f} to {:.2f})".format(*interval(column), s=sign) for column in values.T)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")

    for name, kept in scores.items():
        values = means(kept, truth, draws)
        line(name, values, "")
        if name != "grey":
            line(f"{name} - grey", values - grey, "+")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures colourisers on held-out photographs.")
    parser.add_argument("--photos", type=Path, nargs="+", required=True, help="folders or tar files")
    parser.add_argument("--cache", type=Path, required=True, help="folder of decoded photographs")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="ONNX files: L* in, ab out")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256], help="sides of the network's input")
    parser.add_argument("--flip", action="store_true", help="also average with the mirror image")
    parser.add_argument("--contrast", type=float, default=0, help="minimum range of lightness, as in a recipe")
    parser.add_argument("--worn", action="store_true", help="give the networks photographs with simulated ageing")
    parser.add_argument("--every", type=int, default=1, help="use only every Nth photograph, which is quicker")
    parser.add_argument("--all", action="store_true", help="all photographs: for sets that were not trained on")
    parser.add_argument("--short", type=int, default=176, help="pixels of the short side in the cache")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cache = Cache(options.cache, options.photos, options.short)
    models = {
        f"{file.stem} at {size}" + (" with its mirror image" if flip else ""): Colour(file, size, flip, options.contrast)
        for file in options.models
        for size in options.sizes
        for flip in ([False, True] if options.flip else [False])
    }
    photos = cache.photos if options.all else cache.part(held_out=True)
    scores, truth = evaluate(cache, photos[:: options.every], models, options.worn)
    print(f"{len(truth)} photographs\n")
    print(table(scores, truth))


if __name__ == "__main__":
    main()
