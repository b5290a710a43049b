"""Encoder cards: description, input and provenance of an encoder, as validated JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ..errors import EncoderError, named_errors

FORMAT_VERSION = 1
CARD = "card.json"
WEIGHTS = "weights.safetensors"
NETWORK = "encoder.onnx"
"""File names of a saved encoder."""

MAX_FILE_BYTES, MAX_CARD_BYTES = 2**30, 2**24
"""Maximum sizes of a network file (250 million weights) and of a card."""

MAX_SIZE = 2**20
"""Largest size of images and embeddings; memory is allocated by the sizes in a card."""

KINDS = ("distribution", "frame", "spectrum", "window")

# Descriptive fields may be edited later; they do not affect embeddings and are excluded from the hash.
NOT_HASHED = frozenset({"description", "metrics", "known_failures", "license"})

_TYPES = {"str": str, "int": int, "dict[str, Any]": dict, "list[str]": list}


@dataclass(frozen=True)
class Card:
    """Description of an encoder; every value is as decoded from JSON, else EncoderError.

    `kind` is 'distribution', 'frame', 'spectrum' or 'window'; `method` is 'fixed transform', a training method such as
    'simsiam', or 'structure and network'. Images have the shape (channels, pixels, pixels), 0 for any; `dimension` is
    the length of an embedding, 0 if it depends on the image size. Empty `recipe` and `recipe_hash` stand for any recipe
    of this kind. `training` has names of data, number of samples, epochs, seed, losses and versions; for fixed
    transforms their constants. `metrics` are quality measures, `known_failures` known limitations, `license` that of
    the weights. The checksums are those of ``weights.safetensors`` and ``encoder.onnx``, '' for fixed transforms;
    `format_version` is that of the card.
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
            object.__setattr__(
                self, each.name, _json_value(each.name, getattr(self, each.name), _TYPES[str(each.type)])
            )
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
        """Hash of the encoder, 16 hexadecimal digits; the fields in `NOT_HASHED` are excluded."""
        return hashlib.sha256(_canonical(self.hashed_fields()).encode("ascii")).hexdigest()[:16]

    def hashed_fields(self) -> dict[str, Any]:
        """Return the fields that the hash is made of: all but those in `NOT_HASHED`."""
        return {key: value for key, value in asdict(self).items() if key not in NOT_HASHED}

    @property
    def blocks(self) -> dict[str, int]:
        """Number of features per channel of each block of an embedding; empty for a single block."""
        return blocks_of({"training": self.training})

    def to_json(self) -> str:
        """Return the card as indented JSON with sorted keys."""
        return json.dumps(asdict(self), indent=2, sort_keys=True, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str = "card.json") -> Card:
        """Make a card from the output of `to_json`; errors name `source` and the field."""
        try:
            found = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise EncoderError(source, f"not readable as JSON ({error})", "Restore the file or train again.") from error
        if not isinstance(found, dict):
            raise EncoderError(source, f"a {type(found).__name__}, not an object", "Restore the file or train again.")
        if "licence" in found:  # the name of the field in cards written before 0.1
            found["license"] = found.pop("licence")
        expected = [each.name for each in fields(cls)]
        # A newer format may have other fields, so the version number is checked first.
        for name in ["format_version", *expected]:
            if name not in found:
                raise EncoderError(f"{source}: {name}", "the field is missing", "Restore the file or train again.")
            if name == "format_version" and found[name] != FORMAT_VERSION:
                break
        else:
            unknown = sorted(set(found) - set(expected))
            if unknown:
                raise EncoderError(f"{source}: {unknown[0]}", "an unknown field", "Remove it or restore the file.")
        with named_errors(source, EncoderError):
            return cls(**{name: found[name] for name in expected if name in found})


def read_file(path: Path, most_bytes: int = MAX_FILE_BYTES) -> bytes:
    """Read a regular file of an encoder that is not too large."""
    try:
        if path.exists() and not path.is_dir() and not path.is_file():
            raise EncoderError(str(path), "not a regular file", "Restore the folder.")
        with path.open("rb") as file:
            content = file.read(most_bytes + 1) if path.stat().st_size <= most_bytes else b""
            size = len(content) or path.stat().st_size
    except OSError as error:
        raise EncoderError(str(path), f"cannot be read ({error.strerror})", "Restore the folder.") from error
    if size > most_bytes:
        raise EncoderError(str(path), f"{size} bytes, more than {most_bytes >> 20} MiB", "Restore the folder.")
    return content


def with_checksums(card: Card, files: Mapping[str, bytes]) -> Card:
    """Return a copy of the card with the SHA-256 of the weights and the network in `files`."""
    sums = {name: hashlib.sha256(files[name]).hexdigest() for name in (WEIGHTS, NETWORK)}
    return replace(card, weights_sha256=sums[WEIGHTS], onnx_sha256=sums[NETWORK])


def blocks_of(card: Mapping[str, Any]) -> dict[str, int]:
    """Return the feature blocks recorded in a card, given as a dict, in their order."""
    training = card.get("training")
    blocks = training.get("blocks", []) if isinstance(training, Mapping) else []
    valid = isinstance(blocks, list) and all(
        isinstance(one, list) and len(one) == 2 and isinstance(one[0], str) and type(one[1]) is int and one[1] > 0
        for one in blocks
    )
    if not valid:
        raise EncoderError("training.blocks", f"found {blocks!r:.80}", "Give pairs of a name and a number.")
    return {name: size for name, size in blocks}


def _json_value(name: str, value: object, expected: type) -> Any:
    """Check the type of a value and return it as decoded from JSON, so that a card equals its saved copy."""
    remedy = f"Give a {expected.__name__} that JSON can represent."
    if not isinstance(value, expected) or isinstance(value, bool):
        raise EncoderError(name, f"a {type(value).__name__} ({value!r:.60})", remedy)
    if expected is int and value < 0:  # type: ignore[operator]
        raise EncoderError(name, f"{value}", "Give a number of 0 or more.")
    if expected is list and not all(isinstance(each, str) for each in value):  # type: ignore[attr-defined]
        raise EncoderError(name, f"a list with items that are not str ({value!r:.60})", "Give a list of str.")
    try:
        return json.loads(_canonical(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise EncoderError(name, f"not serializable as JSON ({error})", remedy) from error


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is not allowed")
