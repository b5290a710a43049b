"""An archive in one Parquet file, for other machines, other programs and later versions of this package.

The columns are those of the archive, checksums included; what made the rows is JSON in the metadata of the file.
Nothing is pickled.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

import numpy as np

from ..errors import ArchiveError, ArgumentError, DamagedArchiveError
from .archive import Archive
from .durable import sync
from .fragments import failures_of_lance, schema, to_arrow, whole_rows
from .identity import Identity
from .store import Appended

_KEY = b"pyspedas-similarity archive"
_ROWS = 16384


def export_archive(archive: Archive, file: str | Path) -> int:
    """Write all rows of an archive's version to a Parquet file; how many.

    Raises
    ------
    DamagedArchiveError
        If a row is damaged: the file would silently lack it.
    ArchiveError
        If the file is there already, or cannot be written.
    """
    import pyarrow.parquet as pq

    file = Path(file)
    if file.exists():
        raise ArchiveError(str(file), "it is there already", "Give another name, or remove it.")
    store, heads = archive.store, archive.store.heads(archive.version)
    if heads.damaged:
        raise DamagedArchiveError(str(archive.path), f"{heads.damaged} rows are damaged", "Repair it first.")
    layout = schema(store.identity.dimension).with_metadata({_KEY: json.dumps(store.identity.to_dict()).encode()})
    temporary = file.with_name(f".tmp{os.getpid()}-{file.name}")
    failed = ArchiveError(str(file), "it cannot be written (is the disk full?)", "Make room, or check its rights.")
    try:
        with failures_of_lance(failed):
            with pq.ParquetWriter(temporary, layout, write_page_checksum=True) as writer:
                for first in range(0, len(heads), _ROWS):
                    chosen = np.arange(first, min(first + _ROWS, len(heads)))
                    rows = store.take(heads, chosen)
                    writer.write_table(to_arrow(rows, heads.ids[chosen], store.identity).cast(layout))
            sync([temporary])
            os.replace(temporary, file)
            sync([file])
    finally:
        with suppress(OSError):
            temporary.unlink()
    return len(heads)


def import_archive(archive: Archive, file: str | Path) -> Appended:
    """Add the rows of such a file; those that are there already are skipped.

    Raises
    ------
    ArgumentError
        If it is no such file.
    DamagedArchiveError
        If a row in it is not as it was written; those before it are then kept.
    MixingError
        If the archive holds rows of another identity.
    """
    import pyarrow.parquet as pq

    archive.check_writable()
    unreadable = ArgumentError(str(file), "it is no archive that was exported", "Give the file that export wrote.")
    with failures_of_lance(unreadable), pq.ParquetFile(file, page_checksum_verification=True) as parquet:
        try:
            record = json.loads(parquet.schema_arrow.metadata[_KEY])
        except (KeyError, TypeError, ValueError) as error:
            raise unreadable from error
        identity = Identity.from_dict(record, str(file))
        if not parquet.schema_arrow.equals(schema(identity.dimension), check_metadata=False):
            raise unreadable
        store = archive.begin(identity)
        added = skipped = 0
        for batch in parquet.iter_batches(_ROWS):
            intact, rows = whole_rows(batch, identity)
            if not intact.all():
                found = f"{int((~intact).sum())} of {len(intact)} rows are not as written"
                raise DamagedArchiveError(str(file), found, "Export it again.")
            appended = store.append(rows)
            added, skipped = added + appended.added, skipped + appended.skipped
    return Appended(store.latest(), added, skipped)
