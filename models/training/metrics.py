"""Measures of colour quality per picture, and their means over pictures with bootstrap intervals."""

from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
MOST = 150
"""The largest error threshold of the area under the curve, as in table 1 of Zhang et al. 2016."""


@dataclass(frozen=True)
class Score:
    """Measures of one picture. A curve is the weighted share of pixels with an error of at most 0, 1, ... 150."""

    error: float
    psnr: float
    colourfulness: float
    curve: np.ndarray
    rebalanced_curve: np.ndarray
    rebalanced_weight: float


def colourfulness(srgb: np.ndarray) -> float:
    """Colourfulness by equation 1 of Hasler and Suesstrunk 2003, in 8-bit levels, of `H x W x 3` from 0 to 1."""
    r, g, b = (srgb * 255).reshape(-1, 3).T
    rg, yb = r - g, (r + g) / 2 - b
    return float(np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()))


def psnr(srgb: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of sRGB from 0 to 1. It is at most 60, about what rounding to 8 bits causes."""
    return float(-10 * np.log10(max(np.mean((srgb - truth) ** 2), 1e-6)))


def score(lab: np.ndarray, srgb: np.ndarray, true_lab: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> Score:
    """Scores a picture (`H x W x 3` each) against the truth; `weights` (`H x W`) rebalance its pixels by class."""
    error = np.linalg.norm((lab - true_lab)[..., 1:], axis=-1)
    within = np.arange(-0.5, MOST + 1)
    # A pixel counts at every whole threshold that is at least its error.
    at = np.ceil(error)

    def curve(weight: np.ndarray) -> np.ndarray:
        counts, _ = np.histogram(at, within, weights=weight)
        return counts.cumsum()

    pixels = np.full(error.shape, 1 / error.size)
    total = float(weights.mean())
    return Score(
        error=float(error.mean()),
        psnr=psnr(srgb, truth),
        colourfulness=colourfulness(srgb),
        curve=curve(pixels),
        rebalanced_curve=curve(weights / error.size),
        rebalanced_weight=total,
    )


MEASURES = ["ab error", "PSNR", "AuC raw", "AuC rebalanced", "colourfulness"]


def means(scores: list[Score], truth: list[float], draws: np.ndarray) -> np.ndarray:
    """The mean of each measure for each draw of pictures: `draws` is `draws x pictures`, the result `draws x measures`.

    Colourfulness is the ratio of the mean over results to the mean over originals. The area rebalanced by class is that
    of all drawn pixels together, as in the paper, because a single picture may contain no pixel of a rare class.
    """

    def column(name: str) -> np.ndarray:
        return np.array([getattr(one, name) for one in scores])

    areas = 100 * column("curve").mean(1)
    rebalanced = 100 * column("rebalanced_curve").mean(1)
    return np.stack(
        [
            column("error")[draws].mean(1),
            column("psnr")[draws].mean(1),
            areas[draws].mean(1),
            rebalanced[draws].sum(1) / column("rebalanced_weight")[draws].sum(1),
            column("colourfulness")[draws].mean(1) / np.array(truth)[draws].mean(1),
        ],
        axis=1,
    )


def bootstrap(pictures: int, seed: int = 0) -> np.ndarray:
    """Draws of pictures with replacement; the first draw is the set itself."""
    random = np.random.default_rng(seed)
    return np.concatenate([np.arange(pictures)[None], random.integers(pictures, size=(RESAMPLES, pictures))])


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """The measured value and its 95 % percentile interval. The first of `values` is that of the set itself."""
    low, high = np.percentile(values[1:], [2.5, 97.5])
    return float(values[0]), float(low), float(high)
