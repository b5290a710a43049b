"""Views: reproducible, mild, and each option does what it says."""

from __future__ import annotations

import numpy as np
import pytest

from pyspedas_similarity.encoder.cards import KINDS
from pyspedas_similarity.encoder.views import VIEWS, ViewOptions, make_views
from pyspedas_similarity.errors import ArgumentError

torch = pytest.importorskip("torch")

STILL = {"gain": 0, "noise": 0, "shift": 0, "rotation_deg": 0, "crop_scale_min": 1, "erase": 0}


def views(batch, seed: int = 0, **options):
    return make_views(batch, ViewOptions(**(STILL | options)), torch.Generator().manual_seed(seed))


@pytest.fixture
def batch():
    return torch.from_numpy(np.random.default_rng(0).random((40, 2, 16, 16), np.float32))


def test_without_options_a_view_is_its_image(batch):
    torch.testing.assert_close(views(batch), batch, atol=1e-5, rtol=0)


def test_the_generator_decides_and_the_batch_is_left_alone(batch):
    kept = batch.clone()
    options = ViewOptions()
    first, again, other = (make_views(batch, options, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(batch, kept) and first.shape == batch.shape and first.dtype == torch.float32


def test_gain_multiplies_each_image_within_its_range(batch):
    ratio = views(batch, gain=0.3) / batch
    per_image = ratio.flatten(1).mean(1)
    assert per_image.min() < 0.8 and per_image.max() > 1.2
    assert per_image.min() >= 0.7 - 1e-4 and per_image.max() <= 1.3 + 1e-4
    assert ratio.flatten(1).std(1).max() < 1e-3


def test_noise_has_the_asked_spread(batch):
    assert (views(batch, noise=0.05) - batch).std() == pytest.approx(0.05, rel=0.05)


def test_erase_zeroes_one_square(batch):
    erased = (views(batch + 1, erase=0.25) == 0).all(1)
    assert (erased.sum((1, 2)) == 16).all()
    assert (erased.any(1).sum(1) == 4).all()


def test_flips_mirror_about_half_of_the_views(batch):
    flipped = views(batch, flips=True)
    mirrored = [batch, batch.flip(3), batch.flip(2), batch.flip((2, 3))]
    matches = torch.stack([(flipped - each).abs().amax((1, 2, 3)) < 1e-4 for each in mirrored])
    assert (matches.sum(0) == 1).all() and (matches.sum(1) > 3).all()


def test_shift_rotation_and_crop_move_a_spot_within_their_limits():
    y, x = np.mgrid[:64, :64] - 31.5
    spot = torch.from_numpy(np.exp(-((x - 16) ** 2 + y**2) / 2 / 2**2).astype(np.float32)).expand(50, 1, 64, 64)

    def centers(**options):
        moved = views(spot, **options)[:, 0].numpy().astype(float)
        total = moved.sum((1, 2))
        return (moved * x).sum((1, 2)) / total, (moved * y).sum((1, 2)) / total

    column, row = centers(shift=0.1)
    assert np.abs(column - 16).max() <= 6.5 and np.abs(row).max() <= 6.5 and np.abs(row).max() > 4
    column, row = centers(rotation_deg=20)
    angle = np.degrees(np.arctan2(row, column))
    np.testing.assert_allclose(np.hypot(column, row), 16, atol=0.1)
    assert np.abs(angle).max() <= 20.1 and angle.min() < -10 and angle.max() > 10
    column, row = centers(crop_scale_min=0.8)
    # A crop of side s shows the spot at (16 - c) / s, its center c at most 32 (1 - s) away.
    assert column.max() <= (16 + 6.4) / 0.8 + 0.1 and column.min() >= (16 - 6.4) / 0.8 - 0.1
    assert np.abs(row).max() <= 8.1


def test_shift_rows_moves_up_and_down_by_its_own_amount():
    y, x = np.mgrid[:64, :64] - 31.5
    spot = torch.from_numpy(np.exp(-(x**2 + y**2) / 2 / 2**2).astype(np.float32)).expand(50, 1, 64, 64)
    moved = views(spot, shift=0.1, shift_rows=0)[:, 0].numpy().astype(float)
    column, row = ((moved * axis).sum((1, 2)) / moved.sum((1, 2)) for axis in (x, y))
    assert 4 < np.abs(column).max() <= 6.5 and np.abs(row).max() < 1e-3
    moved = views(spot, shift=0, shift_rows=0.1)[:, 0].numpy().astype(float)
    column, row = ((moved * axis).sum((1, 2)) / moved.sum((1, 2)) for axis in (x, y))
    assert 4 < np.abs(row).max() <= 6.5 and np.abs(column).max() < 1e-3


def test_zoom_multiplies_distances_from_the_center_both_ways():
    y, x = np.mgrid[:64, :64] - 31.5
    spot = torch.from_numpy(np.exp(-((x - 16) ** 2 + y**2) / 2 / 2**2).astype(np.float32)).expand(50, 1, 64, 64)
    moved = views(spot, zoom=0.2)[:, 0].numpy().astype(float)
    column, row = ((moved * axis).sum((1, 2)) / moved.sum((1, 2)) for axis in (x, y))
    assert 16 * 0.8 - 0.2 <= column.min() < 14 and 18 < column.max() <= 16 * 1.2 + 0.2
    assert np.abs(row).max() < 0.05


def test_gain_on_a_logarithmic_scale_is_a_step_and_leaves_empty_pixels():
    batch = torch.full((200, 1, 8, 8), 0.5)
    batch[:, :, 0] = 0
    moved = views(batch, gain=0.5, decades=4.0)
    step = moved[:, 0, 1:] - 0.5
    assert (moved[:, :, 0] == 0).all() and step.flatten(1).std(1).max() < 1e-6
    # Factors from 0.5 to 1.5 on 4 decades.
    assert step.min() >= np.log10(0.5) / 4 - 1e-6 and step.max() <= np.log10(1.5) / 4 + 1e-6
    assert step.min() < -0.06 and step.max() > 0.04


def test_counting_noise_has_the_spread_of_counts_on_both_scales():
    batch = torch.full((50, 1, 32, 32), 0.25)
    linear = views(batch, counts=400.0)
    assert linear.mean() == pytest.approx(0.25, rel=0.01) and linear.std() == pytest.approx(0.1 * 0.25, rel=0.03)
    torch.testing.assert_close(linear * 400, (linear * 400).round(), atol=1e-4, rtol=0)
    # 400 counts at 0.5 of 4 decades below 40,000: an error of 5 %.
    logarithmic = views(batch + 0.25, counts=4e4, decades=4.0)
    assert logarithmic.mean() == pytest.approx(0.5, abs=1e-3)
    assert logarithmic.std() == pytest.approx(0.05 / np.log(10) / 4, rel=0.03)
    # One count in a thousand at the lower end: no count is empty, never below.
    rare = views(batch * 0 + 0.01, counts=1.0, decades=4.0)
    assert rare.min() == 0 and torch.isfinite(rare).all()
    assert (views(batch * 0, counts=4e4, decades=4.0) == 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_views_that_change_images_a_little_and_mirror_nothing(kind):
    y, x = np.mgrid[:32, :32] / 32
    image = torch.from_numpy((0.2 + 0.6 * np.exp(-((x - 0.3) ** 2) - 3 * (y - 0.6) ** 2)).astype(np.float32))
    batch = image.expand(100, 2, 32, 32)
    found = make_views(batch, VIEWS[kind], torch.Generator().manual_seed(0))
    own = (found - batch).abs().mean((1, 2, 3))
    mirrored = (found - batch.flip(3)).abs().mean((1, 2, 3))
    assert 0.01 < own.mean() < 0.15 and (own < mirrored).float().mean() > 0.8 and torch.isfinite(found).all()
    assert not VIEWS[kind].flips


@pytest.mark.parametrize(
    "option",
    [
        {"gain": 1},
        {"noise": -1},
        {"shift": np.nan},
        {"erase": 1},
        {"crop_scale_min": 0},
        {"crop_scale_min": 2},
        {"zoom": 1},
        {"shift_rows": -0.1},
        {"counts": -1},
        {"decades": np.inf},
    ],
)
def test_options_out_of_range_are_refused(option):
    with pytest.raises(ArgumentError, match=f"views.{next(iter(option))}"):
        ViewOptions(**option)
