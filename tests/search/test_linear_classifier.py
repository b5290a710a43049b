"""A probe on few labels: what it says, and how sure it is."""

from __future__ import annotations

import numpy as np
import pytest

from pyspedas_similarity.errors import ArgumentError
from pyspedas_similarity.search.linear_classifier import fit_linear_classifier
from pyspedas_similarity.search.reference import Reference, Sample

AXES = np.eye(16)[:3]


def draw(rng: np.random.Generator, count: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors about three axes, and which."""
    truth = rng.integers(0, 3, count)
    vectors = AXES[truth] + spread * rng.standard_normal((count, 16))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.array(["a", "b", "c"])[truth]


def test_classes_that_lie_apart_are_told():
    rng = np.random.default_rng(0)
    vectors, labels = draw(rng, 30, 0.1)
    probe = fit_linear_classifier(vectors, labels, np.arange(30))
    unseen, truth = draw(rng, 500, 0.1)
    found = probe.probabilities(unseen)
    assert probe.classes == ("a", "b", "c") and probe.about["calibrated"] and probe.about["folds"] == 5
    assert (np.array(probe.classes)[found.argmax(axis=1)] == truth).mean() > 0.99
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_two_classes_agree_with_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(1)
    vectors, labels = draw(rng, 200, 0.4)
    two = labels != "c"
    vectors, labels = vectors[two], labels[two]
    probe = fit_linear_classifier(vectors, labels, np.zeros(two.sum(), int) + (labels == "b"))
    assert not probe.about["calibrated"] and probe.temperature == 1
    weight = np.where(labels == "a", 1 / (labels == "a").sum(), 1 / (labels == "b").sum())
    reference = LogisticRegression(C=probe.about["penalty"], max_iter=1000).fit(vectors, labels, weight)
    np.testing.assert_allclose(probe.probabilities(vectors), reference.predict_proba(vectors), atol=1e-6)


@pytest.mark.parametrize("spread", [0.3, 0.8])
def test_probabilities_mean_what_they_say(spread):
    rng = np.random.default_rng(2)
    probe = fit_linear_classifier(*draw(rng, 300, spread), np.arange(300))
    unseen, truth = draw(rng, 5000, spread)
    found = probe.probabilities(unseen)
    sure, right = found.max(axis=1), np.array(probe.classes)[found.argmax(axis=1)] == truth
    for low, high in ((0.4, 0.6), (0.6, 0.8), (0.8, 1.0)):
        chosen = (sure >= low) & (sure < high)
        if chosen.sum() > 100:
            assert abs(right[chosen].mean() - sure[chosen].mean()) < 0.08


def test_a_long_example_weighs_as_much_as_a_short_one():
    rng = np.random.default_rng(3)
    a, b = AXES[0], AXES[1]
    vectors = np.concatenate([a + 0.05 * rng.standard_normal((400, 16)), [b]])
    labels = np.array(["a"] * 400 + ["b"])
    probe = fit_linear_classifier(vectors, labels, np.array([0] * 400 + [1]))
    middle = probe.probabilities(((a + b) / 2)[None])[0]
    assert abs(middle[0] - 0.5) < 0.1


def test_one_example_of_each_of_two_distinct_plasmas_is_sure():
    # Embeddings have much in common: cosines of 0.9 between classes, and blocks of different size.
    rng = np.random.default_rng(5)
    label = np.repeat(["a", "b"], 50)
    common = np.concatenate([np.full(8, 1.0), np.zeros(8)])
    vectors = common + np.where(label == "a", 1, -1)[:, None] * (0.3 * np.eye(16)[12] + 0.02 * np.eye(16)[3])
    vectors = vectors + 0.002 * rng.standard_normal((100, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    view = Reference(Sample(vectors, np.full((100, 16), np.nan), {"x": slice(0, 8), "y": slice(8, 16)})).balanced()
    probe = fit_linear_classifier(vectors[[0, 99]], label[[0, 99]], np.arange(2), view)
    assert not probe.about["calibrated"]
    assert probe.probabilities(vectors)[np.arange(100), (label == "b").astype(int)].min() > 0.95


def test_the_number_of_samples_of_a_kind_in_the_library_hardly_changes_the_accuracy():
    rng = np.random.default_rng(6)
    vectors, labels = draw(rng, 2000, 0.3)
    few = np.concatenate([np.flatnonzero(labels == "a"), np.flatnonzero(labels != "a")[:30]])
    right = []
    for library in (vectors, vectors[few]):
        view = Reference(Sample(library, np.full_like(library, np.nan), {"all": slice(0, 16)})).balanced()
        probe = fit_linear_classifier(vectors[:30], labels[:30], np.arange(30), view)
        right.append((np.array(probe.classes)[probe.probabilities(vectors).argmax(axis=1)] == labels).mean())
    assert min(right) > 0.9 and abs(right[0] - right[1]) < 0.02


def test_no_embedding_no_probability():
    vectors, labels = draw(np.random.default_rng(4), 20, 0.1)
    vectors = np.vstack([vectors, np.full(16, np.nan)])
    found = fit_linear_classifier(vectors[:20], labels, np.arange(20)).probabilities(vectors)
    assert np.isnan(found[-1]).all() and np.isfinite(found[:-1]).all()


def test_one_class_is_none():
    with pytest.raises(ArgumentError, match="found the class a.*two or more"):
        fit_linear_classifier(AXES, np.array(["a", "a", "a"]), np.arange(3))
