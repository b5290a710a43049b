"""Small records: plain values as JSON with a checksum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ..errors import DamagedArchiveError
from .locations import Place


def to_bytes(record: Mapping[str, Any]) -> bytes:
    """Return the bytes of a record."""
    text = json.dumps(record, sort_keys=True, indent=1).encode()
    return text + b"\n" + hashlib.sha256(text).hexdigest().encode() + b"\n"


def write_record(place: Place, name: str, record: Mapping[str, Any]) -> None:
    """Write a record: whole and lasting when this returns, or not at all."""
    place.write(name, to_bytes(record))


def read_record(place: Place, name: str) -> dict[str, Any]:
    """Read the bytes of a record.

    Raises
    ------
    DamagedArchiveError
        If one bit of it is different.
    FileNotFoundError
        If there is none.
    """
    where = f"{place.address}/{name}"
    damaged = DamagedArchiveError(where, "it is not as it was written", "Run pyspedas-similarity archive repair.")
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
