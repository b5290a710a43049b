"""The card of an encoder: what it is, what it takes and how it came to be, as checked JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ..errors import EncoderError

FORMAT_VERSION = 1
CARD = "card.json"
WEIGHTS = "weights.safetensors"
NETWORK = "encoder.onnx"
"""The files of a saved encoder."""

MAX_FILE_BYTES, MAX_CARD_BYTES = 2**30, 2**24
"""A network of 250 million numbers, and a card: more is read of no file."""

MAX_SIZE = 2**20
"""Largest size of images and embeddings; memory is allocated by the sizes in a card."""

KINDS = ("distribution", "frame", "spectrum", "window")

# Words about an encoder may be mended later; they change no embedding, so they do not change the hash.
NOT_HASHED = frozenset({"description", "metrics", "known_failures", "license"})

_TYPES = {"str": str, "int": int, "dict[str, Any]": dict, "list[str]": list}


@dataclass(frozen=True)
class Card:
    """Description of an encoder.

    Parameters
    ----------
    name : str
        Its name.
    kind : {'distribution', 'frame', 'spectrum', 'window'}
        The kind of image it takes.
    method : str
        How it was made: 'fixed transform' or a training method such as 'simsiam'.
    description : str
        What it is, in plain words.
    dimension : int
        Length of an embedding; 0 where it follows from the image size.
    channels, pixels : int
        Shape of an image, (channels, pixels, pixels); 0 where any number is taken.
    recipe : dict
        The imaging recipe; empty for any recipe of this kind.
    recipe_hash : str
        Hash of the recipe; '' for any.
    training : dict
        Data names, number of samples, epochs, seed, losses, versions; for fixed transforms their constants.
    metrics : dict
        Measured quality.
    known_failures : list of str
        Where it is known to fail.
    license : str
        License of the weights.
    format_version : int
        Version of this layout.
    weights_sha256, onnx_sha256 : str
        SHA-256 of ``weights.safetensors`` and ``encoder.onnx``; '' for fixed transforms.

    Raises
    ------
    EncoderError
        A field has the wrong type or value, or does not fit into JSON (NaN included).
    """

    name: str
    kind: str
    method: str
    description: str = ""
    dimension: int = 0
    channels: int = 0
    pixels: int = 0
    recipe: dict[str, Any] = field(default_factory=dict)
    recipe_hash: str = ""
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    known_failures: list[str] = field(default_factory=list)
    license: str = ""
    format_version: int = FORMAT_VERSION
    weights_sha256: str = ""
    onnx_sha256: str = ""

    def __post_init__(self) -> None:
        for each in fields(self):
            object.__setattr__(self, each.name, _checked(each.name, getattr(self, each.name), _TYPES[str(each.type)]))
        if self.format_version != FORMAT_VERSION:
            raise EncoderError(
                "format_version",
                f"{self.format_version}, but this version reads {FORMAT_VERSION}",
                "Use the version of the package that wrote it, or train again.",
            )
        if self.kind not in KINDS:
            raise EncoderError("kind", f"{self.kind!r}", f"Use one of {', '.join(KINDS)}.")
        if max(self.dimension, self.channels, self.pixels) > MAX_SIZE:
            found = f"{self.dimension}, {self.channels}, {self.pixels}"
            raise EncoderError("dimension, channels, pixels", found, f"Give at most {MAX_SIZE}.")
        if not self.name:
            raise EncoderError("name", "an empty name", "Give the encoder a name.")

    @property
    def hash(self) -> str:
        """16 hex characters naming the encoder; words about it (`NOT_HASHED`) do not count."""
        hashed = {key: value for key, value in asdict(self).items() if key not in NOT_HASHED}
        return hashlib.sha256(_canonical(hashed).encode("ascii")).hexdigest()[:16]

    @property
    def blocks(self) -> dict[str, int]:
        """Numbers of features of a channel in each block of an embedding; empty where it is one block."""
        return blocks_of({"training": self.training})

    def to_json(self) -> str:
        """The card as JSON text, readable and with sorted keys."""
        return json.dumps(asdict(self), indent=2, sort_keys=True, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str = "card.json") -> Card:
        """Read a card back.

        Parameters
        ----------
        text : str
            What `to_json` wrote.
        source : str
            The file it came from, named in errors.

        Raises
        ------
        EncoderError
            Not JSON, a field missing, unknown, of the wrong type or value; names `source` and the field.
        """
        try:
            found = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise EncoderError(source, f"not readable as JSON ({error})", "Restore the file or train again.") from error
        if not isinstance(found, dict):
            raise EncoderError(source, f"a {type(found).__name__}, not an object", "Restore the file or train again.")
        if "licence" in found:  # the name of the field in cards written before 0.1
            found["license"] = found.pop("licence")
        expected = [each.name for each in fields(cls)]
        # A newer layout may have other fields, so its version number is checked first.
        for name in ["format_version", *expected]:
            if name not in found:
                raise EncoderError(f"{source}: {name}", "the field is missing", "Restore the file or train again.")
            if name == "format_version" and found[name] != FORMAT_VERSION:
                break
        else:
            unknown = sorted(set(found) - set(expected))
            if unknown:
                raise EncoderError(f"{source}: {unknown[0]}", "an unknown field", "Remove it or restore the file.")
        try:
            return cls(**{name: found[name] for name in expected if name in found})
        except EncoderError as error:
            raise EncoderError(f"{source}: {error.subject}", error.found, error.remedy) from error


def read_file(path: Path, most_bytes: int = MAX_FILE_BYTES) -> bytes:
    """A file of an encoder.

    Raises
    ------
    EncoderError
        It cannot be read, is no file but a device or a pipe, which have no end, or is too long.
    """
    try:
        if path.exists() and not path.is_dir() and not path.is_file():
            raise EncoderError(str(path), "no file but a device or a pipe", "Restore the folder.")
        with path.open("rb") as file:
            content = file.read(most_bytes + 1) if path.stat().st_size <= most_bytes else b""
            size = len(content) or path.stat().st_size
    except OSError as error:
        raise EncoderError(str(path), f"cannot be read ({error.strerror})", "Restore the folder.") from error
    if size > most_bytes:
        raise EncoderError(str(path), f"{size} bytes, more than {most_bytes >> 20} MiB", "Restore the folder.")
    return content


def with_checksums(card: Card, files: Mapping[str, bytes]) -> Card:
    """The card with the SHA-256 of its weights and network, which are among `files`."""
    sums = {name: hashlib.sha256(files[name]).hexdigest() for name in (WEIGHTS, NETWORK)}
    return replace(card, weights_sha256=sums[WEIGHTS], onnx_sha256=sums[NETWORK])


def blocks_of(card: Mapping[str, Any]) -> dict[str, int]:
    """Return the blocks of features that a card, given as plain values, records in their order.

    Raises
    ------
    EncoderError
        If they are not pairs of a name and a number.
    """
    training = card.get("training")
    blocks = training.get("blocks", []) if isinstance(training, Mapping) else []
    valid = isinstance(blocks, list) and all(
        isinstance(one, list) and len(one) == 2 and isinstance(one[0], str) and type(one[1]) is int and one[1] > 0
        for one in blocks
    )
    if not valid:
        raise EncoderError("training.blocks", f"found {blocks!r:.80}", "Give pairs of a name and a number.")
    return {name: size for name, size in blocks}


def _checked(name: str, value: object, expected: type) -> Any:
    """`value` as plain JSON would give it back, so that a card equals its own copy read from a file."""
    remedy = f"Give a {expected.__name__} that fits into JSON."
    if not isinstance(value, expected) or isinstance(value, bool):
        raise EncoderError(name, f"a {type(value).__name__} ({value!r:.60})", remedy)
    if expected is int and value < 0:  # type: ignore[operator]
        raise EncoderError(name, f"{value}", "Give a number from 0 up.")
    if expected is list and not all(isinstance(each, str) for each in value):  # type: ignore[attr-defined]
        raise EncoderError(name, f"a list with other things than text ({value!r:.60})", "Give a list of texts.")
    try:
        return json.loads(_canonical(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise EncoderError(name, f"not fit for JSON ({error})", remedy) from error


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is not allowed")
