"""Views: reproducible, mild, and each option does what it says."""

from __future__ import annotations

import numpy as np
import pytest

from pyspedas_similarity.encoder.views import ViewOptions, make_views
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

    def centres(**options):
        moved = views(spot, **options)[:, 0].numpy().astype(float)
        total = moved.sum((1, 2))
        return (moved * x).sum((1, 2)) / total, (moved * y).sum((1, 2)) / total

    column, row = centres(shift=0.1)
    assert np.abs(column - 16).max() <= 6.5 and np.abs(row).max() <= 6.5 and np.abs(row).max() > 4
    column, row = centres(rotation_deg=20)
    angle = np.degrees(np.arctan2(row, column))
    np.testing.assert_allclose(np.hypot(column, row), 16, atol=0.1)
    assert np.abs(angle).max() <= 20.1 and angle.min() < -10 and angle.max() > 10
    column, row = centres(crop_scale_min=0.8)
    # A crop of side s shows the spot at (16 - c) / s, its centre c at most 32 (1 - s) away.
    assert column.max() <= (16 + 6.4) / 0.8 + 0.1 and column.min() >= (16 - 6.4) / 0.8 - 0.1
    assert np.abs(row).max() <= 8.1


@pytest.mark.parametrize(
    "option",
    [{"gain": 1}, {"noise": -1}, {"shift": np.nan}, {"erase": 1}, {"crop_scale_min": 0}, {"crop_scale_min": 2}],
)
def test_options_out_of_range_are_refused(option):
    with pytest.raises(ArgumentError, match=f"views.{next(iter(option))}"):
        ViewOptions(**option)
