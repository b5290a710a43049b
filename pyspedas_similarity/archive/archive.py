"""An archive as it is handed to the user: a folder that may hold nothing yet, at its newest version or an older one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import ArchiveError, ArgumentError
from .graphs import cached_graph
from .identity import Identity
from .index import Index
from .lance_store import LanceStore
from .neighbours import NeighbourGraph
from .seals import sealed_versions
from .store import Report, Store, Version


class Archive:
    """Embeddings that are kept.

    Made by `pyspedas_similarity.open_archive`, filled by `add`, searched by ``find_similar(archive=...)``.

    Parameters
    ----------
    path : str or Path
        A folder.
    version : int, optional
        Stay at this version; default the newest at every call.
    memory : int, optional
        Bytes that embeddings may take in memory; larger archives are read from the disk at every search. Default half
        of the machine's memory.
    """

    def __init__(self, path: str | Path, version: int | None = None, memory: int | None = None) -> None:
        self.path = _folder(path)
        self._pinned, self._memory = version, memory
        self._store: Store | None = None
        self._index: Index | None = None
        if version is not None:
            self.store.told(version)

    def __repr__(self) -> str:
        if not self.begun:
            return f"<Archive {str(self.path)!r}, empty>"
        told = self.store.told(self._pinned)
        return f"<Archive {str(self.path)!r}, version {told.number}, {told.rows} samples>"

    def __len__(self) -> int:
        return self.store.told(self._pinned).rows if self.begun else 0

    @property
    def begun(self) -> bool:
        """Whether anything was ever added."""
        return self._store is not None or bool(sealed_versions(self.path / "seals"))

    @property
    def store(self) -> Store:
        """What keeps the rows; ArchiveError where nothing was ever added."""
        if self._store is None:
            self._store = LanceStore(self.path)
        return self._store

    @property
    def identity(self) -> Identity:
        """What made the embeddings: encoder, recipe, kind, dimension."""
        return self.store.identity

    @property
    def version(self) -> int:
        """The one that is searched."""
        return self.store.told(self._pinned).number

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
        self._store = LanceStore.create(self.path, identity)
        return self._store

    def versions(self) -> list[Version]:
        """All states that one can go back to, oldest first."""
        return self.store.versions()

    def at(self, version: int) -> Archive:
        """The archive as it was at a version, to be searched."""
        return Archive(self.path, version, self._memory)

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
        """Read everything and tell what is not as it was written."""
        return self.store.verify()

    def repair(self) -> Report:
        """Leave out what is damaged, keep all the rest, and tell what was found."""
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
        """What answers searches, of the version that is searched now."""
        if self._index is None or self._index.version != self.version:
            self._index = None  # its memory goes before that of the next one comes
            self._index = Index(self.store, self._pinned, self._memory)
        return self._index

    def graph(self, embeddings: np.ndarray, k: int) -> NeighbourGraph:
        """The k nearest other rows of each of some of its embeddings, from its folder where it was made before."""
        return cached_graph(self.path / "graphs", embeddings, k)

    def check_writable(self) -> None:
        """ArchiveError if this is an older version."""
        if self._pinned is not None:
            found = f"it is open at version {self._pinned}"
            raise ArchiveError(str(self.path), found, "Open it without a version.")


def _folder(path: str | Path) -> Path:
    text = str(path)
    scheme, mark, _ = text.partition("://")
    if mark or "\0" in text or not text:
        found = f"{scheme} addresses are not served yet" if mark else f"found {text!r}"
        raise ArgumentError("archive", found, "Give a folder.")
    folder = Path(path).expanduser()
    if folder.exists() and not folder.is_dir():
        raise ArgumentError("archive", f"{folder} is a file", "Give a folder.")
    return folder
