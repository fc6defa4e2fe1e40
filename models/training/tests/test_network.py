"""The network, a few steps of training, and its export."""

import argparse

import numpy as np
import pytest
import torch
from PIL import Image

from bins import SoftEncoding, bins_in_gamut, rebalanced_cross_entropy
from evaluate import input_size, stretched
from export import Exported, check, halve, merge_padding, run, simplify, to_onnx
from network import Colouriser, image_net_weights
from train import rate, train

CENTRES = bins_in_gamut()


def _network() -> Colouriser:
    torch.manual_seed(0)
    network = Colouriser(len(CENTRES)).eval()
    network.load_encoder(image_net_weights())
    return network


def test_logits_are_at_a_quarter_of_the_size():
    assert _network()(torch.rand(2, 1, 64, 96) * 100).shape == (2, 260, 16, 24)


def test_the_encoder_is_the_published_one():
    """Compares it with the same weights on three equal channels, with TensorFlow's padding."""
    network, weights = _network(), image_net_weights()
    x = torch.rand(1, 1, 64, 64)
    stem = torch.nn.functional.conv2d(
        torch.nn.functional.pad(x.expand(-1, 3, -1, -1), (0, 1, 0, 1)), weights["_conv_stem.weight"], stride=2
    )
    assert torch.allclose(network.e._bn0.running_var, weights["_bn0.running_var"])
    ours = torch.nn.functional.conv2d(torch.nn.functional.pad(x, (0, 1, 0, 1)), network.e._conv_stem.weight, stride=2)
    assert torch.allclose(ours, stem, atol=1e-5)


@pytest.fixture(scope="module")
def exported():
    module = Exported(_network(), CENTRES, torch.linspace(0.5, 2, 260), alpha=0.45, temperature=0.38).eval()
    plain = to_onnx(module, torch.rand(1, 1, 64, 64) * 100)
    model = simplify(plain)
    merge_padding(model)
    return module, model


def test_the_exported_model_computes_what_torch_computes(exported):
    module, model = exported
    lightness = torch.rand(1, 1, 64, 160, generator=torch.Generator().manual_seed(1)) * 100
    with torch.no_grad():
        ours = module(lightness).numpy()
    assert np.abs(run(model, lightness.numpy()) - ours).max() < 1e-3


def test_the_export_has_no_padding_and_only_standard_operators(exported):
    _, model = exported
    assert "Pad" not in {node.op_type for node in model.graph.node}
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]


def test_16_bit_weights_give_nearly_the_same_colour(exported):
    _, model = exported
    half = type(model)()
    half.CopyFrom(model)
    halve(half)
    lightness = np.full((1, 1, 64, 64), 40, np.float32)
    assert half.ByteSize() < 0.55 * model.ByteSize()
    assert np.abs(run(half, lightness) - run(model, lightness)).max() < 1


def test_the_check_contains_the_output_of_onnxruntime(exported):
    _, model = exported
    stored = check(model)
    again = run(model, np.array(stored["lightness"], np.float32)[None, None])
    assert np.abs(again.flatten() - stored["ab"]).max() < 1e-3


def test_the_loss_is_least_for_the_right_bin_and_ignores_pixels_under_a_border():
    encoding, weights, everywhere = SoftEncoding(CENTRES), torch.ones(len(CENTRES)), torch.ones(1, 4, 4)
    bins, shares = encoding(torch.zeros(1, 2, 4, 4))
    right = torch.full((1, len(CENTRES), 4, 4), -10.0).scatter(1, bins, shares.clamp_min(1e-9).log())
    wrong = right.flip(1)
    least = rebalanced_cross_entropy(right, bins, shares, weights, everywhere)
    assert least < rebalanced_cross_entropy(wrong, bins, shares, weights, everywhere)
    half = torch.cat([right[..., :2], wrong[..., 2:]], -1)
    left = torch.tensor([1.0, 1.0, 0.0, 0.0]).expand(1, 4, 4)
    assert rebalanced_cross_entropy(half, bins, shares, weights, left) == pytest.approx(least.item())


def test_the_input_size_is_the_same_as_in_the_program():
    # The test cases of `Input::dimensions`, height first.
    for (height, width), expected in {
        (256, 256): (256, 256),
        (3000, 4000): (224, 288),
        (4000, 3000): (288, 224),
        (1, 16_384): (32, 1024),
    }.items():
        assert input_size(height, width, 256) == expected


def test_a_faded_picture_is_stretched_as_in_the_program():
    # The test cases of `onnx::contrast`.
    for (low, high), expected in {(40, 70): (25, 85), (10, 90): (10, 90), (75, 95): (40, 100), (49, 51): (46, 54)}.items():
        found = np.percentile(stretched(torch.linspace(low, high, 1000), 60).numpy(), [1, 99])
        assert np.abs(found - expected).max() < 1


def test_the_learning_rate_rises_stays_constant_and_falls():
    assert rate(1, 1000, 100) == pytest.approx(0.01)
    assert [rate(step, 1000, 100) for step in (100, 500, 901)] == [1.0, 1.0, 1.0]
    assert [rate(step, 1000, 100) for step in (951, 1000)] == [pytest.approx(0.5), pytest.approx(0.01)]


def test_a_stopped_and_continued_run_gives_the_same_weights(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    for index in range(6):
        Image.fromarray(random.integers(0, 255, (40, 40, 3), np.uint8)).save(folder / f"{index}.png")

    def weights(run: str, *stops: int) -> dict[str, torch.Tensor]:
        for steps in stops:
            train(
                argparse.Namespace(
                    photos=[folder],
                    run=tmp_path / run,
                    start=None,
                    weights=None,
                    cache=tmp_path / "cache",
                    steps=steps,
                    batch=2,
                    side=32,
                    short=36,
                    seed=3,
                    threads=1,
                    save_every=1e9,
                    decay=1,
                )
            )
        return torch.load(tmp_path / run / "last.pt", weights_only=True)["sd"]

    whole, halves = weights("whole", 4), weights("halves", 2, 4)
    assert all(torch.equal(value, halves[name]) for name, value in whole.items())


