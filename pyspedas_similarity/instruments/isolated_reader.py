"""Reading in a process of its own, so that a file which kills its reader does not kill the program.

cdflib and scipy follow the pointers in a file anywhere: into loops, to gigabytes, to any exception. The process
that runs them has limits of memory and time, is ended where it does not keep them and started again for the next file.
Nothing is pickled: arrays come back as their bytes.
"""

from __future__ import annotations

import atexit
import json
import math
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..errors import LoadError
from .cdf_checks import check_cdf
from .sav_checks import check_sav

_SCRIPT = Path(__file__).with_name("reader_process.py")
# Of the process as a whole, and for one file beyond what is used already: cdflib and scipy copy what they read.
_MOST_MEMORY, _LEAST_MEMORY, _COPIES = 10**9, 2**26, 8
# Seconds of computing: some for any file, and what reading takes on a machine ten times slower than ours.
_LEAST_SECONDS, _BYTES_A_SECOND = 0.5, 2e7
# Waiting for a disk or for other work on the machine is not computing; only endless waiting is ended.
_PATIENCE_S = 30
_MOST_HEAD = 2**26
_DTYPE = re.compile(r"[<>|]([biufc](?:1|2|4|8|16)|[US]\d{1,7})")


class IsolatedCdf:
    """A CDF file whose records were checked, read by cdflib in a process of its own.

    Parameters
    ----------
    path : str or Path

    Attributes
    ----------
    names : tuple of str
        Of its variables.

    Raises
    ------
    LoadError
        By all that reads: see `check_cdf`; or if the reader fails, ends, or the file is no longer the one that was
        checked.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        self._summary = check_cdf(path)
        self.names = self._summary.names

    def varinq(self, name: str) -> Any:
        """Return the description of a variable."""
        return self._ask("varinq", name)

    def varattsget(self, name: str) -> dict[str, Any]:
        """Attributes of a variable."""
        return self._ask("varattsget", name)

    def globalattsget(self) -> dict[str, Any]:
        """Attributes of the file."""
        return self._ask("globalattsget")

    def varget(self, name: str, **records: int) -> Any:
        """Values of a variable, all or those ``startrec`` to ``endrec``."""
        return self._ask("varget", name, **records)

    def _ask(self, method: str, *arguments: Any, **keywords: Any) -> Any:
        question = [str(self.path), self._summary.identity, method, arguments, keywords]
        return _asked(self.path, "cdf", question, self._summary.expanded_bytes)


def read_sav(path: Path, variable: str, keys: list[str], most_bytes: int) -> dict[str, Any]:
    """Some fields of a structure in an IDL save file of at most so many bytes.

    Raises
    ------
    LoadError
        If they cannot be read.
    """
    path = path.absolute()
    identity = check_sav(path, most_bytes)
    return _asked(path, "sav", [str(path), identity, variable, keys], identity[2])


def _asked(path: Path, reader: str, arguments: list[Any], size: int) -> Any:
    """Return the answer of a reader for a file with a number of bytes of values."""
    limits = {"seconds": _LEAST_SECONDS + size / _BYTES_A_SECOND, "bytes": _LEAST_MEMORY + _COPIES * size}
    question = {"reader": reader, "arguments": arguments, **limits}
    with _lock:
        found = _process().ask(question, _PATIENCE_S + 10 * limits["seconds"])
    if "error" in found:
        form = {"cdf": "CDF", "sav": "IDL save file"}[reader]
        raise LoadError(str(path), f"not readable as {form} ({found['error']})", "Remove the file and load again.")
    return found["value"]


class _Process:
    """A running reader."""

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
    def runs(self) -> bool:
        """True if the reader runs, and this process is not a fork of the one that started it."""
        return self.owner == os.getpid() and self._process.poll() is None

    def ask(self, question: dict[str, Any], patience: float) -> dict[str, Any]:
        """Its answer; where it ends before it has given one, that is the error."""
        waiting = threading.Timer(patience, self._process.kill)
        waiting.daemon = True
        waiting.start()
        try:
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            self._process.stdin.flush()
            return self._answer()
        except (OSError, EOFError, ValueError) as error:
            self.end()
            why = "took too much time or memory" if isinstance(error, (OSError, EOFError)) else str(error)
            return {"error": f"the reader {why}"}
        except BaseException:  # an interrupt: what comes later would be the answer to this question
            self.end()
            raise
        finally:
            waiting.cancel()

    def end(self) -> None:
        """Kill it and wait until it is gone."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                pipe.close()
            except OSError:  # what could not be sent any more
                continue

    def _answer(self) -> dict[str, Any]:
        length = int.from_bytes(self._exactly(bytearray(8)), "big")
        if length > _MOST_HEAD:
            raise ValueError(f"answers with {length} bytes")
        return self._unpacked(json.loads(self._exactly(bytearray(length))))

    def _exactly(self, room: Any) -> Any:
        if self._process.stdout.readinto(room) != len(room):
            raise EOFError
        return room

    def _unpacked(self, value: Any) -> Any:
        """The inverse of ``reader_process.packed``."""
        if not isinstance(value, dict):
            return value
        ((kind, content), *others) = value.items()
        if kind in ("value", "error") and not others:
            return {kind: self._unpacked(content)}
        if kind == "array":
            return self._array(*content)
        if kind == "bytes":
            return content.encode("latin-1")
        if kind == "list":
            return [self._unpacked(one) for one in content]
        pairs = {key: self._unpacked(one) for key, one in content}
        return SimpleNamespace(**pairs) if kind == "fields" else pairs

    def _array(self, form: str, shape: list[int], axes: list[int]) -> Any:
        if not _DTYPE.fullmatch(form) or any(type(size) is not int or size < 0 for size in shape):
            raise ValueError(f"answers with {form[:40]} {shape[:9]}")
        dtype = np.dtype(form)
        if math.prod(shape) * dtype.itemsize > _MOST_MEMORY:
            raise ValueError(f"answers with {shape} values")
        values = np.empty(shape, dtype)
        if values.nbytes:
            self._exactly(memoryview(values.reshape(-1).view("u1")))
        return np.transpose(values, np.argsort(axes)) if shape else values[()]


_lock = threading.Lock()
_running: list[_Process] = []


def _process() -> _Process:
    """The reader of this process, started where there is none."""
    if not _running or not _running[0].runs:
        if _running and _running[0].owner == os.getpid():
            _running.pop(0).end()
        _running.insert(0, _Process())  # before that of the process which this one was forked from
    return _running[0]


def _forked() -> None:
    """Another thread of the process that this one was forked from may have held the lock."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forked)


@atexit.register
def _stop() -> None:
    if _running and _running[0].owner == os.getpid():
        _running.pop(0).end()
