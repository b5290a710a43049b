"""Self-supervised methods: each wraps a backbone and gives a loss for two views of the same images.

A method is a function ``build(backbone, dimension) -> torch.nn.Module``; the module's
``forward(first, second) -> (loss, features)`` takes two views (n, channels, pixels, pixels) and returns a scalar to
minimise and the backbone's features (n, dimension) of the first view. A new method is one more entry in `METHODS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn


def simsiam(backbone: nn.Module, dimension: int) -> nn.Module:
    """SimSiam (Chen & He 2021, arXiv:2011.10566): each view predicts the other's projection, no negatives.

    Parameters
    ----------
    backbone : torch.nn.Module
        The network to train.
    dimension : int
        Length of its features.
    """
    from lightly.loss import NegativeCosineSimilarity
    from lightly.models.modules.heads import SimSiamPredictionHead, SimSiamProjectionHead
    from torch import nn

    class SimSiam(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = backbone
            self.projection = SimSiamProjectionHead(dimension, 512, 512)
            # The paper's predictor is a bottleneck of a quarter of the width.
            self.prediction = SimSiamPredictionHead(512, 128, 512)
            self.criterion = NegativeCosineSimilarity()

        def forward(self, first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            features = self.backbone(first)
            one, other = self.projection(features), self.projection(self.backbone(second))
            forth = self.criterion(self.prediction(one), other.detach())
            back = self.criterion(self.prediction(other), one.detach())
            return (forth + back) / 2, features

    return SimSiam()


METHODS: dict[str, Callable[[nn.Module, int], nn.Module]] = {"simsiam": simsiam}
