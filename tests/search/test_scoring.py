"""Scores against their formula, on vectors whose similarity is known."""

import numpy as np
import pytest

from pyspedas_similarity.search.scoring import ScoreScale, decorrelation_lag, similarity


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def vectors(n, seed=0, dimension=8):
    return unit(np.random.default_rng(seed).normal(size=(n, dimension))).astype(np.float32)


def test_one_seed_is_the_cosine():
    library, seed = vectors(50), vectors(1, 1)
    np.testing.assert_allclose(similarity(library, [seed]), library @ seed[0], atol=1e-6)


def test_a_seed_of_several_samples_is_their_mean_direction():
    library, seed = vectors(50), vectors(5, 1)
    center = seed.sum(0) / np.linalg.norm(seed.sum(0))
    np.testing.assert_allclose(similarity(library, [seed]), library @ center, atol=1e-6)
    with_missing = np.vstack([seed, np.full((2, 8), np.nan, np.float32)])
    np.testing.assert_allclose(similarity(library, [with_missing]), library @ center, atol=1e-6)


def test_of_several_seeds_the_nearest_counts():
    library, first, second = vectors(50), vectors(1, 1), vectors(1, 2)
    both = similarity(library, [first, second])
    np.testing.assert_allclose(both, np.maximum(library @ first[0], library @ second[0]), atol=1e-6)


def test_what_has_no_embedding_has_no_score_and_the_seed_scores_one():
    library = vectors(5)
    library[2] = np.nan
    scores = similarity(library, [library[3:4]])
    assert np.isnan(scores[2]) and np.isfinite(np.delete(scores, 2)).all()
    assert scores[3] == pytest.approx(1, abs=1e-6) and np.nanmax(scores) <= 1


@pytest.mark.parametrize("correlation", [0.5, 0.8, 0.9])
def test_coherence_of_an_autoregressive_series_is_its_e_folding_lag(correlation):
    noise = np.random.default_rng(0).normal(size=20000)
    series = np.zeros_like(noise)
    for i in range(1, len(noise)):
        series[i] = correlation * series[i - 1] + noise[i]
    expected = np.ceil(-1 / np.log(correlation))
    assert decorrelation_lag(series) == pytest.approx(expected, abs=1)


def test_a_step_does_not_make_the_coherence_long():
    noise = np.random.default_rng(0).normal(size=800) * 0.01
    assert decorrelation_lag(np.where(np.arange(800) > 650, 1.0, 0.3) + noise) <= 2


@pytest.mark.parametrize("scores", [np.ones(500), np.arange(3.0), np.full(10, np.nan), np.linspace(0, 1, 500)])
def test_coherence_is_bounded(scores):
    assert 1 <= decorrelation_lag(scores) <= max(1, len(scores) // 20)


@pytest.mark.parametrize(("spread", "expected"), [(0.01, 0.7), (0.12, 0.76), (0.13, 0.79), (0.3, 0.88)])
def test_default_threshold_is_three_deviations_above_the_median_within_limits(spread, expected):
    scores = 0.4 + spread / 1.4826 * np.array([-3, -1, 0, 1, 3, np.nan])
    assert ScoreScale.of(scores).threshold == pytest.approx(expected)
