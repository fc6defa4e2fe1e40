"""The published networks: the names and shapes of their layers, and the size of their output."""

import pytest
import torch

from zhang import NETWORKS, load, randomly

# Names and shapes in the authors' files, of the first, the last and the unusual layers.
KNOWN = {
    "eccv16": {
        "model1.0.weight": (64, 1, 3, 3),
        "model1.4.running_mean": (64,),
        "model3.6.weight": (256,),
        "model8.0.weight": (512, 256, 4, 4),
        "model8.6.weight": (313, 256, 1, 1),
        "model_out.weight": (2, 313, 1, 1),
    },
    "siggraph17": {
        "model1.0.weight": (64, 4, 3, 3),
        "model8up.0.weight": (512, 256, 4, 4),
        "model3short8.0.weight": (256, 256, 3, 3),
        "model8.5.running_mean": (256,),
        "model9.3.running_mean": (128,),
        "model10.1.weight": (128, 128, 3, 3),
        "model_out.0.weight": (2, 128, 1, 1),
    },
}


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_have_the_published_names_and_shapes(name):
    with torch.device("meta"):
        state = NETWORKS[name]().state_dict()
    assert {key: tuple(state[key].shape) for key in KNOWN[name]} == KNOWN[name]


def test_both_have_the_published_number_of_parameters():
    with torch.device("meta"):
        count = {name: sum(p.numel() for p in network().parameters()) for name, network in NETWORKS.items()}
    assert 32.0e6 < count["eccv16"] < 32.5e6
    # Without its classification head, which has 136,000 parameters.
    assert 33.5e6 < count["siggraph17"] < 34.5e6


@pytest.mark.parametrize("name", NETWORKS)
def test_ab_has_the_size_of_the_input(name):
    network = randomly(name, 2).eval()
    with torch.no_grad():
        ab = network(torch.rand(1, 1, 64, 40) * 100)
    assert ab.shape == (1, 2, 64, 40)
    assert 0.5 < ab.std() < 110


def test_weights_load_by_name_without_the_head_of_bins(tmp_path, monkeypatch):
    saved = randomly("siggraph17", 2)
    file = tmp_path / "weights.pth"
    torch.save({**saved.state_dict(), "model_class.0.weight": torch.zeros(529, 8, 1, 1)}, file)
    monkeypatch.setitem(NETWORKS, "siggraph17", lambda: type(saved)(2))
    loaded = load("siggraph17", file)
    assert all(torch.equal(value, saved.state_dict()[key]) for key, value in loaded.state_dict().items())
