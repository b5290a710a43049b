"""Windows of spectrograms as views, and the variables of which spectra or windows are made."""

import logging

import numpy as np
import pyspedas
import pytest

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.errors import ArgumentError, VariableError
from pyspedas_similarity.imaging.recipes import FrameRecipe, SpectrumRecipe, WindowRecipe
from pyspedas_similarity.instruments import elfin_epd, rbsp_hope
from pyspedas_similarity.instruments.registry import INSTRUMENTS, instrument_of, recipe_of, station_of
from pyspedas_similarity.instruments.sample_images import as_samples, check, images, select
from pyspedas_similarity.tplot import Variable

START = np.datetime64("2017-07-11T22:34:00", "ns")
ENERGY = np.geomspace(10, 30000, 32)
RECIPE = WindowRecipe(length_s=12.0, stride_s=4.0)


def seconds(values):
    return (np.asarray(values) * 1e9).astype("timedelta64[ns]")


def spectrogram(n=200, step_s=0.5, table=ENERGY, seed=0):
    values = np.random.default_rng(seed).random((n, 32)).astype(np.float32)
    return Variable("omni", START + seconds(np.arange(n) * step_s), values, {"v": table})


@pytest.mark.parametrize(
    ("length_s", "stride_s", "length", "stride"),
    [(12.0, 4.0, 24, 8), (12.0, 0.1, 24, 1), (1.0, 0.5, 2, 1), (100.0, 3.0, 200, 6), (12.7, 3.3, 25, 7)],
)
def test_windows_are_the_slices_of_the_spectrogram(length_s, stride_s, length, stride):
    variable = spectrogram()
    windows = as_samples(variable, WindowRecipe(length_s, stride_s))
    starts = range(0, 200 - length + 1, stride)
    expected = np.stack([variable.values[start : start + length] for start in starts])
    np.testing.assert_array_equal(windows.values, expected)
    np.testing.assert_array_equal(
        windows.coordinates["v1"], np.stack([variable.times[start : start + length] for start in starts])
    )
    np.testing.assert_array_equal(windows.times, [variable.times[start + length // 2] for start in starts])
    np.testing.assert_array_equal(windows.coordinates["v2"], ENERGY)


def test_windows_are_read_only_views():
    variable = spectrogram()
    windows = as_samples(variable, RECIPE)
    part = select(windows, np.arange(3, 9))
    for one in (windows, part):
        assert np.shares_memory(one.values, variable.values) and not one.values.flags.writeable
        assert np.shares_memory(one.coordinates["v1"], variable.times)
    np.testing.assert_array_equal(part.values, windows.values[3:9])


def test_other_recipes_leave_the_variable_alone():
    variable = spectrogram()
    assert as_samples(variable, None) is variable
    assert as_samples(variable, FrameRecipe()) is variable
    assert as_samples(variable, SpectrumRecipe()) is variable


def test_a_table_that_changes_goes_with_its_samples_and_one_that_does_not_is_kept_once():
    tables = ENERGY * (1 + 0.1 * (np.arange(200)[:, None] % 2))
    windows = as_samples(spectrogram(table=tables), RECIPE)
    np.testing.assert_array_equal(windows.coordinates["v2"][5], tables[40:64])
    assert np.shares_memory(windows.coordinates["v2"], tables)
    assert as_samples(spectrogram(table=np.tile(ENERGY, (200, 1))), RECIPE).coordinates["v2"].shape == (32,)
    blocks = list(images(windows, RECIPE, block=7))
    np.testing.assert_allclose(np.concatenate(blocks), next(images(windows, RECIPE)), atol=1e-6)


def test_a_gap_makes_its_windows_nan_with_one_warning(caplog):
    variable = spectrogram()
    times = variable.times + np.where(np.arange(200) >= 100, seconds(0.26), seconds(0))
    gapped = Variable("omni", times, variable.values, variable.coordinates)
    with caplog.at_level(logging.WARNING):
        windows = as_samples(gapped, RECIPE)
    starts = np.arange(0, 177, 8)
    broken = (starts < 100) & (starts + 23 >= 100)
    (record,) = caplog.records
    assert f"{broken.sum()} of {len(starts)} windows" in record.getMessage()
    made = np.concatenate(list(images(windows, RECIPE)))
    np.testing.assert_array_equal(np.isnan(made).all((1, 2, 3)), broken)
    assert np.isfinite(made[~broken]).all()


def two_cadences():
    """A minute of samples every half second, then every five seconds; just more of the latter."""
    return np.concatenate([np.arange(99) * 0.5, 49 + 5.0 * np.arange(1, 102)])


def overlapping():
    """Two files of which the second one repeats the last ten samples of the first, sorted by time."""
    return np.sort(np.concatenate([np.arange(100), np.arange(90, 190)])) * 0.5


def too_short():
    return np.where(np.arange(200) == 120, 119.3, np.arange(200)) * 0.5


@pytest.mark.parametrize(
    ("times_s", "length_s", "usual_s"),
    [
        (two_cadences(), 10.0, 5.0),
        (overlapping(), 12.0, 0.5),
        (too_short(), 12.0, 0.5),
        (two_cadences()[:-3], 10.0, 0.5),
    ],
)
def test_every_window_has_the_length_asked_for_or_is_nan_and_counted(caplog, times_s, length_s, usual_s):
    values = np.random.default_rng(0).random((len(times_s), 32)) + 0.1
    variable = Variable("omni", START + seconds(times_s), values, {"v": ENERGY})
    recipe = WindowRecipe(length_s, usual_s)
    with caplog.at_level(logging.WARNING):
        windows = as_samples(variable, recipe)
    lost = np.isnan(np.concatenate(list(images(windows, recipe)))).all((1, 2, 3))
    steps = np.diff(windows.coordinates["v1"], axis=1) / np.timedelta64(1, "s")
    np.testing.assert_array_equal(lost, (np.abs(steps / usual_s - 1) > 0.5).any(axis=1))
    covered = steps.sum(axis=1) + usual_s
    assert 0 < lost.sum() < len(lost)
    np.testing.assert_allclose(covered[~lost], length_s, atol=max(0.1 * length_s, usual_s))
    assert f"{lost.sum()} of {len(lost)} windows" in caplog.text


def test_windows_that_are_a_little_too_long_in_all_steps_are_nan():
    times = START + seconds(np.arange(200) * 0.5)
    slow = START + seconds(np.where(np.arange(200) < 100, np.arange(200) * 0.5, 50 + (np.arange(200) - 100) * 0.6))
    lost = [
        np.isnan(next(images(as_samples(Variable("omni", one, spectrogram().values, {"v": ENERGY}), RECIPE), RECIPE)))
        for one in (times, slow)
    ]
    assert not lost[0].all((1, 2, 3)).any()
    np.testing.assert_array_equal(lost[1].all((1, 2, 3)), np.arange(0, 177, 8) + 23 >= 113)  # covers 13.2 s and more


def test_a_jitter_below_half_a_cadence_is_no_gap(caplog):
    variable = spectrogram()
    jitter = seconds(np.random.default_rng(5).uniform(-0.1, 0.1, 200))
    windows = as_samples(Variable("omni", variable.times + jitter, variable.values, variable.coordinates), RECIPE)
    assert not caplog.records
    assert np.isfinite(next(images(windows, RECIPE))).all()


def bad(**changes):
    variable = spectrogram()
    given = {"times": variable.times, "values": variable.values, "coordinates": variable.coordinates, **changes}
    return Variable("omni", given["times"], given["values"], given["coordinates"])


@pytest.mark.parametrize(
    ("variable", "found"),
    [
        (bad(coordinates={}), "no v"),
        (bad(coordinates={"v": ENERGY[:-1]}), r"\(31,\)"),
        (bad(values=np.zeros((200, 4, 8))), r"\(200, 4, 8\)"),
        (bad(values=np.zeros((199, 32))), "200 times for 199"),
        (bad(values=np.full((200, 32), "a")), "not numbers"),
        (bad(times=spectrogram().times[::-1]), "go back"),
        (bad(times=np.full(200, START)), "cadence of 0 s"),
        (bad(times=np.full(200, np.datetime64("NaT", "ns"))), "missing"),
        (spectrogram(n=20), "20 samples"),
        (spectrogram(step_s=60.0), "cadence of 60 s"),
    ],
)
def test_what_no_windows_can_be_cut_from(variable, found):
    with pytest.raises(VariableError, match=found):
        as_samples(variable, RECIPE)


@pytest.mark.parametrize(
    ("shape", "tables", "recipe", "found"),
    [
        ((20, 11, 72), ("v1",), SpectrumRecipe(), "without v2"),
        ((20, 11, 72), ("v2",), SpectrumRecipe(), "without v1"),
        ((20, 72), ("v1", "v2"), SpectrumRecipe(), "shape"),
        ((20, 80, 48), ("v1",), SpectrumRecipe(direction="look"), "without v2"),
        ((20, 32), ("v",), RECIPE, "without v1, v2"),
    ],
)
def test_variables_that_are_not_what_the_recipe_takes(shape, tables, recipe, found):
    variable = Variable("flux", START + seconds(np.arange(20)), np.ones(shape), {key: np.ones(1) for key in tables})
    with pytest.raises(VariableError, match=found):
        check(variable, recipe)


def test_an_error_in_a_table_names_the_variable():
    tables = {"v1": np.arange(11.0), "v2": np.arange(5.0)}
    variable = Variable("rbspa_hope_FEDU", START + seconds(np.arange(20)), np.ones((20, 11, 72)), tables)
    with pytest.raises(VariableError, match="rbspa_hope_FEDU: energy table"):
        next(images(variable, SpectrumRecipe()))


@pytest.mark.parametrize(
    ("name", "instrument", "probe"),
    [
        ("rbspa_hope_FEDU", "rbsp_hope_electrons", "rbspa"),
        ("rbspb_ect_hope_L3_FPDU_mine", "rbsp_hope_protons", "rbspb"),
        ("elb_pef_hs_Epat_nflux", "elfin_epd", "elb"),
        ("ela_pef_fs_Epat_nflux", "elfin_epd", "ela"),
    ],
)
def test_names_know_their_recipe(name, instrument, probe):
    variable = Variable(name, START + seconds(np.arange(2)), np.ones((2, 11, 72)))
    assert instrument_of(variable) is INSTRUMENTS[instrument]
    assert recipe_of(variable).kind == "spectrum"
    assert station_of(variable) == {"probe": probe}


def test_energy_flux_of_elfin_is_not_taken_for_number_flux():
    assert instrument_of(Variable("elb_pef_hs_Epat_eflux", START + seconds(np.arange(2)), np.ones((2, 10, 16)))) is None


@pytest.mark.parametrize("load", [rbsp_hope.load_electrons, rbsp_hope.load_protons, elfin_epd.load])
def test_probes_that_do_not_exist(load):
    for probe in ("c", [], ["a", "c"], 1):
        with pytest.raises(ArgumentError, match="probe"):
            load(["2012-12-01", "2012-12-02"], probe=probe)


def test_elfin_has_no_suffix():
    with pytest.raises(ArgumentError, match="suffix"):
        elfin_epd.load(["2021-09-14", "2021-09-15"], "b", suffix="_mine")


def test_find_similar_gives_each_window_a_score_and_finds_the_burst():
    # Steady noise with two bursts of one shape (an energy that falls) and, between them, one of another (that rises).
    n, rng = 900, np.random.default_rng(6)
    line = np.full(n, np.nan)
    for first, fall in ((100, True), (400, False), (700, True)):
        line[first : first + 60] = np.linspace(*(4, 1.5) if fall else (1.5, 4), 60)
    flux = 1 + 300 * np.exp(-0.5 * ((np.log10(ENERGY) - line[:, None]) / 0.15) ** 2)
    flux = np.nan_to_num(flux, nan=1.0) * rng.lognormal(0, 0.3, (n, 32))
    tplot.write(Variable("omni", START + seconds(np.arange(n)), flux, {"v": ENERGY}))
    recipe = WindowRecipe(length_s=60, stride_s=5)
    center = START + seconds(130)
    names = sim.find_similar("omni", like=center, recipe=recipe, k=1, exclude=60, errors="raise")
    assert names == ["omni_similar", "omni_similarity"]
    series = pyspedas.get_data("omni_similarity", dt=True)
    np.testing.assert_array_equal(series.times, START + seconds(np.arange(0, 841, 5) + 30))
    assert series.y[np.argmin(np.abs(series.times - center))] == pytest.approx(1)
    best = sim.intervals(names)[0]
    assert abs(best["peak"].datetime64 - (START + seconds(730))) <= seconds(5)
    other = series.y[np.abs(series.times - (START + seconds(430))) <= seconds(5)].max()
    assert best["score"] > 0.8 > 0.5 > other
