"""Adaptation of a trained network to a library: its last layers learn on, without labels, on the samples searched."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pyspedas_similarity.encoder.backbone import BACKBONES, build_backbone
from pyspedas_similarity.encoder.cards import WEIGHTS
from pyspedas_similarity.encoder.export import as_encoder
from pyspedas_similarity.encoder.finetune import check_tunable
from pyspedas_similarity.encoder.methods import build_model
from pyspedas_similarity.encoder.runtime import Encoder
from pyspedas_similarity.encoder.training import TrainingPlan, own_randomness
from pyspedas_similarity.encoder.training_images import TrainingImages, make_training_images
from pyspedas_similarity.encoder.views import VIEWS, make_views

if TYPE_CHECKING:
    import torch
    from torch import nn

PLAN = TrainingPlan(method="vicreg", epochs=4, learning_rate=3e-4)
ADAPTED = "adapted"
"""Folder of adapted encoders: in it one for each network, and in that one for each data set."""

LEARNING = 3
"""Number of the last modules with weights, which learn: of 'compact' a convolution, its normalization and a layer."""


def adapt(encoder: Encoder, images: np.ndarray, partners: np.ndarray, plan: TrainingPlan = PLAN) -> Encoder:
    """Return an encoder whose last layers were trained on images with partners, rows (n, k) with -1 for none.

    The network is a sequence, as 'compact' is.
    """
    import torch
    from safetensors.numpy import load

    backbone = check_tunable(encoder)
    library = make_training_images(images, partners, None, 0, plan.seed)
    with own_randomness(plan.seed, "cpu"):
        network = build_backbone(backbone, images.shape[1])
        network.load_state_dict({key: torch.from_numpy(value) for key, value in load(encoder.files[WEIGHTS]).items()})
        with_weights = [module for module in network if any(True for _ in module.parameters())]
        for module in with_weights[:-LEARNING]:
            module.requires_grad_(False)
        model = build_model(plan.method, network, BACKBONES[backbone])
        learned = [each for each in model.parameters() if each.requires_grad]
        optimizer = torch.optim.AdamW(learned, plan.rate, weight_decay=plan.weight_decay)
        _train(model, optimizer, library, plan, encoder.card.kind)
    weights = {key: value.contiguous().numpy() for key, value in network.state_dict().items()}
    return as_encoder(backbone, weights, replace(encoder.card, name=f"{encoder.card.name}-adapted"))


def _train(
    model: nn.Module, optimizer: torch.optim.Optimizer, library: TrainingImages, plan: TrainingPlan, kind: str
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
        views = [make_views(torch.from_numpy(library.batch(each)), VIEWS[kind], generator) for each in shown]
        loss = model(*views)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
