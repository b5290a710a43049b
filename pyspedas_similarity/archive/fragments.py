"""Lance data files: conversion to Arrow, durable writing, and reading with verification of row checksums."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArchiveError, DamagedArchiveError, SimilarityError
from .locations import DATA, REPAIR, Place
from .objects import is_panic, reason_of
from .rows import (
    ID_BYTES,
    Identity,
    Rows,
    body_checksums,
    content_hashes,
    factorize,
    head_checksums,
    label_words,
    thumbnail_sums,
)

if TYPE_CHECKING:
    import pyarrow as pa
    from lance.fragment import FragmentMetadata, LanceFragment

HEAD = ("id", "start_ns", "end_ns", "source", "site", "quality", "thumbnail_sum", "head_checksum")
BODY = ("embedding", "checksum")
MADE_BY = ("recipe", "encoder")
COLUMNS = (*HEAD, *BODY, *MADE_BY, "thumbnail")
# Rows per batch, and per smaller batch after a read error, so that one bad page does not make a whole file unreadable.
_BATCH, _PIECE = 2048, 512
ROWS_PER_FILE = 2**20
# Lance's default is 2 GB.
_READ_AHEAD_BYTES = 2**24
# Stable Lance file format; later releases of Lance guarantee to read it.
_STORAGE = "2.2"
# Messages of the crate object_store for failed requests; Lance has no exception type for them.
_UNREACHABLE = re.compile(r"Error performing [A-Z]+ |Failed to get \w+ credentials")
_MISSING = re.compile(r"404 Not Found")


@dataclass(frozen=True, eq=False)
class FileHeads:
    """Metadata columns of the intact rows of one data file, as in `Heads`.

    `source` and `site` are codes with the labels they stand for; `offset` is the ascending row number in the file.
    """

    ids: np.ndarray
    start: np.ndarray
    end: np.ndarray
    source: tuple[np.ndarray, list[str]]
    site: tuple[np.ndarray, list[str]]
    quality: np.ndarray
    checksum: np.ndarray
    offset: np.ndarray


def schema(dimension: int) -> pa.Schema:
    """Return the Arrow schema of the data set; only the thumbnail is nullable."""
    import pyarrow as pa

    types = {
        "id": pa.binary(ID_BYTES),
        "start_ns": pa.int64(),
        "end_ns": pa.int64(),
        "source": pa.string(),
        "site": pa.string(),
        "quality": pa.int16(),
        "thumbnail_sum": pa.int64(),
        "head_checksum": pa.uint64(),
        "embedding": pa.list_(pa.field("item", pa.float32(), nullable=False), dimension),
        "checksum": pa.uint64(),
        "recipe": pa.string(),
        "encoder": pa.string(),
        "thumbnail": pa.binary(),
    }
    return pa.schema([pa.field(name, types[name], nullable=name == "thumbnail") for name in COLUMNS])


def to_arrow(rows: Rows, ids: np.ndarray, identity: Identity) -> pa.Table:
    """Return rows as an Arrow table in the stored schema, with checksums."""
    import pyarrow as pa

    n = len(rows)
    labels = [factorize(texts) for texts in (rows.source, rows.site)]
    sums = thumbnail_sums(rows.thumbnail)
    heads = _head_checksums(ids, rows.start, rows.end, labels, rows.quality, sums, identity)
    layout = schema(identity.dimension)
    flat = pa.array(np.ascontiguousarray(rows.embeddings, np.float32).reshape(-1))
    columns = [
        pa.FixedSizeBinaryArray.from_buffers(pa.binary(ID_BYTES), n, [None, pa.py_buffer(np.ascontiguousarray(ids))]),
        pa.array(rows.start.astype(np.int64)),
        pa.array(rows.end.astype(np.int64)),
        *(pa.array(texts, pa.string()) for texts in (rows.source, rows.site)),
        pa.array(rows.quality),
        pa.array(sums),
        pa.array(heads),
        pa.FixedSizeListArray.from_arrays(flat, type=layout.field("embedding").type),
        pa.array(body_checksums(heads, rows.embeddings, identity)),
        *(pa.repeat(text, n) for text in (identity.recipe, identity.encoder)),
        pa.array(rows.thumbnail, pa.binary()),
    ]
    return pa.Table.from_arrays(columns, schema=layout)


def write_files(place: Place, data: Any, layout: pa.Schema, rows_per_file: int) -> list[FragmentMetadata]:
    """Write data files that do not belong to a version yet, from a table or a reader of batches; durable on return.

    On a full disk, Lance (14.0) may truncate a file without an error, so the file sizes are checked.
    """
    from lance.fragment import write_fragments

    options = {"schema": layout, "max_rows_per_file": rows_per_file, "data_storage_version": _STORAGE}
    fragments = write_fragments(data, place.rows, storage_options=place.options, **options)
    for file in (file for fragment in fragments for file in fragment.files):
        size = place.size(f"{DATA}/{file.path}")
        if size != file.file_size_bytes:
            raise OSError(f"{file.path} has {size} bytes; {file.file_size_bytes} were written")
    place.make_durable(*(f"{DATA}/{name}" for name in names_of(fragments)))
    return fragments


def names_of(fragments: Sequence[FragmentMetadata]) -> list[str]:
    """Return the names of the data files of fragments."""
    return [file.path for fragment in fragments for file in fragment.files]


def read_heads(fragment: LanceFragment, identity: Identity) -> FileHeads:
    """Read the metadata columns of the intact rows of one data file."""
    rows, n = fragment.metadata.physical_rows, 0
    kinds = (f"S{ID_BYTES}", "datetime64[ns]", "datetime64[ns]", np.int32, np.int32, np.int16, np.uint64, np.int64)
    # Filled in place: concatenating batches would take twice the memory.
    columns = [np.empty(rows, kind) for kind in kinds]
    known: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for offset, batch in scan(fragment, HEAD):
        with skip_damaged():
            found = _read_intact_heads(batch, offset, identity)
            labels = [_label_codes(*pair) for pair in zip(found[3:5], known, strict=True)]
            here = slice(n, n + len(found[0]))
            for column, values in zip(columns, (*found[:3], *labels, *found[5:]), strict=True):
                column[here] = values
            n = here.stop
    ids, start, end, source, site, quality, checksum, offsets = (column[:n] for column in columns)
    names = [list(texts) for texts in known]
    return FileHeads(ids, start, end, (source, names[0]), (site, names[1]), quality, checksum, offsets)


def _label_codes(labels: tuple[np.ndarray, Sequence[str]], known: dict[str, int]) -> np.ndarray:
    """Return codes of labels in a shared table of labels; unknown labels are added to the table."""
    numbers, texts = labels
    here = np.array([known.setdefault(text, len(known)) for text in texts], np.int32)
    return here[numbers] if len(numbers) else np.zeros(0, np.int32)


def concatenate_labels(parts: Sequence[tuple[np.ndarray, Sequence[str]]]) -> tuple[np.ndarray, list[str]]:
    """Concatenate label codes of several files; return codes and labels of the merged table."""
    known: dict[str, int] = {}
    codes = [_label_codes(part, known) for part in parts]
    return np.concatenate(codes) if codes else np.zeros(0, np.int32), list(known)


def read_embeddings(
    fragment: LanceFragment, heads: FileHeads, identity: Identity
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield positions in `heads` and embeddings of the intact rows of a data file, batch by batch."""
    for offset, batch in scan(fragment, BODY):
        low, high = np.searchsorted(heads.offset, (offset, offset + len(batch)))
        numbers = np.arange(low, high)
        inside = heads.offset[low:high] - offset
        embeddings, sums = _embeddings_and_checksums(batch, identity.dimension)
        if len(inside) < len(batch):
            embeddings, sums = embeddings[inside], sums[inside]
        intact = body_checksums(heads.checksum[numbers], embeddings, identity) == sums
        yield (numbers, embeddings) if intact.all() else (numbers[intact], embeddings[intact])


def read_rows(fragment: LanceFragment, offsets: np.ndarray, identity: Identity) -> Rows:
    """Read all columns of rows of a data file, by row number; DamagedArchiveError if one of them is damaged."""
    damaged = DamagedArchiveError(str(names_of([fragment.metadata])[0]), "one of its rows is damaged", REPAIR)
    with convert_lance_errors(damaged):
        batch = fragment.take(offsets.tolist(), columns=list(COLUMNS)).combine_chunks().to_batches()[0]
        intact, rows = whole_rows(batch, identity)
    if len(batch) != len(offsets) or not intact.all():
        raise damaged
    return rows


def read_some_embeddings(
    fragment: LanceFragment, offsets: np.ndarray, checksums: np.ndarray, identity: Identity
) -> np.ndarray:
    """Read embeddings of a data file by row number; rows that do not match their checksums are NaN."""
    found = np.full((len(offsets), identity.dimension), np.nan, np.float32)
    with skip_damaged():
        batch = fragment.take(offsets.tolist(), columns=list(BODY)).combine_chunks().to_batches()[0]
        embeddings, sums = _embeddings_and_checksums(batch, identity.dimension)
        intact = body_checksums(checksums, embeddings, identity) == sums
        found[intact] = embeddings[intact]
    return found


def whole_rows(batch: pa.RecordBatch, identity: Identity) -> tuple[np.ndarray, Rows]:
    """Return a mask of intact rows of a batch, bool (n,), and the rows."""
    heads, sums = _head_arrays(batch), _column(batch, "thumbnail_sum")
    ids, start, end, source, site, quality, kept = heads
    embeddings, bodies = _embeddings_and_checksums(batch, identity.dimension)
    thumbnails = np.empty(len(batch), object)
    thumbnails[:] = batch.column("thumbnail").to_pylist()
    texts = []
    for codes, names in (source, site):
        found = np.empty(len(batch), object)
        found[:] = np.array(names, object)[codes] if len(names) else []
        texts.append(found)
    rows = Rows(embeddings, start, end, *texts, quality, thumbnails)
    intact = _head_checksums(ids, start, end, (source, site), quality, sums, identity) == kept
    intact &= body_checksums(kept, embeddings, identity) == bodies
    intact &= thumbnail_sums(thumbnails) == sums
    intact &= content_hashes(rows, identity).view(f"V{ID_BYTES}") == ids.view(f"V{ID_BYTES}")
    for name in MADE_BY:
        right = getattr(identity, name)
        intact &= np.array([text == right for text in batch.column(name).to_pylist()], bool)
    return intact, rows


def scan(fragment: LanceFragment, columns: Sequence[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield the number of the first row and each batch of a data file; unreadable batches are skipped."""
    rows, offset = fragment.metadata.physical_rows, 0
    options = {"columns": list(columns), "batch_readahead": 1, "io_buffer_size": _READ_AHEAD_BYTES}
    with skip_damaged():
        for batch in fragment.to_batches(**options, batch_size=_BATCH):
            batch = batch.slice(0, rows - offset)
            yield offset, batch
            offset += len(batch)
    for begin in range(offset, rows, _PIECE):
        with skip_damaged():
            inside = begin
            for batch in fragment.to_batches(**options, offset=begin, limit=min(_PIECE, rows - begin)):
                yield inside, batch
                inside += len(batch)


@contextmanager
def convert_lance_errors(instead: SimilarityError) -> Iterator[None]:
    """Convert errors of Lance to a SimilarityError; a Rust panic is no subclass of Exception."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, SimilarityError) or not _is_lance_error(error):
            raise
        _check_reachable(error)
        raise instead from error


@contextmanager
def skip_damaged() -> Iterator[None]:
    """Ignore read errors of Lance; the caller counts missing rows as damaged."""
    try:
        yield
    except BaseException as error:
        if not _is_lance_error(error):
            raise
        _check_reachable(error)


def _check_reachable(error: BaseException) -> None:
    """Raise ArchiveError if the object store was unreachable, since unread rows are not damaged rows."""
    message = str(error)
    if _UNREACHABLE.search(message) and not _MISSING.search(message):
        found = f"it could not be reached ({reason_of(error)})"
        raise ArchiveError("object store", found, "Check the network and the credentials, and try again.") from None


def _is_lance_error(error: BaseException) -> bool:
    import pyarrow as pa

    kinds = (OSError, ValueError, RuntimeError, MemoryError, pa.ArrowException)
    return isinstance(error, kinds) or is_panic(error)


def ids_of(batch: pa.RecordBatch) -> np.ndarray:
    """Return the content hashes of a batch, 'S16', without a copy."""
    ids = batch.column("id")
    return np.frombuffer(ids.buffers()[1], f"S{ID_BYTES}", count=ids.offset + len(ids))[ids.offset :]


def _read_intact_heads(batch: pa.RecordBatch, offset: int, identity: Identity) -> tuple:
    ids, start, end, source, site, quality, kept = _head_arrays(batch)
    sums = _column(batch, "thumbnail_sum")
    intact = _head_checksums(ids, start, end, (source, site), quality, sums, identity) == kept
    numbers = offset + np.flatnonzero(intact)
    labels = [(codes[intact], names) for codes, names in (source, site)]
    return ids[intact], start[intact], end[intact], *labels, quality[intact], kept[intact], numbers


def _head_arrays(batch: pa.RecordBatch) -> tuple:
    raw = ids_of(batch)
    start, end = (_column(batch, name).view("datetime64[ns]") for name in ("start_ns", "end_ns"))
    labels = []
    for name in ("source", "site"):
        encoded = batch.column(name).dictionary_encode()
        labels.append((encoded.indices.fill_null(0).to_numpy(zero_copy_only=False), encoded.dictionary.to_pylist()))
    return raw, start, end, *labels, _column(batch, "quality"), _column(batch, "head_checksum")


def _column(batch: pa.RecordBatch, name: str) -> np.ndarray:
    # A non-nullable column may contain nulls after damage; a zero in their place fails the checksum.
    return batch.column(name).fill_null(0).to_numpy(zero_copy_only=False)


def _embeddings_and_checksums(batch: pa.RecordBatch, dimension: int) -> tuple[np.ndarray, np.ndarray]:
    lists = batch.column("embedding")
    flat = lists.values.slice(lists.offset * dimension, len(lists) * dimension).to_numpy(zero_copy_only=False)
    return flat.reshape(len(batch), dimension), _column(batch, "checksum")


def _head_checksums(
    ids: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    labels: Sequence[tuple[np.ndarray, Sequence[str]]],
    quality: np.ndarray,
    sums: np.ndarray,
    identity: Identity,
) -> np.ndarray:
    words = [label_words(names)[codes] for codes, names in labels]
    times = [one.astype("<i8") for one in (start, end)]
    return head_checksums([ids, *times, *words, quality.astype("<i4"), sums.astype("<i8")], identity)
