"""Worker process that reads untrusted files, started by `isolated_reader`; not to be imported.

Each line of the input is a request as JSON. The response is the length of a JSON text, the text, and the bytes of the
arrays described in it. Memory and computing time are limited; the process ends when it exceeds a limit.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO


def limit_memory(most_bytes: int, more_bytes: int) -> None:
    """Limit the memory of this process, if the operating system supports it."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    most = min(most_bytes, _used_bytes() + more_bytes)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    except (OSError, ValueError):  # macOS refuses limits below the current size
        return


def _used_bytes() -> int:
    """Return the address space in use in bytes, or 0 if the platform does not report it."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 2**30


def limit_seconds(seconds: float) -> None:
    """Limit the computing time of this process; 0 removes the limit."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


def decompress_gzip(encode: bytes) -> bytes:
    """Decompress a gzip stream to at most the length stated in its last four bytes."""
    held = int.from_bytes(encode[-4:], "little")
    inflate = zlib.decompressobj(31)
    values = inflate.decompress(encode, held + 1)
    if len(values) != held or not inflate.eof:
        raise ValueError(f"a block does not expand to {held} bytes")
    return values


class Reader:
    """Reader of files, which keeps the last one open."""

    def __init__(self) -> None:
        import cdflib.cdfread

        cdflib.cdfread.gzip_inflate = decompress_gzip  # the original has no size limit
        self._opened: tuple[tuple, Any] | None = None

    def cdf(self, path: str, identity: list[int], method: str, arguments: list, keywords: dict) -> Any:
        """Return the result of a method of ``cdflib.CDF``."""
        import cdflib

        key = (path, *identity)
        if self._opened is None or self._opened[0] != key:
            self._opened = (key, cdflib.CDF(path))
        file = self._opened[1]
        try:
            _check_unchanged(os.fstat(file._f.fileno()), identity)
            return getattr(file, method)(*arguments, **keywords)
        except BaseException:
            self._opened = None
            raise

    def sav(self, path: str, identity: list[int], variable: str, keys: list[str]) -> dict[str, Any]:
        """Return fields of a structure in an IDL save file."""
        import warnings

        from scipy.io import readsav

        _check_unchanged(Path(path).stat(), identity)
        warnings.simplefilter("ignore")  # every file causes 'Not able to verify number of bytes from header'
        record = readsav(path)[variable][0]
        return {key: record[key] for key in keys}


def _check_unchanged(about: os.stat_result, identity: list[int]) -> None:
    if [about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns] != identity:
        raise ValueError("the file was changed while it was read")


def encode(value: Any, arrays: list[Any]) -> Any:
    """Encode a value as JSON types; arrays are appended to the list `arrays`."""
    import numpy as np

    if isinstance(value, (np.ndarray, np.generic)):
        if value.dtype.kind not in "biufcUS":
            raise TypeError(f"there are values of type {value.dtype}")
        # Arrays of column-major files are transposed views: sent in memory order, they need no copy.
        axes = sorted(range(value.ndim), key=lambda axis: -value.strides[axis])
        lying = np.transpose(value, axes)
        arrays.append(np.ascontiguousarray(lying))
        return {"array": [value.dtype.str, list(lying.shape), axes]}
    if isinstance(value, bytes):
        return {"bytes": value.decode("latin-1")}
    if dataclasses.is_dataclass(value):
        fields = {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
        return {"fields": [[key, encode(one, arrays)] for key, one in fields.items()]}
    if isinstance(value, dict):
        return {"dict": [[str(key), encode(one, arrays)] for key, one in value.items()]}
    if isinstance(value, (list, tuple)):
        return {"list": [encode(one, arrays) for one in value]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def write_answer(out: BinaryIO, made: Callable[[], Any]) -> None:
    """Write the result of a function, or its error."""
    arrays: list[Any] = []
    try:
        text = json.dumps({"value": encode(made(), arrays)})
    except Exception as error:  # damaged files raise many kinds of exceptions
        arrays, text = [], json.dumps({"error": f"{type(error).__name__}: {error}"[:500]})
    head = text.encode()
    out.write(len(head).to_bytes(8, "big") + head)
    for array in arrays:
        out.write(memoryview(array.reshape(-1).view("u1")) if array.size and array.itemsize else b"")
    out.flush()


def main() -> None:
    """Answer requests until the input ends."""
    most_bytes = int(sys.argv[1])
    limit_memory(most_bytes, most_bytes)
    questions, out = sys.stdin.buffer, os.fdopen(os.dup(1), "wb", buffering=2**20)
    os.dup2(2, 1)  # printed text must not go to the responses
    reader = Reader()
    for line in questions:
        question = json.loads(line)
        if question["reader"] == "sav":
            limit_memory(most_bytes, most_bytes)  # the limit of a previous request may be too low for the import
            import scipy.io  # noqa: F401  # before the limit for the file is set
        limit_seconds(question["seconds"])
        limit_memory(most_bytes, question["bytes"])
        write_answer(out, lambda question=question: getattr(reader, question["reader"])(*question["arguments"]))
        limit_seconds(0)


if __name__ == "__main__":
    main()
