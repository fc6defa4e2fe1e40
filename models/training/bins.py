"""Colour as classes: the quantised ab plane of Zhang, Isola and Efros 2016 (sections 2.1 to 2.3)."""

import torch
from torch import Tensor

from lab import lab_of_srgb

STEP = 10
"""Side of a bin in units of a*, b*."""
SIGMA = 5.0
"""Width of the Gaussian of the soft encoding."""
NEAREST = 5
"""The number of bins that encode a colour."""
REACH = 110
"""An upper bound of |a*| and |b*| of all sRGB colours."""


def bins_in_gamut() -> Tensor:
    """Centres `Q x 2` of the bins that hold an sRGB colour, sorted by a*, then b*."""
    levels = torch.arange(0, 256, 5) / 255.0
    grid = torch.stack(torch.meshgrid(levels, levels, levels, indexing="ij"), 0).reshape(1, 3, -1, 1)
    ab = lab_of_srgb(grid)[0, 1:, :, 0].T
    return torch.unique(torch.round(ab / STEP) * STEP, dim=0)


class SoftEncoding:
    """Encodes each colour as its five nearest bins, weighted by a Gaussian of the distance.

    The encoding is looked up in a table of whole units of a* and b*. The error is at most a twentieth of a bin's width.
    """

    def __init__(self, centres: Tensor) -> None:
        side = torch.arange(-REACH, REACH + 1, dtype=torch.float32)
        ab = torch.stack(torch.meshgrid(side, side, indexing="ij"), -1).reshape(-1, 2)
        distance = torch.cdist(ab, centres) ** 2
        nearest = distance.topk(NEAREST, largest=False)
        self.bins = nearest.indices
        self.weights = torch.softmax(-nearest.values / (2 * SIGMA**2), 1)

    def __call__(self, ab: Tensor) -> tuple[Tensor, Tensor]:
        """Bins and weights, `B x 5 x H x W` each, nearest first, of `B x 2 x H x W`."""
        whole = ab.round().clamp(-REACH, REACH).long() + REACH
        at = whole[:, 0] * (2 * REACH + 1) + whole[:, 1]
        return self.bins[at].permute(0, 3, 1, 2), self.weights[at].permute(0, 3, 1, 2)


def class_weights(prior: Tensor, mix: float = 0.5, most: float = 8.0) -> Tensor:
    """Class weights that are larger for rarer colours (equation 4). Their mean over the prior is 1.

    `mix` is the paper's lambda. No weight is above `most` before the last scaling.
    """
    prior = prior / prior.sum()
    weights = 1 / ((1 - mix) * prior + mix / len(prior))
    weights = (weights / (prior * weights).sum()).clamp_max(most)
    return weights / (prior * weights).sum()


def rebalanced_cross_entropy(logits: Tensor, bins: Tensor, shares: Tensor, weights: Tensor, shown: Tensor) -> Tensor:
    """Mean cross-entropy against a soft encoding, in which each pixel has the weight of its nearest bin.

    `shown` (`B x H x W`, 0 to 1) says how much of each pixel counts.
    """
    each = logits.logsumexp(1) - (logits.gather(1, bins) * shares).sum(1)
    return (each * weights[bins[:, 0]] * shown).sum() / shown.sum()


def annealed_mean(logits: Tensor, centres: Tensor, temperature: float) -> Tensor:
    """ab `B x 2 x H x W`: the bins' mean under the distribution sharpened by a temperature (equation 5)."""
    return torch.einsum("bqhw,qc->bchw", torch.softmax(logits.float() / temperature, 1), centres)
