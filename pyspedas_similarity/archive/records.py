"""Small records: JSON with a SHA-256 checksum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ..errors import DamagedArchiveError
from .locations import Place


def to_bytes(record: Mapping[str, Any]) -> bytes:
    """Return the serialized record: JSON followed by its SHA-256."""
    text = json.dumps(record, sort_keys=True, indent=1).encode()
    return text + b"\n" + hashlib.sha256(text).hexdigest().encode() + b"\n"


def write_record(place: Place, name: str, record: Mapping[str, Any]) -> None:
    """Write a record atomically; durable on return."""
    place.write(name, to_bytes(record))


def read_record(place: Place, name: str) -> dict[str, Any]:
    """Read a record and verify its checksum.

    Raises
    ------
    DamagedArchiveError
        If the record is damaged.
    FileNotFoundError
        If it does not exist.
    """
    where = f"{place.address}/{name}"
    damaged = DamagedArchiveError(where, "it is damaged", "Run pyspedas-similarity archive repair.")
    raw = place.read(name)
    text, _, rest = raw.rpartition(b"\n")[0].rpartition(b"\n")
    if len(raw) != len(text) + len(rest) + 2 or hashlib.sha256(text).hexdigest().encode() != rest:
        raise damaged
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise damaged from error
    if not isinstance(record, dict):
        raise damaged
    return record
