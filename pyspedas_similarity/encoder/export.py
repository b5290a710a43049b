"""Export of torch networks to ONNX, with verification of the output."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from ..errors import EncoderError
from .backbone import BACKBONES, build_backbone, require_training
from .cards import NETWORK, WEIGHTS, Card, with_checksums
from .runtime import Encoder, network_transform

EXPORT_TOLERANCE = 1e-4
"""Maximum difference between torch and ONNX Runtime, relative to the largest feature."""


def as_encoder(backbone: str, weights: Mapping[str, np.ndarray], card: Card) -> Encoder:
    """Export a backbone with given weights as an encoder; dimension and checksums of the card are set here."""
    from safetensors.numpy import save

    onnx = export(backbone, weights, card.channels, card.pixels)
    files = {WEIGHTS: save(dict(weights)), NETWORK: onnx}
    card = with_checksums(replace(card, dimension=BACKBONES[backbone]), files)
    return Encoder(card, network_transform(onnx, card), files)


def export(name: str, weights: Mapping[str, np.ndarray], channels: int, pixels: int) -> bytes:
    """Export a backbone with given weights to ONNX, checked against torch, without paths of this machine."""
    require_training()
    import torch

    with torch.random.fork_rng(devices=[]):
        backbone = build_backbone(name, channels)
    backbone.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()})
    backbone.eval()
    example = torch.linspace(-1, 1, 3 * channels * pixels**2).reshape(3, channels, pixels, pixels)
    with _quiet_exporter():
        program = torch.onnx.export(
            backbone,
            (example,),
            dynamo=True,
            verbose=False,
            input_names=["images"],
            output_names=["features"],
            dynamic_shapes=({0: torch.export.Dim("n")},),
        )
    onnx = without_traces(program.model_proto.SerializeToString())
    with torch.no_grad():
        expected = backbone(example).numpy()
    _compare(onnx, example.numpy(), expected)
    return onnx


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


def without_traces(onnx: bytes) -> bytes:
    """Remove the paths of source files recorded by the exporter."""
    from onnx import load_model_from_string

    model = load_model_from_string(onnx)
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    return model.SerializeToString(deterministic=True)


def _compare(onnx: bytes, images: np.ndarray, expected: np.ndarray) -> None:
    """Raise EncoderError if the output of an export differs from that of torch."""
    channels, pixels = images.shape[1:3]
    card = Card("export", "frame", "check", dimension=expected.shape[1], channels=channels, pixels=pixels)
    found = network_transform(onnx, card)(images, np.isfinite(images))
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    if not difference < EXPORT_TOLERANCE:
        found_text = f"differs from torch by {difference:.1e} of the largest feature"
        raise EncoderError("exported network", found_text, "Train with other versions of torch or onnxruntime.")
