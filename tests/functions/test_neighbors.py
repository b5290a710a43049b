"""The nearest intervals, novelty, groups and duplicates of an archive, beside what all products say."""

import logging

import numpy as np
import pyspedas
import pytest
from pyspedas import tplot_tools

import pyspedas_similarity as sim
from pyspedas_similarity.archive import lance_index
from pyspedas_similarity.archive.archive import Archive
from pyspedas_similarity.archive.neighbors import make_graph
from pyspedas_similarity.archive.rows import Identity, make_rows
from pyspedas_similarity.errors import ArgumentError, QueryError, VariableError
from pyspedas_similarity.functions.neighbors import _groups

START = np.datetime64("2016-12-31T23:40:00.000000007", "ns")  # a leap second lies in it
STEP = np.timedelta64(3_000_000_001, "ns")
N, DIMENSION = 600, 8


def unit(values):
    return (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float32)


def walk(seed, n=N):
    """Simulated embeddings that wander: neighbors in time are alike."""
    steps = np.random.default_rng(seed).standard_normal((n, DIMENSION))
    found = np.empty((n, DIMENSION))
    found[0] = steps[0]
    for number in range(1, n):
        found[number] = 0.8 * found[number - 1] + 0.6 * steps[number]
    return unit(found)


@pytest.fixture
def archive(tmp_path):
    """Two series at two sites; the same event in both: rows 100-104 of the first are 300-304 of the second."""
    made = Archive(tmp_path / "kept")
    one, two = walk(1), walk(2)
    two[300:305] = unit(one[100:105] + 0.05 * np.random.default_rng(3).standard_normal((5, DIMENSION)))
    store = made.begin(Identity("frame", "e", "r", DIMENSION))
    for embeddings, source, site in ((one, "sky_a", "fsmi"), (two, "sky_b", "gako")):
        store.append(
            make_rows(embeddings, START + np.arange(N) * STEP, START + (1 + np.arange(N)) * STEP, source, site)
        )
    return made


def seed(number):
    return "sky_a", str(START + number * STEP)


def by_products(archive, number, exclude):
    """Every sample's score, NaN around the seed: by hand."""
    block = archive.index().embeddings(np.arange(2 * N))
    scores = (block @ block[number]).astype(float)
    near = np.abs(np.arange(N) - number) * STEP <= np.timedelta64(round(exclude * 1e9), "ns")
    scores[:N][near] = np.nan
    return scores


def test_the_nearest_intervals_are_those_of_a_search_with_their_threshold(archive):
    names = sim.find_nearest(archive, seed(102), k=5, exclude=20, suffix="_near", errors="raise")
    table = sim.intervals(names)
    assert len(table) == 5
    scores = by_products(archive, 102, 20)
    assert table["source"][0] == "sky_b" and table["score"][0] == pytest.approx(np.nanmax(scores), abs=1e-6)
    assert np.datetime64(table["peak"][0].isot, "ns") == START + (np.nanargmax(scores) - N) * STEP
    # The same intervals come from a score for every sample, at the threshold of the last sample that counted.
    least = min(table["score"])
    plain = {"exclude": 20, "reference": None, "errors": "raise"}
    whole = sim.intervals(sim.find_similar(archive=archive, like=seed(102), threshold=least - 1e-6, **plain))[:5]
    for column in ("start", "peak"):
        assert set(table[column].isot) == set(whole[column].isot)
    assert (np.diff(table["score"]) <= 0).all()


def test_what_is_near_the_seed_in_time_is_left_out_and_told(archive):
    (name, *_) = sim.find_nearest(archive, seed(102), k=3, names="sky_a", exclude=90)
    assert name == "sky_a_similar"
    table = sim.intervals(name)
    center = START + 102 * STEP
    away = [abs(np.datetime64(one.isot, "ns") - center) for one in table["peak"]]
    assert min(away) > np.timedelta64(90, "s")
    about = table.meta["similarity"][0]
    assert about["searched_by"] == "product" and about["recall"] == 1 and about["exclude_s"] == 90
    assert about["queries"][0]["start"].startswith("2016-12-31T23:45:06") and about["archive"]["version"] == 3


def test_an_automatic_exclusion_is_as_long_as_the_scores_remember(archive):
    table = sim.intervals(sim.find_nearest(archive, seed(102), k=3, names="sky_a"))
    # An autoregression of 0.8 forgets to 1/e in 4.5 samples; twice that, and some for the estimate.
    assert 2 * 3 * 2 <= table.meta["similarity"][0]["exclude_s"] <= 2 * 3 * 9


def test_what_is_unlike_lowers_the_order(archive):
    first = sim.intervals(sim.find_nearest(archive, seed(102), k=1, exclude=20))
    assert first["source"][0] == "sky_b"
    peak = ("sky_b", str(START + 302 * STEP))
    table = sim.intervals(sim.find_nearest(archive, seed(102), k=1, exclude=20, unlike=peak))
    block = archive.index().embeddings(np.arange(2 * N))
    scores, unlike = by_products(archive, 102, 20), block @ block[N + 302]
    assert table["score"][0] == pytest.approx(np.nanmax(scores - np.maximum(unlike - scores, 0)), abs=1e-6)


def test_all_there_is_when_more_is_asked_for(archive, caplog):
    trange = [str(START), str(START + 9 * STEP)]
    names = sim.find_nearest(archive, ("sky_a", str(START)), k=1000, trange=trange, exclude=0)
    assert sum(sim.intervals(names)["n_samples"]) == 19  # ten of each series, less the seed
    with caplog.at_level(logging.WARNING):
        assert sim.find_nearest(archive, ("sky_a", str(START)), names="sky_a", trange=trange, exclude=100) == []
    assert "within the exclusion" in caplog.text


def test_an_index_gives_what_products_give(archive, monkeypatch):
    monkeypatch.setattr(lance_index, "MIN_ROWS", 500)
    monkeypatch.setattr("pyspedas_similarity.archive.index.FEW_ROWS", 100)
    exact = sim.intervals(sim.find_nearest(archive, seed(102), k=5, exclude=20))
    assert archive.build_index() >= 0.99
    for probe in (None, "gako"):
        found = sim.intervals(sim.find_nearest(archive, seed(102), k=5, exclude=20, probe=probe, suffix="_2"))
        assert found.meta["similarity"][0]["searched_by"] == "index"
        assert found["score"][0] == pytest.approx(exact["score"][0], abs=1e-6)
        assert found["peak"][0] == exact["peak"][0]


@pytest.mark.parametrize("k", [0, -3, 2.5, True, None])
def test_a_bad_number_is_told(archive, k):
    with pytest.raises(ArgumentError, match="Give a whole number"):
        sim.find_nearest(archive, seed(3), k=k, errors="raise")


def test_other_bad_input_is_told_and_nothing_is_stored(archive, caplog):
    before = set(tplot_tools.tplot_names(quiet=True) or [])
    with pytest.raises(QueryError):
        sim.find_nearest(archive, "1999-01-01", errors="raise")
    with pytest.raises(VariableError, match="sky_a"):
        sim.find_nearest(archive, seed(3), names="nothing", errors="raise")
    assert sim.find_nearest(archive, "1999-01-01") == []
    assert set(tplot_tools.tplot_names(quiet=True) or []) == before


def test_novelty_is_the_distance_to_the_nearest_of_another_event(archive):
    names = sim.novelty(archive, exclude=60)
    assert names == ["sky_a_novelty", "sky_b_novelty"]
    block = archive.index().embeddings(np.arange(2 * N)).astype(float)
    products = block @ block.T
    number = np.arange(2 * N)
    same = (number[:, None] // N == number // N) & (np.abs(number[:, None] - number) * 3.000000001 <= 60)
    products[same] = -np.inf
    found = np.concatenate([pyspedas.get_data(name).y for name in names])
    np.testing.assert_allclose(found, 1 - products.max(axis=1), atol=1e-6)
    assert found[100:105].max() < 0.05 < np.median(found)  # what happened twice is not new
    # Where every neighbor in the graph is of the same event, all products are computed.
    far = sim.novelty(archive, exclude=1500, suffix="_far")
    same = (number[:, None] // N == number // N) & (np.abs(number[:, None] - number) * 3.000000001 <= 1500)
    products = np.where(same, -np.inf, block @ block.T)
    found = np.concatenate([pyspedas.get_data(name).y for name in far])
    np.testing.assert_allclose(found, 1 - products.max(axis=1), atol=1e-6)


def test_novelty_that_would_take_hours_is_refused(archive, monkeypatch):
    monkeypatch.setattr("pyspedas_similarity.functions.neighbors._MOST_PRODUCTS", 100.0)
    with pytest.raises(ArgumentError, match="shorter"):
        sim.novelty(archive, exclude=1500, errors="raise")


def groups_of(folder, embeddings, **options):
    """Numbers of the groups in an archive of these embeddings."""
    archive = Archive(folder)
    embeddings = np.asarray(embeddings, np.float32)
    store = archive.begin(Identity("frame", "e", "r", embeddings.shape[1]))
    start = START + np.arange(len(embeddings)) * STEP
    store.append(make_rows(embeddings, start, start + STEP, "sky", ""))
    (name,) = sim.clusters(archive, **options, errors="raise")
    return pyspedas.get_data(name).y


def around(rng, center, n, scatter=0.1):
    """Simulated embeddings around a direction."""
    return unit(center + scatter * rng.standard_normal((n, len(center))))


def test_groups_with_a_threshold_are_those_that_were_made(tmp_path):
    rng = np.random.default_rng(0)
    centers = unit(rng.standard_normal((3, DIMENSION)))
    kind = np.repeat([0, 1, 2], [60, 30, 20])
    embeddings = np.concatenate([around(rng, centers[one], (kind == one).sum(), 0.05) for one in range(3)])
    embeddings[5] = -centers.sum(axis=0) / np.linalg.norm(centers.sum(axis=0))
    found = groups_of(tmp_path / "kept", embeddings, threshold=0.9, fewest=5)
    assert np.isnan(found[5])
    rest = np.delete(np.arange(110), 5)
    np.testing.assert_array_equal(found[rest], kind[rest])
    with pytest.raises(ArgumentError, match="cosine"):
        groups_of(tmp_path / "bad", embeddings, threshold=2)


@pytest.mark.parametrize("size", [12, 30, 200])
def test_a_small_island_far_from_a_continuum_is_one_group(tmp_path, size):
    rng = np.random.default_rng(0)
    along = np.linspace(0, 2.5, 1500)
    continuum = np.zeros((1500, DIMENSION))
    continuum[:, 0], continuum[:, 1] = np.cos(along), np.sin(along)
    continuum = unit(continuum + 0.15 * rng.standard_normal(continuum.shape))
    island = around(rng, -np.eye(DIMENSION)[2], size)
    at = np.zeros(1500 + size, bool)
    at[700 : 700 + size] = True
    embeddings = np.empty((len(at), DIMENSION), np.float32)
    embeddings[at], embeddings[~at] = island, continuum
    found = groups_of(tmp_path / "kept", embeddings)
    np.testing.assert_array_equal(found, at)
    np.testing.assert_array_equal(groups_of(tmp_path / "again", embeddings), found)
    embeddings[[3, 705]] = np.nan  # as rows of an archive that are damaged
    expected = np.where(np.isnan(embeddings[:, 0]), -1, at)
    np.testing.assert_array_equal(_groups(make_graph(embeddings), None, 10), expected)


@pytest.mark.parametrize("dimension", [8, 64])
def test_two_separate_groups_of_different_density_are_found(tmp_path, dimension):
    rng = np.random.default_rng(1)
    one, two = np.eye(dimension)[:2]
    wide = around(rng, one, 150, 0.4 / np.sqrt(dimension))
    dense = around(rng, two, 300, 0.1 / np.sqrt(dimension))
    found, made = groups_of(tmp_path / "kept", np.concatenate([wide, dense])), np.repeat([1, 0], [150, 300])
    inside = np.isfinite(found)
    np.testing.assert_array_equal(found[inside], made[inside])
    assert inside[150:].all() and inside[:150].mean() > 0.9  # the outermost of the wide group may be left out


def test_one_region_without_a_gap_is_no_group(tmp_path):
    rng = np.random.default_rng(2)
    found = groups_of(tmp_path / "kept", around(rng, np.eye(16)[0], 1000))
    assert len(found) == 1000 and np.isnan(found).all()


def test_duplicates_are_pairs_of_different_events(archive):
    table = sim.duplicates(archive, threshold=0.9999)
    assert len(table) == 0 and table.colnames == ["time_1", "time_2", "source_1", "source_2", "score"]
    rows = archive.store.take(archive.store.heads(), np.arange(3))
    later = rows.start + np.timedelta64(1, "D")
    archive.store.append(make_rows(rows.embeddings, later, later + STEP, "sky_again", "fsmi"))
    table = sim.duplicates(archive)
    assert len(table) == 3 and (table["score"] > 0.9999).all()
    assert set(zip(table["source_1"], table["source_2"], strict=True)) == {("sky_a", "sky_again")}
    # A day that ends with a leap second is 86401 s long; in datetime64, which knows none, it is one day.
    assert np.abs((table["time_2"] - table["time_1"]).to_value("s") - 86401).max() < 1e-6
