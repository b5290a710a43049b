"""The default encoder: what moves its features, and what does not."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from pyspedas_similarity.encoder.cards import Card, blocks_of
from pyspedas_similarity.encoder.filters import AMPLITUDE_FLOOR, FLOOR, averaging
from pyspedas_similarity.encoder.fixed import fixed_encoder
from pyspedas_similarity.encoder.runtime import fill
from pyspedas_similarity.encoder.structure import (
    _LEVELS,
    _SHAPES,
    BAND_SIGMAS,
    BLOCKS,
    SIDE,
    SIGMAS,
    block_slices,
    structure_features,
)
from pyspedas_similarity.errors import EncoderError

PIXELS = 64


def band(angle_deg: float = 30.0, place: tuple[int, int] = (0, 0), pixels: int = PIXELS) -> np.ndarray:
    """A short band, (1, 1, pixels, pixels), exactly 0 far from its middle."""
    y, x = (np.mgrid[:pixels, :pixels] - pixels // 2) * PIXELS / pixels
    along = x * np.cos(np.radians(angle_deg)) + y * np.sin(np.radians(angle_deg))
    across = -x * np.sin(np.radians(angle_deg)) + y * np.cos(np.radians(angle_deg))
    image = np.exp(-((along / 5) ** 2) / 2 - (across / 1.5) ** 2 / 2) * (np.hypot(x, y) < 16)
    return np.roll(image, place, (0, 1)).astype(np.float32)[None, None]


def features(images: np.ndarray, kind: str = "frame") -> dict[str, np.ndarray]:
    found = structure_features(*fill(images), kind)
    slices = block_slices(found.shape[1], BLOCKS.get(kind, BLOCKS["other"]))
    return {name: found[:, part] for name, part in slices.items()}


def test_structure_does_not_depend_on_place_and_place_does():
    here, there = features(band(), "window"), features(band(place=(6, -5)), "window")
    for name in ("level", "orientation", "shape"):
        np.testing.assert_allclose(here[name], there[name], atol=0.01)
    assert np.abs(here["place"] - there["place"]).max() > 0.01


def test_orientation_turns_with_the_image_and_the_rest_does_not():
    one, turned = features(band(0)), features(band(90))
    np.testing.assert_allclose(one["level"], turned["level"], atol=1e-4)
    np.testing.assert_allclose(one["shape"], turned["shape"], atol=1e-4)
    assert np.abs(one["orientation"] - turned["orientation"]).max() > 0.1


def test_large_images_are_averaged_first():
    large = band(pixels=128)
    small = large.reshape(1, 1, 64, 2, 64, 2).mean(axis=(3, 5))
    for name, values in features(large).items():
        np.testing.assert_allclose(values, features(small)[name], atol=1e-5, err_msg=name)


def test_values_outside_the_measured_disc_do_not_count():
    image = band()
    y, x = np.mgrid[:PIXELS, :PIXELS] - PIXELS // 2
    filled, measured = fill(np.where(np.hypot(x, y) < 28, image, np.nan).astype(np.float32))
    other = np.where(measured, filled, np.float32(7))
    np.testing.assert_array_equal(
        structure_features(filled, measured, "frame"), structure_features(other, measured, "frame")
    )


@pytest.mark.parametrize(("kind", "length"), [("frame", 43), ("distribution", 123), ("window", 123), ("spectrum", 123)])
def test_an_image_has_one_embedding_whatever_is_encoded_with_it(kind, length):
    images = np.random.default_rng(0).random((37, 3, 32, 32), np.float32)
    encoder = fixed_encoder("structure", kind)
    together = encoder.encode(images)
    assert together.shape == (37, 3 * length + 1)
    np.testing.assert_array_equal(together, encoder.encode(images, batch=5))
    np.testing.assert_array_equal(together[7:8], encoder.encode(images[7:8]))


def test_blocks_lie_one_after_another_and_keep_their_order_in_a_saved_card():
    for kind, expected in (("frame", BLOCKS["frame"]), ("window", BLOCKS["other"])):
        card = fixed_encoder("structure", kind).card
        read = Card.from_json(card.to_json())
        assert list(read.blocks.items()) == list(expected.items())
        parts = list(block_slices(2 * sum(expected.values()) + 1, read.blocks).values())
        assert [part.start for part in parts] == [0, *(part.stop for part in parts[:-1])]
        assert parts[-1].stop == 2 * sum(expected.values())
    assert block_slices(5, {}) == {"all": slice(0, 5)}


@pytest.mark.parametrize(
    "blocks", [{"level": 10}, [["level"]], [["level", "10"]], [["level", 0]], [["level", True]], 3]
)
def test_blocks_of_a_damaged_card(blocks):
    with pytest.raises(EncoderError, match="training.blocks"):
        blocks_of({"training": {"blocks": blocks}})
    assert blocks_of({}) == blocks_of({"training": {}}) == {}


def test_a_flat_image_has_no_embedding_and_a_nearly_flat_one_is_finite():
    flat = np.full((1, 1, 32, 32), 0.5, np.float32)
    nearly = flat + 1e-6 * np.random.default_rng(0).random(flat.shape).astype(np.float32)
    found = fixed_encoder("structure", "frame").encode(np.concatenate([flat, nearly]))
    assert np.isnan(found[0]).all() and np.isfinite(found[1]).all()


def test_the_card_of_each_kind_has_its_own_hash():
    cards = [fixed_encoder("structure", kind).card for kind in ("frame", "window")]
    assert cards[0].hash != cards[1].hash
    assert replace(cards[0], description="other words").hash == cards[0].hash


def plain_structure(image: np.ndarray, share: np.ndarray) -> list[float]:
    """The first three blocks of one image, without level, in the order of definition; everything in float64."""
    scale = image.shape[0] / 128
    share = share / share.sum()

    def mean(values: np.ndarray) -> float:
        return float((share * values).sum())

    def centered(values: np.ndarray) -> np.ndarray:
        return np.where(share > 0, values - mean(values), 0)

    def slopes(values: np.ndarray, sigma: float) -> list[np.ndarray]:
        sigmas = sigma * scale
        return [ndimage.gaussian_filter(values, sigmas, order, mode="reflect") * sigmas for order in ((0, 1), (1, 0))]

    bands, image = [], centered(image)
    smooth = [image, *(ndimage.gaussian_filter(image, sigma * scale, mode="reflect") for sigma in BAND_SIGMAS)]
    for fine, coarse in pairwise(smooth):
        bands.append(np.log(mean((fine - coarse) ** 2) - mean(fine - coarse) ** 2 + FLOOR))
    level, orientation, shape = bands, [], []
    for number, sigma in enumerate(SIGMAS):
        across, down = slopes(image, sigma)
        energy, angle = across**2 + down**2, np.arctan2(down, across)
        total, amplitude = mean(energy), mean(np.sqrt(energy))
        level += [np.log(total + FLOOR), np.log(amplitude + AMPLITUDE_FLOOR)]
        orientation += [mean(energy * turn(n * angle)) / total for n in (2, 4) for turn in (np.cos, np.sin)]
        shape.append(np.log(mean(energy**2) / total**2))
        strength = centered(np.sqrt(energy))
        for coarse in BAND_SIGMAS[number + 1 :]:
            across, down = slopes(strength, coarse)
            energy, angle = across**2 + down**2, np.arctan2(down, across)
            shape.append(np.log(mean(energy) + AMPLITUDE_FLOOR**2) / 2 - np.log(amplitude + AMPLITUDE_FLOOR))
            orientation += [mean(energy * turn(2 * angle)) / mean(energy) for turn in (np.cos, np.sin)]
    return [*level, *orientation, *shape]


@pytest.mark.parametrize("pixels", [32, 64, 128])
def test_features_are_those_of_a_plain_computation(pixels):
    rng = np.random.default_rng(pixels)
    y, x = (np.mgrid[:pixels, :pixels] + 0.5) * 2 / pixels - 1
    noise = ndimage.gaussian_filter(rng.random((3, pixels, pixels)), (0, 1.5, 3)) + x
    images = np.where(np.hypot(x, y) < 0.85, noise, np.nan).astype(np.float32)[:, None]
    filled, measured = fill(images)
    found = features(images)
    origins = np.concatenate([_LEVELS["frame"], np.zeros(24), _SHAPES])
    together = np.hstack([found[name] * np.sqrt(found[name].shape[1]) * 0.3 for name in found]) + origins
    average = averaging(pixels, min(pixels, SIDE))
    for values, inside, row in zip(filled[:, 0].astype(float), measured[:, 0].astype(float), together, strict=True):
        share = average @ inside @ average.T
        reduced = average @ values @ average.T / np.where(share > 0, share, 1)
        np.testing.assert_allclose(row, plain_structure(reduced, share), atol=3e-6)
