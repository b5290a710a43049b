"""Self-supervised methods: heads, losses and optimizer settings.

All methods make the embeddings of two views of the same image similar; they differ in how they prevent collapse. A
`Method` defines its heads, target and optimizer; `build_model` attaches them to a backbone. Losses and heads are those
of lightly. A new method is a function that returns `Heads`, and an entry in `METHODS`.

    view 1 -> backbone -> projection [-> prediction] --\
                                                        loss
    view 2 -> backbone -> projection [-> target] ------/     and the same with the views exchanged
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn

WIDTH = 512
"""Width of the heads. The papers use 2048 to 8192 with ResNet-50; more than the number of images has no benefit."""
FIRST_MOMENTUM = 0.99
"""Initial momentum of the target of BYOL, rising to 1. The paper's 0.996 is for 100,000 steps; here: some hundred."""


@dataclass(frozen=True, eq=False)
class Heads:
    """Heads and loss that a method attaches to a backbone; without `prediction`, projections are compared directly."""

    projection: nn.Module
    criterion: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    prediction: nn.Module | None = None


@dataclass(frozen=True)
class Method:
    """Heads and default optimizer of a method; `rate` is for a batch of 256, `momentum_target` for BYOL."""

    heads: Callable[[int], Heads]
    optimizer: str
    rate: float
    weight_decay: float
    momentum_target: bool = False


def simsiam(dimension: int) -> Heads:
    """Return SimSiam heads (Chen & He 2021, arXiv:2011.10566): each view predicts the other's projection."""
    from lightly.loss import NegativeCosineSimilarity
    from lightly.models.modules.heads import SimSiamPredictionHead, SimSiamProjectionHead

    # The paper's predictor is a bottleneck of a quarter of the width.
    prediction = SimSiamPredictionHead(WIDTH, WIDTH // 4, WIDTH)
    return Heads(SimSiamProjectionHead(dimension, WIDTH, WIDTH), NegativeCosineSimilarity(), prediction)


def simclr(dimension: int) -> Heads:
    """Return SimCLR heads (Chen et al. 2020, arXiv:2002.05709): contrast with all other images of the batch."""
    from lightly.loss import NTXentLoss
    from lightly.models.modules.heads import SimCLRProjectionHead

    return Heads(SimCLRProjectionHead(dimension, WIDTH, 128), NTXentLoss(temperature=0.2))


def byol(dimension: int) -> Heads:
    """Return BYOL heads (Grill et al. 2020, arXiv:2006.07733): each view predicts a moving-average target."""
    from lightly.loss import NegativeCosineSimilarity
    from lightly.models.modules.heads import BYOLPredictionHead, BYOLProjectionHead

    prediction = BYOLPredictionHead(128, WIDTH, 128)
    return Heads(BYOLProjectionHead(dimension, WIDTH, 128), NegativeCosineSimilarity(), prediction)


def vicreg(dimension: int) -> Heads:
    """Return VICReg heads (Bardes et al. 2022, arXiv:2105.04906): invariance, variance and covariance terms."""
    from lightly.loss import VICRegLoss
    from lightly.models.modules.heads import VICRegProjectionHead

    return Heads(VICRegProjectionHead(dimension, WIDTH, WIDTH), VICRegLoss())


def barlow_twins(dimension: int) -> Heads:
    """Return Barlow Twins heads (Zbontar et al. 2021, arXiv:2103.03230): cross-correlation close to the identity."""
    from lightly.loss import BarlowTwinsLoss
    from lightly.models.modules.heads import BarlowTwinsProjectionHead

    return Heads(BarlowTwinsProjectionHead(dimension, WIDTH, WIDTH), BarlowTwinsLoss())


# The papers' learning rates are for a million images, 5,000 steps per epoch; a library of some hundred has ten. Tested
# with batch 64 and 15 epochs, evaluated on held-out groups, for 386 windows of reduced electron distributions (sibling
# spacecraft as partners) and 960 simulated all-sky frames (frames one minute later as partners): AdamW with 5e-4 is too
# slow for all methods, 2e-3 is suitable for all, and 8e-3 often peaks after two or three epochs and then degrades,
# except for BYOL with its slow target. SimSiam uses SGD as in its paper, which with 0.8 is as good as AdamW; 0.2 is too
# slow.
METHODS: dict[str, Method] = {
    "simsiam": Method(simsiam, "sgd", 0.8, 5e-4),
    "simclr": Method(simclr, "adamw", 2e-3, 1e-2),
    "byol": Method(byol, "adamw", 4e-3, 1e-2, momentum_target=True),
    "vicreg": Method(vicreg, "adamw", 2e-3, 1e-2),
    "barlow_twins": Method(barlow_twins, "adamw", 2e-3, 1e-2),
}


def build_model(method: str, backbone: nn.Module, dimension: int) -> nn.Module:
    """Build a backbone with the heads of a method, with new weights from torch's global generator.

    ``forward(first, second)`` takes two views (n, channels, pixels, pixels) and returns the loss; ``follow(done)``
    updates the target and is called after each step with the completed fraction, 0 to 1.
    """
    import torch
    from lightly.models.utils import update_momentum
    from lightly.utils.scheduler import cosine_schedule
    from torch import nn

    chosen = METHODS[method]
    heads = chosen.heads(dimension)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = backbone
            self.projection = heads.projection
            self.prediction = heads.prediction
            self.target = None
            if chosen.momentum_target:
                self.target = copy.deepcopy(self.online).requires_grad_(False)

        @property
        def online(self) -> nn.Module:
            return nn.Sequential(self.backbone, self.projection)

        def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
            one, other = (self.projection(self.backbone(view)) for view in (first, second))
            if self.prediction is None:
                return heads.criterion(one, other)
            if self.target is None:
                targets = one.detach(), other.detach()
            else:
                with torch.no_grad():
                    targets = self.target(first), self.target(second)
            forth = heads.criterion(self.prediction(one), targets[1])
            return (forth + heads.criterion(self.prediction(other), targets[0])) / 2

        def follow(self, done: float) -> None:
            if self.target is not None:
                # The schedule takes integer steps.
                momentum = cosine_schedule(round(1000 * done), 1000, FIRST_MOMENTUM, 1.0)
                update_momentum(self.online, self.target, momentum)

    return Model()
