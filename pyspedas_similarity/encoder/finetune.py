"""Further training of a trained encoder: fine-tuning with labels, and adaptation to a library without labels."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError, EncoderError
from .backbone import BACKBONES, as_encoder, build_backbone, load_weights, require_training
from .cards import WEIGHTS
from .methods import build_model
from .runtime import Encoder
from .supervised import LabeledNetwork, LabelPlan, make_labeled, train_on_labels
from .training import TrainingPlan, own_randomness
from .training_images import TrainingImages, make_training_images
from .views import VIEWS, ViewOptions, make_views
from .weights import JOINED_METHOD

if TYPE_CHECKING:
    import torch
    from torch import nn

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
    if encoder.card.method == JOINED_METHOD:
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
        "plan": asdict(plan),
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


ADAPTATION_PLAN = TrainingPlan(method="vicreg", epochs=4, learning_rate=3e-4)

LEARNING = 3
"""Number of the last modules with weights, which learn: of 'compact' a convolution, its normalization and a layer."""


def adapt(
    encoder: Encoder,
    images: np.ndarray,
    partners: np.ndarray,
    plan: TrainingPlan = ADAPTATION_PLAN,
    data: Sequence[str] = (),
) -> Encoder:
    """Return an encoder whose last layers were trained on images with partners, (n, k) row numbers or -1.

    Of the plan the method, epochs, learning rate, weight decay, batch size, views, share of partners and seed are used.
    """
    require_training()
    import torch
    from safetensors.numpy import load

    backbone = check_tunable(encoder)
    library = make_training_images(images, partners, None, 0, plan.seed)
    with own_randomness(plan.seed, "cpu"):
        network = build_backbone(backbone, images.shape[1])
        load_weights(network, load(encoder.files[WEIGHTS]))
        with_weights = [one for one in network.modules() if any(True for _ in one.parameters(recurse=False))]
        for module in with_weights[:-LEARNING]:
            module.requires_grad_(False)
        model = build_model(plan.method, network, BACKBONES[backbone])
        learned = [each for each in model.parameters() if each.requires_grad]
        optimizer = torch.optim.AdamW(learned, plan.rate, weight_decay=plan.weight_decay)
        _train_last_layers(model, optimizer, library, plan, plan.views or VIEWS[encoder.card.kind])
    weights = {key: value.contiguous().numpy() for key, value in network.state_dict().items()}
    record = {"data": list(data), "from": encoder.hash, "n_samples": len(library.training), "plan": plan.as_dict()}
    training = encoder.card.training | {"adaptation": record}
    card = replace(encoder.card, name=f"{encoder.card.name}-adapted", training=training, metrics={})
    return as_encoder(backbone, weights, card)


def _train_last_layers(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    library: TrainingImages,
    plan: TrainingPlan,
    options: ViewOptions,
) -> None:
    import torch

    rng = np.random.default_rng(plan.seed)
    generator = torch.Generator().manual_seed(plan.seed)
    size = min(plan.batch_size, len(library.training))
    steps = plan.epochs * (len(library.training) // size)
    model.train()
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = plan.rate * (1 + math.cos(math.pi * step / steps)) / 2
        rows = rng.choice(library.training, size, replace=False)
        shown = (rows, library.sample_partners(rows, plan.partner_share, rng))
        views = [make_views(torch.from_numpy(library.batch(each)), options, generator) for each in shown]
        loss = model(*views)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
