"""Modulation of structure: what it answers to, and what it does not."""

from __future__ import annotations

import numpy as np

from pyspedas_similarity.encoder.modulation import FEATURE_NAMES, modulation_features

DOWN, RIGHT = np.mgrid[:64, :64]


def stripes(envelope: np.ndarray | float = 1.0) -> np.ndarray:
    """Stripes four pixels wide, whose strength follows an envelope."""
    return envelope * np.sin(2 * np.pi * RIGHT / 4)


def column(name: str) -> int:
    """The first column of that name: of the finest scale."""
    return FEATURE_NAMES.index(name)


def features_of(image: np.ndarray) -> np.ndarray:
    """Features (34,) of one image, all of it measured."""
    images = np.asarray(image, np.float32)[None, None]
    return modulation_features(images, np.ones(images.shape, bool))[0]


def test_structure_in_bands_is_modulated_and_structure_everywhere_is_not():
    everywhere, in_bands = features_of(stripes()), features_of(stripes(1 + np.sin(2 * np.pi * DOWN / 32)))
    more = in_bands - everywhere
    assert min(more[column(f"log modulation of it, sigma {coarse}")] for coarse in (8, 16)) > 1  # e-folds
    assert abs(more[column("log mean gradient, sigma 1")]) < 0.2


def test_the_direction_of_bands_is_told():
    after = column("log modulation of it, sigma 16") + 1
    for along, sign in ((RIGHT, 1), (DOWN, -1)):
        assert sign * features_of(stripes(1 + np.sin(2 * np.pi * along / 32)))[after] > 0.8


def test_contrast_moves_the_strength_alone():
    image = np.random.default_rng(0).standard_normal((64, 64))
    change = features_of(2 * image) - features_of(image)
    strength = np.array([name.startswith("log mean") for name in FEATURE_NAMES])
    np.testing.assert_allclose(change[strength], np.log(2), atol=5e-3)
    np.testing.assert_allclose(change[~strength], 0, atol=5e-3)


def test_values_are_the_same_bits_in_any_batch_and_finite_where_nothing_is():
    rng = np.random.default_rng(1)
    images = rng.random((21, 2, 32, 32)).astype(np.float32)
    images[3] = 0
    measured = rng.random(images.shape) > 0.2
    measured[5] = False
    images[~measured] = 0
    together = modulation_features(images, measured)
    assert together.shape == (21, 2 * 34) and np.isfinite(together).all()
    for row in (0, 3, 5, 20):
        alone = modulation_features(images[row : row + 1], measured[row : row + 1])
        assert alone.tobytes() == together[row : row + 1].tobytes()
