"""Compares the conversion to Lab and back with published values."""

import pytest
import torch

from lab import lab_of_srgb, lightness_of_y, srgb_of_lab


def _pixel(r: float, g: float, b: float) -> torch.Tensor:
    return torch.tensor([r, g, b]).reshape(1, 3, 1, 1)


@pytest.mark.parametrize(
    ("srgb", "lab"),
    [
        # Lindbloom's calculator, sRGB, D65, no adaptation.
        ((1.0, 1.0, 1.0), (100.0, 0.0, 0.0)),
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
        ((1.0, 0.0, 0.0), (53.24, 80.09, 67.20)),
        ((0.0, 1.0, 0.0), (87.73, -86.18, 83.18)),
        ((0.0, 0.0, 1.0), (32.30, 79.19, -107.86)),
    ],
)
def test_primaries_have_their_known_lab(srgb, lab):
    assert torch.allclose(lab_of_srgb(_pixel(*srgb)).flatten(), torch.tensor(lab), atol=0.02)


def test_srgb_survives_the_conversion_to_lab_and_back():
    srgb = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(srgb_of_lab(lab_of_srgb(srgb)), srgb, atol=1e-4)


def test_lightness_of_middle_grey():
    assert torch.allclose(lightness_of_y(torch.tensor([0.0, 0.184187, 1.0])), torch.tensor([0.0, 50.0, 100.0]), atol=0.01)


def test_colours_outside_the_gamut_are_clipped():
    srgb = srgb_of_lab(torch.tensor([50.0, 110.0, -110.0]).reshape(1, 3, 1, 1))
    assert srgb.min() >= 0 and srgb.max() <= 1
