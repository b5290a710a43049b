"""The archive object of the public interface, and its export to and import from one Parquet file."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

import numpy as np

from ..errors import ArchiveError, ArgumentError, DamagedArchiveError
from .commit_records import committed_versions
from .commits import FOLDERS, IDENTITY_RECORDS
from .fragments import convert_lance_errors, schema, to_arrow, whole_rows
from .index import Index
from .lance_store import LanceStore
from .locations import ROWS, Folder, Place, place_of, sync
from .neighbors import NeighborGraph, cached_graph
from .rows import Identity
from .store import Appended, Report, Store, Version

_OWN = {ROWS, *IDENTITY_RECORDS, *FOLDERS}
# Entries of a folder in which an archive was begun.


def _check_free(folder: Path) -> None:
    """Raise ArchiveError for a folder with files of something else; hidden files do not count."""
    try:
        found = sorted(one.name for one in folder.iterdir() if not one.name.startswith("."))
    except OSError:  # there is no folder, or it cannot be read: an error follows where it is read or written
        return
    if found and not _OWN & set(found):
        there = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
        raise ArchiveError(
            str(folder), f"it holds other files ({there}) and no archive", "Give an empty or new folder."
        )


class Archive:
    """Archive of embeddings.

    Opened by `pyspedas_similarity.open_archive`, filled by `add`, searched by ``find_similar(archive=...)``.

    Parameters
    ----------
    path : str or Path
        A folder, or the address of an object store.
    version : int, optional
        Version to read; default the newest one at every call.
    memory : int, optional
        Maximum memory for embeddings, in bytes; larger archives are read from disk at every search. Default half of
        the machine's memory.
    storage_options : dict of str, optional
        Options of an object store; not logged.
    """

    def __init__(
        self,
        path: Place | str | Path,
        version: int | None = None,
        memory: int | None = None,
        storage_options: dict[str, str] | None = None,
    ) -> None:
        self._place = place_of(path, storage_options)
        self.path = self._place.folder if isinstance(self._place, Folder) else self._place.address
        self._pinned, self._memory = version, memory
        self._store: Store | None = None
        self._index: Index | None = None
        if isinstance(self._place, Folder) and not self.begun:
            _check_free(self._place.folder)
        if version is not None:
            self.store.version_info(version)

    def __repr__(self) -> str:
        if not self._place.locks and self._store is None:  # do not access the network for a repr
            return f"<Archive {self.path!r}>"
        if not self.begun:
            return f"<Archive {str(self.path)!r}, empty>"
        state = self.store.version_info(self._pinned)
        return f"<Archive {str(self.path)!r}, version {state.number}, {state.rows} samples>"

    def __len__(self) -> int:
        return self.store.version_info(self._pinned).rows if self.begun else 0

    @property
    def begun(self) -> bool:
        """True if the archive has at least one version."""
        return self._store is not None or bool(committed_versions(self._place))

    @property
    def store(self) -> Store:
        """Store of the rows; raises ArchiveError if the archive has no version."""
        if self._store is None:
            self._store = LanceStore(self._place)
        return self._store

    @property
    def identity(self) -> Identity:
        """Identity of the embeddings: encoder, recipe, kind, dimension."""
        return self.store.identity

    @property
    def version(self) -> int:
        """Number of the version that is searched."""
        return self.store.version_info(self._pinned).number

    def begin(self, identity: Identity) -> Store:
        """Return the store for rows of an identity; create it if it does not exist.

        Raises
        ------
        MixingError
            If the archive holds rows of another identity.
        ArchiveError
            If this is an older version.
        """
        self.check_writable()
        self._store = LanceStore.create(self._place, identity)
        return self._store

    def versions(self) -> list[Version]:
        """Return all versions that can be restored, oldest first."""
        return self.store.versions()

    def at(self, version: int) -> Archive:
        """Return the archive at an older version, read-only."""
        return Archive(self._place, version, self._memory)

    def restore(self, version: int) -> int:
        """Create a new version with the content of an older one and return its number; no version is removed."""
        self.check_writable()
        return self.store.restore(version)

    def compact(self, keep: int | None = None) -> int:
        """Merge small files, delete all but the newest `keep` versions and return the number of the newest version."""
        self.check_writable()
        version = self.store.compact()
        if keep is not None:
            self.store.forget(keep)
        return version

    def verify(self) -> Report:
        """Read all rows and records of the archive and report any damage."""
        return self.store.verify()

    def repair(self) -> Report:
        """Remove damaged rows, keep all others, and return the report of the damage found."""
        self.check_writable()
        return self.store.repair()

    def build_index(self) -> float:
        """Build an on-disk index of all samples and return its recall.

        The recall is the fraction of the exact ten nearest neighbors that the index finds; an index with a recall
        below 0.99 is not used. Samples added later are searched exhaustively until the index is rebuilt. An index is
        faster than exact search from about 100,000 samples on.
        """
        self.check_writable()
        return self.store.build_index()

    def prepare(self) -> float:
        """Build an in-memory graph, for searches in less than a millisecond, and return its recall."""
        return self.index().prepare()

    def index(self) -> Index:
        """Return the search index of the version that is searched."""
        if self._index is None or self._index.version != self.version:
            self._index = None  # free its memory before the next index is loaded
            self._index = Index(self.store, self._pinned, self._memory)
        return self._index

    def graph(self, embeddings: np.ndarray, k: int) -> NeighborGraph:
        """Return the k nearest neighbors of each of the given rows; cached on disk if the archive is a folder."""
        return cached_graph(self.path / "graphs" if isinstance(self.path, Path) else None, embeddings, k)

    def check_writable(self) -> None:
        """Raise ArchiveError if the archive is open at an older version."""
        if self._pinned is not None:
            found = f"it is open at version {self._pinned}"
            raise ArchiveError(str(self.path), found, "Open it without a version.")


_KEY = b"pyspedas-similarity archive"
_ROWS_AT_ONCE = 16384


def export_archive(archive: Archive, file: str | Path) -> int:
    """Write all rows of the version of an archive to a Parquet file and return their number; ArchiveError if it exists.

    The columns are those of the archive, checksums included; the identity is JSON in the metadata of the file. Nothing
    is pickled.
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
                for first in range(0, len(heads), _ROWS_AT_ONCE):
                    chosen = np.arange(first, min(first + _ROWS_AT_ONCE, len(heads)))
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

    After a DamagedArchiveError, the rows of previous batches are kept.
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
        for batch in parquet.iter_batches(_ROWS_AT_ONCE):
            intact, rows = whole_rows(batch, identity)
            if not intact.all():
                found = f"{int((~intact).sum())} of {len(intact)} rows are damaged"
                raise DamagedArchiveError(str(file), found, "Export it again.")
            appended = store.append(rows)
            added, skipped = added + appended.added, skipped + appended.skipped
    return Appended(store.latest(), added, skipped)
