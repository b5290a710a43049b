"""The published recipe as an encoder: at use an image goes through what it went through in training."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def recipe():
    from benchmarks import paper_recipe

    return paper_recipe


@pytest.mark.parametrize(("channels", "grid"), [(1, (1, 1)), (2, (1, 2)), (3, (1, 3)), (4, (2, 2)), (6, (2, 3))])
def test_channels_lie_side_by_side(recipe, channels, grid):
    assert recipe.mosaic(channels) == grid
    images = np.stack([np.full((1, 4, 4), channel / channels) for channel in range(channels)], axis=1)
    picture = recipe.pictures(images.astype(np.float32), np.float32(0), np.float32(1))[0]
    tiles = [picture[4 * i : 4 * i + 4, 4 * j : 4 * j + 4] for i in range(grid[0]) for j in range(grid[1])]
    assert [int(np.unique(tile).item()) for tile in tiles] == [round(255 * c / channels) for c in range(channels)]


@pytest.mark.parametrize("channels", [1, 4])
def test_the_network_sees_the_pictures_it_was_trained_on(recipe, channels):
    images = np.random.default_rng(0).normal(0.3, 2, (3, channels, 8, 8)).astype(np.float32)
    limits = recipe.contrast(images)
    side = 8 * recipe.mosaic(channels)[0]
    found = recipe.whole(torch.nn.Identity(), 8, limits, side)(torch.from_numpy(images)).numpy()
    gray = recipe.pictures(images, *limits)[:, None] / 255
    expected = (gray - np.reshape(recipe.MEAN, (1, 3, 1, 1))) / np.reshape(recipe.STD, (1, 3, 1, 1))
    # A picture holds 256 steps of gray.
    np.testing.assert_allclose(found, expected, atol=0.51 / 255 / min(recipe.STD))


def test_the_card_tells_what_departs_from_the_paper(recipe):
    short = recipe.departures(recipe.PaperPlan(pixels=48, most=128), 1000, 4)
    assert "It made 20 steps" in short[0]
    for said in ("48 px", "128 of 1000 images", "4 channels"):
        assert any(said in line for line in short), said
    full = recipe.departures(recipe.PaperPlan(), 5000, 1)
    assert not any("side by side" in line or "px" in line or "spread" in line for line in full)
