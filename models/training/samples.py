"""Training batches. Each depends only on the seed and the step, so that a run can be stopped and resumed."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from degrade import degrade, to_lightness
from photos import Cache, Photo, crop, random_box

LEAST = 0.6
"""The side of a crop is at least this share of the photograph's short side."""
WORN = 0.7
"""Share of crops that are degraded."""
ODD_FILM = 0.15
"""Share of crops that are converted to grey as if by a film with another spectral sensitivity."""


@dataclass(frozen=True)
class Batch:
    """Crops: `rgb` (`B x 3 x S x S`, 8 bits) is the target, `lightness` (`B x 1 x S x S`, 0 to 100) the input."""

    rgb: Tensor
    lightness: Tensor
    shown: Tensor
    """False where a border covers the photograph and there is nothing to colour (`B x 1 x S x S`)."""


def draw_weights(photos: list[Photo], table: Path | None) -> np.ndarray:
    """The probability of drawing each photograph, by a TOML table of name prefixes. The longest matching one counts."""
    rules = tomllib.loads(table.read_text()) if table else {}
    longest_first = sorted(rules.items(), key=lambda rule: -len(rule[0]))
    weight = [next((w for start, w in longest_first if p.name.startswith(start)), 1.0) for p in photos]
    return np.array(weight) / sum(weight)


class Batches(Dataset):
    """All batches, by the number of the training step."""

    def __init__(self, cache: Cache, weights: np.ndarray, size: int, side: int, seed: int) -> None:
        self.cache, self.size, self.side, self.seed = cache, size, side, seed
        self.photos = cache.part(held_out=False)
        self.weights = weights

    def __getitem__(self, step: int) -> Batch:
        random = np.random.default_rng([self.seed, step])
        chosen = random.choice(len(self.photos), self.size, p=self.weights)
        crops = [self._crop(self.photos[index], random) for index in chosen]
        rgb, light, shown = (np.stack(part) for part in zip(*crops, strict=True))
        return Batch(
            torch.from_numpy(rgb).permute(0, 3, 1, 2),
            torch.from_numpy(light)[:, None] * 100,
            torch.from_numpy(shown)[:, None],
        )

    def _crop(self, photo: Photo, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        pixels = self.cache[photo]
        rgb = crop(pixels, self.side, random_box(pixels, random, LEAST))
        if random.random() < 0.5:
            rgb = np.ascontiguousarray(rgb[:, ::-1])
        light = to_lightness(rgb, random, ODD_FILM)
        if random.random() < WORN:
            return rgb, *degrade(light, random)
        return rgb, light, np.ones(light.shape, bool)
