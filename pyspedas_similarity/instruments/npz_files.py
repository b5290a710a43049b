"""NumPy's ``.npz`` files, whose sizes are looked at before anything is expanded; nothing is unpickled."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from ..errors import LoadError
from .cdf_checks import may_expand


def read_npz(path: str | Path) -> dict[str, np.ndarray]:
    """All arrays of an ``.npz`` file.

    Raises
    ------
    LoadError
        If it is none, is damaged, holds objects, or expands to implausibly much.

    Notes
    -----
    ``numpy.load`` allocates the size in a member's header. Here the members may not expand to more than
    distributions and frames do, and each head has to fit its member.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = [one for one in archive.infolist() if one.filename.endswith(".npy")]
            total = sum(one.file_size for one in members)
            if not may_expand(path.stat().st_size, total):
                raise ValueError(f"{path.stat().st_size} bytes are stated to expand to {total}")
            return {one.filename.removesuffix(".npy"): _array(archive, one) for one in members}
    except (OSError, ValueError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        found = f"not readable as arrays of NumPy ({type(error).__name__}: {error})"
        raise LoadError(str(path), found, "Give the file again.") from error


def _array(archive: zipfile.ZipFile, about: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(about) as member:
        version = np.lib.format.read_magic(member)
        heads = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in heads:
            raise ValueError(f"{about.filename} is of version {version}")
        shape, turned, dtype = heads[version](member)
        count = int(np.prod(shape, dtype=object))
        if dtype.hasobject or min(shape, default=0) < 0 or count * dtype.itemsize != about.file_size - member.tell():
            raise ValueError(f"{about.filename} is stated to be {shape} of {dtype} in {about.file_size} bytes")
        content = member.read()
    values = np.frombuffer(bytearray(content), dtype, count)
    return values.reshape(shape, order="F" if turned else "C")
