"""A few labels on top of embeddings: a regularized linear probe whose probabilities are calibrated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..encoder.library_view import LibraryView
from ..errors import ArgumentError

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

# Strength of the penalty for embeddings of unit length, from strong to none: chosen by leaving examples out.
_PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
# Without a second example of a class nothing can be left out. Chosen by the calibration in other events with one label
# per class (docs/benchmarks/labels.rst): 10 gives a probability of 0.5 where three of four predictions are right.
_DEFAULT_PENALTY = 300.0
_MOST_FOLDS = 5
# Temperatures tried when probabilities are calibrated.
_TEMPERATURES = np.geomspace(0.25, 8, 41)


@dataclass(frozen=True, eq=False)
class LinearClassifier:
    """A linear classifier of embeddings, by their projections in a view.

    Attributes
    ----------
    view : LibraryView
    classes : tuple of str
    weights : numpy.ndarray, shape (classes, dimension)
    offset : numpy.ndarray, shape (classes,)
    temperature : float
        Logits are divided by it.
    about : dict
        ``calibrated`` (bool), ``penalty``, ``folds``, ``log_loss`` and ``accuracy`` of examples that were left out.
    """

    view: LibraryView
    classes: tuple[str, ...]
    weights: np.ndarray
    offset: np.ndarray
    temperature: float
    about: dict[str, Any]

    def probabilities(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the probability of each class, (n, classes), summing to 1; NaN where there is no embedding."""
        return _softmax((self.view.project(embeddings) @ self.weights.T + self.offset) / self.temperature)


def fit_linear_classifier(
    embeddings: np.ndarray, labels: np.ndarray, examples: np.ndarray, view: LibraryView | None = None
) -> LinearClassifier:
    """Fit a linear classifier to labeled embeddings (n, dimension).

    Penalty and temperature are chosen on examples that are left out, whole examples at a time: samples of one interval
    are no independent witnesses. With a single example of a class nothing can be left out; the probe is then not
    calibrated, and the metadata state it. `examples` (n,) are the numbers of the intervals that samples belong to: all
    weigh the same within a class, and all classes the same.

    `view` is by default the plain one; with that of `reference.Reference.balanced` classes lie further apart, and fewer
    labels are needed. Projections are not normalized: around the mean of a library that mostly shows one thing,
    directions of that are noise. ArgumentError if there are fewer than two classes.

    Logistic regression on frozen features is the usual probe of self-supervised encoders (Alain and Bengio 2016,
    arXiv:1610.01644); the calibration is temperature scaling (Guo et al. 2017, arXiv:1706.04599).
    """
    classes = tuple(np.unique(labels).tolist())
    if len(classes) < 2:
        raise ArgumentError("examples", f"found the class {', '.join(classes) or 'none'}", "Give two or more classes.")
    view = LibraryView.plain(embeddings.shape[1], "no library") if view is None else view
    embeddings = view.project(embeddings)
    weight = _weights(labels, examples)
    folds = _folds(labels, examples)
    # The weights lie in the span of the examples, so a few examples need no more directions than they are many.
    basis = np.linalg.qr(embeddings.T)[0] if len(embeddings) < embeddings.shape[1] else None
    embeddings = embeddings if basis is None else embeddings @ basis
    penalty, temperature, about = _DEFAULT_PENALTY, 1.0, {"calibrated": False, "folds": 0}
    if folds is not None:
        held_out = {one: _held_out(embeddings, labels, weight, folds, one) for one in _PENALTIES}
        truth = np.searchsorted(classes, labels)
        losses = {(one, t): _loss(held_out[one] / t, truth, weight) for one in _PENALTIES for t in _TEMPERATURES}
        penalty, temperature = min(losses, key=losses.__getitem__)
        right = held_out[penalty].argmax(axis=1) == truth
        about = {
            "calibrated": True,
            "folds": int(folds.max()) + 1,
            "log_loss": losses[penalty, temperature],
            "accuracy": float((right * weight).sum() / weight.sum()),
        }
    fitted = _fit(embeddings, labels, weight, penalty)
    weights, offset = _of_each_class(fitted.coef_), _of_each_class(fitted.intercept_)
    weights = weights if basis is None else weights @ basis.T
    return LinearClassifier(view, classes, weights, offset, float(temperature), about | {"penalty": penalty})


def _weights(labels: np.ndarray, examples: np.ndarray) -> np.ndarray:
    """Equal for all classes, and for all examples of a class; their sum is the number of examples."""
    weight = np.empty(len(labels))
    for label in np.unique(labels):
        of_class = labels == label
        numbers = np.unique(examples[of_class])
        for number in numbers:
            chosen = of_class & (examples == number)
            weight[chosen] = 1 / (len(numbers) * chosen.sum())
    return weight * len(np.unique(examples)) / len(np.unique(labels))


def _folds(labels: np.ndarray, examples: np.ndarray) -> np.ndarray | None:
    """Number of the fold of each sample, each with examples of all classes where there are enough; None for too few."""
    fold = np.empty(len(labels), int)
    counts = [len(np.unique(examples[labels == label])) for label in np.unique(labels)]
    if min(counts) < 2:
        return None
    number = min(_MOST_FOLDS, min(counts))
    for label in np.unique(labels):
        for position, example in enumerate(np.unique(examples[labels == label])):
            fold[(labels == label) & (examples == example)] = position % number
    return fold


def _held_out(
    embeddings: np.ndarray, labels: np.ndarray, weight: np.ndarray, folds: np.ndarray, penalty: float
) -> np.ndarray:
    """Logits of every sample by a probe that has not seen its fold: shape (n, classes)."""
    logits = np.empty((len(labels), len(np.unique(labels))))
    for fold in np.unique(folds):
        inside = folds == fold
        fitted = _fit(embeddings[~inside], labels[~inside], weight[~inside], penalty)
        logits[inside] = _logits(fitted, embeddings[inside])
    return logits


def _fit(embeddings: np.ndarray, labels: np.ndarray, weight: np.ndarray, penalty: float) -> LogisticRegression:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=penalty, max_iter=1000).fit(embeddings.astype(np.float64), labels, weight)


def _logits(fitted: LogisticRegression, embeddings: np.ndarray) -> np.ndarray:
    """Shape (n, classes)."""
    return embeddings.astype(np.float64) @ _of_each_class(fitted.coef_).T + _of_each_class(fitted.intercept_)


def _of_each_class(values: np.ndarray) -> np.ndarray:
    """Coefficients (classes, ...); of two classes, scikit-learn gives the difference only."""
    return values if len(values) > 1 else np.concatenate([-values / 2, values / 2])


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponent = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponent / exponent.sum(axis=1, keepdims=True)


def _loss(logits: np.ndarray, truth: np.ndarray, weight: np.ndarray) -> float:
    chosen = _softmax(logits)[np.arange(len(truth)), truth]
    return float(-(weight * np.log(np.maximum(chosen, 1e-300))).sum() / weight.sum())
