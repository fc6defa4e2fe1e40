"""Writes the published colourisers of Zhang et al. as ONNX. It needs the files with the authors' weights.

    python zhang.py eccv16 colorization_release_v2-9b330a0b.pth eccv16.onnx
    python zhang.py siggraph17 siggraph17-df00044c.pth siggraph17.onnx

*Colorful Image Colorization* (ECCV 2016) and *Real-Time User-Guided Image Colorization with Learned Deep Priors*
(SIGGRAPH 2017), the latter without hints. The recipes are `models/eccv16.toml` and `models/siggraph17.toml`.
Layers have the names of the authors' files, so that the weights can be loaded unchanged.
"""

import argparse
import json
from pathlib import Path

import torch
from torch import Tensor, nn

from export import check, simplify, to_onnx

SIDE = 256
"""The side in pixels at which both networks were evaluated."""


def _stage(channels: list[int], dilation: int = 1, stride: int = 1, before: bool = False) -> nn.Sequential:
    """Convolutions, each followed by a ReLU, then a normalisation. The last convolution has `stride`. `before` adds a
    first ReLU."""
    layers: list[nn.Module] = [nn.ReLU()] if before else []
    for index, (inputs, outputs) in enumerate(zip(channels, channels[1:], strict=False), 2):
        last = stride if index == len(channels) else 1
        layers += [nn.Conv2d(inputs, outputs, 3, last, dilation, dilation), nn.ReLU()]
    return nn.Sequential(*layers, nn.BatchNorm2d(channels[-1]))


def _double(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    """Doubles the height and width."""
    return nn.ConvTranspose2d(inputs, outputs, 4, 2, 1)


def _beside(inputs: int, outputs: int) -> nn.Sequential:
    """A skip connection from an early stage to a late one."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 1, 1))


class Eccv16(nn.Module):
    """Computes ab from L* through 313 bins. `width` is the number of channels of the first stage: 64 as published."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        c1, c2, c3, c4 = (width * 2**power for power in range(4))
        self.model1 = _stage([1, c1, c1], stride=2)
        self.model2 = _stage([c1, c2, c2], stride=2)
        self.model3 = _stage([c2, c3, c3, c3], stride=2)
        self.model4 = _stage([c3, c4, c4, c4])
        self.model5 = _stage([c4] * 4, dilation=2)
        self.model6 = _stage([c4] * 4, dilation=2)
        self.model7 = _stage([c4] * 4)
        # The authors' last stage ends with the bins instead of a normalisation.
        self.model8 = nn.Sequential(_double(c4, c3), nn.ReLU(), *list(_stage([c3] * 3))[:-1], nn.Conv2d(c3, 313, 1))
        self.model_out = nn.Conv2d(313, 2, 1, bias=False)
        self.upsample4 = nn.Upsample(scale_factor=4, mode="bilinear")

    def forward(self, lightness: Tensor) -> Tensor:
        x = (lightness - 50) / 100
        for number in range(1, 9):
            x = self.get_submodule(f"model{number}")(x)
        return self.upsample4(self.model_out(torch.softmax(x, 1))) * 110


class Siggraph17(nn.Module):
    """Computes ab from L* by regression. Its other inputs, hints and their mask, are all zero here."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        c1, c2, c3, c4 = (width * 2**power for power in range(4))
        self.model1 = _stage([4, c1, c1])
        self.model2 = _stage([c1, c2, c2])
        self.model3 = _stage([c2, c3, c3, c3])
        self.model4 = _stage([c3, c4, c4, c4])
        self.model5 = _stage([c4] * 4, dilation=2)
        self.model6 = _stage([c4] * 4, dilation=2)
        self.model7 = _stage([c4] * 4)
        self.model8up = nn.Sequential(_double(c4, c3))
        self.model3short8 = _beside(c3, c3)
        self.model8 = _stage([c3] * 3, before=True)
        self.model9up = nn.Sequential(_double(c3, c2))
        self.model2short9 = _beside(c2, c2)
        self.model9 = _stage([c2] * 2, before=True)
        self.model10up = nn.Sequential(_double(c2, c2))
        self.model1short10 = _beside(c1, c2)
        self.model10 = nn.Sequential(nn.ReLU(), nn.Conv2d(c2, c2, 3, 1, 1), nn.LeakyReLU(0.2))
        self.model_out = nn.Sequential(nn.Conv2d(c2, 2, 1), nn.Tanh())

    def forward(self, lightness: Tensor) -> Tensor:
        nothing = lightness * 0
        one = self.model1(torch.cat([(lightness - 50) / 100, nothing, nothing, nothing], 1))
        two = self.model2(one[:, :, ::2, ::2])
        three = self.model3(two[:, :, ::2, ::2])
        x = self.model7(self.model6(self.model5(self.model4(three[:, :, ::2, ::2]))))
        x = self.model8(self.model8up(x) + self.model3short8(three))
        x = self.model9(self.model9up(x) + self.model2short9(two))
        x = self.model10(self.model10up(x) + self.model1short10(one))
        return self.model_out(x) * 110


NETWORKS = {"eccv16": Eccv16, "siggraph17": Siggraph17}


def load(name: str, weights: Path) -> nn.Module:
    """The published network with its weights."""
    network = NETWORKS[name]()
    known = torch.load(weights, map_location="cpu", weights_only=True)
    # Leaves out the second network's classification head, which its colour does not depend on.
    network.load_state_dict({key: value for key, value in known.items() if not key.startswith("model_class")})
    return network


def randomly(name: str, width: int) -> nn.Module:
    """The same inputs, outputs and operators with few channels and random weights, for tests."""
    torch.manual_seed(0)
    network = NETWORKS[name](width)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.01, 0.1)
    if isinstance(network, Eccv16):
        # Otherwise all bins would be equally likely, and their mean would be grey everywhere.
        nn.init.normal_(network.model8[-1].weight, 0, 30)
        nn.init.normal_(network.model_out.weight, 0, 0.5)
    return network


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes a colouriser of Zhang et al. as ONNX.")
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("weights", help="the authors' .pth file, or random:4 for 4 channels of random weights (a test)")
    parser.add_argument("model", type=Path, help="the ONNX file to write")
    options = parser.parse_args()
    kind, _, width = options.weights.partition(":")
    network = randomly(options.network, int(width)) if kind == "random" else load(options.network, options.weights)
    model = simplify(to_onnx(network.eval(), torch.rand(1, 1, SIDE, SIDE) * 100))
    options.model.write_bytes(model.SerializeToString())
    if kind == "random":
        options.model.with_suffix(".check.json").write_text(json.dumps(check(model, SIDE, SIDE)))


if __name__ == "__main__":
    main()
