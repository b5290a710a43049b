"""Trained encoders on disk: a card, weights and a network, written whole or not at all, checked when read.

A folder holds ``card.json``, ``weights.safetensors`` (to train on) and ``encoder.onnx`` (to run). Nothing in it is
ever unpickled. A fixed encoder is its card alone.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import uuid
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import ArgumentError, EncoderError
from .backbone import BACKBONES, build_backbone
from .canonical import METHOD as CANONICAL_METHOD
from .canonical import canonical_transform
from .cards import CARD, MOST_CARD_BYTES, NETWORK, WEIGHTS, Card, read_file
from .fixed import METHOD as FIXED_METHOD
from .fixed import fixed_encoder
from .hybrid import METHOD as HYBRID_METHOD
from .hybrid import hybrid_transform, learned_card
from .runtime import Encoder, Transform, network_transform
from .training import TrainedNetwork, training_record

EXPORT_TOLERANCE = 1e-4
"""Largest difference between torch and ONNX Runtime, as a share of the largest feature."""


def finish(network: TrainedNetwork, card: Card) -> Encoder:
    """Turn a trained network into an encoder that runs in ONNX Runtime.

    Parameters
    ----------
    network : TrainedNetwork
        From `training.train_network`.
    card : Card
        Name, kind, recipe and words; shape, training record and checksums are filled in here.

    Raises
    ------
    EncoderError
        The exported network does not do what torch does.
    """
    plan = network.plan
    description = f"{plan.backbone} network trained by {plan.method} on {network.n_images} images, seed {plan.seed}."
    card = replace(
        card,
        description=card.description or description,
        channels=network.channels,
        pixels=network.pixels,
        training=card.training | training_record(network),
    )
    return as_encoder(plan.backbone, network.weights, card)


def as_encoder(backbone: str, weights: Mapping[str, np.ndarray], card: Card) -> Encoder:
    """A backbone with these weights as an encoder that runs in ONNX Runtime.

    Parameters
    ----------
    backbone : str
        One of `backbone.BACKBONES`.
    weights : mapping of str to numpy.ndarray
        Its state.
    card : Card
        All but the dimension and the checksums, which are filled in here.

    Raises
    ------
    EncoderError
        The exported network does not do what torch does.
    """
    from safetensors.numpy import save

    onnx = export(backbone, weights, card.channels, card.pixels)
    saved = save(dict(weights))
    sums = {"weights_sha256": _sha256(saved), "onnx_sha256": _sha256(onnx)}
    card = replace(card, dimension=BACKBONES[backbone], **sums)
    return Encoder(card, network_transform(onnx, card), {WEIGHTS: saved, NETWORK: onnx})


def save_encoder(encoder: Encoder, folder: str | Path, overwrite: bool = False) -> Path:
    """Write an encoder to a folder, whole or not at all.

    Parameters
    ----------
    encoder : Encoder
        Trained or fixed.
    folder : str or pathlib.Path
        Where to; made here, with its parents.
    overwrite : bool
        Replace an encoder that is there. Anything else is never replaced.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    EncoderError
        The folder is there already, or cannot be written.
    """
    folder = Path(folder)
    _check_free(folder, overwrite)
    beside = folder.parent / f".{folder.name}.{uuid.uuid4().hex}"
    fresh, old = beside.with_suffix(".new"), beside.with_suffix(".old")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh.mkdir()
        for name, content in {**encoder.files, CARD: encoder.card.to_json().encode()}.items():
            _write_through(fresh / name, content)
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
    except OSError as error:
        if old.exists() and not folder.exists():
            old.rename(folder)
        raise EncoderError(str(folder), f"cannot be written ({error})", "Choose a folder that can be.") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    return folder


def load_encoder(folder: str | Path) -> Encoder:
    """Read an encoder; its embeddings are the saved one's to the last bit.

    Parameters
    ----------
    folder : str or pathlib.Path
        What `save_encoder` wrote.

    Raises
    ------
    EncoderError
        A file is missing, damaged, not finite, or not the one the card speaks of.
    """
    folder = Path(folder)
    try:
        text = read_file(folder / CARD, MOST_CARD_BYTES).decode()
    except UnicodeDecodeError as error:
        raise EncoderError(str(folder / CARD), "not a text", "Restore the file or train again.") from error
    card = Card.from_json(text, str(folder / CARD))
    if card.method == FIXED_METHOD:
        return _load_fixed(card, folder)
    files = {name: read_file(folder / name) for name in (WEIGHTS, NETWORK)}
    for name, expected in ((WEIGHTS, card.weights_sha256), (NETWORK, card.onnx_sha256)):
        if _sha256(files[name]) != expected:
            raise EncoderError(str(folder / name), "not the file its card speaks of", "Restore the folder.")
    _check_weights(files[WEIGHTS], str(folder / WEIGHTS))
    return assemble(card, files, str(folder / NETWORK))


def assemble(card: Card, files: Mapping[str, bytes], source: str = NETWORK) -> Encoder:
    """The encoder of a card whose network is among `files`, alone or beside a fixed transform.

    Raises
    ------
    EncoderError
        The network is damaged or does not fit the card; names `source`.
    """
    return Encoder(card, _transform(card, files[NETWORK], source), files)


def _transform(card: Card, onnx: bytes, source: str) -> Transform:
    """What a card describes, around the network that belongs to it."""
    if card.method == HYBRID_METHOD:
        return hybrid_transform(card, _transform(learned_card(card), onnx, source))
    if card.method == CANONICAL_METHOD:
        return canonical_transform(card, onnx, source)
    return network_transform(onnx, card, source)


def no_weights() -> bytes:
    """A file of no weights: an encoder's folder has one, also where there is nothing to train on."""
    from safetensors.numpy import save

    return save({})


def export(name: str, weights: Mapping[str, np.ndarray], channels: int, pixels: int) -> bytes:
    """A backbone with these weights as ONNX, without traces of this machine, checked against torch.

    Raises
    ------
    EncoderError
        If it does not do what torch does.
    """
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
    """Keep back what the exporter says of its own workings, which a caller can do nothing about."""
    loggers = [logging.getLogger(name) for name in ("onnxscript", "onnx_ir", "torch.onnx")]
    levels = [each.level for each in loggers]
    try:
        for each in loggers:
            each.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            # Deprecations inside torch's exporter and onnxscript.
            warnings.simplefilter("ignore")
            yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)


def without_traces(onnx: bytes) -> bytes:
    """Drop what an exporter notes of source files: paths of this machine, of no use to a reader."""
    from onnx import load_model_from_string

    model = load_model_from_string(onnx)
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    return model.SerializeToString(deterministic=True)


def _compare(onnx: bytes, images: np.ndarray, expected: np.ndarray) -> None:
    """Refuse an export that differs from torch."""
    channels, pixels = images.shape[1:3]
    card = Card("export", "frame", "check", dimension=expected.shape[1], channels=channels, pixels=pixels)
    found = network_transform(onnx, card)(images, np.isfinite(images))
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    if not difference < EXPORT_TOLERANCE:
        found_text = f"differs from torch by {difference:.1e} of the largest feature"
        raise EncoderError("exported network", found_text, "Train with other versions of torch or onnxruntime.")


def _load_fixed(card: Card, folder: Path) -> Encoder:
    try:
        encoder = fixed_encoder(card.name, card.kind)
    except ArgumentError as error:
        raise EncoderError(str(folder / CARD), f"{error.subject}: {error.found}", error.remedy) from error
    if encoder.hash != card.hash:
        raise EncoderError(str(folder / CARD), "a fixed encoder of another version", "Encode the data anew.")
    return replace(encoder, card=card)


def _check_weights(content: bytes, source: str) -> None:
    """Refuse weights that are not readable or not finite."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(content)
    except (SafetensorError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise EncoderError(source, f"not readable as safetensors ({error})", "Restore the file.") from error
    for name, values in tensors.items():
        if not np.isfinite(values).all():
            raise EncoderError(source, f"tensor {name!r} is not finite", "Restore the file or train again.")


def _check_free(folder: Path, overwrite: bool) -> None:
    if not os.path.lexists(folder):
        return
    if not overwrite:
        raise EncoderError(str(folder), "is there already", "Pass overwrite=True or choose another folder.")
    if not folder.is_dir() or not {each.name for each in folder.iterdir()} <= {CARD, WEIGHTS, NETWORK}:
        raise EncoderError(str(folder), "holds other things than an encoder", "Choose another folder.")


def _write_through(path: Path, content: bytes) -> None:
    """Write and wait for the disk, so that the rename that follows never shows a half-written file."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
