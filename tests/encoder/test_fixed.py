"""Fixed encoders against numpy's correlation, scipy's filters and the symmetries they promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from pyspedas_similarity.encoder import fixed
from pyspedas_similarity.encoder.fixed import FIXED, default_encoder, fixed_encoder
from pyspedas_similarity.errors import ArgumentError

PIXELS = 64
FEATURES = list(fixed.FEATURE_NAMES)
IN_USE = {
    "pixels": [-0.020448, 0.022381, 0.046133],
    "oriented": [-0.056427, -0.04419, -0.034988],
    "hybrid": [-0.010224, 0.01119, 0.023066],
}
HASHES = {"pixels": "978ffb8170e77cb0", "oriented": "55d1fb1370184992", "hybrid": "188a74368f4c187d"}


def band(angle_deg: float, place: tuple[int, int] = (0, 0)) -> np.ndarray:
    """A short simulated band, (1, 1, 64, 64), well inside the frame and exactly 0 beyond 20 pixels."""
    y, x = np.mgrid[:PIXELS, :PIXELS] - PIXELS // 2
    along = x * np.cos(np.radians(angle_deg)) + y * np.sin(np.radians(angle_deg))
    across = -x * np.sin(np.radians(angle_deg)) + y * np.cos(np.radians(angle_deg))
    image = np.exp(-((along / 5) ** 2) / 2 - (across / 1.5) ** 2 / 2) * (np.hypot(x, y) < 20)
    return np.roll(image, place, (0, 1)).astype(np.float32)[None, None]


def random_images(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("pixels", [8, 16, 32, 40, 128])
def test_cosine_of_pixels_is_pearsons_correlation_of_block_averages(pixels):
    images = random_images((6, 2, pixels, pixels)) + np.float32(3)
    embeddings = fixed_encoder("pixels", "distribution").encode(images)
    blocks = images
    if pixels > 16:
        # Repeating pixels 16-fold makes every size divisible by 16: plain means of equal blocks.
        fine = images.repeat(16, axis=2).repeat(16, axis=3).astype(np.float64)
        blocks = fine.reshape(6, 2, 16, pixels, 16, pixels).mean(axis=(3, 5))
    np.testing.assert_allclose(embeddings @ embeddings.T, np.corrcoef(blocks.reshape(6, -1)), atol=1e-5)


def test_pixels_of_a_pattern_finer_than_a_block_have_no_direction():
    checkered = (np.indices((64, 64)).sum(axis=0) % 2).astype(np.float32)[None, None]
    assert np.isnan(fixed_encoder("pixels", "frame").encode(checkered)).all()


def test_descriptor_equals_scipys_filters_without_a_mask():
    image = random_images((PIXELS, PIXELS))
    described = fixed.describe(image[None, None], np.ones((1, 1, PIXELS, PIXELS), bool))[0]
    found = dict(zip(FEATURES, described, strict=True))
    sigma = 2.0 * PIXELS / 128
    across = ndimage.gaussian_filter(image.astype(float), sigma, order=(0, 1)) * sigma
    down = ndimage.gaussian_filter(image.astype(float), sigma, order=(1, 0)) * sigma
    energy, angle = across**2 + down**2, np.arctan2(down, across)
    expected = {
        "log energy": np.log(energy.mean() + fixed.FLOOR),
        "log peakedness": np.log((energy**2).mean() / energy.mean() ** 2),
        "cos 2a": np.average(np.cos(2 * angle), weights=energy),
        "sin 2a": np.average(np.sin(2 * angle), weights=energy),
        "cos 4a": np.average(np.cos(4 * angle), weights=energy),
        "sin 4a": np.average(np.sin(4 * angle), weights=energy),
    }
    for name, value in expected.items():
        assert found[f"{name}, sigma 2"] == pytest.approx(value, abs=1e-4), name
    fine, coarse = (ndimage.gaussian_filter(image.astype(float), each) for each in (sigma, 2 * sigma))
    assert found["log band variance, sigma 4"] == pytest.approx(np.log((fine - coarse).var() + fixed.FLOOR), abs=1e-4)


@pytest.mark.parametrize("place", [(-9, 0), (0, 9), (7, -8)])
def test_descriptor_is_free_of_place(place):
    encoder = fixed_encoder("oriented", "frame")
    here, there = fixed.describe(band(30), band(30) > -1), fixed.describe(band(30, place), band(30) > -1)
    np.testing.assert_allclose(there, here, atol=5e-3)
    assert encoder.encode(band(30)) @ encoder.encode(band(30, place)).T == pytest.approx(1, abs=1e-5)


def test_descriptor_is_true_to_orientation():
    everywhere = np.ones((1, 1, PIXELS, PIXELS), bool)
    level, upright = (fixed.describe(band(angle), everywhere)[0] for angle in (0, 90))
    # Across a level band the gradient points along rows: the doubled angle is 180 degrees.
    doubled = [FEATURES.index(f"cos 2a, sigma {sigma:g}") for sigma in fixed.SIGMAS]
    np.testing.assert_allclose(upright[doubled], -level[doubled], atol=1e-2)
    assert (level[doubled[:3]] < -0.5).all()
    same = [i for i, name in enumerate(FEATURES) if "2a" not in name]
    np.testing.assert_allclose(upright[same], level[same], atol=1e-2)
    encoder = fixed_encoder("oriented", "frame")
    assert encoder.encode(band(0)) @ encoder.encode(band(90)).T < 0.2


def test_descriptor_does_not_see_the_rim_or_brightness_of_the_measured_disc():
    y, x = np.mgrid[:PIXELS, :PIXELS] - (PIXELS - 1) / 2
    disc = np.hypot(x, y) < 28
    frames = [np.where(disc, band(30) + offset, np.nan).astype(np.float32) for offset in (0, 5)]
    encoder = fixed_encoder("oriented", "frame")
    np.testing.assert_allclose(encoder.encode(frames[0]), encoder.encode(frames[1]), atol=1e-4)


def test_hybrid_cosine_is_the_weighted_mean_of_both():
    images = random_images((5, 1, 32, 32))
    cosines = {name: (e := fixed_encoder(name, "frame").encode(images)) @ e.T for name in FIXED}
    expected = fixed.PLACE_SHARE * cosines["pixels"] + (1 - fixed.PLACE_SHARE) * cosines["oriented"]
    np.testing.assert_allclose(cosines["hybrid"], expected, atol=1e-5)


@pytest.mark.parametrize("name", list(FIXED))
def test_a_row_does_not_depend_on_its_batch(name):
    images = random_images((11, 2, 32, 32))
    images[3, 0, :5] = np.nan
    encoder = fixed_encoder(name, "frame")
    together = encoder.encode(images)
    np.testing.assert_array_equal(together, encoder.encode(images, batch=4))
    np.testing.assert_array_equal(together[3:4], encoder.encode(images[3:4]))


def test_defaults_and_names():
    assert default_encoder("distribution").card.name == "pixels"
    assert default_encoder("frame").card.name == "hybrid"
    assert {name: fixed_encoder(name, "frame").card.description for name in FIXED} == FIXED
    for name, kind in (("oriented", "distribution"), ("psd", "frame"), ("pixels", "sound")):
        with pytest.raises(ArgumentError):
            fixed_encoder(name, kind)


def test_oriented_cosine_is_a_gaussian_of_the_distance_of_descriptors():
    y, x = np.mgrid[:PIXELS, :PIXELS] / PIXELS
    tilts = np.linspace(0, 0.6, 8)
    images = np.stack([np.sin(40 * (x * np.cos(t) + y * np.sin(t))) for t in tilts])[:, None].astype(np.float32)
    descriptors = fixed.describe(images, np.ones(images.shape, bool))
    distance = np.linalg.norm(descriptors[:, None] - descriptors, axis=2)
    expected = np.exp(-(distance**2) / 2)
    embeddings = fixed_encoder("oriented", "frame").encode(images)
    error = np.abs(embeddings @ embeddings.T - expected)
    assert expected.min() < 0.3 < 0.7 < np.sort(expected.ravel())[-10]  # the pairs reach from near to far
    assert (error <= 4 * (1 - expected**2) / np.sqrt(2 * fixed.KERNEL_PAIRS) + 1e-5).all()


def test_embedding_of_the_fixed_encoders_is_the_one_in_use():
    # Archives hold these: a change here means raising TRANSFORM_VERSION.
    y, x = np.mgrid[:32, :32] / 32
    image = (np.sin(9 * x + 5 * y) + y).astype(np.float32)[None, None]
    firsts = {name: fixed_encoder(name, "frame").encode(image)[0, :3] for name in FIXED}
    for name, expected in IN_USE.items():
        np.testing.assert_allclose(firsts[name], expected, atol=2e-5, err_msg=name)
    assert {name: fixed_encoder(name, "frame").hash for name in FIXED} == HASHES
