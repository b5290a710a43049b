"""Trainable networks: images (n, channels, pixels, pixels) to features (n, dimension), and their export to ONNX."""

from __future__ import annotations

import importlib.util
import logging
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ArgumentError, EncoderError
from .cards import Card
from .runtime import Encoder, network_encoder

if TYPE_CHECKING:
    import torch
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


def trained_backbone(name: str, channels: int, weights: Mapping[str, np.ndarray]) -> nn.Module:
    """Build a network with given weights for inference; torch's global generator is not changed."""
    import torch

    with torch.random.fork_rng(devices=[]):
        network = build_backbone(name, channels)
    load_weights(network, weights)
    return network.eval()


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


EXPORT_TOLERANCE = 1e-4
"""Maximum difference between torch and ONNX Runtime, relative to the largest feature."""


def as_encoder(backbone: str, weights: Mapping[str, np.ndarray], card: Card) -> Encoder:
    """Export a backbone with given weights as an encoder; dimension and checksums of the card are set here."""
    require_training()
    import torch

    network = trained_backbone(backbone, card.channels, weights)
    shape = (3, card.channels, card.pixels, card.pixels)
    example = torch.linspace(-1, 1, math.prod(shape)).reshape(shape)
    onnx = _export(network, example)
    encoder = network_encoder(replace(card, dimension=BACKBONES[backbone]), weights, onnx)
    with torch.no_grad():
        expected = network(example).numpy()
    found = encoder.transform(example.numpy(), np.ones(shape, bool))
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    if not difference < EXPORT_TOLERANCE:
        found_text = f"differs from torch by {difference:.1e} of the largest feature"
        raise EncoderError("exported network", found_text, "Train with other versions of torch or onnxruntime.")
    return encoder


def _export(network: nn.Module, example: torch.Tensor) -> bytes:
    """Export a network to ONNX, without the paths of source files that the exporter records."""
    import torch

    with _quiet_exporter():
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            verbose=False,
            input_names=["images"],
            output_names=["features"],
            dynamic_shapes=({0: torch.export.Dim("n")},),
        )
    model = program.model_proto
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    return model.SerializeToString(deterministic=True)


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Suppress log messages and warnings about internals of the exporter."""
    loggers = [logging.getLogger(name) for name in ("onnxscript", "onnx_ir", "torch.onnx")]
    levels = [each.level for each in loggers]
    try:
        for each in loggers:
            each.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            # Deprecation warnings inside torch's exporter and onnxscript.
            warnings.simplefilter("ignore")
            yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)
