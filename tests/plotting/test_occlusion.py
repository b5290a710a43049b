"""Occlusion: where one part alone makes the difference, the map is largest there."""

from __future__ import annotations

import numpy as np
import pytest

from pyspedas_similarity.encoder.fixed import fixed_encoder
from pyspedas_similarity.errors import ArgumentError
from pyspedas_similarity.plotting.gallery import Original
from pyspedas_similarity.plotting.occlusion import occlude, occlusion_figure
from pyspedas_similarity.search.scoring import similarity


def noise(seed):
    return np.random.default_rng(seed).normal(0, 0.1, (1, 32, 32)).astype(np.float32)


def with_patch(image, rows, columns, height=4.0):
    made = image.copy()
    made[0, rows, columns] += height
    return made


SHARED = slice(18, 23), slice(6, 11)
SEED, MATCH = with_patch(noise(0), *SHARED), with_patch(noise(1), *SHARED)


@pytest.fixture(scope="module")
def pixels():
    return fixed_encoder("pixels", "frame")


@pytest.mark.parametrize("fill", ["mean", "median"])
def test_the_part_that_both_share_drives_the_score(pixels, fill):
    usual = None if fill == "mean" else np.median([noise(number) for number in range(2, 12)], axis=0)
    found = occlude(MATCH, scored(pixels.encode, pixels.encode(SEED[None])), usual=usual)
    channel, row, column = found.strongest
    assert (channel, found.fill) == (0, fill) and 18 <= row < 23 and 6 <= column < 11
    assert found.score == pytest.approx(float(pixels.encode(SEED[None])[0] @ pixels.encode(MATCH[None])[0]), abs=1e-6)
    inside = found.change[0][SHARED]
    outside = found.change[0].copy()
    outside[13:28, 1:16] = 0  # squares reach over the edge of the part
    assert inside.min() > 0.1 and np.abs(outside).max() < 0.1 * inside.max()


def scored(encode, query):
    """Scores of images against one query."""
    return lambda images: similarity(encode(images), [query])


def test_a_part_of_the_match_alone_speaks_against_it(pixels):
    spoiled = with_patch(MATCH, slice(2, 7), slice(24, 29))
    found = occlude(spoiled, scored(pixels.encode, pixels.encode(SEED[None])))
    lowest = np.unravel_index(np.argmin(found.change[0]), (32, 32))
    assert found.change.min() < -0.05 and 2 <= lowest[0] < 7 and 24 <= lowest[1] < 29
    assert 18 <= found.strongest[1] < 23


def test_what_a_single_square_costs_is_by_hand():
    """One square that covers the image: the change is the score less that of a constant image, filled by itself."""

    def encode(images):
        means = images.mean(axis=(1, 2, 3), dtype=np.float64)
        corner = images[:, 0, 0, 0].astype(np.float64)
        found = np.stack([means, corner], axis=1)
        return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)

    image = np.full((1, 4, 4), 1.0, np.float32)
    image[0, 0, 0] = 9.0
    seed = encode(image[None])
    found = occlude(image, scored(encode, seed), patch=4)
    # Its own mean takes the place of all: the corner is 1.5 like the rest.
    level = image.mean()
    expected = 1 - float(seed[0] @ (np.array([level, level]) / np.hypot(level, level)))
    np.testing.assert_allclose(found.change, expected, atol=1e-6)


def test_batches_are_bounded_and_every_square_counts_once(pixels):
    sizes = []

    def encode(images):
        sizes.append(len(images))
        return pixels.encode(images)

    three = np.concatenate([MATCH, MATCH, MATCH])
    encoder = fixed_encoder("pixels", "distribution")

    def encode_three(images):
        sizes.append(len(images))
        return encoder.encode(images)

    found = occlude(three, scored(encode_three, encoder.encode(three[None])), patch=4)
    assert max(sizes) <= 64 and sum(sizes) == 1 + 3 * 15 * 15
    assert found.change.shape == (3, 32, 32) and np.isfinite(found.change).all()


def test_what_was_not_measured_stays_so(pixels):
    holed = MATCH.copy()
    holed[0, :, :10] = np.nan
    found = occlude(holed, scored(pixels.encode, pixels.encode(SEED[None])))
    assert np.isnan(found.change[0, :, :10]).all() and np.isfinite(found.change[0, :, 10:]).all()


@pytest.mark.parametrize("patch", [0, 33, 2.5, True])
def test_a_patch_that_does_not_fit_is_refused(pixels, patch):
    with pytest.raises(ArgumentError, match="1 to 32"):
        occlude(MATCH, scored(pixels.encode, pixels.encode(SEED[None])), patch=patch)


def test_an_image_without_score_is_refused(pixels):
    with pytest.raises(ArgumentError, match="no score"):
        occlude(np.full((1, 32, 32), np.nan), scored(pixels.encode, pixels.encode(SEED[None])))


def test_the_figure_of_a_photograph_has_north_up_in_all_panels(pixels):
    found = occlude(MATCH, scored(pixels.encode, pixels.encode(SEED[None])))
    turned = [Original(image[0, ::-1], np.arange(32.0), np.arange(32.0), gray=True) for image in (SEED, MATCH)]
    figure = occlusion_figure(found, turned[:1], turned[1:])
    shown = [panel.images[0].get_array() for panel in figure.axes[:3]]
    np.testing.assert_array_equal(shown[1], MATCH[0, ::-1])
    np.testing.assert_array_equal(shown[2], found.change[0, ::-1])
