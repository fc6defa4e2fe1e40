"""Simulates the effects of age, cameras and scanners on the lightness of a training crop.

The colour to be learnt stays that of the clean photograph. Sepia is not simulated, because the program uses
only luminance.
"""

import io

import numpy as np
from PIL import Image, ImageFilter

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def to_lightness(rgb: np.ndarray, random: np.random.Generator, odd_film: float) -> np.ndarray:
    """L* / 100 of `H x W x 3` 8-bit sRGB. With probability `odd_film`, as on film of another spectral sensitivity.

    Early film is insensitive to red and too sensitive to blue, so skies become pale and lips dark.
    """
    value = rgb.astype(np.float32) / 255
    linear = np.where(value > 0.04045, ((value + 0.055) / 1.055) ** 2.4, value / 12.92)
    weights = LUMINANCE
    if random.random() < odd_film:
        share = random.uniform(0.3, 0.9)
        weights = share * LUMINANCE + (1 - share) * random.dirichlet([0.6, 1.0, 1.4])
    y = linear @ weights.astype(np.float32)
    f = np.where(y > (6 / 29) ** 3, np.cbrt(y), y * (841 / 108) + 4 / 29)
    return (1.16 * f - 0.16).astype(np.float32)


def degrade(light: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A worn copy of lightness (0 to 1, `H x W`), and a mask that is False where a border covers the picture."""
    chance = random.random
    shown = np.ones(light.shape, bool)
    if chance() < 0.25:
        light = _blurred(light, random.uniform(0.5, 1.6))
    if chance() < 0.6:
        light = _tone(light, random)
    if chance() < 0.1:
        light = _fading(light, random)
    if chance() < 0.35:
        light = _grain(light, random)
    if chance() < 0.1:
        light = _scratches(light, random)
    if chance() < 0.2:
        light = _jpeg(light, int(random.integers(15, 70)))
    if chance() < 0.06:
        light, shown = _border(light, random)
    return light.clip(0, 1).astype(np.float32), shown


def _tone(light: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Changes exposure, contrast and base fog. Some prints keep only half of the tonal range or less."""
    contrast = random.uniform(0.45, 0.8) if random.random() < 0.25 else random.uniform(0.8, 1.15)
    lift = random.uniform(0, 1 - contrast) if contrast < 1 else random.uniform(1 - contrast, 0)
    return light.clip(0, 1) ** np.exp(random.uniform(-0.3, 0.3)) * contrast + lift


def _fading(light: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Makes one side or corner lighter or darker than the opposite one."""
    height, width = light.shape
    ramp = np.linspace(-1, 1, width) * random.uniform(-1, 1)
    ramp = ramp + np.linspace(-1, 1, height)[:, None] * random.uniform(-1, 1)
    return light + ramp.astype(np.float32) * random.uniform(0.05, 0.15)


def _grain(light: np.ndarray, random: np.random.Generator) -> np.ndarray:
    noise = random.standard_normal(light.shape, np.float32)
    if random.random() < 0.5:
        noise = _blurred(noise * 0.1 + 0.5, 0.7) * 20 - 10
    return light + noise * random.uniform(0.01, 0.06)


def _blurred(light: np.ndarray, radius: float) -> np.ndarray:
    levels = (light.clip(0, 1) * 255).round().astype(np.uint8)
    blurred = Image.fromarray(levels).filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(blurred).astype(np.float32) / 255


def _scratches(light: np.ndarray, random: np.random.Generator) -> np.ndarray:
    light = light.copy()
    height, width = light.shape
    for _ in range(int(random.integers(1, 6))):
        along = np.arange(height)
        across = random.uniform(0, width) + np.cumsum(random.normal(0, 0.2, height)) + along * random.normal(0, 0.2)
        inside = (across >= 0) & (across < width)
        value = random.choice([0.05, 0.95])
        at = across[inside].astype(int)
        light[along[inside], at] += (value - light[along[inside], at]) * random.uniform(0.3, 1)
    return light


def _jpeg(light: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray((light.clip(0, 1) * 255).round().astype(np.uint8)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)).astype(np.float32) / 255


def _border(light: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    height, width = light.shape
    shown = np.zeros(light.shape, bool)
    thick = random.integers(3, max(4, min(height, width) // 8), 4)
    shown[thick[0] : height - thick[1], thick[2] : width - thick[3]] = True
    return np.where(shown, light, random.choice([0.03, 0.9, 0.98])), shown
