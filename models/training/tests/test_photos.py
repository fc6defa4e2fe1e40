"""Finding, caching, drawing and degrading photographs."""

import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from degrade import degrade, to_lightness
from photos import HOLD_OUT, Cache, decode
from samples import Batches, draw_weights


def _encoded(seed: int, size: tuple[int, int] = (48, 40)) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (*size[::-1], 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in range(HOLD_OUT + 5):
        (folder / f"{index:03}.png").write_bytes(_encoded(index))
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_every_sixtieth_in_name_order_is_held_out(folder, tmp_path):
    cache = Cache(tmp_path / "cache", [folder], 32)
    assert [photo.name for photo in cache.part(held_out=True)] == ["pictures/000.png", "pictures/060.png"]
    assert len(cache.part(held_out=False)) == HOLD_OUT + 3


def test_a_tar_file_gives_the_same_photographs_as_its_folder(folder, tmp_path):
    with tarfile.open(tmp_path / "pictures.tar", "w") as archive:
        archive.add(folder, "")
    a, b = (Cache(tmp_path / "cache", [source], 32) for source in (folder, tmp_path / "pictures.tar"))
    assert [photo.held_out for photo in a.photos] == [photo.held_out for photo in b.photos]
    for one, other in zip(a.photos, b.photos, strict=True):
        assert np.array_equal(a[one], b[other])


def test_a_cache_is_made_once(folder, tmp_path):
    before = Cache(tmp_path / "cache", [folder], 32)
    kept = before[before.photos[3]].copy()
    for file in folder.iterdir():
        file.unlink()
    after = Cache(tmp_path / "cache", [folder], 32)
    assert np.array_equal(after[after.photos[3]], kept)


def test_a_long_picture_is_cropped_and_a_small_one_never_enlarged():
    assert decode(_encoded(0, (200, 50)), 40).shape == (40, 60, 3)
    assert decode(_encoded(0, (30, 20)), 40).shape == (20, 30, 3)


def test_a_batch_depends_only_on_the_seed_and_the_step(folder, tmp_path):
    cache = Cache(tmp_path / "cache", [folder], 40)
    weights = draw_weights(cache.part(held_out=False), None)
    first, again = (Batches(cache, weights, 4, 32, seed=1) for _ in range(2))
    assert first[7].rgb.shape == (4, 3, 32, 32) and first[7].lightness.shape == (4, 1, 32, 32)
    assert (first[7].lightness == again[7].lightness).all() and (first[7].rgb == again[7].rgb).all()
    assert not (first[7].rgb == first[8].rgb).all()


def test_the_longest_matching_prefix_says_how_often_a_photograph_is_drawn(folder, tmp_path):
    table = tmp_path / "weights.toml"
    table.write_text('"pictures/" = 2.0\n"pictures/00" = 0.0\n')
    photos = Cache(tmp_path / "cache", [folder], 32).part(held_out=False)
    weights = draw_weights(photos, table)
    assert weights.sum() == pytest.approx(1)
    assert all((weight == 0) == photo.name.startswith("pictures/00") for photo, weight in zip(photos, weights, strict=True))


def test_lightness_is_the_same_as_in_lab():
    random = np.random.default_rng(0)
    light = to_lightness(np.array([[[255, 0, 0], [119, 119, 119]]], np.uint8), random, odd_film=0)
    assert light[0] * 100 == pytest.approx([53.24, 50.03], abs=0.05)


def test_degraded_lightness_stays_in_range():
    picture = np.random.default_rng(1).random((64, 64)).astype(np.float32)
    covered = 0
    for seed in range(200):
        worn, shown = degrade(picture, np.random.default_rng(seed))
        assert worn.shape == picture.shape and worn.dtype == np.float32
        assert worn.min() >= 0 and worn.max() <= 1 and np.isfinite(worn).all()
        covered += not shown.all()
    assert 2 < covered < 40
