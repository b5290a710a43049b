"""Adaptation of a trained network to a library: its last layers learn on, without labels, on the samples searched."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .backbone import BACKBONES, build_backbone, load_weights, require_training
from .cards import WEIGHTS
from .export import as_encoder
from .finetune import check_tunable
from .methods import build_model
from .runtime import Encoder
from .training import TrainingPlan, own_randomness
from .training_images import TrainingImages, make_training_images
from .views import VIEWS, ViewOptions, make_views

if TYPE_CHECKING:
    import torch
    from torch import nn

PLAN = TrainingPlan(method="vicreg", epochs=4, learning_rate=3e-4)

LEARNING = 3
"""Number of the last modules with weights, which learn: of 'compact' a convolution, its normalization and a layer."""


def adapt(
    encoder: Encoder, images: np.ndarray, partners: np.ndarray, plan: TrainingPlan = PLAN, data: Sequence[str] = ()
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
        _train(model, optimizer, library, plan, plan.views or VIEWS[encoder.card.kind])
    weights = {key: value.contiguous().numpy() for key, value in network.state_dict().items()}
    record = {"data": list(data), "from": encoder.hash, "n_samples": len(library.training), "plan": plan.as_dict()}
    training = encoder.card.training | {"adaptation": record}
    card = replace(encoder.card, name=f"{encoder.card.name}-adapted", training=training, metrics={})
    return as_encoder(backbone, weights, card)


def _train(
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
