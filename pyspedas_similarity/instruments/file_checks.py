"""Checks of CDF and NumPy files before they are read, without expanding or unpickling anything.

Readers of CDF follow pointers and allocate stated sizes, so that a few changed bytes send them round in circles or make
them ask for gigabytes. Each record has to lie within the file, be of the expected kind and be pointed at once:

    CDR -> GDR -> variables -> indices -> blocks of values
               -> attributes -> entries

The layouts are those of the CDF Internal Format Description 3.9, chapter 2. Offsets have 8 bytes in version 3 and 4
in version 2, where names are shorter; the order of the fields is the same.
"""

from __future__ import annotations

import hashlib
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import LoadError

_CDF3, _CDF2 = bytes.fromhex("cdf300010000ffff"), bytes.fromhex("cdf260020000ffff")
_AS_A_WHOLE = bytes.fromhex("cccc0001")
_BEFORE_26 = bytes.fromhex("0000ffff0000ffff")
# Types of values and their bytes (table 2.5); of the last two each element is a character.
_TYPES = {1: 1, 2: 2, 4: 4, 8: 8, 11: 1, 12: 2, 14: 4, 21: 4, 22: 8, 31: 8, 32: 16, 33: 8, 41: 1, 44: 4, 45: 8}
_CHARACTERS = (51, 52)
_CDR, _GDR, _RVDR, _ADR, _GR_ENTRY, _VXR, _VVR, _ZVDR, _Z_ENTRY, _CPR, _CVVR = 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13
# Fields behind size and kind: w is an offset or a size, i an integer of 4 bytes.
_FIELDS = {
    _CDR: "wiiiiiiii",
    _GDR: "wwwwiiiiiwiii",
    _RVDR: "wiiwwiiiiiiiwi",
    _ZVDR: "wiiwwiiiiiiiwi",
    _ADR: "wwiiiiiwiii",
    _GR_ENTRY: "wiiiiiiiii",
    _Z_ENTRY: "wiiiiiiiii",
    _VXR: "wii",
    _VVR: "",
    _CVVR: "iw",
    _CPR: "iii",
}
_VARIES, _COMPRESSED = 1, 4
_SINGLE_FILE, _MD5 = 2, 12
_GZIP = 5
_CHECKSUM_BYTES = 16
_MOST_DIMENSIONS = 10
# An hour of full frames is 157 MB, a burst file of electrons up to 1 GB in blocks of some megabytes.
_MOST_BYTES, _MOST_BLOCK_BYTES = 2**33, 2**29
# Deflate packs no more than 1032 to 1. Distributions of thin plasma, nearly all zeros, reach some tens.
_MOST_EXPANSION, _UNSUSPECTED_BYTES = 400, 2**25
_AGAIN = "Remove the file and load again."
_CONVERT = "The file may be good. Convert it with cdfconvert of NASA's CDF tools: single file, gzip, version 3."
_PART, _CHUNK = 2**16, 2**20


@dataclass(frozen=True)
class CdfSummary:
    """A file whose records fit each other: names of variables, bytes of all values, and `identity_of` the file."""

    names: tuple[str, ...]
    expanded_bytes: int
    identity: tuple[int, ...]


def check_cdf(path: str | Path, contents: bool = False) -> CdfSummary:
    """Look at every record of a CDF file; with `contents` expand every compressed block too, and compare the checksum.

    `contents` takes as long as reading. Only the checksum, which MMS files have, finds changed values of uncompressed
    variables. LoadError if it is no CDF, is cut off, or a record does not fit; or if it may be good and is not read
    here: of a version before 2.6, compressed as a whole or by something else than gzip, in several files, or too large.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            return _Walk(path, file, _identity(os.fstat(file.fileno()))).summary(contents)
    except FileNotFoundError as error:
        raise LoadError(str(path), "there is no such file", "Check the path, or load again.") from error
    except OSError as error:
        found = f"it cannot be opened ({type(error).__name__}: {error})"
        raise LoadError(str(path), found, "Check its permissions and the disk.") from error
    except (struct.error, zlib.error) as error:
        raise _refusal(path, f"{type(error).__name__}: {error}") from error


def may_expand(packed_bytes: int, expanded_bytes: int) -> bool:
    """Return True if a number of bytes in a file may hold a number of bytes of values."""
    return expanded_bytes <= min(_MOST_BYTES, max(_UNSUSPECTED_BYTES, _MOST_EXPANSION * packed_bytes))


def identity_of(path: str | Path) -> tuple[int, ...]:
    """Return numbers that change when a file is replaced or written to."""
    return _identity(Path(path).stat())


def _identity(about: os.stat_result) -> tuple[int, ...]:
    return (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns)


@dataclass
class _Walk:
    """Goes through the records of an open file, each once."""

    path: Path
    file: BinaryIO
    identity: tuple[int, ...]
    _word: str = "q"
    _name_bytes: int = 256
    _seen: set[int] = field(default_factory=set)
    _used: int = 0
    _expanded: int = 0
    _blocks: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def size(self) -> int:
        return self.identity[2]

    def summary(self, contents: bool) -> CdfSummary:
        flags, directory = self._head()
        has_sum = flags & _MD5 == _MD5
        r_first, z_first, first_attribute, end, r_count, attributes, _, r_dimensions, z_count, *_ = directory[1:]
        place = directory[0]
        sizes = self._integers(self._behind(place, _GDR), r_dimensions, self._end(place), "the file")
        names = [
            self._variable(at, kind, sizes)
            for first, count, kind in ((r_first, r_count, _RVDR), (z_first, z_count, _ZVDR))
            for at in self._chain(first, count, kind)
        ]
        for at in self._chain(first_attribute, attributes, _ADR):
            self._attribute(at)
        self._check_expansion()
        if contents:
            for block in self._blocks:
                self._inflate(*block)
            if has_sum:
                self._check_sum(end)
        return CdfSummary(tuple(names), self._expanded, self.identity)

    def _head(self) -> tuple[int, tuple[int, ...]]:
        """Flags, and place and fields of the global descriptor record."""
        magic = self.file.read(8)
        if magic not in (_CDF3, _CDF2):
            if magic[:4] in (_CDF3[:4], _CDF2[:4]) and magic[4:] == _AS_A_WHOLE:
                raise self._not_read("it is compressed as a whole")
            if magic == _BEFORE_26:
                raise self._not_read("it is of a version before 2.6")
            raise self._wrong("it does not begin as one")
        if magic == _CDF2:
            self._word, self._name_bytes = "i", 64
        place, *_, flags = self._record(8, _CDR)[:5]
        if not flags & _SINGLE_FILE:
            raise self._not_read("its variables are in other files")
        fields = self._record(place, _GDR)
        if self.size != fields[3] + (_CHECKSUM_BYTES if flags & _MD5 == _MD5 else 0):
            raise self._wrong(f"it has {self.size} bytes and states {fields[3]}")
        return flags, (place, *fields)

    def _record(self, at: int, *kinds: int) -> tuple[int, ...]:
        """Fields of the record at an offset, that nothing else points to."""
        self._claim(at, kinds)
        return self._fields(at, kinds[0])

    def _claim(self, at: int, kinds: tuple[int, ...]) -> tuple[int, int]:
        if not 8 <= at < self.size or at in self._seen:
            raise self._wrong(f"something points to {at}, " + ("again" if at in self._seen else "outside of the file"))
        size, kind = self._read(at, "wi")
        least = self._length("wi" + _FIELDS.get(kind, ""))
        if kind not in kinds or not least <= size <= self.size - at:
            raise self._wrong(f"the record at {at} is of kind {kind} and has {size} bytes")
        self._seen.add(at)
        self._used += size
        if self._used > self.size:
            raise self._wrong("its records overlap")
        return size, kind

    def _fields(self, at: int, kind: int) -> tuple[int, ...]:
        return self._read(at, "wi" + _FIELDS[kind])[2:]

    def _read(self, at: int, form: str) -> tuple[int, ...]:
        form = ">" + form.replace("w", self._word)
        self.file.seek(at)
        return struct.unpack(form, self.file.read(struct.calcsize(form)))

    def _length(self, form: str) -> int:
        return struct.calcsize(">" + form.replace("w", self._word))

    def _behind(self, at: int, kind: int) -> int:
        """Return the offset of the data after the fields of a record."""
        return at + self._length("wi" + _FIELDS[kind])

    def _chain(self, at: int, count: int, kind: int) -> Iterator[int]:
        """Return the offsets of records that each point to the next one in their first field."""
        for _ in range(count):
            following = self._record(at, kind)[0]
            yield at
            at = following

    def _integers(self, at: int, count: int, end: int, what: str) -> tuple[int, ...]:
        if not 0 <= count <= _MOST_DIMENSIONS or at + 4 * count > end:
            raise self._wrong(f"{what} has {count} dimensions")
        return self._read(at, f"{count}i") if count else ()

    def _end(self, at: int) -> int:
        return at + self._read(at, "w")[0]

    def _variable(self, at: int, kind: int, r_sizes: tuple[int, ...]) -> str:
        _, form, last, index, _, flags, _, _, _, _, elements, _, parameters, _ = self._fields(at, kind)
        end = self._end(at)
        name = self._name(self._behind(at, kind), end)
        place, sizes = self._behind(at, kind) + self._name_bytes, r_sizes
        if kind == _ZVDR:
            (count,) = self._integers(place, 1, end, name)
            sizes = self._integers(place + 4, count, end, name)
            place += 4 + 4 * count
        varies = self._integers(place, len(sizes), end, name)
        record = self._value_bytes(form, elements, name) * math.prod(
            size for size, vary in zip(sizes, varies, strict=True) if vary
        )
        if any(size < 1 for size in sizes) or last < -1 or (last > 0 and not flags & _VARIES):
            raise self._wrong(f"{name} has {last + 1} records of {sizes}")
        if flags & _COMPRESSED and self._record(parameters, _CPR)[0] != _GZIP:
            raise self._not_read(f"{name} is compressed by something else than gzip")
        if last >= 0:
            self._values(name, index, last, record)
        return name

    def _name(self, at: int, end: int) -> str:
        if at + self._name_bytes > end:
            raise self._wrong(f"the record before {end} has no room for a name")
        self.file.seek(at)
        return self.file.read(self._name_bytes).decode("utf-8", "replace").replace("\0", "")

    def _value_bytes(self, form: int, elements: int, what: str) -> int:
        if form in _CHARACTERS and 1 <= elements <= self.size:
            return elements
        if form not in _TYPES or elements != 1:
            raise self._wrong(f"{what} has {elements} elements of type {form}")
        return _TYPES[form]

    def _values(self, name: str, index: int, last: int, record: int) -> None:
        """The blocks of a variable hold its records, one after another without a gap."""
        reached = -1
        for first, final, at in self._blocks_of(index):
            if first != reached + 1 or final < first:
                raise self._wrong(f"the blocks of {name} leave out records or have them twice")
            self._block(name, at, (final - first + 1) * record)
            reached = final
        if reached < last:
            raise self._wrong(f"{name} has {last + 1} records, but blocks of {reached + 1}")
        self._expanded += (last + 1) * record

    def _blocks_of(self, at: int) -> Iterator[tuple[int, int, int]]:
        """First record, last record and offset of each block that an index and those below it name."""
        waiting = [at]
        while waiting:
            at = waiting.pop()
            if isinstance(at, tuple):
                yield at
                continue
            following, entries, used = self._record(at, _VXR)
            start, end = self._behind(at, _VXR), self._end(at)
            if not 0 <= used <= entries or start + entries * (8 + self._length("w")) > end:
                raise self._wrong(f"the index at {at} has {used} entries of {entries}")
            numbers = self._read(start, f"{entries}i{entries}i" + "w" * entries)
            rows = zip(numbers[:used], numbers[entries : entries + used], numbers[2 * entries :], strict=False)
            # The last that is put there comes next: entries in their order, then the index that follows.
            waiting += [following] if following else []
            waiting += [row[2] if self._kind(row[2]) == _VXR else row for row in reversed(list(rows))]

    def _kind(self, at: int) -> int:
        return self._read(at, "wi")[1] if 8 <= at < self.size else 0

    def _block(self, name: str, at: int, expected: int) -> None:
        size, kind = self._claim(at, (_VVR, _CVVR))
        place = self._behind(at, kind)
        if expected > _MOST_BLOCK_BYTES:
            raise self._not_read(f"{name} has a block of {expected} bytes, more than {_MOST_BLOCK_BYTES}")
        if kind == _VVR:
            held = at + size - place
        else:
            packed = self._fields(at, kind)[1]
            if not 18 <= packed <= at + size - place:
                raise self._wrong(f"{name} has a block of {packed} bytes at {at}")
            # The last four bytes of gzip hold the length, modulo 2^32, of the content (RFC 1952, section 2.3).
            held = int.from_bytes(self._bytes(place + packed - 4, 4), "little")
            self._blocks.append((place, packed, held))
        if held < expected:
            raise self._wrong(f"{name} has a block of {held} bytes at {at} instead of {expected}")

    def _bytes(self, at: int, count: int) -> bytes:
        self.file.seek(at)
        return self.file.read(count)

    def _attribute(self, at: int) -> None:
        _, first, _, _, count, _, _, first_z, count_z, _, _ = self._fields(at, _ADR)
        name = self._name(self._behind(at, _ADR), self._end(at))
        for start, number, kind in ((first, count, _GR_ENTRY), (first_z, count_z, _Z_ENTRY)):
            for entry in self._chain(start, number, kind):
                _, _, form, _, elements, *_ = self._fields(entry, kind)
                each = 1 if form in _CHARACTERS else _TYPES.get(form, 0)
                if not each or not 0 <= each * elements <= self._end(entry) - self._behind(entry, kind):
                    raise self._wrong(f"the attribute {name} has {elements} elements of type {form}")

    def _check_expansion(self) -> None:
        held = max(self._expanded, sum(held for _, _, held in self._blocks))
        if not may_expand(self.size, held):
            raise self._wrong(f"{self.size} bytes are stated to expand to {held}")

    def _inflate(self, at: int, packed: int, held: int) -> None:
        """Check that a block expands to the stated number of bytes, and to the stated content."""
        inflate, left, found = zlib.decompressobj(31), packed, 0
        self.file.seek(at)
        while left and not inflate.eof and found <= held:
            part = self.file.read(min(left, _PART))
            if not part:
                break
            left -= len(part)
            while part and not inflate.eof and found <= held:
                found += len(inflate.decompress(part, _CHUNK))
                part = inflate.unconsumed_tail
        if found != held or not inflate.eof:
            raise self._wrong(f"the block at {at} expands to something else than {held} bytes")

    def _check_sum(self, end: int) -> None:
        self.file.seek(0)
        digest, left = hashlib.md5(usedforsecurity=False), end
        while part := self.file.read(min(left, _CHUNK)):
            digest.update(part)
            left -= len(part)
        if digest.digest() != self._bytes(end, _CHECKSUM_BYTES):
            raise self._wrong("its checksum is of another content")

    def _not_read(self, what: str) -> LoadError:
        """The error for what may be a good file."""
        return LoadError(str(self.path), f"this CDF file is not read here: {what}", _CONVERT)

    def _wrong(self, what: str) -> LoadError:
        return _refusal(self.path, what)


def _refusal(path: Path, what: str) -> LoadError:
    return LoadError(str(path), f"this is not a whole CDF file ({what})", _AGAIN)


def read_npz(path: str | Path) -> dict[str, np.ndarray]:
    """Return all arrays of an ``.npz`` file; LoadError if it is damaged, holds objects or expands to implausibly much.

    ``numpy.load`` allocates the size in the header of a member; here each header has to fit its member.
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
