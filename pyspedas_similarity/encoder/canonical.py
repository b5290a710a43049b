"""An encoder learned without labels in one exact step: what a sample and its partners have in common.

Features of fixed transforms go through one linear layer. Its directions are those along which partners (the next sample
in time, the sibling spacecraft, the neighboring station) agree most relative to the differences of samples: canonical
correlations. It is what contrastive and non-contrastive training of a linear layer converges to, found at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ..errors import ArgumentError, EncoderError
from .cards import NETWORK, WEIGHTS, Card, with_checksums
from .fixed import TRANSFORM_VERSION, describe
from .linear import affine
from .mean_curves import spectrum_features
from .modulation import modulation_features
from .runtime import Encoder, Transform, fill
from .training_images import make_training_images

METHOD = "canonical"
_RECORD = "canonical"
"""Under this name the card's training record holds what the linear layer was made of."""

FEATURES = ("descriptor", "spectrum", "modulation")
"""The statistics that 'oriented' and 'spectrum' are made of, and `modulation`: free of place, true to orientation."""

SMALLEST_VARIANCE = 1e-9
"""Principal components of less, as a share of the largest, are rounding errors."""

_BLOCK = 1024


@dataclass(frozen=True)
class CanonicalPlan:
    """Options of learning the layer.

    Parameters
    ----------
    components : int
        Principal components of the features that are kept. The rest is mostly noise, which whitening would blow up.
    noise_floor : float
        Added to the share of noise in a direction: no two partners ever agree exactly, however few there are.
    group_noise : float
        Weight of the differences between means of groups that is counted as noise: of events or nights that differ for
        reasons of no interest, such as density or airglow. 0 where the difference of groups is what is looked for.

    Raises
    ------
    ArgumentError
        A value is out of its range.
    """

    components: int = 32
    noise_floor: float = 0.02
    group_noise: float = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.components, bool) or not isinstance(self.components, int) or self.components < 1:
            raise ArgumentError("components", f"{self.components!r}", "Give a whole number from 1 up.")
        if not 0 < self.noise_floor < 1:
            raise ArgumentError("noise_floor", f"{self.noise_floor}", "Give a number between 0 and 1.")
        if not 0 <= self.group_noise < np.inf:
            raise ArgumentError("group_noise", f"{self.group_noise}", "Give a finite number of 0 or more.")


@dataclass(frozen=True)
class Layer:
    """A linear layer: features (n, width) less `mean` (width,), times `projection` (width, dimension).

    ``correlation`` (dimension,): how well partners agree along each direction, from 1 (always) to 0 (not at all).
    """

    mean: np.ndarray
    projection: np.ndarray
    correlation: np.ndarray


def fit_canonical(
    images: np.ndarray,
    positives: np.ndarray,
    card: Card,
    plan: CanonicalPlan | None = None,
    groups: np.ndarray | None = None,
) -> Encoder:
    """Learn an encoder from images and their partners.

    Parameters
    ----------
    images : numpy.ndarray
        (n, channels, pixels, pixels), NaN where nothing was measured. Those that cannot be encoded are left out.
    positives : numpy.ndarray
        (n,) or (n, k) rows of `images` that saw the same thing, -1 for none: see `positives`.
    card : Card
        Name, kind, recipe and words; shape, training record and checksums are filled in here.
    plan : CanonicalPlan, optional
    groups : numpy.ndarray, optional
        (n,) labels of events or nights, for `CanonicalPlan.group_noise`.

    Raises
    ------
    ArgumentError
        Fewer than 16 usable images, images that are all the same, or fewer partners than components.

    Notes
    -----
    The same images give the same weights: there is no randomness in it, and nothing to stop early.
    """
    plan = plan or CanonicalPlan()
    library = make_training_images(images, positives, held_out=0.0)
    rows = library.training
    place = np.full(len(library.images) + 1, -1)  # the last is for -1
    place[rows] = np.arange(len(rows))
    partners = place[library.partners[rows]]
    labels = None if groups is None else np.asarray(groups)[rows]
    layer = fit_layer(_features_of(library.images, rows, card.kind), partners, plan, labels)
    channels, pixels = library.images.shape[1:3]
    counts = {"n_samples": len(rows), "n_with_partners": int((partners >= 0).any(axis=1).sum())}
    card = replace(card, channels=channels, pixels=pixels, training=card.training | counts)
    return _encoder_of(layer, plan, card)


def _encoder_of(layer: Layer, plan: CanonicalPlan, card: Card) -> Encoder:
    """A layer at work, its files and the rest of its card."""
    from safetensors.numpy import save

    weights = {"mean": layer.mean.astype(np.float32), "projection": layer.projection.astype(np.float32)}
    files = {WEIGHTS: save(weights), NETWORK: _network(weights)}
    width, dimension = layer.projection.shape
    record = {
        "features": list(FEATURES),
        "transform_version": TRANSFORM_VERSION,
        "width": width,
        **asdict(plan),
        "correlation": [round(float(each), 4) for each in layer.correlation],
    }
    words = (
        f"Statistics of an image ({', '.join(FEATURES)}) along {dimension} directions that "
        f"{card.training['n_samples']} images have in common with their partners."
    )
    card = replace(
        card,
        method=METHOD,
        description=card.description or words,
        dimension=dimension,
        training=card.training | {_RECORD: record},
    )
    card = with_checksums(card, files)
    return Encoder(card, canonical_transform(card, files[WEIGHTS]), files)


def fit_layer(
    blocks: Sequence[np.ndarray], partners: np.ndarray, plan: CanonicalPlan, groups: np.ndarray | None = None
) -> Layer:
    """The directions of features that partners agree on, each as long as it can be trusted.

    Parameters
    ----------
    blocks : sequence of numpy.ndarray, each (n, length)
        Features, side by side. Within a block each counts the same, and each block as much as another.
    partners : numpy.ndarray of int, shape (n, k)
        Rows, -1 for none.
    plan : CanonicalPlan
    groups : numpy.ndarray, optional
        (n,) labels.

    Raises
    ------
    ArgumentError
        There are fewer pairs of partners than components.

    Notes
    -----
    Canonical correlations (Hotelling 1936, Biometrika 28, 321) of a sample with its partner, the two being
    interchangeable. Along a direction with correlation r a share r of the variance is signal; it is given the length
    r / sqrt(1 - r + floor): signal in units of noise, and less of it where little is signal. That linear networks
    trained with VICReg, Barlow Twins or a contrastive loss converge to such directions is shown by Balestriero and
    LeCun 2022 (arXiv:2205.11508).
    """
    from scipy.linalg import eigh

    row, column = np.nonzero(partners >= 0)
    if len(row) < plan.components:
        found = f"{len(row)} pairs of partners for {plan.components} components"
        raise ArgumentError("positives", found, "Give more partners, or fewer components.")
    features = np.hstack(blocks)
    mean, spread = features.mean(axis=0), features.std(axis=0)
    lengths = np.concatenate([np.full(block.shape[1], block.shape[1]) for block in blocks])
    # A feature that never changes carries no information, and must not be divided by its rounding error.
    scale = np.where(spread > 1e-9 * np.maximum(np.abs(mean), 1), spread * np.sqrt(lengths), np.inf)
    standard = (features - mean) / scale
    variance, axes = np.linalg.eigh(standard.T @ standard / len(standard))
    kept = np.argsort(-variance)[: plan.components]
    kept = kept[variance[kept] > SMALLEST_VARIANCE * variance[kept[0]]]
    whiten = axes[:, kept] / np.sqrt(variance[kept])
    white = standard @ whiten
    apart = white[row] - white[partners[row, column]]
    noise = apart.T @ apart / (2 * len(apart))
    if plan.group_noise and groups is not None:
        noise += plan.group_noise * _covariance_of_means(white, groups)
    share, directions = eigh(noise)
    correlation = np.clip(1 - share, 1e-4, 1)
    # The sign of an eigenvector is arbitrary: the largest entry is made positive, on every machine.
    largest = np.abs(directions).argmax(axis=0)
    directions = directions * np.sign(directions[largest, np.arange(directions.shape[1])])
    length = correlation / np.sqrt(1 - correlation + plan.noise_floor)
    return Layer(mean, (whiten / scale[:, None]) @ directions * length, correlation)


def _covariance_of_means(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Covariance of the means of groups, every group counting once."""
    names, label = np.unique(groups, return_inverse=True)
    means = np.zeros((len(names), values.shape[1]))
    np.add.at(means, label, values)
    means /= np.bincount(label)[:, None]
    return np.cov(means, rowvar=False, bias=True).reshape(values.shape[1], -1)


def image_features(filled: np.ndarray, measured: np.ndarray, kind: str) -> list[np.ndarray]:
    """The `FEATURES` of images (n, channels, pixels, pixels), each (n, length) float64."""
    spectrum = spectrum_features(filled, measured, kind)
    return [describe(filled, measured), spectrum, modulation_features(filled, measured)]


def _features_of(images: np.ndarray, rows: np.ndarray, kind: str) -> list[np.ndarray]:
    """The `FEATURES` of some images, block by block."""
    parts = [
        image_features(*fill(np.asarray(images[rows[first : first + _BLOCK]], np.float32)), kind)
        for first in range(0, len(rows), _BLOCK)
    ]
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def canonical_transform(card: Card, weights: bytes, source: str = WEIGHTS) -> Transform:
    """Return the transform of a card: fixed features, then the layer.

    Raises
    ------
    EncoderError
        The record is damaged, the features are of another version, or the weights do not fit.
    """
    record = _record(card)
    if record["transform_version"] != TRANSFORM_VERSION:
        found = f"its features are version {record['transform_version']}, this package has {TRANSFORM_VERSION}"
        raise EncoderError(f"encoder {card.name}", found, "Train it again.")
    layer = affine(weights, record["width"], card.dimension, source)
    kind, width = card.kind, record["width"]

    def transform(filled: np.ndarray, measured: np.ndarray) -> np.ndarray:
        features = np.hstack(image_features(filled, measured, kind))
        if features.shape[1] != width:
            found = f"{features.shape[1]} features of an image, expected {width}"
            raise EncoderError(f"encoder {card.name}", found, "Restore the card.")
        return layer(features)

    return transform


def _record(card: Card) -> dict[str, Any]:
    record = card.training.get(_RECORD)
    sound = isinstance(record, dict) and record.get("features") == list(FEATURES)
    if not (sound and all(type(record.get(name)) is int for name in ("width", "transform_version"))):
        raise EncoderError(f"encoder {card.name}", f"{record!r:.80} as its layer", "Restore the card.")
    return record


def _network(weights: dict[str, np.ndarray]) -> bytes:
    """The layer as ONNX: (n, width) float32 to (n, dimension) float32."""
    from onnx import TensorProto, helper, numpy_helper

    width, dimension = weights["projection"].shape
    nodes = [
        helper.make_node("Sub", ["features", "mean"], ["deviation"]),
        helper.make_node("MatMul", ["deviation", "projection"], ["embeddings"]),
    ]
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", length])
        for name, length in (("features", width), ("embeddings", dimension))
    ]
    constants = [numpy_helper.from_array(np.ascontiguousarray(values), name) for name, values in weights.items()]
    graph = helper.make_graph(nodes, "canonical directions", ports[:1], ports[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString(deterministic=True)
