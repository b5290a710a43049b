"""An archive as it is handed to the user: a place that may hold nothing yet, at its newest version or an older one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import ArchiveError
from .durable import Folder
from .identity import Identity
from .index import Index
from .lance_store import LanceStore
from .locations import Place, place_of
from .neighbors import NeighborGraph, cached_graph
from .seals import sealed_versions
from .store import Report, Store, Version

_OWN = {"rows.lance", "seals", "locks", "archive.json", "archive.copy.json"}
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
    """Embeddings that are kept.

    Made by `pyspedas_similarity.open_archive`, filled by `add`, searched by ``find_similar(archive=...)``.

    Parameters
    ----------
    path : str or Path
        A folder, or the address of an object store.
    version : int, optional
        Stay at this version; default the newest at every call.
    memory : int, optional
        Bytes that embeddings may take in memory; larger archives are read from the disk at every search. Default half
        of the machine's memory.
    storage_options : dict of str, optional
        For an object store; not logged.
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
        if not self._place.locks and self._store is None:  # nothing is asked of a network to show a name
            return f"<Archive {self.path!r}>"
        if not self.begun:
            return f"<Archive {str(self.path)!r}, empty>"
        state = self.store.version_info(self._pinned)
        return f"<Archive {str(self.path)!r}, version {state.number}, {state.rows} samples>"

    def __len__(self) -> int:
        return self.store.version_info(self._pinned).rows if self.begun else 0

    @property
    def begun(self) -> bool:
        """True if anything was ever added."""
        return self._store is not None or bool(sealed_versions(self._place))

    @property
    def store(self) -> Store:
        """Store of the rows; ArchiveError if nothing was ever added."""
        if self._store is None:
            self._store = LanceStore(self._place)
        return self._store

    @property
    def identity(self) -> Identity:
        """Identity of the embeddings: encoder, recipe, kind, dimension."""
        return self.store.identity

    @property
    def version(self) -> int:
        """The one that is searched."""
        return self.store.version_info(self._pinned).number

    def begin(self, identity: Identity) -> Store:
        """The store for rows of an identity, begun where there is none.

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
        """All states that one can go back to, oldest first."""
        return self.store.versions()

    def at(self, version: int) -> Archive:
        """The archive as it was at a version, to be searched."""
        return Archive(self._place, version, self._memory)

    def restore(self, version: int) -> int:
        """Make a new version that holds what an older one held, and give its number; none is lost."""
        self.check_writable()
        return self.store.restore(version)

    def compact(self, keep: int | None = None) -> int:
        """Join small files, and give up all but the newest `keep` versions; the version then."""
        self.check_writable()
        version = self.store.compact()
        if keep is not None:
            self.store.forget(keep)
        return version

    def verify(self) -> Report:
        """Read everything and report what is damaged."""
        return self.store.verify()

    def repair(self) -> Report:
        """Leave out damaged rows, keep all others, and report what was found."""
        self.check_writable()
        return self.store.repair()

    def build_index(self) -> float:
        """Build an index on the disk of all samples there are, and give its recall.

        That is the share of the ten nearest that it finds, measured against the exact answer; below 0.99 it is not
        used. Samples that are added later are searched one by one until it is built again. It pays from a hundred
        thousand samples on.
        """
        self.check_writable()
        return self.store.build_index()

    def prepare(self) -> float:
        """Make a graph in the memory of this process, for searches of a fraction of a millisecond; give its recall."""
        return self.index().prepare()

    def index(self) -> Index:
        """Return the index of the version that is searched."""
        if self._index is None or self._index.version != self.version:
            self._index = None  # its memory goes before that of the next one comes
            self._index = Index(self.store, self._pinned, self._memory)
        return self._index

    def graph(self, embeddings: np.ndarray, k: int) -> NeighborGraph:
        """The k nearest other rows of each of some of its embeddings; kept in its folder, where it is in one."""
        return cached_graph(self.path / "graphs" if isinstance(self.path, Path) else None, embeddings, k)

    def check_writable(self) -> None:
        """ArchiveError if this is an older version."""
        if self._pinned is not None:
            found = f"it is open at version {self._pinned}"
            raise ArchiveError(str(self.path), found, "Open it without a version.")
