"""Export and import of an archive as one Parquet file, for transfer, other programs and later versions of this package.

The columns are those of the archive, checksums included; the identity is JSON in the metadata of the file. Nothing is
pickled.
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
from .fragments import convert_lance_errors, schema, to_arrow, whole_rows
from .identity import Identity
from .store import Appended

_KEY = b"pyspedas-similarity archive"
_ROWS = 16384


def export_archive(archive: Archive, file: str | Path) -> int:
    """Write all rows of the version of an archive to a Parquet file and return their number.

    Raises
    ------
    DamagedArchiveError
        If a row is damaged.
    ArchiveError
        If the file exists or cannot be written.
    """
    import pyarrow.parquet as pq

    file = Path(file)
    if file.exists():
        raise ArchiveError(str(file), "it exists already", "Give another name, or remove it.")
    store, heads = archive.store, archive.store.heads(archive.version)
    if heads.damaged:
        raise DamagedArchiveError(str(archive.path), f"{heads.damaged} rows are damaged", "Repair it first.")
    layout = schema(store.identity.dimension).with_metadata({_KEY: json.dumps(store.identity.to_dict()).encode()})
    temporary = file.with_name(f".tmp{os.getpid()}-{file.name}")
    failed = ArchiveError(
        str(file), "it cannot be written (is the disk full?)", "Free disk space or check the permissions."
    )
    try:
        with convert_lance_errors(failed):
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
    """Add the rows of an exported file; rows that are stored already are skipped.

    Raises
    ------
    ArgumentError
        If the file was not written by `export_archive`.
    DamagedArchiveError
        If a row of the file is damaged; rows of previous batches are kept.
    MixingError
        If the archive holds rows of another identity.
    """
    import pyarrow.parquet as pq

    archive.check_writable()
    unreadable = ArgumentError(str(file), "it is not an exported archive", "Give a file written by export.")
    with convert_lance_errors(unreadable), pq.ParquetFile(file, page_checksum_verification=True) as parquet:
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
                found = f"{int((~intact).sum())} of {len(intact)} rows are damaged"
                raise DamagedArchiveError(str(file), found, "Export it again.")
            appended = store.append(rows)
            added, skipped = added + appended.added, skipped + appended.skipped
    return Appended(store.latest(), added, skipped)
