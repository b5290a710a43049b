"""The map of embeddings: places by an oracle, what is said where UMAP is missing, and the picture."""

from __future__ import annotations

import importlib
import importlib.util

import numpy as np
import pytest

from pyspedas_similarity.errors import ArgumentError
from pyspedas_similarity.plotting.embedding_map import embedding_map


@pytest.fixture
def three() -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors about three axes (90, 16), and which."""
    kind = np.arange(90) % 3
    vectors = np.eye(16)[kind] + 0.05 * np.random.default_rng(0).standard_normal((90, 16))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), kind


@pytest.fixture
def no_umap(monkeypatch):
    def refuse(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", refuse)


def nearest_share_kind(places: np.ndarray, kind: np.ndarray) -> float:
    distance = ((places[:, None] - places) ** 2).sum(axis=2)
    np.fill_diagonal(distance, np.inf)
    return float((kind[np.argsort(distance, axis=1)[:, :10]] == kind[:, None]).mean())


def test_principal_components_agree_with_scikit_learn(three):
    from sklearn.decomposition import PCA

    found = embedding_map(three[0], "pca")
    reference = PCA(2, svd_solver="full").fit(three[0].astype(np.float64))
    expected = reference.transform(three[0].astype(np.float64))
    np.testing.assert_allclose(np.abs(found.places), np.abs(expected), atol=1e-8)
    share = reference.explained_variance_ratio_.sum()
    assert found.method == f"first two principal components, {share:.0%} of the variance"
    assert nearest_share_kind(found.places, three[1]) == 1


def test_who_has_no_embedding_has_no_place(three):
    vectors = three[0].copy()
    vectors[[3, 40]] = np.nan
    places = embedding_map(vectors, "pca").places
    assert np.isnan(places[[3, 40]]).all() and np.isfinite(places).all(axis=1).sum() == 88


def test_without_umap_the_map_says_what_it_is(three, no_umap):
    assert embedding_map(three[0]).method.startswith("first two principal components")
    with pytest.raises(ArgumentError, match="umap-learn is not installed.*pip install"):
        embedding_map(three[0], "umap")


@pytest.mark.skipif(importlib.util.find_spec("umap") is None, reason="umap-learn is not installed")
def test_umap_keeps_kinds_together_and_its_seed(three):
    found = embedding_map(three[0], "umap", seed=1)
    assert found.method == "UMAP, 15 neighbors, seed 1" and found.places.shape == (90, 2)
    assert nearest_share_kind(found.places, three[1]) == 1
    np.testing.assert_array_equal(embedding_map(three[0], "umap", seed=1).places, found.places)


@pytest.mark.parametrize(
    ("vectors", "method", "reason"),
    [
        (np.ones((3, 4)), "auto", "found 3 without NaN.*4 or more"),
        (np.ones(4), "auto", r"found the shape \(4,\)"),
        (np.ones((9, 4)), "tsne", "'tsne'.*auto, umap, pca"),
    ],
)
def test_bad_input_is_refused(vectors, method, reason):
    with pytest.raises(ArgumentError, match=reason):
        embedding_map(vectors, method)
