"""Every picture looks as it was stored, and a visible change is seen: colors, places, limits, texts, missing marks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.plotting.embedding_map import Colors, EmbeddingMap, MapMarks, archive_map_figure
from pyspedas_similarity.plotting.epochs import epochs_figure, superpose
from pyspedas_similarity.plotting.gallery import Original, Shown, gallery_figure
from pyspedas_similarity.plotting.occlusion import Occlusion, occlusion_figure
from pyspedas_similarity.plotting.series import Marks, Overview, Strip, strips_figure
from pyspedas_similarity.plotting.style import Style
from pyspedas_similarity.results.tplot_output import event_bars, similarity_series
from pyspedas_similarity.search.events import find_events
from pyspedas_similarity.tplot import Variable

START = np.datetime64("2020-01-01T00:00:00", "ns")
SECOND = np.timedelta64(10**9, "ns")
PLAIN = Style()
AT = START + np.arange(200) * SECOND


def blob(x: float, y: float) -> np.ndarray:
    rows, columns = np.mgrid[-1:1:24j, -1:1:24j]
    return 1e-22 * np.exp(-8 * ((columns - x) ** 2 + (rows - y) ** 2)) + 1e-26


def cut(x: float, y: float) -> Original:
    axis = np.linspace(-1000, 1000, 24)
    return Original(blob(x, y), axis, axis, "$v_x$ (km/s)", "$v_y$ (km/s)", "xy plane", "f (s$^3$ cm$^{-6}$)", True)


def gallery(style=PLAIN, x=0.5, score="0.871"):
    frame = Original(
        blob(0, 0)[::-1] * 1e26, np.arange(24.0), np.arange(24.0), label="measured", unit="counts", gray=True
    )
    shown = [
        Shown(("query", "00:00:01"), (cut(-0.5, 0), frame), True),
        Shown((score, "00:01:00"), (cut(x, 0.3), frame)),
        Shown(("0.803", "00:02:00"), (), missing="sky: it is not loaded"),
    ]
    return gallery_figure(shown, style, "Simulated", "the 2 best of 9 matches")


def scores() -> np.ndarray:
    return np.exp(-(((np.arange(200) - 50) / 15) ** 2)) + 0.8 * np.exp(-(((np.arange(200) - 150) / 10) ** 2))


def score(style=None, threshold=0.4):
    record = {
        "source": "made up",
        "threshold": threshold,
        "station": {},
        "queries": [
            {
                "label": f"made up {AT[50]}",
                "variable": "made up",
                "start": str(AT[48]),
                "end": str(AT[52]),
                "n_samples": 5,
            }
        ],
    }
    line = Variable("line", AT, np.sin(np.arange(200) / 9.0))
    spectrogram = Variable("spectrogram", AT, np.outer(scores() + 0.1, np.arange(1.0, 9.0)), {"v": np.arange(8.0)})
    tplot.write(line, {"ytitle": "a line", "color": "black"})
    tplot.write(spectrogram, {"spec": True, "zlog": False, "ytitle": "colors"})
    series = similarity_series(line, "made_similarity", scores(), record)
    found = find_events(AT, np.where(np.arange(200) < 80, np.nan, scores()), threshold, SECOND)
    bars = event_bars(line, "made_similar", found, record)
    names = [tplot.write(one.variable, one.options) for one in (series, bars)]
    return sim.plot_score(names, ["line", "spectrogram"], errors="raise", **(style or {}))


def epochs(shift=0):
    events = AT[[40, 70, 100, 130, 160]] + shift * SECOND
    values = np.zeros(200)
    for offset, height in zip((40, 70, 100, 130, 160), (1, 2, 3, 4, 5), strict=True):
        values += height * np.exp(-(((np.arange(200) - offset) / 4) ** 2))
    window = (15 * SECOND, 15 * SECOND)
    parts = [
        Variable("line", AT, values),
        Variable("spectrum", AT, np.outer(values + 0.1, [1.0, 3.0]), {"v": [1.0, 2.0]}),
    ]
    parts = [replace(one, coordinates={k: np.array(v) for k, v in one.coordinates.items()}) for one in parts]
    return epochs_figure([superpose(one, events, window) for one in parts], 5, 0)


def keogram(style=PLAIN, end=160):
    rows = np.exp(-(((np.arange(30)[None] - 5 - np.arange(200)[:, None] / 10) / 3) ** 2))
    marks = Marks(AT[[140]], AT[[end]], AT[[50]], AT[[50]], AT[[35]], AT[[65]], 0.6)
    made = Overview(rows, np.arange(30.0), "row, north up", "counts", False)
    return strips_figure([Strip("sky", AT, made, AT, scores(), marks)], style, "Simulated")


def archive_map(style=PLAIN, kinds=False, matches=4):
    rng = np.random.default_rng(0)
    places = rng.normal(0, 0.4, (120, 2)) + 3 * np.stack(
        [np.cos(np.arange(120) % 3), np.sin(np.arange(120) % 3)], axis=1
    )
    names = np.array(["fsmi", "gako", "fsim"])[np.arange(120) % 3]
    colors = Colors(names, "site") if kinds else Colors(START + np.arange(120) * 3600 * SECOND, "time (UTC)")
    marks = MapMarks(np.array([3]), np.arange(10, 10 + 12 * matches, 12), np.array([30, 61]))
    return archive_map_figure(EmbeddingMap(places, "by hand"), colors, marks, style, "120 samples")


def occlusion(at=6):
    change = np.zeros((1, 24, 24))
    change[0, at : at + 6, 12:18] = 0.2
    change[0, 16:20, 2:6] = -0.08
    pictures = [Original(blob(x, 0), np.arange(24.0), np.arange(24.0), label="as encoded") for x in (-0.3, 0.3)]
    return occlusion_figure(Occlusion(0.87, change, 4, "mean"), pictures[:1], pictures[1:])


PICTURES = {
    "gallery": gallery,
    "score": score,
    "epochs": epochs,
    "keogram": keogram,
    "archive_map_time": archive_map,
    "archive_map_site": lambda: archive_map(kinds=True),
    "occlusion": occlusion,
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_looks_as_it_was_stored(name, compared):
    assert compared(PICTURES[name](), name) == []


@pytest.mark.parametrize(
    ("name", "make", "what"),
    [
        ("gallery", lambda: gallery(Style(cmap="magma")), "picture of panel 0"),
        ("gallery", lambda: gallery(Style(match="#CC79A7")), "picture of panel 1"),
        ("gallery", lambda: gallery(x=0.2), "picture of panel 1"),
        ("gallery", lambda: gallery(score="0.872"), "texts"),
        ("score", lambda: score({"match": "#CC79A7"}), "picture of panel 0"),
        ("score", lambda: score(threshold=0.7), "picture of panel 2"),
        ("epochs", lambda: epochs(shift=3), "picture of panel 0"),
        ("keogram", lambda: keogram(end=150), "picture of panel 1"),
        ("keogram", lambda: keogram(Style(title="Other")), "texts"),
        ("archive_map_time", lambda: archive_map(matches=3), "picture of panel 0"),
        ("archive_map_time", lambda: archive_map(Style(cmap="magma")), "picture of panel 1"),
        ("archive_map_site", lambda: archive_map(kinds=True, style=Style(event="#D55E00")), "picture of panel 0"),
        ("occlusion", lambda: occlusion(at=9), "picture of panel 2"),
    ],
)
def test_a_visible_change_is_seen(name, make, what, changed):
    assert any(what in one for one in changed(make(), name))


def test_pictures_leave_no_figure_open_and_no_style_changed(tmp_path):
    import matplotlib.pyplot as plt

    style = dict(plt.rcParams)
    for name, make in PICTURES.items():
        make().savefig(tmp_path / f"{name}.png", dpi=60)
        assert (tmp_path / f"{name}.png").stat().st_size > 2000
    assert plt.get_fignums() == [] and dict(plt.rcParams) == style
