"""Trainable networks: images (n, channels, pixels, pixels) to features (n, dimension)."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ArgumentError, EncoderError

if TYPE_CHECKING:
    from torch import nn

BACKBONES = {"compact": 128, "resnet18": 512}
"""Dimension of the features, by name of the network."""


def require_training() -> None:
    """Raise EncoderError if torch or another package of the extra [train] is not installed."""
    missing = [name for name in ("torch", "torchvision", "lightly", "onnxscript") if not _is_installed(name)]
    if missing:
        remedy = 'Run: python -m pip install "pyspedas-similarity[train]".'
        raise EncoderError(
            ", ".join(missing), "not installed; required for training and for networks with random weights", remedy
        )


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:  # hidden by an entry None in sys.modules
        return False


def build_backbone(name: str, channels: int) -> nn.Module:
    """Build a network with random weights from torch's global generator.

    'compact' has five strided convolutions and 0.4 million weights; 'resnet18' is that of He et al. 2016
    (arXiv:1512.03385) with 11 million weights.
    """
    if name not in BACKBONES:
        raise ArgumentError("backbone", f"{name!r}", f"Use one of {', '.join(BACKBONES)}.")
    if channels < 1:
        raise ArgumentError("channels", f"{channels}", "Give 1 or more.")
    return _compact(channels) if name == "compact" else _resnet18(channels)


def load_weights(network: nn.Module, weights: Mapping[str, np.ndarray]) -> None:
    """Copy weights, a state dict of arrays, into a network; EncoderError if they are those of another network."""
    import torch

    try:
        network.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in weights.items()})
    except RuntimeError as error:
        raise EncoderError("weights", f"they do not fit the network ({error})", "Restore the encoder.") from error


def _compact(channels: int) -> nn.Module:
    import torch
    from torch import nn

    class MeanAndMax(nn.Module):
        """Concatenated global mean and maximum pooling."""

        def forward(self, maps: torch.Tensor) -> torch.Tensor:
            return torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1)

    layers: list[nn.Module] = []
    widths = [channels, 32, 64, 128, 128, 128]
    for before, after in pairwise(widths):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, MeanAndMax(), nn.Linear(2 * widths[-1], BACKBONES["compact"]))


def _resnet18(channels: int) -> nn.Module:
    from torch import nn
    from torchvision.models import resnet18

    network = resnet18(weights=None)
    network.conv1 = nn.Conv2d(channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
    network.fc = nn.Identity()
    return network
