"""Fine-tuning of the backbone of a trained encoder with labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np

from ..errors import ArgumentError, EncoderError
from .backbone import BACKBONES, require_training
from .cards import WEIGHTS
from .export import as_encoder
from .joined import METHOD as JOINED
from .runtime import Encoder
from .supervised import LabeledNetwork, LabelPlan, make_labeled, train_on_labels

METHOD = "fine-tuning"

MIN_LABELS, MIN_GROUPS = 10, 2
"""Minimum numbers per class. With fewer labels a linear classifier on the embeddings is as good (docs/benchmarks), and
from a single event nothing can be held out."""

_FAILURE = "Fine-tuned: differences that its labels do not ask for may be lost."


def backbone_of(encoder: Encoder) -> str | None:
    """Return the name of the backbone whose weights are among the files of an encoder; None if there is none."""
    record = encoder.card.training
    plan = record.get("plan")
    name = record.get("backbone", plan.get("backbone") if isinstance(plan, dict) else None)
    return name if name in BACKBONES and WEIGHTS in encoder.files else None


def check_tunable(encoder: Encoder) -> str:
    """Return the name of the backbone to fine-tune; EncoderError if the encoder has none."""
    backbone = backbone_of(encoder)
    if encoder.card.method == JOINED:
        remedy = "Give its network, and join the result again."
        raise EncoderError(f"encoder {encoder.card.name}", "only a part of it is a network", remedy)
    if backbone is None:
        found = f"it has no weights of {' or '.join(BACKBONES)} (method: {encoder.card.method})"
        raise EncoderError(f"encoder {encoder.card.name}", found, "Give an encoder trained by this package.")
    return backbone


def fine_tune(
    images: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    encoder: Encoder,
    plan: LabelPlan | None = None,
    name: str | None = None,
    data: Sequence[str] = (),
) -> Encoder:
    """Fine-tune the backbone of an encoder with labels; whole groups are held out for early stopping.

    The encoder returned is without the classification head; its card records the original encoder, the number of labels
    and the training curves. ArgumentError for fewer than `MIN_LABELS` images or `MIN_GROUPS` groups of a class.
    """
    require_training()
    plan = plan or LabelPlan()
    network = tuned_network(images, labels, groups, encoder, plan)
    counts = Counter(make_labeled(images, labels, groups).truth.tolist())
    record = {
        "from": {"name": encoder.card.name, "hash": encoder.hash, "method": encoder.card.method},
        "labels": {each: counts[number] for number, each in enumerate(network.classes)},
        "n_groups": len(np.unique(groups)),
        "n_held_out": network.n_held_out,
        "plan": plan.as_dict(),
        "curves": network.curves,
        "epochs": network.epochs,
        "versions": {package: version(package) for package in ("torch", "torchvision", "numpy")},
    }
    return _as_encoder(encoder, network, record, name or f"{encoder.card.name}_tuned", list(data))


def tuned_network(
    images: np.ndarray, labels: np.ndarray, groups: np.ndarray, encoder: Encoder, plan: LabelPlan
) -> LabeledNetwork:
    """Return the fine-tuned network of `fine_tune`, before the export."""
    from safetensors.numpy import load

    backbone, card = check_tunable(encoder), encoder.card
    shape = (card.channels, card.pixels, card.pixels)
    if np.shape(images)[1:] != shape:
        found = f"images of shape {np.shape(images)[1:]}, expected {shape}"
        raise EncoderError(f"encoder {card.name}", found, "Make the images with the encoder's recipe.")
    labeled = make_labeled(images, labels, groups)
    for number, name in enumerate(labeled.classes):
        of_class = labeled.truth == number
        n, n_groups = int(of_class.sum()), len(np.unique(labeled.group[of_class]))
        if n < MIN_LABELS or n_groups < MIN_GROUPS:
            found = f"{n} labels of {name!r} from {n_groups} event{'s' if n_groups != 1 else ''}"
            remedy = (
                f"Give {MIN_LABELS} labels or more of each class, from {MIN_GROUPS} events or more; "
                "for fewer, classify with the encoder as it is."
            )
            raise ArgumentError("examples", found, remedy)
    return train_on_labels(labeled, plan, backbone, load(encoder.files[WEIGHTS]))


def as_torch_encoder(encoder: Encoder, network: LabeledNetwork) -> Encoder:
    """Return the fine-tuned encoder running in torch, without the slow export; it cannot be saved."""
    card = replace(encoder.card, method=METHOD, training={}, dimension=BACKBONES[network.backbone])
    return Encoder(card, lambda filled, measured: network.features(filled), encoder.files)


def _as_encoder(
    encoder: Encoder, network: LabeledNetwork, record: dict[str, Any], name: str, data: list[str]
) -> Encoder:
    """Export the network as an encoder with a new card."""
    description = (
        f"{network.backbone} network of {encoder.card.name}, fine-tuned on {sum(record['labels'].values())} labels."
    )
    card = replace(
        encoder.card,
        method=METHOD,
        name=name,
        description=description,
        training={"backbone": network.backbone, "data": data, "fine_tuning": record},
        metrics={},
        known_failures=list(dict.fromkeys([*encoder.card.known_failures, _FAILURE])),
    )
    return as_encoder(network.backbone, network.weights, card)
