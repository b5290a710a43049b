"""Similarity relative to a library."""

from __future__ import annotations

import numpy as np
import pytest

from pyspedas_similarity.encoder.library_view import PACKED, LibraryView
from pyspedas_similarity.encoder.structure import block_slices
from pyspedas_similarity.search.reference import EVENT, KIND, Reference, Sample

NO_BLOCKS = {"all": slice(0, 12)}


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def library(n: int = 400, share: float = 0.1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings in runs of ten, with a large common part; those of one kind, flagged, have another one."""
    rng = np.random.default_rng(seed)
    looks = rng.standard_normal((n // 10, 12))
    of_kind = rng.permutation(n // 10) < round(n // 10 * share)
    looks[of_kind] = 0.4 * looks[of_kind] + 3 * np.eye(12)[3]
    rows = 6 * np.eye(12)[0] + np.repeat(looks, 10, axis=0) + 0.3 * rng.standard_normal((n, 12))
    return unit(rows), np.repeat(of_kind, 10)


def sample_of(rows: np.ndarray, blocks: dict[str, slice] | None = None) -> Sample:
    following = np.concatenate([rows[1:], np.full((1, rows.shape[1]), np.nan, np.float32)])
    return Sample(rows, following, blocks or NO_BLOCKS)


def auc(scores: np.ndarray, of_kind: np.ndarray) -> float:
    ranks = np.argsort(np.argsort(scores))
    n = of_kind.sum()
    return float((ranks[of_kind].sum() - n * (n - 1) / 2) / (n * (~of_kind).sum()))


def scores_of(view: LibraryView, rows: np.ndarray, query: int) -> np.ndarray:
    directions = view.directions(rows)
    return directions @ directions[query]


def test_what_a_library_has_in_common_does_not_count():
    rows, of_kind = library()
    query = int(np.flatnonzero(of_kind)[0])
    plain = rows @ rows[query]
    relative = scores_of(Reference(sample_of(rows)).view([rows[[query]]]), rows, query)
    assert relative[query] == pytest.approx(1)
    assert np.median(plain) > 0.7 and abs(np.median(relative)) < 0.4  # relative to a library, most of it is near 0
    assert auc(relative, of_kind) > 0.99 and np.std(relative) > 2 * np.std(plain)


@pytest.mark.parametrize("share", [0.05, 0.25, 0.5, 0.75])
def test_a_look_that_makes_up_most_of_a_library_is_still_found(share):
    rows, of_kind = library(share=share)
    query = int(np.flatnonzero(of_kind)[0])
    relative = scores_of(Reference(sample_of(rows)).view([rows[[query]]]), rows, query)
    assert auc(relative, of_kind) > 0.95
    centered = rows - rows.mean(axis=0)
    if share == 0.75:  # the mean alone would lose it
        assert auc(unit(centered) @ unit(centered)[query], of_kind) < auc(relative, of_kind)


def test_blocks_count_the_same_whatever_their_numbers_are():
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((200, 4)), rng.standard_normal((200, 30))
    blocks = {"one": slice(0, 4), "other": slice(4, 34)}
    views = [
        Reference(sample_of(np.hstack([scale * first, second]), blocks)).view([np.hstack([scale * first, second])[[0]]])
        for scale in (1.0, 100.0)
    ]
    one, other = (
        scores_of(view, np.hstack([scale * first, second]), 0) for view, scale in zip(views, (1.0, 100.0), strict=True)
    )
    np.testing.assert_allclose(one, other, atol=1e-9)


def test_place_counts_only_where_the_event_is_looked_for():
    rng = np.random.default_rng(0)
    blocks = block_slices(2 * 3 + 1, {"level": 1, "place": 2})
    rows = unit(rng.standard_normal((100, 7)))
    changed = rows.copy()
    changed[:, blocks["place"]] = rng.standard_normal((100, 4))
    kind, event = (Reference(sample_of(rows, blocks), one).view([rows[[0]]]) for one in (KIND, EVENT))
    np.testing.assert_array_equal(kind.directions(rows), kind.directions(changed))
    assert np.abs(event.directions(rows) - event.directions(changed)).max() > 0.1


def test_what_changes_from_sample_to_sample_counts_less():
    rng = np.random.default_rng(0)
    slow = np.repeat(rng.standard_normal((20, 3)), 20, axis=0)
    rows = np.hstack([slow, rng.standard_normal((400, 9))]).astype(np.float32)
    projected = Reference(sample_of(rows), EVENT).view([rows[[0]]]).project(rows)
    share = np.var(np.linalg.lstsq(slow, projected, rcond=None)[0].T @ slow.T) / np.var(projected)
    assert share > 0.5  # a quarter in the rows themselves


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (np.ones((1, 12), np.float32), "fewer than 10"),
        (np.ones((50, 12), np.float32), "the same"),
        (np.full((50, 12), np.nan, np.float32), "fewer than 10"),
    ],
)
def test_a_library_without_a_center_is_compared_by_plain_cosines(rows, reason):
    view = Reference(sample_of(rows)).view([unit(np.ones((1, 12)))])
    assert view.about["rule"] == "none" and reason in view.about["reason"]
    some = unit(np.random.default_rng(0).standard_normal((4, 12)))
    np.testing.assert_allclose(view.directions(some), some, atol=1e-6)


def test_rows_without_embedding_and_constant_features_change_nothing():
    rows, of_kind = library()
    rows[:, 7] = 0.25
    query = int(np.flatnonzero(of_kind)[0])
    expected = Reference(Sample(rows, rows, NO_BLOCKS)).view([rows[[query]]])
    holes = np.concatenate([rows, np.full((30, 12), np.nan, np.float32)])
    found = Reference(Sample(holes, holes, NO_BLOCKS)).view([rows[[query]]])
    assert found.hash == expected.hash
    assert np.isfinite(found.directions(rows)).all() and np.isnan(found.directions(holes)[-1]).all()


def test_products_with_weights_over_lengths_are_the_cosines():
    rows, _ = library()
    view = Reference(sample_of(rows)).view([rows[[5]]])
    queries = view.directions(rows[:3])
    weights = view.weights(queries)
    products = (rows @ weights.T - view.center @ weights.T) / view.lengths(rows)[:, None]
    np.testing.assert_allclose(products, view.directions(rows) @ queries.T, atol=1e-5)
    np.testing.assert_allclose(view.cosines(rows, queries), products.max(axis=1), atol=1e-5)


def test_a_view_survives_its_record():
    rows, _ = library()
    view = Reference(sample_of(rows)).view([rows[[5]]])
    record = view.to_record()
    read = LibraryView.from_record(record)
    np.testing.assert_allclose(read.directions(rows), view.directions(rows), atol=1e-5)
    assert read.hash == view.hash == record["hash"] and read.about == view.about
    assert LibraryView.from_record({key: value for key, value in record.items() if key != PACKED}) is None


def test_the_same_sample_gives_the_same_bits():
    rows, _ = library()
    one, two = (Reference(sample_of(rows)).view([rows[[5]]]) for _ in range(2))
    np.testing.assert_array_equal(one.directions(rows), two.directions(rows))
