"""Pictures: what they show is computed right, and nothing of matplotlib's state changes."""

import numpy as np
import pytest

from pyspedas_similarity.errors import VariableError
from pyspedas_similarity.plotting.overview import overview
from pyspedas_similarity.tplot import Variable

TIMES = np.datetime64("2020-01-01", "ns") + np.arange(30) * np.timedelta64(3, "s")
FRAMES = Variable("sky", TIMES, np.random.default_rng(0).integers(1000, 5000, (30, 64, 64)).astype(np.uint16))


def test_keogram_is_the_mean_of_the_central_columns():
    drawn = overview(FRAMES)
    np.testing.assert_allclose(drawn.values, FRAMES.values[:, :, 30:35].mean(axis=2))
    assert not drawn.logarithmic


def test_omnidirectional_spectrogram_weighs_by_solid_angle():
    polar = np.array([30.0, 90.0, 150.0])
    density = np.ones((2, 4, 3, 5)) * np.array([2.0, 6.0, 2.0])[None, None, :, None]
    tables = {"v1": np.arange(4) * 90.0, "v2": polar, "v3": np.geomspace(10, 1000, 5)}
    drawn = overview(Variable("dist", TIMES[:2], density, tables))
    mean = (2 * 0.5 + 6 * 1 + 2 * 0.5) / (0.5 + 1 + 0.5)
    np.testing.assert_allclose(drawn.values, np.tile(mean * tables["v3"] ** 2, (2, 1)))


def test_what_has_no_overview():
    with pytest.raises(VariableError, match="shape"):
        overview(Variable("line", TIMES, np.zeros(30)))
