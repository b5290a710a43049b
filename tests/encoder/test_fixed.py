"""Fixed encoders against numpy's correlation, scipy's filters, direct sums and the symmetries they promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from pyspedas_similarity.encoder import fixed
from pyspedas_similarity.encoder.cards import KINDS
from pyspedas_similarity.encoder.fixed import FIXED, fixed_encoder
from pyspedas_similarity.encoder.weights import default_encoder
from pyspedas_similarity.errors import ArgumentError

PIXELS = 64
IN_USE = {
    "pixels": [-0.020448, 0.022381, 0.046133],
    "hog": [0.026403, 0.048081, 0.048081],
    "spectrum": [0.562982, 0.520553, 0.380092],
    "structure": [-0.727407, -0.404349, -0.146972],
}
HASHES = {
    "pixels": "978ffb8170e77cb0",
    "hog": "3abaa4fb790667be",
    "spectrum": "8f6f14e601429a82",
    "structure": "f7cab783e5d165d2",
}


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


@pytest.mark.parametrize("name", list(FIXED))
def test_a_row_does_not_depend_on_its_batch(name):
    images = random_images((11, 2, 32, 32))
    images[3, 0, :5] = np.nan
    encoder = fixed_encoder(name, "frame")
    together = encoder.encode(images)
    np.testing.assert_array_equal(together, encoder.encode(images, batch=4))
    np.testing.assert_array_equal(together[3:4], encoder.encode(images[3:4]))
    single = encoder.encode(images[:, :1])
    np.testing.assert_array_equal(single[5:6], encoder.encode(images[5:6, :1]))


def test_defaults_and_names():
    assert {default_encoder(kind).card.name for kind in KINDS} == {"structure"}
    assert {name: fixed_encoder(name, "frame").card.description for name in FIXED} == FIXED
    for name, kind in (("psd", "frame"), ("pixels", "sound")):
        with pytest.raises(ArgumentError):
            fixed_encoder(name, kind)


def test_embedding_of_the_fixed_encoders_is_the_one_in_use():
    # Archives hold these: a change here means raising TRANSFORM_VERSION.
    y, x = np.mgrid[:32, :32] / 32
    image = (np.sin(9 * x + 5 * y) + y).astype(np.float32)[None, None]
    firsts = {name: fixed_encoder(name, "frame").encode(image)[0, :3] for name in FIXED}
    for name, expected in IN_USE.items():
        np.testing.assert_allclose(firsts[name], expected, atol=2e-5, err_msg=name)
    assert {name: fixed_encoder(name, "frame").hash for name in FIXED} == HASHES


def grating(angle_deg: float, pixels: int = PIXELS, waves: float = 8.0) -> np.ndarray:
    """Waves along an angle that counts from growing column toward growing row, (1, 1, pixels, pixels)."""
    y, x = np.mgrid[:pixels, :pixels] / pixels
    along = x * np.cos(np.radians(angle_deg)) + y * np.sin(np.radians(angle_deg))
    return np.sin(2 * np.pi * waves * along).astype(np.float32)[None, None]


def everywhere(images: np.ndarray) -> np.ndarray:
    return np.ones(images.shape, bool)


@pytest.mark.parametrize("pixels", [32, 64, 100])
@pytest.mark.parametrize("bin_", [0, 4, 7])
def test_hog_of_a_grating_has_its_energy_in_its_bin(pixels, bin_):
    image = grating((bin_ + 0.5) * 20, pixels, waves=4)
    blocks = fixed.hog_features(image, everywhere(image)).reshape(49, 4, 9)
    energy = (blocks**2).sum(axis=(0, 1))
    assert np.argmax(energy) == bin_
    assert energy[[bin_ - 1, bin_, (bin_ + 1) % 9]].sum() > 0.9 * energy.sum()


def test_hog_shares_a_gradient_between_the_two_nearest_orientations():
    # A ramp toward 35 degrees: three quarters in the bin at 30, one in that at 50; clipped at 0.2 both are equal.
    y, x = np.mgrid[:32, :32]
    ramp = (x * np.cos(np.radians(35)) + y * np.sin(np.radians(35))).astype(np.float32)[None, None]
    inner = fixed.hog_features(ramp, everywhere(ramp)).reshape(7, 7, 4, 9)[3, 3]
    expected = np.zeros(9)
    expected[[1, 2]] = 0.75, 0.25
    block = np.tile(expected, 4) / np.linalg.norm(np.tile(expected, 4))
    block = np.minimum(block, 0.2)
    np.testing.assert_allclose(inner, (block / np.linalg.norm(block)).reshape(4, 9), atol=1e-4)


def test_hog_is_skimages_where_orientations_are_those_of_its_bins():
    feature = pytest.importorskip("skimage.feature")
    y, _ = np.mgrid[:64, :64]
    # Gradients along rows alone lie in the middle of a bin, so that sharing between bins makes no difference.
    image = np.sin(y / 3.0 + 0.3).astype(np.float32) * 20
    expected = feature.hog(image, 9, (8, 8), (2, 2), block_norm="L2-Hys").reshape(7, 7, 2, 2, 9)
    found = fixed.hog_features(image[None, None], everywhere(image[None, None]))
    np.testing.assert_allclose(found.reshape(7, 7, 2, 2, 9), expected, atol=1e-4)
    # For any image the two differ by the sharing only.
    noise = ndimage.gaussian_filter(random_images((64, 64)), 2) * 20
    flat = feature.hog(noise, 9, (8, 8), (2, 2), block_norm="L2-Hys")
    found = fixed.hog_features(noise[None, None], everywhere(noise[None, None]))[0]
    assert found @ flat / np.linalg.norm(found) / np.linalg.norm(flat) > 0.95


def test_hog_does_not_see_the_edge_of_what_was_measured():
    image = grating(30)
    image[:, :, :20] = np.nan
    brighter = image + np.float32(50)
    hog = fixed_encoder("hog", "frame")
    np.testing.assert_allclose(hog.encode(image), hog.encode(brighter), atol=1e-3)


@pytest.mark.parametrize(("kind", "axis"), [("window", 3), ("spectrum", 2)])
def test_mean_curves_keep_energy_and_leave_out_what_was_not_measured(kind, axis):
    images = random_images((4, 2, 32, 32)).astype(np.float64)
    images[:, :, 5:9, 3:20] = np.nan
    curves = np.nanmean(images, axis=axis).reshape(4, -1)
    expected = np.corrcoef(curves)
    found = fixed_encoder("spectrum", kind).encode(images)
    assert found.shape == (4, 64)
    np.testing.assert_allclose(found @ found.T, expected, atol=1e-5)


def test_a_mean_over_nothing_counts_as_the_mean_of_the_curve():
    images = random_images((1, 1, 32, 32))
    images[:, :, 7] = np.nan
    found = fixed_encoder("spectrum", "window").encode(images)[0]
    kept = np.delete(found, 7)
    curve = np.delete(images[0, 0], 7, axis=0).mean(axis=1)
    assert found[7] == 0
    np.testing.assert_allclose(kept, (curve - curve.mean()) / np.linalg.norm(curve - curve.mean()), atol=1e-6)


def test_a_ring_is_a_peak_at_its_radius_in_its_channel():
    y, x = np.mgrid[:32, :32] - 15.5
    ring = (np.abs(np.hypot(x, y) - 9.5) < 0.5).astype(np.float32)
    images = np.stack([np.zeros_like(ring), ring])[None]
    profile = fixed.spectrum_features(images, everywhere(images), "distribution").reshape(2, 16)
    level = 1 / 32
    np.testing.assert_allclose(profile[1], np.where(np.arange(16) == 9, 1 - level, -level), atol=1e-7)
    np.testing.assert_allclose(profile[0], -level, atol=1e-7)
    turned = np.rot90(images, axes=(2, 3))
    np.testing.assert_allclose(fixed.spectrum_features(turned, everywhere(turned), "distribution")[0], profile.ravel())


@pytest.mark.parametrize("angle", [0, 40, 90])
@pytest.mark.parametrize("waves", [5, 12])
def test_power_of_a_grating_is_at_its_wave_number_whatever_its_angle(angle, waves):
    image = grating(angle, waves=waves) * 3 + 7
    power = fixed.spectrum_features(image, everywhere(image), "frame")[0]
    assert power.shape == (PIXELS // 2,)
    assert np.argmax(power) == waves - 1


def test_power_spectra_are_free_of_contrast_and_brightness():
    image = random_images((1, 1, 64, 64))
    encoder = fixed_encoder("spectrum", "frame")
    np.testing.assert_allclose(encoder.encode(image * 5 + 2), encoder.encode(image), atol=1e-5)
    slopes = [ndimage.gaussian_filter(image, (0, 0, sigma, sigma)) for sigma in (0, 1)]
    assert encoder.encode(slopes[0]) @ encoder.encode(slopes[1]).T < 0.5
