"""Reading of untrusted files in a separate process.

cdflib and scipy do not validate the pointers in a file, which can lead to infinite loops, huge allocations or any
exception. The process that runs them has limits of memory and time; it is killed when it exceeds them, and restarted
for the next file. Nothing is pickled; arrays are transferred as bytes.
"""

from __future__ import annotations

import atexit
import json
import math
import os
import re
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..errors import LoadError
from .file_checks import check_cdf, identity_of

_SCRIPT = Path(__file__).with_name("reader_process.py")
# Memory limits: of the process, and per file the minimum and the number of copies that cdflib and scipy make.
_MOST_MEMORY, _LEAST_MEMORY, _COPIES = 10**9, 2**26, 8
# Limits of the computing time: a minimum, and a rate for a machine ten times slower than the tested one.
_LEAST_SECONDS, _BYTES_A_SECOND = 0.5, 2e7
# Limit of the wall-clock time, which includes waiting for disks and other processes.
_PATIENCE_S = 30
_MOST_HEAD = 2**26
_AGAIN = "Remove the file and load again."
_DTYPE = re.compile(r"[<>|]([biufc](?:1|2|4|8|16)|[US]\d{1,7})")
_HEAD = b"SR\x00\x04"
# Kind, and where the next record begins in two halves, the lower one first; four bytes of no known meaning follow.
_RECORD = struct.Struct(">iIIi")
_END = 6


class IsolatedCdf:
    """CDF file with validated records, read by cdflib in a separate process.

    LoadError by all methods, if the file is invalid (see `check_cdf`) or changed after the check, or the reader fails.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        self._summary = check_cdf(path)
        self.names = self._summary.names

    def varinq(self, name: str) -> Any:
        """Return the description of a variable."""
        return self._ask("varinq", name)

    def varattsget(self, name: str) -> dict[str, Any]:
        """Return the attributes of a variable."""
        return self._ask("varattsget", name)

    def globalattsget(self) -> dict[str, Any]:
        """Return the attributes of the file."""
        return self._ask("globalattsget")

    def varget(self, name: str, **records: int) -> Any:
        """Return the values of a variable, all or from ``startrec`` to ``endrec``."""
        return self._ask("varget", name, **records)

    def _ask(self, method: str, *arguments: Any, **keywords: Any) -> Any:
        question = [str(self.path), self._summary.identity, method, arguments, keywords]
        return _request(self.path, "cdf", question, self._summary.expanded_bytes)


@contextmanager
def cdf_errors(path: Path) -> Iterator[None]:
    """Convert any exception while reading a CDF file, which may be damaged, to a LoadError."""
    try:
        yield
    except LoadError:
        raise
    except Exception as error:
        found = f"not readable as CDF ({type(error).__name__}: {error})"
        raise LoadError(str(path), found, _AGAIN) from error


def read_sav(path: Path, variable: str, keys: list[str], most_bytes: int) -> dict[str, Any]:
    """Read fields of a structure in an IDL save file of at most `most_bytes` bytes; LoadError if that fails."""
    path = path.absolute()
    identity = check_sav(path, most_bytes)
    return _request(path, "sav", [str(path), identity, variable, keys], identity[2])


def _request(path: Path, reader: str, arguments: list[Any], size: int) -> Any:
    """Send a request to the reader process and return the result; `size` is the size of the values in bytes."""
    limits = {"seconds": _LEAST_SECONDS + size / _BYTES_A_SECOND, "bytes": _LEAST_MEMORY + _COPIES * size}
    question = {"reader": reader, "arguments": arguments, **limits}
    with _lock:
        found = _process().ask(question, _PATIENCE_S + 10 * limits["seconds"])
    if "error" in found:
        form = {"cdf": "CDF", "sav": "IDL save file"}[reader]
        raise LoadError(str(path), f"not readable as {form} ({found['error']})", _AGAIN)
    return found["value"]


class _Process:
    """Running reader process."""

    def __init__(self) -> None:
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        # -P: modules next to the script are not imported.
        command = [sys.executable or "python", "-P", str(_SCRIPT), str(_MOST_MEMORY)]
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        try:
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nowhere, env=os.environ | threads)
        except OSError as error:
            found = f"the process that reads files cannot be started ({error})"
            raise LoadError(" ".join(command[:1]), found, "Run this in an installation of Python.") from error
        self.owner = os.getpid()

    @property
    def is_running(self) -> bool:
        """True if the reader process is alive and was started by this process, not by its parent before a fork."""
        return self.owner == os.getpid() and self._process.poll() is None

    def ask(self, question: dict[str, Any], patience: float) -> dict[str, Any]:
        """Send a request and return the response, or an error if the process ends before it responds."""
        waiting = threading.Timer(patience, self._process.kill)
        waiting.daemon = True
        waiting.start()
        try:
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            self._process.stdin.flush()
            return self._answer()
        except (OSError, EOFError, ValueError) as error:
            self.end()
            reason = "took too much time or memory" if isinstance(error, (OSError, EOFError)) else str(error)
            return {"error": f"the reader {reason}"}
        except BaseException:  # after an interrupt, a late response would be taken for that of the next request
            self.end()
            raise
        finally:
            waiting.cancel()

    def end(self) -> None:
        """Kill the process and wait for its end."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                pipe.close()
            except OSError:  # unsent data
                continue

    def _answer(self) -> dict[str, Any]:
        length = int.from_bytes(self._read_exactly(bytearray(8)), "big")
        if length > _MOST_HEAD:
            raise ValueError(f"answers with {length} bytes")
        return self._decode(json.loads(self._read_exactly(bytearray(length))))

    def _read_exactly(self, room: Any) -> Any:
        if self._process.stdout.readinto(room) != len(room):
            raise EOFError
        return room

    def _decode(self, value: Any) -> Any:
        """Decode a value encoded by ``reader_process.encode``."""
        if not isinstance(value, dict):
            return value
        ((kind, content), *others) = value.items()
        if kind in ("value", "error") and not others:
            return {kind: self._decode(content)}
        if kind == "array":
            return self._array(*content)
        if kind == "bytes":
            return content.encode("latin-1")
        if kind == "list":
            return [self._decode(one) for one in content]
        pairs = {key: self._decode(one) for key, one in content}
        return SimpleNamespace(**pairs) if kind == "fields" else pairs

    def _array(self, form: str, shape: list[int], axes: list[int]) -> Any:
        if not _DTYPE.fullmatch(form) or any(type(size) is not int or size < 0 for size in shape):
            raise ValueError(f"answers with {form[:40]} {shape[:9]}")
        dtype = np.dtype(form)
        if math.prod(shape) * dtype.itemsize > _MOST_MEMORY:
            raise ValueError(f"answers with {shape} values")
        values = np.empty(shape, dtype)
        if values.nbytes:
            self._read_exactly(memoryview(values.reshape(-1).view("u1")))
        return np.transpose(values, np.argsort(axes)) if shape else values[()]


_lock = threading.Lock()
_readers: list[_Process] = []


def _process() -> _Process:
    """Return the reader process, started if necessary."""
    if not _readers or not _readers[0].is_running:
        if _readers and _readers[0].owner == os.getpid():
            _readers.pop(0).end()
        _readers.insert(0, _Process())  # before that inherited by a fork
    return _readers[0]


def _reset_lock() -> None:
    """Replace the lock after a fork, since another thread of the parent process may have held it."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_reset_lock)


@atexit.register
def _stop() -> None:
    if _readers and _readers[0].owner == os.getpid():
        _readers.pop(0).end()


def check_sav(path: Path, most_bytes: int) -> tuple[int, ...]:
    """Follow the records of a save file to its end, where scipy would follow them in loops; return its identity.

    LoadError if it is no save file, is compressed, is too long, or its records do not follow each other.
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
