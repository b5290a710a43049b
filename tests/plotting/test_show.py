"""Pictures: what they show is computed right, and nothing of matplotlib's state changes."""

import numpy as np
import pytest

from pyspedas_similarity.errors import VariableError
from pyspedas_similarity.imaging.recipes import FrameRecipe
from pyspedas_similarity.instruments.sample_images import select
from pyspedas_similarity.plotting.gallery import plot_gallery
from pyspedas_similarity.plotting.overview import overview
from pyspedas_similarity.plotting.series import plot_score
from pyspedas_similarity.results.tplot_output import event_bars, similarity_series
from pyspedas_similarity.search.events import find_events
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


def test_pictures_are_written_and_no_figure_stays_open(tmp_path):
    import matplotlib.pyplot as plt

    scores = np.linspace(0, 1, 30)
    found = find_events(TIMES, scores, 0.8, np.timedelta64(0, "ns"))
    seed = {"label": "sky x", "start": str(TIMES[29]), "end": str(TIMES[29])}
    record = {"source": "sky", "threshold": 0.8, "queries": [seed]}
    series = similarity_series(FRAMES, "sky_similarity", scores, record).variable
    bars = event_bars(FRAMES, "sky_similar", found, record).variable
    style = dict(plt.rcParams)
    paths = [
        plot_score(FRAMES, series, bars, tmp_path / "score.png"),
        plot_gallery(FRAMES, bars, select(FRAMES, slice(29, 30)), FrameRecipe(), tmp_path / "gallery.png"),
    ]
    for path in paths:
        assert path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 5000
    assert plt.get_fignums() == [] and dict(plt.rcParams) == style
