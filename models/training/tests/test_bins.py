"""Bins, soft encoding, class weights and the annealed mean."""

import pytest
import torch

from bins import SIGMA, SoftEncoding, annealed_mean, bins_in_gamut, class_weights

CENTRES = bins_in_gamut()


def test_the_gamut_has_260_bins_on_a_grid_of_ten_with_grey_among_them():
    assert CENTRES.shape == (260, 2)
    assert torch.equal(CENTRES % 10, torch.zeros_like(CENTRES))
    assert (CENTRES == 0).all(1).any()


def test_a_colour_at_a_centre_is_mostly_that_bin():
    bins, shares = SoftEncoding(CENTRES)(torch.tensor([20.0, -10.0]).reshape(1, 2, 1, 1))
    assert CENTRES[bins[0, 0, 0, 0]].tolist() == [20.0, -10.0]
    # Four neighbours at a distance of ten.
    beside = torch.exp(torch.tensor(-(10**2) / (2 * SIGMA**2)))
    assert torch.allclose(shares.flatten(), torch.tensor([1, *[beside] * 4]) / (1 + 4 * beside), atol=1e-6)


def test_shares_sum_to_one_and_their_mean_is_near_the_colour():
    generator = torch.Generator().manual_seed(0)
    ab = torch.rand(4, 2, 8, 8, generator=generator) * 60 - 30
    bins, shares = SoftEncoding(CENTRES)(ab)
    assert torch.allclose(shares.sum(1), torch.ones(4, 8, 8), atol=1e-5)
    mean = (CENTRES[bins] * shares[..., None]).sum(1).permute(0, 3, 1, 2)
    assert (mean - ab).abs().max() < 3.5


def test_colours_outside_all_bins_are_encoded_as_the_nearest_bins():
    bins, shares = SoftEncoding(CENTRES)(torch.tensor([300.0, 300.0]).reshape(1, 2, 1, 1))
    assert torch.isfinite(shares).all()
    assert torch.equal(bins[0, 0, 0, 0], torch.cdist(torch.tensor([[110.0, 110.0]]), CENTRES).argmin())


def test_rare_classes_weigh_more_and_the_mean_weight_is_one():
    prior = torch.tensor([0.7, 0.2, 0.1, 0.0])
    weights = class_weights(prior)
    assert (weights[1:] > weights[:-1]).all()
    assert (weights * prior).sum() == pytest.approx(1)


def test_full_mixing_makes_all_classes_equal():
    assert torch.allclose(class_weights(torch.tensor([0.7, 0.2, 0.1]), mix=1.0), torch.ones(3))


def test_the_annealed_mean_goes_from_mean_to_mode_as_it_cools():
    centres = torch.tensor([[0.0, 40.0], [100.0, -40.0]])
    logits = torch.tensor([0.25, 0.75]).log().reshape(1, 2, 1, 1)
    assert torch.allclose(annealed_mean(logits, centres, 1.0).flatten(), torch.tensor([75.0, -20.0]))
    assert torch.allclose(annealed_mean(logits, centres, 0.01).flatten(), torch.tensor([100.0, -40.0]))
