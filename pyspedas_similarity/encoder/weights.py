"""Saved encoders: card, weights and network, written atomically and checked when read.

The folder contains ``card.json``, ``weights.safetensors`` and ``encoder.onnx``; that of a fixed encoder the card only.
Nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from ..errors import ArgumentError, EncoderError
from ..files import replace_whole
from .cards import CARD, MAX_CARD_BYTES, NETWORK, WEIGHTS, Card, read_file
from .fitted import NAMED, PCA_METHOD, pca_transform
from .fixed import DEFAULT, fixed_encoder
from .fixed import METHOD as FIXED_METHOD
from .runtime import Encoder, network_transform, unit_length

JOINED_METHOD = "structure and network"
PREFIX = f"{DEFAULT}+"
"""Before the folder of a network, where an encoder is given by its name."""

NETWORK_BLOCK = "network"
"""Block of the network's features. Its weight in a search is one of `search.reference.BLOCK_WEIGHTS`."""

NETWORK_SCALE = 0.3
"""Length of the network's features, where those of 'structure' have the length 1. It matters for plain cosines only:
with the same length they would find diffusion regions worse (docs/benchmarks/networks)."""

NETWORK_CARD = "network"
"""Key of the card of the network in ``training``, without the texts that do not count for the hash of an encoder."""

PACKAGED = Path(__file__).parent / "networks"
"""Folder of the networks that come with the package, each in a folder of its name."""

REMOVED_METHODS = ("canonical", "hybrid")
REMOVED_NAMES = ("hybrid", "oriented", "scattering")
"""Encoders of earlier versions that were removed: training methods, and names of fixed encoders."""


def join_structure(network: Encoder) -> Encoder:
    """Return an encoder with the features of a network next to those of 'structure'; its files are the network's."""
    card = network.card
    if not network.files or card.method == JOINED_METHOD:
        found = "it has features of 'structure' already" if card.method == JOINED_METHOD else "it is not a network"
        raise EncoderError(f"encoder {card.name}", found, f"Give '{PREFIX}' and the folder of a trained encoder.")
    fixed = fixed_encoder(DEFAULT, card.kind)
    by_channel = -(-card.dimension // card.channels)
    padding = by_channel * card.channels - card.dimension
    constants = fixed.card.training
    blocks = [*constants["blocks"], [NETWORK_BLOCK, by_channel]]
    training = constants | {"blocks": blocks, "scale": NETWORK_SCALE, NETWORK_CARD: card.hashed_fields()}
    own_dimension = fixed.dimension((card.channels, card.pixels, card.pixels))
    joined = replace(
        card,
        name=PREFIX + card.name,
        method=JOINED_METHOD,
        description=f"Features of the network {card.name} next to those of '{DEFAULT}'.",
        dimension=own_dimension + by_channel * card.channels,
        training=training,
    )

    def transform(filled: np.ndarray, measured: np.ndarray) -> np.ndarray:
        own, learned = (unit_length(each.transform(filled, measured)) for each in (fixed, network))
        # The constant of 'structure' stays last, and each block has the same number of features for each channel.
        return np.hstack([own[:, :-1], NETWORK_SCALE * np.pad(learned, ((0, 0), (0, padding))), own[:, -1:]])

    return Encoder(joined, transform, network.files)


def network_card(card: Card, source: str) -> Card:
    """Return the card of the network in the card of a joined encoder."""
    found = card.training.get(NETWORK_CARD)
    if not isinstance(found, dict):
        raise EncoderError(source, "the card of its network is missing", "Restore the file or join it again.")
    try:
        return Card(**found)
    except (TypeError, EncoderError) as error:
        raise EncoderError(source, f"the card of its network is not valid ({error})", "Restore the file.") from error


@cache
def packaged_networks() -> dict[str, str]:
    """Return the names of the networks of the package, by the hash of the recipe of their images."""
    folders = sorted(PACKAGED.glob(f"*/{CARD}"))
    return {Card.from_json(read_file(path).decode(), str(path)).recipe_hash: path.parent.name for path in folders}


def is_packaged(name: object) -> bool:
    """Return True for the name of a network of the package, alone or next to 'structure'."""
    return isinstance(name, str) and name.removeprefix(PREFIX) in packaged_networks().values()


def save_encoder(encoder: Encoder, folder: str | Path, overwrite: bool = False) -> Path:
    """Write an encoder to a folder, atomically.

    Parameters
    ----------
    encoder : Encoder
        Trained or fixed encoder.
    folder : str or pathlib.Path
        New folder; parents are created.
    overwrite : bool
        Replace an existing encoder. A folder with other content is never replaced.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    EncoderError
        The folder exists already, or cannot be written.
    """
    folder = Path(folder)
    _check_free(folder, overwrite)
    temporary = folder.parent / f".{folder.name}.{uuid.uuid4().hex}"
    fresh, old = temporary.with_suffix(".new"), temporary.with_suffix(".old")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh.mkdir()
        for name, content in {**encoder.files, CARD: encoder.card.to_json().encode()}.items():
            replace_whole(fresh / name, content)
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
    except OSError as error:
        if old.exists() and not folder.exists():
            old.rename(folder)
        raise EncoderError(str(folder), f"cannot be written ({error})", "Choose another folder.") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    return folder


def load_encoder(folder: str | Path) -> Encoder:
    """Read an encoder; its embeddings are bit-for-bit those of the saved one.

    Parameters
    ----------
    folder : str or pathlib.Path
        Folder written by `save_encoder`, or the name of a network of the package, which comes first: write a folder of
        that name as ``"./name"``. With ``"structure+"`` before it, its features next to those of 'structure'.

    Raises
    ------
    EncoderError
        A file is missing, damaged or does not match the card, or weights are not finite.
    """
    if is_joined(folder):
        network = str(folder).removeprefix(PREFIX)
        if network in ("", *NAMED):
            found = f"{network!r} is not the folder of a network"
            raise EncoderError(f"encoder {folder}", found, "Give the folder of a trained encoder.")
        return join_structure(load_encoder(network))
    folder = PACKAGED / folder if is_packaged(folder) else Path(folder)
    if not os.path.exists(folder):
        remedy = f"Give the folder of a saved encoder; encoders with a name are {known_names()}."
        raise EncoderError(f"encoder {folder}", "it is neither a name nor a folder", remedy)
    try:
        text = read_file(folder / CARD, MAX_CARD_BYTES).decode()
    except UnicodeDecodeError as error:
        raise EncoderError(str(folder / CARD), "not UTF-8 text", "Restore the file or train again.") from error
    card = Card.from_json(text, str(folder / CARD))
    check_not_removed(card.name, card.method, str(folder / CARD))
    if card.method == FIXED_METHOD:
        return assemble(card, {}, str(folder / CARD))
    files = {name: read_file(folder / name) for name in (WEIGHTS, NETWORK)}
    for name, expected in ((WEIGHTS, card.weights_sha256), (NETWORK, card.onnx_sha256)):
        if hashlib.sha256(files[name]).hexdigest() != expected:
            raise EncoderError(str(folder / name), "it does not match its card", "Restore the folder.")
    _check_weights(files[WEIGHTS], str(folder / WEIGHTS))
    return assemble(card, files, str(folder / NETWORK))


def known_names() -> str:
    """Return the names of all encoders that have one, for messages."""
    return ", ".join([*NAMED, *packaged_networks().values()])


def is_joined(name: str | Path) -> bool:
    """Return True for 'structure+' and the name or folder of a network."""
    return str(name).startswith(PREFIX) and not os.path.isfile(os.path.join(name, CARD))


@cache  # a network is read and checked once, and not for every search
def default_encoder(kind: str, recipe_hash: str = "") -> Encoder:
    """Return 'structure', and next to it the network of this recipe of images if the package has one."""
    network = packaged_networks().get(recipe_hash)
    return fixed_encoder(DEFAULT, kind) if network is None else join_structure(load_encoder(network))


def assemble(card: Card, files: Mapping[str, bytes], source: str = NETWORK) -> Encoder:
    """Return the encoder of a card and its files; errors name `source`."""
    if card.method == FIXED_METHOD:
        try:
            encoder = fixed_encoder(card.name, card.kind)
        except ArgumentError as error:
            raise EncoderError(source, f"{error.subject}: {error.found}", error.remedy) from error
        return _of_this_version(encoder, card, source)
    if card.method == JOINED_METHOD:
        return _of_this_version(join_structure(assemble(network_card(card, source), files, source)), card, source)
    # Principal components are computed in NumPy, all other networks in ONNX Runtime.
    if card.method == PCA_METHOD:
        return Encoder(card, pca_transform(card, files[WEIGHTS], source), files)
    return Encoder(card, network_transform(files[NETWORK], card, source), files)


def check_not_removed(name: str, method: str, source: str) -> None:
    """Raise EncoderError, with `source`, for an encoder that was removed from this package."""
    if method in REMOVED_METHODS or (method == FIXED_METHOD and name in REMOVED_NAMES):
        found = f"the encoder {name!r} ({method}) was removed from this package"
        raise EncoderError(source, found, "Use the version that wrote it, or encode the data with another encoder.")


def _of_this_version(encoder: Encoder, card: Card, source: str) -> Encoder:
    """Return an encoder with its stored card; EncoderError if its features are those of another version."""
    if replace(encoder.card, name=card.name).hash != card.hash:
        found = "its features are those of another version of the package, or its card was changed"
        raise EncoderError(source, found, "Encode the data again, or restore the card.")
    return replace(encoder, card=card)


def _check_weights(content: bytes, source: str) -> None:
    """Raise EncoderError for weights that are not readable or not finite."""
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
        raise EncoderError(str(folder), "exists already", "Pass overwrite=True or choose another folder.")
    if not folder.is_dir() or not {each.name for each in folder.iterdir()} <= {CARD, WEIGHTS, NETWORK}:
        raise EncoderError(str(folder), "contains other files than an encoder", "Choose another folder.")
