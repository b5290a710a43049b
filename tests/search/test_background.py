"""Known answers: noise of which nothing may pass, and events planted in it."""

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import weibull_min

from pyspedas_similarity.errors import ArgumentError
from pyspedas_similarity.search.background import fit_background
from pyspedas_similarity.search.events import find_events
from pyspedas_similarity.search.scoring import decorrelation_lag, similarity


def noise(rng, n, dimension, memory):
    """Unit vectors that wander: an autoregressive series with a memory of so many samples."""
    keep = np.exp(-1 / memory) if memory else 0.0
    steps = rng.standard_normal((n + 10 * memory, dimension))
    found = lfilter([1], [1, -keep], steps, axis=0)[10 * memory :]
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def searched(embeddings, seed):
    """Scores without the seed's surroundings, and the stretch that they remember."""
    scores = similarity(embeddings, [embeddings[seed : seed + 1]])
    block = 2 * decorrelation_lag(scores)
    scores[max(seed - 4 * block, 0) : seed + 4 * block] = np.nan
    return scores, block


def weibull(n, seed):
    """Scores whose distance from 1 has the scale 0.6 and the shape 12."""
    return 1 - weibull_min(12, scale=0.6).rvs(n, random_state=seed)


def test_the_law_is_found_again():
    background = fit_background(weibull(20_000, 0), 1)
    assert background.distance == pytest.approx(0.6, rel=0.01)
    assert background.shape == pytest.approx(12, rel=0.03)
    scores = np.array([0.3, 0.5, 0.7, 0.9])
    np.testing.assert_allclose(background.p_value(scores), weibull_min(12, scale=0.6).cdf(1 - scores), rtol=0.6)
    assert background.p_value([1.0])[0] < 1e-90 and background.p_value([-1.0])[0] == 1


def test_events_hardly_move_the_law_and_never_make_it_narrower():
    values = weibull(5000, 0)
    plain = fit_background(values, 1)
    values[::100] = 0.95
    background = fit_background(values, 1)
    assert 0.9 * plain.shape < background.shape < plain.shape
    assert background.threshold(0.05) <= 0.95 and (values >= background.threshold(0.05)).sum() < 1.1 * 50
    values[::20] = 0.95
    assert 0.6 * plain.shape < fit_background(values, 1).shape < background.shape


def test_threshold_is_that_of_benjamini_and_hochberg():
    values = weibull(1000, 3)
    values[:30] = np.linspace(0.6, 0.9, 30)
    background = fit_background(values, 1)
    p = np.sort(background.p_value(background.maxima))
    passing = [i for i in range(1000) if p[i] <= 0.1 * (i + 1) / 1000]
    assert passing
    expected = np.sort(background.maxima)[::-1][passing[-1]]
    assert background.threshold(0.1) == expected
    assert fit_background(weibull(300, 1), 1).threshold(1e-9) == np.inf


@pytest.mark.parametrize(("dimension", "memory"), [(64, 0), (64, 5), (16, 5), (128, 15)])
def test_of_noise_as_much_passes_as_was_allowed(dimension, memory):
    """In each of many series of noise, nothing should pass; fdr=0.05 allows it in one of twenty."""
    trials, passed, share = 60, 0, []
    for trial in range(trials):
        rng = np.random.default_rng([dimension, memory, trial])
        scores, block = searched(noise(rng, 3000, dimension, memory), 1000)
        background = fit_background(scores, block)
        passed += background.threshold(0.05) < np.inf
        share.append((background.p_value(background.maxima) <= 0.05).mean())
    # Three standard deviations of a binomial number above 0.05 of the trials.
    assert passed <= trials * 0.05 + 3 * np.sqrt(trials * 0.05 * 0.95)
    assert 0.01 < np.mean(share) < 0.065


def test_planted_events_pass():
    found = total = false = 0
    for trial in range(10):
        rng = np.random.default_rng(trial)
        embeddings = noise(rng, 4000, 64, 5)
        events = np.arange(1500, 3900, 240)
        for event in events:
            inside = slice(event, event + 8)
            mixed = 0.75 * embeddings[1000] + 0.4 * embeddings[inside]
            embeddings[inside] = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
        scores, block = searched(embeddings, 1000)
        threshold = fit_background(scores, block).threshold(0.05)
        times = np.datetime64("2020-01-01", "ns") + np.arange(4000) * np.timedelta64(1, "s")
        hits = find_events(times, scores, threshold, np.timedelta64(block, "s"))
        starts = ((hits.start - times[0]) / np.timedelta64(1, "s")).astype(int)
        right = [bool((np.abs(events + 4 - start) <= 12).any()) for start in starts]
        found, total, false = found + sum(right), total + len(events), false + len(right) - sum(right)
    assert found / total > 0.95
    assert false / max(found + false, 1) <= 0.05


def test_too_little_to_know_the_background_is_told():
    with pytest.raises(ArgumentError, match="too few"):
        fit_background(np.random.default_rng(0).random(400), 10)
    with pytest.raises(ArgumentError, match="the same"):
        fit_background(np.full(400, 0.5), 2)
    with pytest.raises(ArgumentError, match="too few"):
        fit_background(np.full(4000, np.nan), 2)
