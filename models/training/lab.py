"""sRGB to CIE L*a*b* (D65, 2 degrees) and back, on batches `B x 3 x H x W`.

The constants are those of the program's own `photo::lab`, so that training and the program convert colour equally.
"""

import torch
from torch import Tensor

# Linear sRGB to XYZ, IEC 61966-2-1; rows are X, Y, Z.
XYZ_OF_RGB = torch.tensor(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
WHITE = torch.tensor([0.95047, 1.0, 1.08883])
# CIE 15: below this value, the cube root is replaced by a straight line.
EDGE = (6 / 29) ** 3


def linear_of_srgb(srgb: Tensor) -> Tensor:
    """Linear light of sRGB values, both 0 to 1."""
    return torch.where(srgb > 0.04045, ((srgb + 0.055) / 1.055).clamp_min(0) ** 2.4, srgb / 12.92)


def srgb_of_linear(linear: Tensor) -> Tensor:
    """sRGB of linear light, clipped to 0 to 1."""
    linear = linear.clamp(0, 1)
    return torch.where(linear > 0.0031308, 1.055 * linear.clamp_min(1e-8) ** (1 / 2.4) - 0.055, 12.92 * linear)


def _f(t: Tensor) -> Tensor:
    return torch.where(t > EDGE, t.clamp_min(1e-8) ** (1 / 3), t / (3 * (6 / 29) ** 2) + 4 / 29)


def lightness_of_y(y: Tensor) -> Tensor:
    """L* (0 to 100) of relative luminance (0 to 1)."""
    return 116 * _f(y) - 16


def lab_of_srgb(srgb: Tensor) -> Tensor:
    """L* (0 to 100), a*, b* of sRGB (0 to 1)."""
    xyz = torch.einsum("ij,bjhw->bihw", XYZ_OF_RGB, linear_of_srgb(srgb))
    f = _f(xyz / WHITE[:, None, None])
    return torch.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)


def srgb_of_lab(lab: Tensor) -> Tensor:
    """sRGB (0 to 1, clipped to the gamut) of L*, a*, b*."""
    fy = (lab[:, 0] + 16) / 116
    f = torch.stack([fy + lab[:, 1] / 500, fy, fy - lab[:, 2] / 200], 1)
    xyz = torch.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * WHITE[:, None, None]
    return srgb_of_linear(torch.einsum("ij,bjhw->bihw", torch.linalg.inv(XYZ_OF_RGB), xyz))
