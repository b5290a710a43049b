"""Self-supervised methods: what each puts behind a backbone, what it compares, and how it is best stepped.

All of them bring two views of the same thing together; they differ in what keeps the network from answering the same to
everything. A `Method` names its heads, its target and its optimizer; `build_model` puts them behind a backbone. The
losses and heads are lightly's. A new method is one function that gives `Heads` and one more entry in `METHODS`.

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
"""Width of the heads. The papers take 2048 to 8192 behind ResNet-50; wider than the images are many, it only costs."""
FIRST_MOMENTUM = 0.99
"""Of BYOL's target, rising to 1. The paper's 0.996 is for 100,000 steps; here there are some hundred."""


@dataclass(frozen=True, eq=False)
class Heads:
    """Head that a method appends to a backbone.

    Parameters
    ----------
    projection : torch.nn.Module
        Features (n, dimension) to (n, width).
    criterion : callable
        Two (n, width) to a scalar.
    prediction : torch.nn.Module, optional
        Projections to guesses of the other view's target; None where projections are compared as they are.
    """

    projection: nn.Module
    criterion: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    prediction: nn.Module | None = None


@dataclass(frozen=True)
class Method:
    """One way to train without labels.

    Parameters
    ----------
    heads : callable
        From the dimension of the features to new `Heads`.
    optimizer : {'sgd', 'adamw'}
        How it is stepped by default.
    rate : float
        Learning rate for a batch of 256.
    weight_decay : float
        By default.
    momentum_target : bool
        Compare with a copy of the network that follows slowly (BYOL), not with the network itself.
    """

    heads: Callable[[int], Heads]
    optimizer: str
    rate: float
    weight_decay: float
    momentum_target: bool = False


def simsiam(dimension: int) -> Heads:
    """SimSiam (Chen & He 2021, arXiv:2011.10566): each view predicts the other's projection, no negatives."""
    from lightly.loss import NegativeCosineSimilarity
    from lightly.models.modules.heads import SimSiamPredictionHead, SimSiamProjectionHead

    # The paper's predictor is a bottleneck of a quarter of the width.
    prediction = SimSiamPredictionHead(WIDTH, WIDTH // 4, WIDTH)
    return Heads(SimSiamProjectionHead(dimension, WIDTH, WIDTH), NegativeCosineSimilarity(), prediction)


def simclr(dimension: int) -> Heads:
    """SimCLR (Chen et al. 2020, arXiv:2002.05709): the other view among all other images of the batch."""
    from lightly.loss import NTXentLoss
    from lightly.models.modules.heads import SimCLRProjectionHead

    return Heads(SimCLRProjectionHead(dimension, WIDTH, 128), NTXentLoss(temperature=0.2))


def byol(dimension: int) -> Heads:
    """BYOL (Grill et al. 2020, arXiv:2006.07733): each view predicts what a slow copy makes of the other."""
    from lightly.loss import NegativeCosineSimilarity
    from lightly.models.modules.heads import BYOLPredictionHead, BYOLProjectionHead

    prediction = BYOLPredictionHead(128, WIDTH, 128)
    return Heads(BYOLProjectionHead(dimension, WIDTH, 128), NegativeCosineSimilarity(), prediction)


def vicreg(dimension: int) -> Heads:
    """VICReg (Bardes et al. 2022, arXiv:2105.04906): views agree, every direction varies, none repeats another."""
    from lightly.loss import VICRegLoss
    from lightly.models.modules.heads import VICRegProjectionHead

    return Heads(VICRegProjectionHead(dimension, WIDTH, WIDTH), VICRegLoss())


def barlow_twins(dimension: int) -> Heads:
    """Barlow Twins (Zbontar et al. 2021, arXiv:2103.03230): the views' correlation matrix becomes the identity."""
    from lightly.loss import BarlowTwinsLoss
    from lightly.models.modules.heads import BarlowTwinsProjectionHead

    return Heads(BarlowTwinsProjectionHead(dimension, WIDTH, WIDTH), BarlowTwinsLoss())


# The papers' rates are for a million images, 5,000 steps an epoch; a library of some hundred has ten. Tried at batch 64
# over 15 epochs, judged by held-out groups, on 386 windows of reduced electron distributions (siblings as partners) and
# 960 simulated all-sky frames (a minute later as partners): AdamW at 5e-4 is too slow for all, 2e-3 serves all, 8e-3
# often peaks after two or three epochs and then loses, but for BYOL, whose target follows slowly. SimSiam keeps its
# paper's SGD, which at 0.8 finds as much as AdamW; at 0.2 it had not warmed up.
METHODS: dict[str, Method] = {
    "simsiam": Method(simsiam, "sgd", 0.8, 5e-4),
    "simclr": Method(simclr, "adamw", 2e-3, 1e-2),
    "byol": Method(byol, "adamw", 4e-3, 1e-2, momentum_target=True),
    "vicreg": Method(vicreg, "adamw", 2e-3, 1e-2),
    "barlow_twins": Method(barlow_twins, "adamw", 2e-3, 1e-2),
}


def build_model(method: str, backbone: nn.Module, dimension: int) -> nn.Module:
    """A backbone with a method's heads, new weights from torch's generator as it stands.

    Parameters
    ----------
    method : str
        One of `METHODS`.
    backbone : torch.nn.Module
        The network to train.
    dimension : int
        Length of its features.

    Returns
    -------
    torch.nn.Module
        ``forward(first, second)`` takes two views (n, channels, pixels, pixels) and gives the scalar to minimize;
        ``follow(done)`` is called after each step with the share of training that is done, 0 to 1.
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
                # The schedule counts whole steps; a thousand of them are fine enough.
                momentum = cosine_schedule(round(1000 * done), 1000, FIRST_MOMENTUM, 1.0)
                update_momentum(self.online, self.target, momentum)

    return Model()
