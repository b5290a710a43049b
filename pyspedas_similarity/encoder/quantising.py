"""Encoders whose convolutions count in whole numbers of eight bits: smaller, faster, and measured before they are used.

Weights have a scale for each output channel, activations one for each tensor, from the range they take on calibration
images (static quantization, Jacob et al. 2018, arXiv:1712.05877). What comes behind the last convolution, pooling and
a linear layer, costs next to no time and stays in float32: rounding it, too, loses more neighbors.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ArgumentError, EncoderError
from .cards import with_checksums
from .fitted import spread_evenly
from .runtime import Encoder, fill, read_network
from .weights import NETWORK, WEIGHTS, assemble, no_weights, without_traces

if TYPE_CHECKING:
    from onnx import ModelProto

LEAST_KEPT = 0.98
"""Share of the ten nearest neighbors below which an encoder is not handed over."""
NEIGHBORS = 10
MOST_CALIBRATION = 256
"""Images whose ranges are taken; the extremes of more are those of outliers."""
FEWEST_CALIBRATION, FEWEST_HELD_OUT = 16, 100
RECORD = "int8"
"""Under this name a card's training and metrics say what was quantized and what it keeps."""
_BATCH = 32
_BLOCK = 1024


def quantize(
    encoder: Encoder, calibration: np.ndarray, held_out: np.ndarray, least_kept: float = LEAST_KEPT
) -> Encoder:
    """Turn an encoder's convolutions into eight-bit ones.

    Parameters
    ----------
    encoder : Encoder
        Trained, fitted, imported or a hybrid: with a network among its files.
    calibration : numpy.ndarray
        (n, channels, pixels, pixels) images like those that will be encoded, 16 or more; at most 256 are looked at,
        spread evenly.
    held_out : numpy.ndarray
        (m, channels, pixels, pixels) other images, 100 or more, on which neighbors are compared. Take them from other
        events or nights.
    least_kept : float
        Share of the ten nearest neighbors that has to be kept; 0 hands over whatever comes out.

    Returns
    -------
    Encoder
        Its card names the parent by its hash and says what share is kept. It holds no weights to train on.

    Raises
    ------
    ArgumentError
        Too few usable images, no network or no convolution in it, or an encoder that is quantized already.
    EncoderError
        Fewer neighbors are kept than asked for; images of another shape; ONNX Runtime cannot quantize it.

    Notes
    -----
    Weights take seven bits: processors without VNNI add products of eight bits up in sixteen, which can overflow, and
    an encoder would then depend on the machine.
    """
    model = _network(encoder)
    calibration = calibration[spread_evenly(len(calibration), MOST_CALIBRATION)]
    used = _usable(encoder, calibration, "calibration", FEWEST_CALIBRATION)
    expected = _usable(encoder, held_out, "held_out", FEWEST_HELD_OUT)
    onnx = _quantized(model, fill(np.asarray(calibration[used], np.float32))[0], encoder.card.name)
    found = _finished(encoder, onnx, int(used.sum()))
    before = encoder.encode(held_out[expected])
    kept = neighbors_kept(before, found.encode(held_out[expected]))
    if not kept >= least_kept:
        raise EncoderError(
            f"encoder {encoder.card.name} in int8",
            f"keeps {kept:.3f} of the {NEIGHBORS} nearest neighbors, asked for {least_kept:g}",
            "Use it as it is, give calibration images like those of the search, or a lower least_kept.",
        )
    measured = {"neighbors_kept": round(kept, 4), "neighbors": NEIGHBORS, "n_held_out": len(before)}
    return replace(found, card=replace(found.card, metrics={RECORD: measured}))


def neighbors_kept(first: np.ndarray, second: np.ndarray, neighbors: int = NEIGHBORS) -> float:
    """Share of the nearest neighbors by cosine that two embeddings of the same samples have in common.

    Parameters
    ----------
    first, second : numpy.ndarray
        (n, ...) of unit length, NaN where a sample has none: left out where the first has none, nothing kept where the
        second has none.
    neighbors : int
        How many of each sample.

    Returns
    -------
    float
        0 to 1, the mean over samples. Two unrelated embeddings reach about ``neighbors / (n - 1)``.

    Raises
    ------
    ArgumentError
        The two are not of as many samples, or of too few for `neighbors`.
    """
    if len(first) != len(second):
        raise ArgumentError("first, second", f"{len(first)} and {len(second)} samples", "Give the same samples twice.")
    rows = np.isfinite(first).all(axis=1)
    first, second = first[rows], second[rows]
    if not 0 < neighbors < len(first) - 1:
        raise ArgumentError("neighbors", f"{neighbors} among {len(first)} samples", "Give fewer, or more samples.")
    lost = ~np.isfinite(second).all(axis=1)
    second = np.where(lost[:, None], 0, second)
    shares = []
    for start in range(0, len(first), _BLOCK):
        stop = min(start + _BLOCK, len(first))
        theirs = [_nearest(each, start, stop, neighbors) for each in (first, second)]
        common = (theirs[0][:, :, None] == theirs[1][:, None, :]).any(axis=2).mean(axis=1)
        shares.append(np.where(lost[start:stop], 0, common))
    return float(np.concatenate(shares).mean())


def _nearest(embeddings: np.ndarray, start: int, stop: int, neighbors: int) -> np.ndarray:
    """Rows of the nearest others of rows `start` to `stop`: (stop - start, neighbors)."""
    cosine = embeddings[start:stop] @ embeddings.T
    cosine[np.arange(stop - start), np.arange(start, stop)] = -np.inf
    return np.argpartition(-cosine, neighbors - 1, axis=1)[:, :neighbors]


def _network(encoder: Encoder) -> ModelProto:
    """The encoder's network, if it can be quantized."""
    name = encoder.card.name
    if NETWORK not in encoder.files:
        raise ArgumentError("encoder", f"{name} has no network", "Give one that is trained, fitted or imported.")
    if RECORD in encoder.card.training:
        raise ArgumentError("encoder", f"{name} is quantized already", "Give the one that it was made of.")
    model = read_network(encoder.files[NETWORK], f"encoder {name}")
    if not any(node.op_type == "Conv" for node in model.graph.node):
        raise ArgumentError("encoder", f"{name} has no convolution", "Use it as it is: there is nothing to gain.")
    return model


def _usable(encoder: Encoder, images: np.ndarray, name: str, fewest: int) -> np.ndarray:
    """Which of the images can be encoded: (n,) bool."""
    usable = np.isfinite(encoder.encode(images)).all(axis=1)
    if usable.sum() < fewest:
        raise ArgumentError(name, f"{usable.sum()} images that can be encoded", f"Give {fewest} or more.")
    return usable


def _quantized(model: ModelProto, images: np.ndarray, name: str) -> bytes:
    """The network with quantized convolutions, `images` (n, channels, pixels, pixels) filled."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    entry = model.graph.input[0].name

    class Images(CalibrationDataReader):
        def __init__(self) -> None:
            self.batches = iter(np.split(images, range(_BATCH, len(images), _BATCH)))

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self.batches, None)
            return None if batch is None else {entry: batch}

    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / NETWORK
        try:
            quantize_static(
                model,
                path,
                Images(),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=_head(model),
            )
        except Exception as error:  # ONNX Runtime raises classes of its own without a common public base
            remedy = "Use it as it is."
            raise EncoderError(f"encoder {name}", f"cannot be quantized ({str(error)[:200]})", remedy) from error
        return without_traces(path.read_bytes())


def _head(model: ModelProto) -> list[str]:
    """Names of the nodes behind the last convolution; a network's nodes stand in the order they are run in."""
    last = max(i for i, node in enumerate(model.graph.node) if node.op_type == "Conv")
    return [node.name for node in model.graph.node[last + 1 :]]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what ONNX Runtime's quantizer says to the root logger; it would also give that a handler."""
    root, handler = logging.getLogger(), logging.NullHandler()

    def of_others(record: logging.LogRecord) -> bool:
        return "onnxruntime" not in Path(record.pathname).parts

    root.addHandler(handler)
    root.addFilter(of_others)
    try:
        yield
    finally:
        root.removeFilter(of_others)
        root.removeHandler(handler)


def _finished(encoder: Encoder, onnx: bytes, n_calibration: int) -> Encoder:
    """The encoder around another network."""
    files = {WEIGHTS: no_weights(), NETWORK: onnx}
    record = {"parent": encoder.hash, "n_calibration": n_calibration, "onnxruntime": version("onnxruntime")}
    card = replace(
        encoder.card,
        name=f"{encoder.card.name}-int8",
        description=f"{encoder.card.description} Its convolutions in int8.".strip(),
        training=encoder.card.training | {RECORD: record},
        metrics={},  # the parent's, which do not hold for this one
    )
    return assemble(with_checksums(card, files), files)
