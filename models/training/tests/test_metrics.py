"""Compares the measures with cases that were computed by hand."""

import numpy as np
import pytest

from metrics import MOST, bootstrap, colourfulness, interval, means, psnr, score

GREY = np.full((4, 4, 3), 0.5)


def _scored(error: float):
    lab, truth = np.zeros((2, 4, 4, 3))
    truth[..., 1] = error
    return score(lab, GREY, truth, GREY, np.ones((4, 4)))


def test_a_perfect_picture_has_the_largest_area_under_the_curve():
    one = _scored(0)
    assert one.error == 0 and one.psnr == 60
    assert one.curve.shape == (MOST + 1,) and one.curve.min() == pytest.approx(1)


def test_an_error_counts_from_its_threshold():
    curve = _scored(29.5).curve
    assert curve[29] == 0 and curve[30] == pytest.approx(1)


def test_an_error_above_all_thresholds_adds_no_area():
    assert _scored(151).curve.max() == 0


def test_rebalancing_weights_the_pixels():
    lab, truth = np.zeros((2, 1, 2, 3))
    truth[0, 1, 1] = 1000
    both = score(lab, GREY[:1, :2], truth, GREY[:1, :2], np.array([[1.0, 3.0]]))
    (row,) = means([both], [1.0], np.array([[0]]))
    assert row[2] == pytest.approx(50) and row[3] == pytest.approx(25)


def test_psnr_and_colourfulness():
    assert psnr(GREY, GREY + 0.1) == pytest.approx(20)
    assert colourfulness(GREY) == 0
    red = np.zeros((2, 2, 3))
    red[..., 0] = 1
    assert colourfulness(red) == pytest.approx(0.3 * np.hypot(255, 127.5))


def test_an_interval_contains_the_mean_and_is_narrower_with_more_pictures():
    random = np.random.default_rng(0)

    def width(pictures: int) -> float:
        values = random.normal(10, 1, pictures)
        mean, low, high = interval(values[bootstrap(pictures)].mean(1))
        assert low < mean < high
        return high - low

    assert width(400) < width(25) / 3
