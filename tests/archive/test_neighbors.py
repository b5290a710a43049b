"""Neighbor graph compared with exact products, its cache, and graph search."""

import logging

import numpy as np
import pytest

from pyspedas_similarity.archive import neighbors
from pyspedas_similarity.archive.neighbors import GraphIndex, cached_graph, make_graph, nearest_others
from pyspedas_similarity.errors import ArgumentError


def unit(n, dimension=6, seed=0):
    found = np.random.default_rng(seed).standard_normal((n, dimension)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def right(embeddings, k):
    products = np.nan_to_num(embeddings @ embeddings.T, nan=-np.inf)
    np.fill_diagonal(products, -np.inf)
    order = np.argsort(-products, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(products, order, 1)


def test_a_small_graph_is_exact():
    embeddings = unit(300)
    graph = make_graph(embeddings, 7)
    order, scores = right(embeddings, 7)
    np.testing.assert_array_equal(graph.neighbors, order)
    np.testing.assert_allclose(graph.scores, scores, atol=1e-6)
    assert graph.recall == 1 and len(graph) == 300


def test_damaged_rows_have_no_neighbors():
    embeddings = unit(50)
    embeddings[[3, 20]] = np.nan
    graph = make_graph(embeddings, 4)
    assert not np.isin(graph.neighbors, (3, 20)).any()
    assert (graph.neighbors[[3, 20]] == -1).all() and np.isnan(graph.scores[[3, 20]]).all()
    rest = np.delete(np.arange(50), (3, 20))
    np.testing.assert_array_equal(graph.neighbors[rest], rest[right(embeddings[rest], 4)[0]])


@pytest.mark.parametrize(("n", "k"), [(3, 10), (1, 2), (0, 2)])
def test_fewer_rows_than_neighbors(n, k):
    graph = make_graph(unit(n), k)
    assert graph.neighbors.shape == (n, k)
    assert ((graph.neighbors >= 0).sum(axis=1) == max(n - 1, 0)).all()


@pytest.mark.parametrize("k", [0, -1, 1.5, True])
def test_an_invalid_number_of_neighbors_raises(k):
    with pytest.raises(ArgumentError, match="Give the number of neighbors"):
        make_graph(unit(5), k)


def test_nearest_others_exclude_the_given_ranges():
    embeddings = unit(200)
    embeddings[9] = np.nan
    rows = np.array([0, 50, 199])
    barred = np.array([[0, 10], [0, 100], [0, 200]])
    nearest, scores = nearest_others(embeddings, rows, barred)
    products = np.nan_to_num(embeddings @ embeddings.T, nan=-np.inf)
    assert nearest.tolist() == [10 + products[0, 10:].argmax(), 100 + products[50, 100:].argmax(), -1]
    np.testing.assert_allclose(scores[:2], [products[0, 10:].max(), products[50, 100:].max()], atol=1e-6)
    assert np.isnan(scores[2])


@pytest.fixture(scope="module")
def clouds():
    """Return simulated embeddings around 40 centers, two of them damaged."""
    rng = np.random.default_rng(1)
    found = unit(40, 12)[rng.integers(40, size=3000)] + 0.3 * rng.standard_normal((3000, 12)).astype(np.float32)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    found[[5, 2999]] = np.nan
    return found


def test_descent_finds_what_products_find(clouds, monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(neighbors, "EXACT_ROWS", 1000)
    graph = cached_graph(tmp_path / "graphs", clouds, 10)
    scores = right(clouds, 10)[1]
    known = np.isfinite(clouds[:, 0])
    assert (graph.neighbors != np.arange(3000)[:, None]).all()
    assert (graph.scores[known] >= scores[known, -1:] - 1e-6).mean() >= 0.99 and graph.recall >= 0.99
    # The second call reads the cache, in which a flipped bit is detected.
    monkeypatch.setattr(neighbors, "make_graph", lambda *arguments: pytest.fail("made again"))
    kept = cached_graph(tmp_path / "graphs", clouds, 10)
    np.testing.assert_array_equal(kept.neighbors, graph.neighbors)
    np.testing.assert_array_equal(kept.scores, graph.scores)
    monkeypatch.setattr(neighbors, "make_graph", lambda *arguments: graph)
    (path,) = (tmp_path / "graphs").glob("*.npz")
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    with caplog.at_level(logging.WARNING):
        assert cached_graph(tmp_path / "graphs", clouds, 10) is graph
    assert "built again" in caplog.text
    other = clouds.copy()
    other[0] = -other[0]
    cached_graph(tmp_path / "graphs", other, 10)
    assert len(list((tmp_path / "graphs").glob("*.npz"))) == 2


@pytest.fixture
def kept_from_ten_rows(monkeypatch):
    """Cache small graphs as well, which are computed exactly and without compilation."""
    monkeypatch.setattr(neighbors, "EXACT_ROWS", 10)
    monkeypatch.setattr(
        neighbors, "_approximate_neighbors", lambda vectors, k, seed: neighbors._exact_neighbors(vectors, k)
    )


@pytest.mark.usefixtures("kept_from_ten_rows")
def test_a_read_only_folder_only_disables_the_cache(tmp_path, caplog):
    (tmp_path / "file").touch()
    with caplog.at_level(logging.INFO):
        graph = cached_graph(tmp_path / "file" / "graphs", unit(50), 3)
    np.testing.assert_array_equal(graph.neighbors, right(unit(50), 3)[0])
    assert "not cached" in caplog.text


@pytest.mark.parametrize("wrong", ["short", "out of range", "no recall", "pickled"])
@pytest.mark.usefixtures("kept_from_ten_rows")
def test_an_invalid_cached_graph_is_built_again(tmp_path, caplog, wrong):
    right_one = cached_graph(tmp_path, unit(50), 3)
    (path,) = tmp_path.glob("*.npz")
    numbers = np.full((50, 3), 50 if wrong == "out of range" else 0, np.int32)
    if wrong == "short":
        path.write_bytes(path.read_bytes()[:-4])
    elif wrong == "pickled":
        np.savez(path, neighbors=numbers.astype(object), recall=1.0)
    else:
        np.savez(path, neighbors=numbers, **({"recall": 1.0} if wrong == "out of range" else {}))
    with caplog.at_level(logging.WARNING):
        again = cached_graph(tmp_path, unit(50), 3)
    assert "built again" in caplog.text
    np.testing.assert_array_equal(again.neighbors, right_one.neighbors)


def test_graph_search_finds_the_nearest(clouds):
    near = GraphIndex(clouds)
    assert near.recall >= 0.99
    rng = np.random.default_rng(2)
    shares = []
    for row in rng.choice(2990, 50) + 6:
        center = clouds[row] + 0.02 * rng.standard_normal(12)
        found = near.propose(center, 10)
        assert not np.isin(found, (5, 2999)).any()
        shares.append(np.isin(np.argsort(-np.nan_to_num(clouds @ center, nan=-9))[:10], found).mean())
    assert np.mean(shares) >= 0.98
    assert len(near.propose(clouds[0], 5000)) <= 2998


def test_a_graph_that_misses_too_many_is_not_used(monkeypatch, caplog):
    from pyspedas_similarity.archive.index import Index

    class Poor:
        recall = 0.5

    index = Index.__new__(Index)
    index._graph, index._loaded = None, lambda: np.ones((20, 3), np.float32)
    monkeypatch.setattr("pyspedas_similarity.archive.index.GraphIndex", lambda embeddings, seed: Poor)
    with caplog.at_level(logging.WARNING):
        assert index.prepare() == 0.5
    assert index._graph is None and "not used" in caplog.text
