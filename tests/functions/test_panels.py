"""Searches of time series and spectrograms without a recipe, alone and several together, for planted events."""

import logging

import numpy as np
import pytest
from pyspedas import tplot_tools
from scipy.signal import lfilter
from scipy.spatial.transform import Rotation

import pyspedas_similarity as sim
from pyspedas_similarity.errors import ArgumentError, QueryError, SimilarityError
from pyspedas_similarity.imaging.recipes import PanelRecipe
from pyspedas_similarity.simulate import panels as simulated

START = np.datetime64("2016-12-31T22:00:00.000000007", "ns")  # the series crosses a leap second
N, LENGTH = 8000, 128  # samples, and samples of an event
ONE = np.timedelta64(1_000_000_001, "ns")
TIMES = START + np.arange(N) * ONE
QUERY = 1000
LIKE = [TIMES[QUERY], TIMES[QUERY + LENGTH]]


def red_noise(seed, columns):
    white = np.random.default_rng(seed).standard_normal((N, columns))
    return lfilter([0.3], [1.0, -0.95], white, axis=0)


def event(length=LENGTH):
    """A bipolar signature, a reversal and a pulse: (length, 3)."""
    phase = np.linspace(-1, 1, length)
    bipolar = -phase * np.exp(-((phase / 0.3) ** 2)) * 5
    return 8 * np.stack([bipolar, np.tanh(phase / 0.1) * (1 - phase**2), np.exp(-((phase / 0.4) ** 2))], axis=1)


def with_event(values, at, shape):
    values = values.copy()
    values[at : at + len(shape)] += shape
    return values


def store(name, values, times=TIMES, table=None, units="nT", system="gse"):
    data = {"x": times, "y": values} | ({} if table is None else {"v": table})
    tplot_tools.store_data(name, data=data, attr_dict={"data_att": {"units": units, "coord_sys": system}})


def middle(at, length=LENGTH):
    return TIMES[at] + length * ONE // 2


def seconds(time, other):
    return abs(float((time - other) / np.timedelta64(1, "s")))


@pytest.mark.parametrize("at", [3000, 4017, 6931])
def test_a_planted_vector_is_found_where_it_is(at):
    values = with_event(with_event(red_noise(0, 3), QUERY, event()), at, event())
    store("mms1_b", values)
    found = sim.search("mms1_b", LIKE)
    assert seconds(found.peak[0], middle(at)) <= 2.5  # a cell of the grid lasts 4 s
    assert found.score[0] > 0.9
    assert found.score[1] < found.score[0] - 0.15
    assert seconds(found.end[0], found.start[0]) == pytest.approx(LENGTH, abs=0.01)


def test_the_interval_of_the_query_is_its_own_event():
    store("mms1_b", with_event(with_event(red_noise(0, 3), QUERY, event()), 5000, event()))
    found = sim.search("mms1_b", LIKE)
    scores = found.scores["mms1_b"]
    at_query = int(np.abs(scores.time.values - middle(QUERY)).argmin())
    assert float(scores[at_query]) == pytest.approx(1.0, abs=1e-6)
    (own,) = found.own_events
    assert own["start"].to_datetime() <= own["end"].to_datetime()
    assert all(seconds(peak, middle(QUERY)) > LENGTH / 2 for peak in found.peak)


@pytest.mark.parametrize("share", [0.5, 2.0])
def test_other_durations_are_found_where_they_are_asked_for(share):
    other = event(int(LENGTH * share))
    store("mms1_b", with_event(with_event(red_noise(1, 3), QUERY, event()), 5000, other))
    with_durations = sim.search("mms1_b", LIKE, recipe=PanelRecipe(durations=(0.5, 1, 2)))
    assert seconds(with_durations.peak[0], middle(5000, len(other))) <= 5
    assert seconds(with_durations.end[0], with_durations.start[0]) == pytest.approx(LENGTH * share, abs=0.01)
    alone = sim.search("mms1_b", LIKE)
    at = int(np.abs(alone.scores["mms1_b"].time.values - middle(5000, len(other))).argmin())
    assert float(alone.scores["mms1_b"][at]) < with_durations.score[0] - 0.05


def test_a_rotated_event_is_found_where_orientation_does_not_count():
    turned = event() @ Rotation.random(random_state=3).as_matrix().T
    store("mms1_b", with_event(with_event(red_noise(2, 3), QUERY, event()), 5000, turned))
    free = sim.search("mms1_b", LIKE, recipe=PanelRecipe(vectors="any_orientation"))
    assert seconds(free.peak[0], middle(5000)) <= 2.5
    assert free.score[0] > 0.9
    fixed = sim.search("mms1_b", LIKE)
    at = int(np.abs(fixed.scores["mms1_b"].time.values - middle(5000)).argmin())
    assert float(fixed.scores["mms1_b"][at]) < 0.7


def test_the_turning_of_a_vector_is_free_of_its_direction():
    phase = np.linspace(-1, 1, LENGTH)
    angle = 2.0 * np.tanh(phase / 0.2)
    turn = 20 * np.stack([np.cos(angle), np.sin(angle), np.zeros(LENGTH)], axis=1)
    turned = turn @ Rotation.random(random_state=5).as_matrix().T
    values = red_noise(2, 3) + np.array([20.0, 0, 0])
    values[QUERY : QUERY + LENGTH] = turn
    values[5000 : 5000 + LENGTH] = turned
    store("mms1_b", values)
    found = sim.search("mms1_b", LIKE, recipe=PanelRecipe(vectors="turning"))
    assert seconds(found.peak[0], middle(5000)) <= 2.5
    assert found.score[0] > 0.9


def test_a_panel_of_noise_does_not_hide_an_event():
    store("mms1_b", with_event(with_event(red_noise(3, 3), QUERY, event()), 5000, event()))
    store("noise", np.random.default_rng(4).standard_normal((N, 3)), units="mV/m")
    found = sim.search(["mms1_b", "noise"], LIKE, together=True)
    assert seconds(found.peak[0], middle(5000)) <= 2.5
    assert bool(found.events["stands_out"][0])
    assert found.events["source"][0] == "mms1_b_together"


def equality(values_rule):
    """Return scores of an equal copy, of one three times as large, of one on another level, and of a constant."""
    places = {"equal": 2500, "large": 3500, "raised": 4500, "constant": 5500}
    shape = event()[:, 2]
    values = with_event(red_noise(5, 1)[:, 0], QUERY, shape)
    values = with_event(values, places["equal"], shape)
    values = with_event(values, places["large"], 3 * shape)
    values = with_event(values, places["raised"], shape + 6.0)
    values[places["constant"] - 100 : places["constant"] + LENGTH + 100] = 0.0
    store("n", values, units="cm^-3")
    scores = sim.search("n", LIKE, recipe=PanelRecipe(values=values_rule, logarithmic=False)).scores["n"]
    rows = {name: int(np.abs(scores.time.values - middle(at)).argmin()) for name, at in places.items()}
    return {name: float(scores[row]) for name, row in rows.items()}


def test_relative_values_do_not_count_amplitude():
    scores = equality("relative")
    assert scores["equal"] > 0.9
    assert scores["large"] > 0.8
    assert scores["constant"] < 0.2


def test_absolute_values_count_amplitude_and_level():
    scores = equality("absolute")
    assert scores["equal"] > 0.8
    assert scores["large"] < scores["equal"] - 0.2
    assert scores["raised"] < scores["equal"] - 0.1
    assert scores["constant"] < 0.2


def test_shapes_count_neither_amplitude_nor_level():
    scores = equality("shape")
    assert min(scores["equal"], scores["large"], scores["raised"]) > 0.85
    assert scores["constant"] < 0.2


def spectra_with_bursts(seed, bins):
    """Return energies and falling spectra, in which the same burst begins at the query and at sample 5000."""
    energies = np.geomspace(10, 30000, bins)
    rng = np.random.default_rng(seed)
    flux = 10 ** (7 - 1.5 * np.log10(energies) + 0.1 * rng.standard_normal((N, bins)))
    burst = np.exp(-(((np.log10(energies) - 3) / 0.3) ** 2)) * np.linspace(0, 1, LENGTH)[:, None]
    for at in (QUERY, 5000):
        flux[at : at + LENGTH] *= 10**burst
    return energies, flux


def test_a_spectrogram_is_found_by_its_values_on_a_logarithmic_scale():
    energies, flux = spectra_with_bursts(6, 32)
    store("spectra", flux, table=energies, units="eV/(cm^2 s sr eV)", system="")
    found = sim.search("spectra", LIKE)
    assert seconds(found.peak[0], middle(5000)) <= 4.01  # a cell
    assert found.score[0] > 0.9
    (about,) = found.record["panels"]
    assert (about["kind"], about["logarithmic"], about["units"]) == ("spectrogram", True, "eV/(cm^2 s sr eV)")


def test_some_negative_spectra_do_not_take_the_logarithm_of_the_others_away():
    energies, flux = spectra_with_bursts(6, 32)
    store("spectra", flux, table=energies, units="eV/(cm^2 s sr eV)", system="")
    undamaged = sim.search("spectra", LIKE).scores["spectra"]
    flux[6500:6508] *= -1  # no spectrum
    flux[::50, -1] *= -1  # less than the background that was subtracted
    store("spectra", flux, table=energies, units="eV/(cm^2 s sr eV)", system="")
    found = sim.search("spectra", LIKE)
    assert found.record["panels"][0]["logarithmic"] and seconds(found.peak[0], middle(5000)) <= 4.01
    scores = found.scores["spectra"]
    away = np.abs((scores.time.values - TIMES[6504]) / np.timedelta64(1, "s")) > LENGTH
    assert np.corrcoef(scores.values[away], undamaged.values[away])[0, 1] > 0.95


def test_energy_tables_that_alternate_are_brought_to_one():
    low, high = np.geomspace(10, 10000, 16), np.geomspace(12, 12000, 16)
    table = np.where(np.arange(N)[:, None] % 2, low, high)
    flux = 1e6 * np.exp(-(((np.log(table) - np.log(500)) / 1.0) ** 2)) + 1.0
    for at in (QUERY, 5000):
        flux[at : at + LENGTH] = 1e6 * np.exp(-(((np.log(table[at : at + LENGTH]) - np.log(3000)) / 1.0) ** 2)) + 1.0
    flux *= np.exp(0.1 * np.random.default_rng(7).standard_normal(flux.shape))
    store("spectra", flux, table=table, units="eV", system="")
    assert seconds(sim.search("spectra", LIKE).peak[0], middle(5000)) <= 2.5


def test_a_panel_that_is_missing_lowers_the_score_and_is_counted(caplog):
    shape = event()
    field = with_event(with_event(with_event(red_noise(8, 3), QUERY, shape), 3000, shape), 5000, shape)
    density = red_noise(9, 1)[:, 0]
    for at in (QUERY, 3000, 5000):
        density = with_event(density, at, shape[:, 2])
    density[4900:5300] = np.nan
    store("mms1_b", field)
    store("n", density, units="cm^-3")
    with caplog.at_level(logging.WARNING):
        found = sim.search(["mms1_b", "n"], LIKE, together=True)
    assert seconds(found.peak[0], middle(3000)) <= 4.01
    assert seconds(found.peak[1], middle(5000)) <= 4.01
    assert found.score[0] - 0.2 > found.score[1] > 0.6
    known = {one["name"]: one["known"] for one in found.record["panels"]}
    assert known["mms1_b"] == 1.0
    assert known["n"] == pytest.approx(1 - (400 + LENGTH / 2) / (N - LENGTH), abs=0.01)  # 3 of 4 cells have to be known
    assert "n: measured in 94 % of the windows" in caplog.text


def test_several_cadences_are_compared_on_one_clock():
    shape = event()
    field = with_event(with_event(red_noise(10, 3), QUERY, shape), 5003, shape)
    density = with_event(with_event(red_noise(11, 1)[:, 0], QUERY, shape[:, 2]), 5003, shape[:, 2])
    store("mms1_b", field)
    store("n", density[3::7], times=TIMES[3::7], units="cm^-3")  # slower than a cell of the grid
    found = sim.search(["mms1_b", "n"], LIKE, together=True)
    assert seconds(found.peak[0], middle(5003)) <= 3
    assert found.score[0] > 0.85


def test_a_query_of_one_spacecraft_finds_the_event_on_another(caplog):
    shape = event()
    for name, at, seed in (("mms1", QUERY, 12), ("mms2", 5000, 13)):
        store(f"{name}_b", with_event(red_noise(seed, 3), at, shape))
        store(f"{name}_n", with_event(red_noise(seed + 10, 1)[:, 0], at, shape[:, 2]), units="cm^-3")
    groups = [["mms1_b", "mms1_n"], ["mms2_b", "mms2_n"]]
    found = sim.search(groups, LIKE, together=True, k=1)
    by_source = dict(zip(found.source, found.peak, strict=True))
    assert seconds(by_source["mms2_b_together"], middle(5000)) <= 2.5
    named = sim.search(groups, ("mms2_n", [TIMES[5000], TIMES[5000 + LENGTH]]), together=True, k=1)
    assert seconds(dict(zip(named.source, named.peak, strict=True))["mms1_b_together"], middle(QUERY)) <= 2.5


def test_weights_are_learned_from_what_the_queries_share():
    shape = event()
    field = red_noise(14, 3)
    noise = np.random.default_rng(15).standard_normal(N)
    for at in (QUERY, 2500, 5000):
        field = with_event(field, at, shape)
    store("mms1_b", field)
    store("noise", noise, units="mV/m")
    likes = [[TIMES[at], TIMES[at + LENGTH]] for at in (QUERY, 2500)]
    learned = sim.search(["mms1_b", "noise"], likes, together=True, recipe=PanelRecipe(weights="learned"))
    equal = sim.search(["mms1_b", "noise"], likes, together=True)
    assert seconds(learned.peak[0], middle(5000)) <= 2.5
    assert learned.score[0] > equal.score[0] + 0.02
    with pytest.raises(ArgumentError, match="single query"):
        sim.search(["mms1_b", "noise"], LIKE, together=True, recipe=PanelRecipe(weights="learned"))


def test_a_single_time_has_a_window_of_32_cadences(caplog):
    store("mms1_b", with_event(with_event(red_noise(16, 3), QUERY, event(32)), 5000, event(32)))
    with caplog.at_level(logging.WARNING):
        found = sim.search("mms1_b", TIMES[QUERY + 16])
    assert seconds(found.end[0], found.start[0]) == pytest.approx(32, abs=0.01)
    assert seconds(found.peak[0], middle(5000, 32)) <= 1.0
    assert "windows have 32 s" in caplog.text


def test_gaps_inside_windows_are_interpolated_if_they_are_short():
    values = with_event(with_event(red_noise(17, 3), QUERY, event()), 5000, event())
    kept = np.ones(N, bool)
    kept[5050:5060] = False  # short
    kept[6000:6200] = False  # longer than a window
    store("mms1_b", values[kept], times=TIMES[kept])
    found = sim.search("mms1_b", LIKE)
    assert seconds(found.peak[0], middle(5000)) <= 5
    scores = found.scores["mms1_b"]
    inside = np.abs((scores.time.values - TIMES[6100]) / np.timedelta64(1, "s")) < 20
    assert np.isnan(scores.values[inside]).all()
    assert np.isfinite(scores.values).mean() > 0.95


def test_tplot_variables_come_with_attributes_and_options():
    store("mms1_b", with_event(with_event(red_noise(18, 3), QUERY, event()), 5000, event()))
    names = sim.find_similar("mms1_b", LIKE)
    assert names == ["mms1_b_similar", "mms1_b_similarity"]
    record = tplot_tools.data_quants["mms1_b_similarity"].attrs["similarity"]
    assert record["recipe"]["length_s"] == pytest.approx(128.000000128)
    assert record["stride_s"] == pytest.approx(4.0, rel=1e-6)
    again = sim.result(names)
    np.testing.assert_array_equal(again.peak, sim.search("mms1_b", LIKE).peak)
    colors = [panel.title.get_color() for panel in sim.plot_matches(names, limit=3).axes[1:4]]
    assert [one == "0.6" for one in colors] == again.faint[:3].tolist()


def test_distributions_and_fields_are_searched_together():
    simulated_names = sim.instruments.INSTRUMENTS["simulated_dis"].load(["2020-01-01/00:00", "2020-01-01/00:02"])
    distribution = next(name for name in simulated_names if "dist" in name)
    field = next(name for name in simulated_names if "fgm" in name or "bvec" in name)
    times = tplot_tools.data_quants[distribution].time.values
    query = [times[200], times[232]]
    found = sim.search([distribution, field], query, together=True)
    assert [one["kind"] for one in found.record["panels"]] == ["embedding", "vector"]
    assert len(found) >= 3
    assert ((found.peak < query[0]) | (found.peak > query[1])).all()
    assert found.plot_matches(limit=2).axes


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["early", "late"], "begins at"),
        (["one"], "found 1 sample"),
        (["empty"], "0 of 8000 samples"),
        (["constant"], "same value"),
        (["short"], "windows of 128 s.*query of less than 122 s"),
        (["mms1_b", "other_units"], "units"),
        (["mms1_b", "other_axes"], "coordinate system"),
        (["mms1_b", "unknown_axes"], "not known"),
        (["mms1_b", "n"], "kind"),
    ],
)
def test_bad_panels_are_refused_by_name(names, text):
    values = red_noise(19, 3)
    store("mms1_b", values)
    store("early", values[:4000], times=TIMES[:4000])
    store("late", values[4000:], times=TIMES[4000:])
    store("one", values[:1], times=TIMES[:1])
    store("empty", np.full((N, 3), np.nan))
    store("constant", np.ones(N), units="cm^-3")
    store("short", values[980:1140], times=TIMES[980:1140])
    store("other_units", values, units="T")
    store("other_axes", values, system="gsm")
    store("unknown_axes", values, system="")
    store("n", values[:, 0], units="cm^-3")
    together = "late" in names
    before = set(tplot_tools.data_quants)
    with pytest.raises(SimilarityError, match=text) as caught:
        sim.search(names, LIKE, together=together)
    assert any(name in str(caught.value) for name in names)
    assert set(tplot_tools.data_quants) == before


def test_spectrograms_of_other_bins_are_refused_where_columns_would_be_compared():
    energies = np.geomspace(10, 30000, 32)
    for number, table in enumerate((energies, 1.05 * energies[::-1], 1e-3 * energies, energies**0.5)):
        flux = 10 ** (5 + red_noise(40 + number, 32))
        store(f"mms{number}_s", flux, table=table, units="eV/(cm^2 s sr eV)", system="")
    assert len(sim.search(["mms0_s", "mms1_s"], ("mms0_s", LIKE), k=1).searched) == 2  # MMS1 to 4 differ by less
    for other, found in (
        ("mms2_s", "'0.0118 to 27.2', that of mms0_s is '11.8 to 2.72e.04'"),
        ("mms3_s", "'3.4 to 164'"),
    ):
        with pytest.raises(SimilarityError, match=f"{other}: its range of bins is.*{found}"):
            sim.search(["mms0_s", other], ("mms0_s", LIKE))


@pytest.mark.parametrize(
    ("scale", "offset", "text"), [(1e-15, 0, "other units"), (1e20, 0, "other units"), (1, 1e9, "without its mean")]
)
def test_values_beyond_single_precision_are_refused(scale, offset, text):
    store("mms1_b", scale * red_noise(47, 3) + offset)
    with pytest.raises(SimilarityError, match=f"mms1_b: its standard deviation is.*{text}"):
        sim.search("mms1_b", LIKE)


@pytest.mark.parametrize(("scale", "offset"), [(1e-11, 0), (1e15, 0), (1, 1e5)])
def test_scores_do_not_depend_on_units_or_offset(scale, offset):
    values = with_event(with_event(red_noise(48, 3), QUERY, event()), 5000, event())
    store("mms1_b", values)
    store("other_b", scale * values + offset)
    one, other = sim.search("mms1_b", LIKE, k=3), sim.search("other_b", LIKE, k=3)
    assert (other.peak == one.peak).all()
    np.testing.assert_allclose(other.score, one.score, atol=3e-3)


def test_a_table_without_values_is_refused_by_the_name_of_its_variable():
    store("spectra", np.abs(red_noise(45, 16)), table=np.full(16, np.nan), system="")
    with pytest.raises(SimilarityError, match="spectra: v table: found fewer than two values"):
        sim.search("spectra", LIKE)


def test_stamps_that_are_all_there_twice_change_no_score():
    values = with_event(with_event(red_noise(46, 3), QUERY, event()), 5000, event())
    store("mms1_b", values)
    store("twice_b", np.repeat(values, 2, axis=0), times=np.repeat(TIMES, 2))
    once, twice = sim.search("mms1_b", LIKE, k=1), sim.search("twice_b", LIKE, k=1)
    assert twice.peak[0] == once.peak[0] and twice.score[0] == pytest.approx(once.score[0], abs=1e-3)


def test_bad_arguments_are_refused():
    store("mms1_b", red_noise(20, 3))
    with pytest.raises(ArgumentError, match="found 2 for 1 variables"):
        sim.search("mms1_b", LIKE, recipe=PanelRecipe(weights=(1, 2)))
    with pytest.raises(ArgumentError, match="relative to what is searched"):
        sim.search("mms1_b", LIKE, reference=None)
    with pytest.raises(QueryError, match="inside the data"):
        sim.search("mms1_b", ["2020-01-01", "2020-01-02"], recipe=PanelRecipe(length_s=60))
    with pytest.raises(QueryError, match="array"):
        sim.search("mms1_b", [np.ones((4, 3)), LIKE[0]])
    with pytest.raises(ArgumentError, match="durations"):
        PanelRecipe(durations=(0.01,))
    with pytest.raises(ArgumentError, match="vectors"):
        PanelRecipe(vectors="lmn")
    with pytest.raises(ArgumentError, match="logarithmic: found 'yes'. Give one of None, True, False"):
        PanelRecipe(logarithmic="yes")
    with pytest.raises(QueryError, match="longer than the cadence, 1 s"):
        sim.search("mms1_b", [TIMES[QUERY] + ONE // 10, TIMES[QUERY] + ONE // 2])
    with pytest.raises(ArgumentError, match="searches only"):
        sim.encode("mms1_b", recipe=PanelRecipe(), errors="raise")


def test_the_magnitude_next_to_three_components_is_left_out():
    values = with_event(with_event(red_noise(21, 3), QUERY, event()), 5000, event())
    store("mms1_b", np.column_stack([values, np.linalg.norm(values, axis=1)]))
    (about,) = sim.search("mms1_b", LIKE).record["panels"]
    assert about["kind"] == "vector"


def test_every_kind_of_simulated_event_is_found_first():
    made = simulated.simulate_panels(np.datetime64("2020-01-01"), 43200.0, seed=60)
    names = simulated.store(made)
    for kind in ("bow_shock", "dipolarization"):
        intervals = made.of_kind(kind)
        like = [intervals[2, 0], intervals[2, 1]]
        found = sim.search(names, like, together=True, recipe=PanelRecipe(durations=(0.5, 1, 2)))
        right = [bool(((intervals[:, 0] <= peak) & (peak <= intervals[:, 1])).any()) for peak in found.peak[:5]]
        assert all(right), kind
        assert not ((like[0] <= found.peak) & (found.peak <= like[1])).any()


def test_variables_are_not_changed():
    values = red_noise(22, 3)
    store("mms1_b", values)
    before = tplot_tools.data_quants["mms1_b"].values.tobytes()
    sim.search("mms1_b", LIKE)
    assert tplot_tools.data_quants["mms1_b"].values.tobytes() == before


def test_two_searches_give_the_same_bits():
    store("mms1_b", with_event(red_noise(23, 3), QUERY, event()))
    one, other = (sim.search("mms1_b", LIKE).scores["mms1_b"].values for _ in range(2))
    assert one.tobytes() == other.tobytes()


def test_a_variable_without_samples_at_the_query_is_named():
    store("mms1_b", red_noise(24, 3))
    values = red_noise(25, 1)[:, 0]
    values[900:1300] = np.nan
    store("n", values, units="cm^-3")
    with pytest.raises(QueryError, match="cannot be encoded"):
        sim.search("n", LIKE)
    found = sim.search(["mms1_b", "n"], LIKE, together=True)
    assert len(found) == 10


def test_bins_that_are_never_measured_do_not_hide_the_others():
    energies, flux = spectra_with_bursts(27, 16)
    flux[:, :3] = np.nan  # below the range of the instrument
    flux[np.random.default_rng(28).random((N, 16)) < 0.02] = np.nan
    store("spectra", flux, table=energies, units="eV/(cm^2 s sr eV)", system="")
    found = sim.search("spectra", LIKE)
    assert seconds(found.peak[0], middle(5000)) <= 4.01
    assert found.record["panels"][0]["known"] > 0.99


def test_groups_of_several_spacecraft_have_a_result_each():
    shape = event()
    for name, at, seed in (("mms1", QUERY, 12), ("mms2", 5000, 13)):
        store(f"{name}_b", with_event(red_noise(seed, 3), at, shape))
        store(f"{name}_n", with_event(red_noise(seed + 10, 1)[:, 0], at, shape[:, 2]), units="cm^-3")
    names = sim.find_similar([["mms1_b", "mms1_n"], ["mms2_b", "mms2_n"]], LIKE, together=True, k=1, suffix="_x")
    made = [f"{one}_b_together_{kind}_x" for one in ("mms1", "mms2") for kind in ("similar", "similarity")]
    assert names == made
    again = sim.find_similar(["mms1_*", "mms2_*"], LIKE, together=True, k=1)  # without the results, which match too
    assert again == ["mms1_b_together_similar", "mms1_b_together_similarity"]
    assert len(sim.result(again).record["panels"]) == 4
    with pytest.raises(SimilarityError, match="overwrite|there already"):
        sim.find_similar(["mms1_b", "mms1_n"], LIKE, together=True, overwrite=False, errors="raise")


def test_a_color_bar_with_the_name_of_the_variable_states_no_unit():
    energies = np.geomspace(10, 30000, 16)
    for number in (1, 2):
        flux = 10 ** (5 + red_noise(30 + number, 16))
        tplot_tools.store_data(f"mms{number}_f", data={"x": TIMES, "y": flux, "v": energies})
        tplot_tools.options(f"mms{number}_f", "spec", True)
    found = sim.search(["mms1_f", "mms2_f"], ("mms1_f", LIKE), k=1)
    assert [one.record["panels"][0]["units"] for one in found.searched] == ["", ""]
