"""Features of windows: what changes them and what does not."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pyspedas_similarity.encoder.panel_features import block_sizes, panel_features

POINTS = 32
RNG = np.random.default_rng(0)
VARIANCES = np.full((5, POINTS), 0.3)


def windows(columns=3):
    return RNG.standard_normal((5, columns, POINTS)).cumsum(axis=2)


def parts(made, columns, kind, equality):
    ends = np.cumsum([0, *block_sizes(columns, POINTS, kind, equality).values()])
    names = block_sizes(columns, POINTS, kind, equality)
    return {name: made[:, a:b] for name, a, b in zip(names, ends, ends[1:], strict=False)}


@pytest.mark.parametrize("kind", ["lines", "vector", "spectrogram", "embedding"])
@pytest.mark.parametrize("values", ["relative", "absolute", "shape"])
@pytest.mark.parametrize("vectors", ["axes", "turning", "any_orientation"])
def test_the_blocks_add_up_to_the_features(kind, values, vectors):
    made = panel_features(windows(), VARIANCES, 1.0, kind, (values, vectors))
    assert made.shape == (5, sum(block_sizes(3, POINTS, kind, (values, vectors)).values()))
    assert made.dtype == np.float32
    assert np.isfinite(made).all()


def test_curve_level_and_fluctuations_are_what_they_say():
    given = windows(2)
    found = parts(
        panel_features(given, VARIANCES, 1.0, "lines", ("relative", "axes")), 2, "lines", ("relative", "axes")
    )
    level = given.mean(axis=2)
    np.testing.assert_allclose(found["level"], level, rtol=1e-5)
    np.testing.assert_allclose(found["curve"], (given - level[:, :, None]).reshape(5, -1), rtol=1e-4, atol=1e-5)
    lag = 4
    squares = ((given[:, :, lag:] - given[:, :, :-lag]) ** 2).sum(axis=1).mean(axis=1)
    np.testing.assert_allclose(found["fluctuations"][:, 2], np.log10(squares + 1e-6), rtol=1e-4)
    np.testing.assert_allclose(found["fluctuations"][:, 4], np.log10(0.3 + 1e-6), rtol=1e-5)


def test_gram_features_do_not_change_with_rotation_or_reflection_and_others_do():
    given = windows()
    turned = np.einsum("ij,mjp->mip", Rotation.random(random_state=1).as_matrix(), given)
    rule = ("relative", "any_orientation")
    first = panel_features(given, VARIANCES, 1.0, "vector", rule)
    np.testing.assert_allclose(panel_features(turned, VARIANCES, 1.0, "vector", rule), first, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(panel_features(-given, VARIANCES, 1.0, "vector", rule), first, rtol=1e-3, atol=1e-3)
    plain = panel_features(given, VARIANCES, 1.0, "vector", ("relative", "axes"))
    assert np.abs(panel_features(turned, VARIANCES, 1.0, "vector", ("relative", "axes")) - plain).max() > 0.5
    other = panel_features(windows(), VARIANCES, 1.0, "vector", rule)
    assert np.abs(other - first).max() > 0.5


def test_gram_features_grow_with_the_values():
    given, rule = windows(), ("relative", "any_orientation")
    one, two = (parts(panel_features(f * given, VARIANCES, 1.0, "vector", rule), 3, "vector", rule) for f in (1, 2))
    np.testing.assert_allclose(two["curve"], 2 * one["curve"], rtol=1e-4)


def test_turning_is_the_angle_to_the_mean_direction():
    angle = np.linspace(-1, 1, POINTS)
    given = 10 * np.stack([np.cos(angle), np.sin(angle), 0 * angle])[None]
    rule = ("relative", "turning")
    found = parts(panel_features(given, VARIANCES[:1], 1.0, "vector", rule), 3, "vector", rule)
    magnitude, turned = found["curve"].reshape(2, POINTS)
    np.testing.assert_allclose(magnitude, 0, atol=1e-4)
    np.testing.assert_allclose(turned, 10 * (np.abs(angle) - np.abs(angle).mean()), atol=1e-3)
    np.testing.assert_allclose(found["level"][0, 0], 10, rtol=1e-5)


def test_shapes_change_neither_with_level_nor_with_amplitude():
    given, rule = windows(), ("shape", "axes")
    variances = VARIANCES * 9
    first = panel_features(given, VARIANCES, 1.0, "lines", rule)
    np.testing.assert_allclose(
        panel_features(3 * given + 7, variances, 3.0, "lines", rule), first, rtol=1e-2, atol=2e-3
    )


def test_a_constant_window_has_no_shape():
    made = panel_features(np.ones((1, 1, POINTS)), np.zeros((1, POINTS)), 1.0, "lines", ("shape", "axes"))
    np.testing.assert_array_equal(made[:, :POINTS], 0)
