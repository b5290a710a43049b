"""Searches relative to a library: what it is, and what it does not depend on."""

from __future__ import annotations

import logging
import sys

import numpy as np
import pyspedas
import pytest
from pyspedas import tplot_tools

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.archive.index import Index
from pyspedas_similarity.encoder.library_view import PACKED
from pyspedas_similarity.errors import ArgumentError
from pyspedas_similarity.tplot import Variable

STEP = np.timedelta64(3, "s")
N = 210
TIMES = np.datetime64("2020-01-01T06:00:00", "ns") + np.arange(N) * STEP
STRIPES = np.r_[20:30, 120:130]


def frames(seed: int = 0) -> np.ndarray:
    """Noise, with level stripes in `STRIPES`; all have an upright wave in common."""
    rng = np.random.default_rng(seed)
    made = rng.normal(1000, 40, (N, 64, 64)) + 150 * np.sin(np.arange(64) / 5.0)
    made[STRIPES] += 150 * np.sin(np.arange(64) / 2.0)[:, None]
    return made.astype(np.uint16)


def store(name: str = "sky", rows: slice = slice(None), seed: int = 0) -> str:
    data = {"x": TIMES[rows], "y": frames(seed)[rows]}
    tplot_tools.store_data(name, data=data, attr_dict={"data_att": {"units": "counts"}})
    return name


def filled(folder, parts: int):
    """An archive of 'sky', added in so many parts, the last ones first."""
    archive = sim.open_archive(folder)
    for rows in np.array_split(np.arange(N), parts)[::-1]:
        store("sky", slice(int(rows[0]), int(rows[-1]) + 1))
        assert sim.add(archive, "sky").added == len(rows)
    tplot_tools.del_data("*")
    return archive


def scores_of(**keywords) -> np.ndarray:
    found = sim.search(like=TIMES[25], progress=False, **keywords)
    return next(iter(found.scores.values())).values


def test_a_search_finds_what_its_library_has_not_in_common():
    found = sim.search(store(), like=TIMES[25], threshold="auto")
    assert np.isin(np.searchsorted(TIMES, found.peak), STRIPES).all() and len(found) >= 1
    relative, plain = scores_of(data="sky"), scores_of(data="sky", reference=None)
    usual = np.setdiff1d(np.arange(N), STRIPES)
    assert relative[25] == plain[25] == pytest.approx(1)
    assert np.median(plain[usual]) - np.median(relative[usual]) > 0.3


def test_the_library_is_the_same_however_it_was_added(tmp_path):
    archives = [filled(tmp_path / str(parts), parts) for parts in (1, 7, 70)]
    results = [sim.search(archive, like=TIMES[25]) for archive in archives]
    assert len({one.record["view"]["hash"] for one in results}) == 1
    first, *others = (next(iter(one.scores.values())).values for one in results)
    for other in others:
        np.testing.assert_array_equal(first, other)
    loaded = sim.search(store(), like=TIMES[25])
    assert loaded.record["view"]["n_samples"] == results[0].record["view"]["n_samples"] == N
    np.testing.assert_allclose(next(iter(loaded.scores.values())).values, first, atol=1e-5)


def test_the_same_search_gives_the_same_bits():
    store()
    np.testing.assert_array_equal(scores_of(data="sky"), scores_of(data="sky"))


def test_an_archive_is_sampled_once_for_each_question_and_version(tmp_path, monkeypatch):
    archive, sampled = filled(tmp_path / "archive", 2), []
    module = sys.modules["pyspedas_similarity.search.search_series"]
    sample = module.sample_library
    monkeypatch.setattr(module, "sample_library", lambda library: sampled.append(library) or sample(library))
    first, again, event = (scores_of(data=archive, looking_for=one) for one in ("kind", "kind", "event"))
    np.testing.assert_array_equal(first, again)
    assert len(sampled) == 2 and not np.allclose(first, event, equal_nan=True)
    part = scores_of(data=archive, trange=[TIMES[0], TIMES[100]])  # other samples, another reference
    assert len(sampled) == 3 and not np.allclose(part, first[: len(part)])
    np.testing.assert_array_equal(scores_of(data=archive), first)
    store("more", slice(0, 60), seed=1)
    sim.add(archive, "more")
    later = sim.search(archive, like=("sky", TIMES[25]), progress=False)
    assert len(sampled) == 4 and later.record["view"]["n_samples"] == N + 60


@pytest.mark.parametrize("looking_for", ["kind", "event"])
def test_rows_that_stay_on_disk_have_the_same_scores(tmp_path, monkeypatch, looking_for):
    archive = filled(tmp_path / "kept", 3)
    inside = scores_of(data=archive, looking_for=looking_for)
    make = Index.__init__
    monkeypatch.setattr(Index, "__init__", lambda self, store, version=None, memory=None: make(self, store, version, 1))
    outside = scores_of(data=sim.open_archive(archive.path), looking_for=looking_for)
    np.testing.assert_allclose(outside, inside, atol=1e-5)


def test_another_archive_may_be_the_reference(tmp_path):
    background = filled(tmp_path / "background", 1)
    store("part", slice(15, 35))  # half of it looks like the query
    own = sim.search("part", like=TIMES[25])
    other = sim.search("part", like=TIMES[25], reference=background.path)
    assert other.record["view"]["n_samples"] == N and own.record["view"]["n_samples"] == 20
    whole = scores_of(data=background)[15:35]
    np.testing.assert_allclose(next(iter(other.scores.values())).values, whole, atol=1e-5)


def test_a_reference_of_another_encoder_or_without_samples_is_refused(tmp_path):
    archive = sim.open_archive(tmp_path / "pixels")
    sim.add(archive, store(), encoder="pixels")
    with pytest.raises(ArgumentError, match="reference: its encoder"):
        sim.search("sky", like=TIMES[25], reference=archive)
    with pytest.raises(sim.SimilarityError, match="no archive"):
        sim.search("sky", like=TIMES[25], reference=tmp_path / "nothing")
    with pytest.raises(ArgumentError, match="reference"):
        sim.search("sky", like=TIMES[25], reference=3)
    with pytest.raises(ArgumentError, match="looking_for"):
        sim.search("sky", like=TIMES[25], looking_for="kinds")


def test_a_query_of_another_variable_is_compared_in_the_library_that_is_searched():
    store()
    store("other", seed=1)
    inside = sim.search("sky", like=TIMES[25])
    outside = sim.search("sky", like=("other", TIMES[25]), threshold="auto")
    assert outside.record["view"]["n_samples"] == inside.record["view"]["n_samples"] == N
    assert np.isin(np.searchsorted(TIMES, outside.peak), STRIPES).all() and len(outside) == 2


def test_most_of_a_library_like_the_query_is_a_warning(caplog):
    store("part", slice(18, 32))
    with caplog.at_level(logging.WARNING):
        sim.search("part", like=TIMES[25], threshold=0.9)
    assert "looks like the query" in caplog.text


def test_a_library_of_a_few_samples_is_compared_by_plain_cosines():
    store("part", slice(20, 26))
    found = sim.search("part", like=TIMES[25], threshold=0.5)
    assert found.record["view"]["rule"] == "none" and "fewer than" in found.record["view"]["reason"]
    assert np.isfinite(next(iter(found.scores.values())).values).all()


def test_events_state_how_unusual_they_are():
    names = sim.find_similar(store(), like=TIMES[25], k=1, errors="raise")
    table = sim.intervals(names)
    scores = pyspedas.get_data("sky_similarity").y
    middle = np.median(scores)
    spread = 1.4826 * np.median(np.abs(scores - middle))
    np.testing.assert_allclose(table["deviations"], (table["score"] - middle) / spread)
    np.testing.assert_allclose(table["share_higher"], [(scores > score).mean() for score in table["score"]])


def test_a_table_names_the_view_and_a_variable_holds_it(tmp_path):
    names = sim.find_similar(store(), like=TIMES[25], errors="raise")
    table = sim.intervals(names)
    view = table.meta["similarity"][0]["view"]
    assert PACKED not in view and view["hash"] == sim.result(names).record["view"]["hash"]
    assert sim.result(names).searched[0].view is not None
    sim.export(table, tmp_path / "found.ecsv")
    again = sim.result(tmp_path / "found.ecsv")
    assert again.searched[0].view is None and again.searched[0].has_lost_view


def stripes_in_noise() -> tuple[str, np.ndarray]:
    """Store 400 noisy frames, one a second, with stripes in 100-119 and 300-309; return name and times."""
    rng = np.random.default_rng(1)
    frames = rng.normal(1000, 10, (400, 32, 32))
    frames[np.r_[100:120, 300:310]] += 200 * np.sin(np.arange(32) / 3.0)[:, None]
    times = np.datetime64("2020-01-01T00:00:00", "ns") + np.arange(400) * np.timedelta64(1, "s")
    tplot.write(Variable("stripes", times, frames))
    return "stripes", times


def test_ten_events_by_default_and_what_does_not_stand_out_is_marked():
    name, times = stripes_in_noise()
    found = sim.search(name, like=times[105])
    table = found.events
    assert len(table) == 10 and table.colnames[:3] == ["score", "peak", "duration"]
    assert table["stands_out"].tolist() == [True] + [False] * 9
    assert table["start"].isot[0] == str(times[300]) and table["duration"][0].to_value("s") == 10
    assert table["deviations"][0] > 2 * table["deviations"][1] > 0
    assert (np.diff(table["share_higher"]) >= 0).all()
    assert "p_value" not in table.colnames  # fewer than 50 independent stretches
    own = found.own_events
    assert own["start"].isot.tolist() == [str(times[100])] and own["end"].isot.tolist() == [str(times[120])]
    assert found.record["own_events"][0]["n_samples"] == 20
    lines = table.pformat(max_width=80)
    assert max(map(len, lines)) <= 80 and all(word in lines[0] for word in ("score", "peak", "duration"))


def test_only_what_stands_out_is_found_with_an_automatic_threshold():
    name, times = stripes_in_noise()
    assert len(sim.search(name, like=times[105], threshold="auto")) == 1
    assert len(sim.search(name, like=times[105], threshold="auto", k=3)) == 1
    assert len(sim.search(name, like=times[105], k=3)) == 3


def test_a_chosen_exclusion_takes_the_place_of_the_own_event():
    name, times = stripes_in_noise()
    found = sim.search(name, like=times[105], exclude=2, k=2)
    assert found.own_events["end"].isot.tolist() == [str(times[108])]
    assert sorted(found.events["start"].isot)[0] == str(times[108])  # the rest of the query's stripes
