"""Pictures against time: values, axes, labels and units of the variable; events cover what was found, in few pieces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pyspedas_similarity.errors import VariableError
from pyspedas_similarity.imaging.camera_geometry import View
from pyspedas_similarity.imaging.recipes import SpectrumRecipe
from pyspedas_similarity.plotting.series import Marks, Strip, drawable, on_one_table, overview, strips_figure
from pyspedas_similarity.tplot import Variable

TIMES = np.datetime64("2020-01-01", "ns") + np.arange(30) * np.timedelta64(3, "s")
FRAMES = Variable("sky", TIMES, np.random.default_rng(0).integers(1000, 5000, (30, 64, 64)).astype(np.uint16))
SOUTH_FIRST = {"data_att": {"units": "R", "first_row": "south", "first_column": "west"}}


def test_keogram_is_the_mean_of_the_central_columns_with_the_first_row_at_the_top():
    drawn = overview(FRAMES)
    np.testing.assert_allclose(drawn.values, FRAMES.values[:, ::-1, 30:35].mean(axis=2))
    np.testing.assert_array_equal(drawn.bins, np.arange(64))
    assert (drawn.label, drawn.unit) == ("row from the bottom", "brightness, no unit stored")
    assert not drawn.logarithmic


def test_keogram_names_north_where_it_is_known():
    drawn = overview(replace(FRAMES, attributes=SOUTH_FIRST))
    np.testing.assert_allclose(drawn.values, FRAMES.values[:, :, 30:35].mean(axis=2))
    assert (drawn.label, drawn.unit) == ("row, north up", "R")


def test_keogram_with_a_skymap_runs_over_zenith_angles_or_latitudes():
    rows, columns = np.mgrid[31.5:-32:-1, -31.5:32]
    elevation = 90 - 2 * np.hypot(rows, columns)
    view = View(65.0, -147.0, np.degrees(np.arctan2(columns, rows)) % 360, np.where(elevation > 0, elevation, np.nan))
    sky = replace(FRAMES, attributes={"skymap": view})
    drawn, on_the_ground = overview(sky), overview(sky, height_km=110)
    assert drawn.label == "zenith angle (deg), north up" and drawn.bins[0] < -50 and drawn.bins[-1] > 50
    assert on_the_ground.label == "latitude (deg), north up"
    assert (np.diff(drawn.bins) > 0).all() and on_the_ground.bins[0] < 65 < on_the_ground.bins[-1]


def test_omnidirectional_spectrogram_weighs_by_solid_angle():
    polar = np.array([30.0, 90.0, 150.0])
    density = np.ones((2, 4, 3, 5)) * np.array([2.0, 6.0, 2.0])[None, None, :, None]
    tables = {"v1": np.arange(4) * 90.0, "v2": polar, "v3": np.geomspace(10, 1000, 5)}
    about = {"data_att": {"depend_3_units": "eV"}}
    drawn = overview(Variable("dist", TIMES[:2], density, tables, about))
    mean = (2 * 0.5 + 6 * 1 + 2 * 0.5) / (0.5 + 1 + 0.5)
    np.testing.assert_allclose(drawn.values, np.tile(mean * tables["v3"] ** 2, (2, 1)))
    assert drawn.label == "energy (eV)"


@pytest.mark.parametrize("energy_axis", [1, 2])
def test_spectra_by_pitch_angle_are_no_keogram(energy_axis):
    values = np.arange(30 * 4 * 6, dtype=float).reshape(30, 4, 6)
    values[3, 1, 0] = np.nan
    tables = {"v1": np.geomspace(10, 1e4, 4), "v2": np.geomspace(10, 1e4, 6)}
    about = {"data_att": {"units": "s!E-1!Ncm!E-2!N", f"depend_{energy_axis}_units": "keV"}}
    recipe = SpectrumRecipe(energy_axis=energy_axis)
    drawn = overview(Variable("FEDU", TIMES, values, tables, about), recipe)
    np.testing.assert_allclose(drawn.values, np.nanmean(values, axis=3 - energy_axis), equal_nan=True)
    np.testing.assert_array_equal(drawn.bins, tables[f"v{energy_axis}"])
    assert drawn.label == "energy (keV)" and drawn.logarithmic
    assert drawn.unit == "mean over pitch angles\ns$^{-1}$ cm$^{-2}$"


def test_a_table_that_changes_is_drawn_on_the_most_frequent():
    tables = np.array([[12.0, 110.0, 1000.0], [1.0, 10.0, 100.0], [1.0, 10.0, 100.0]])
    values = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
    drawn = overview(Variable("flux", TIMES[:3], values, {"v": tables}))
    made, bins = on_one_table(drawn.values, drawn.bins)
    np.testing.assert_array_equal(bins, tables[1])
    np.testing.assert_array_equal(made, [[np.nan, 1, 2], [4, 5, 6], [7, 8, 9]])  # the first has nothing near 1


def test_bins_in_any_order_and_unknown_ones_are_drawn_in_order():
    drawn = overview(Variable("flux", TIMES, np.tile([1.0, 2.0, 3.0], (30, 1)), {"v": np.array([300.0, np.nan, 10.0])}))
    figure = strips_figure([Strip("flux", TIMES, drawn, TIMES, np.linspace(0, 1, 30))])
    mesh = figure.axes[0].collections[0]
    np.testing.assert_array_equal(mesh.get_array(), np.tile([[3.0], [1.0]], (1, 30)))
    assert figure.axes[0].get_ylabel() == "energy" and figure.axes[0].get_yscale() == "log"


def test_what_has_no_overview():
    with pytest.raises(VariableError, match="shape"):
        overview(Variable("line", TIMES, np.zeros(30)))


def test_strips_have_one_time_axis_with_the_date_and_marks_at_the_foot_of_colors():
    scores = np.linspace(-0.5, 1.0, 30)
    marks = Marks(TIMES[[5]], TIMES[[9]], TIMES[[20]], TIMES[[21]], TIMES[[18]], TIMES[[23]], 0.6)
    figure = strips_figure([Strip("sky", TIMES, overview(FRAMES), TIMES, scores, marks)])
    figure.draw_without_rendering()
    upper, lower, bar = figure.axes
    assert upper.get_ylabel() == "row from the bottom" and upper.get_ylim() == pytest.approx((-0.5, 63.5))
    assert (lower.get_xlabel(), lower.xaxis.get_offset_text().get_text()) == ("UTC", "2020-01-01")
    assert bar.get_ylabel() == "brightness, no unit stored"
    assert [one.get_height() for one in upper.patches] == [0.05, 0.05, 0.1]  # event, own event, query
    assert [one.get_height() for one in lower.patches] == [1] * 3
    np.testing.assert_array_equal(lower.get_lines()[0].get_ydata(), scores)
    score_only = strips_figure([Strip("sky", TIMES, None, TIMES, scores, marks)])
    assert len(score_only.axes) == 1 and score_only.axes[0].get_ylabel() == "similarity"


def test_events_that_do_not_stand_out_are_fainter():
    starts, ends = TIMES[[2, 10]], TIMES[[4, 12]]
    marks = Marks(starts, ends, threshold=0.6, faint=np.array([False, True]))
    (panel,) = strips_figure([Strip("sky", TIMES, None, TIMES, np.linspace(-0.5, 1.0, 30), marks)]).axes
    assert [one.get_alpha() for one in panel.patches] == [0.3, 0.1]
    assert [one.get_label() for one in panel.patches] == ["similar", "similar, does not stand out"]


START = np.datetime64("2020-01-01", "ns")


def at(seconds):
    return START + (np.asarray(seconds, float) * 1e9).astype("timedelta64[ns]")


def seconds(times):
    return ((times - START) / np.timedelta64(1, "s")).tolist()


def test_long_intervals_stay_and_those_without_length_can_be_seen():
    starts, ends = drawable(at([100, 300]), at([150, 300]), at(0), at(600))
    assert seconds(starts) == [100, 299.5] and seconds(ends) == [150, 300.5]


def test_what_touches_becomes_one_and_what_is_outside_goes():
    starts, ends = drawable(at([10, 20, 15, 900, -50]), at([20, 30, 18, 910, 2]), at(0), at(600))
    assert seconds(starts) == [0, 10] and seconds(ends) == [2, 30]


def test_an_interval_inside_another_does_not_end_it():
    starts, ends = drawable(at([10, 20, 90]), at([100, 30, 95]), at(0), at(600))
    assert (seconds(starts), seconds(ends)) == ([10], [100])


def test_thousands_are_drawn_as_few_that_cover_them_all():
    rng = np.random.default_rng(0)
    begin = rng.uniform(0, 86400, 20_000)
    starts, ends = drawable(at(begin), at(begin + 0.1), at(0), at(86400))
    assert len(starts) <= 601
    place = np.searchsorted(starts, at(begin), side="right") - 1
    assert (place >= 0).all() and (at(begin) <= ends[place]).all()
    assert (starts[1:] > ends[:-1]).all()


def test_nothing_is_nothing():
    starts, _ = drawable(at([]), at([]), at(0), at(10))
    assert len(starts) == 0
