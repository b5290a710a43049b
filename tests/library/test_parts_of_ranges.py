"""Long time ranges of instruments without segments, loaded part by part."""

from __future__ import annotations

import gc
import weakref
from itertools import pairwise

import numpy as np
import pytest

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.errors import LoadError
from pyspedas_similarity.imaging.recipes import SpectrumRecipe
from pyspedas_similarity.instruments.registry import INSTRUMENTS, Instrument
from pyspedas_similarity.times import parts_of, to_interval

START, STEP = np.datetime64("2020-01-01T00:00", "ns"), np.timedelta64(30, "m")
TIMES = START + np.arange(4 * 48) * STEP  # four days, with samples at midnight
RANGE = ["2020-01-01/06:00", "2020-01-04/18:00"]
ENERGIES = np.geomspace(20.0, 20000.0, 16)


def spectra() -> np.ndarray:
    values = np.random.default_rng(3).lognormal(0, 0.2, (len(TIMES), 8, 16)).astype(np.float32)
    values[[60, 61, 150, 151], :4] *= np.linspace(1, 20, 16, dtype=np.float32)
    return values


class Recorded:
    """Loader of a simulated instrument that records what it was asked for and whether earlier data are still held."""

    def __init__(self, broken: tuple[str, ...] = ()) -> None:
        self.asked, self.held, self.broken, self._refs = [], [], broken, []

    def __call__(self, trange, probe="1", suffix="", field=None):
        gc.collect()
        self.held.append(sum(one() is not None for one in self._refs))
        start, end = to_interval(trange)
        self.asked.append((start, end))
        if str(start.astype("datetime64[D]")) in self.broken:
            raise LoadError(f"file of {start}", "it is not whole", "Load it again.")
        inside = (TIMES >= start) & (TIMES - np.timedelta64(200, "ns") <= end)  # ends are rounded, as in pyspedas
        values = spectra()[inside].copy()
        self._refs.append(weakref.ref(values))
        tables = {"v1": np.linspace(11.25, 168.75, 8), "v2": ENERGIES}
        if not len(values):
            return []
        return [tplot.write(tplot.Variable("simulated1_spectra" + suffix, TIMES[inside], values, tables))]


@pytest.fixture
def instrument(monkeypatch):
    def register(load):
        one = Instrument("simulated spectra", load, SpectrumRecipe(), "simulated1_spectra*", r"(?P<probe>simulated\d)_")
        monkeypatch.setitem(INSTRUMENTS, "simulated_spectra", one)
        return load

    return register


def find(**keywords):
    return sim.search(instrument="simulated_spectra", like=TIMES[60], **({"trange": RANGE} | keywords))


def test_a_long_range_gives_the_scores_of_the_same_data_loaded_at_once(instrument):
    load = instrument(Recorded())
    found = find()
    days = [(str(a)[:19], str(b)[:19]) for a, b in load.asked]
    assert days == [
        ("2020-01-01T06:00:00", "2020-01-01T23:59:59"),
        ("2020-01-02T00:00:00", "2020-01-02T23:59:59"),
        ("2020-01-03T00:00:00", "2020-01-03T23:59:59"),
        ("2020-01-04T00:00:00", "2020-01-04T18:00:00"),
    ]
    names = Recorded()(RANGE)
    at_once = sim.search(names, like=TIMES[60])
    one, other = found.scores["simulated1_spectra"], at_once.scores["simulated1_spectra"]
    np.testing.assert_array_equal(one.time, other.time)  # midnight is there once
    np.testing.assert_allclose(one.values, other.values, atol=1e-5)
    assert found.events["peak"][0].isot[:16] in {str(TIMES[row])[:16] for row in (150, 151)}


def test_a_part_is_not_in_memory_while_the_next_one_is_loaded(instrument):
    load = instrument(Recorded())
    find()
    assert load.held == [0, 0, 0, 0]


def test_a_short_range_is_loaded_at_once(instrument):
    load = instrument(Recorded())
    find(trange=["2020-01-02/00:00", "2020-01-02/20:00"])
    assert len(load.asked) == 1


def test_a_part_that_cannot_be_loaded_costs_only_itself(instrument, caplog):
    instrument(Recorded(broken=("2020-01-03",)))
    found = find()
    assert "1 of 4 parts of the time range are left out: file of 2020-01-03" in caplog.text
    days = found.scores["simulated1_spectra"].time.values.astype("datetime64[D]")
    assert set(map(str, days)) == {"2020-01-01", "2020-01-02", "2020-01-04"}


def test_parts_none_of_which_can_be_loaded_are_an_error(instrument):
    instrument(Recorded(broken=tuple(f"2020-01-0{day}" for day in (1, 2, 3, 4))))
    with pytest.raises(LoadError, match="file of 2020-01-01"):
        find()


def test_parts_are_added_to_an_archive_and_not_again(instrument, tmp_path):
    instrument(Recorded())
    archive = sim.open_archive(tmp_path / "archive")
    added = sim.add(archive, instrument="simulated_spectra", trange=RANGE)
    again = sim.add(archive, instrument="simulated_spectra", trange=["2020-01-01", "2020-01-04/23:59"])
    assert (added.added, again.added, again.skipped) == (169, len(TIMES) - 169, 169)


@pytest.mark.parametrize("hours", [1, 2, 7, 24, 30])
def test_parts_cover_an_interval_once(hours):
    rng = np.random.default_rng(hours)
    for _ in range(50):
        start = START + np.timedelta64(int(rng.integers(0, 4 * 86400)), "s")
        end = start + np.timedelta64(int(rng.integers(0, 3 * 86400)), "s")
        parts = parts_of((start, end), np.timedelta64(hours, "h"))
        assert parts[0].start == start and parts[-1].end == end
        assert all(a.end + np.timedelta64(1, "ns") == b.start for a, b in pairwise(parts))
        assert all(one.end - one.start <= np.timedelta64(hours, "h") for one in parts)
