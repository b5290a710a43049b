"""Checks of the records of an IDL save file, before it is read.

    SR 0 4 | kind, where the next one begins, ... | kind, where the next one begins, ... | end

scipy follows records anywhere, in endless loops too. The content of the records is not checked here.
"""

from __future__ import annotations

import struct
from pathlib import Path

from ..errors import LoadError
from .cdf_checks import identity_of

_HEAD = b"SR\x00\x04"
# Kind, and where the next record begins in two halves, the lower one first; four bytes of no known meaning follow.
_RECORD = struct.Struct(">iIIi")
_END = 6


def check_sav(path: Path, most_bytes: int) -> tuple[int, ...]:
    """Follow the records of a save file to its end; gives the file's identity.

    Raises
    ------
    LoadError
        If it is no save file, is compressed, is too long, or its records do not follow each other.
    """
    try:
        identity = identity_of(path)
        content = path.read_bytes() if identity[2] <= most_bytes else b""
    except OSError as error:
        raise _refusal(path, f"not readable ({type(error).__name__}: {error})") from error
    if content[:4] != _HEAD:
        raise _refusal(path, f"this is no uncompressed IDL save file of at most {most_bytes >> 20} MiB")
    at = len(_HEAD)
    while True:
        if at + _RECORD.size > len(content):
            raise _refusal(path, f"not readable as IDL save file (it ends within a record at {at})")
        kind, low, high, _ = _RECORD.unpack_from(content, at)
        if kind == _END:
            return identity
        following = low + (high << 32)
        if following < at + _RECORD.size:
            raise _refusal(path, f"not readable as IDL save file (the record at {at} is followed by one before)")
        at = following


def _refusal(path: Path, found: str) -> LoadError:
    return LoadError(str(path), found, "Give a file such as themis_skymap_gako_20110305.sav.")
