"""A store that keeps everything in lists: no disk, no threads, nothing to go wrong. Stores are compared with it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pyspedas_similarity.archive.rows import Identity, Rows, check_rows, content_hashes
from pyspedas_similarity.archive.store import Appended, Heads, Part, Report, Version
from pyspedas_similarity.errors import ArchiveError


class Exact:
    """Proposes the nearest themselves."""

    recall = 1.0

    def __init__(self, rows: Rows, heads: Heads) -> None:
        self._rows, self._heads = rows, heads

    def propose(self, center: np.ndarray, m: int, part: Part | None = None) -> np.ndarray:
        scores = self._rows.embeddings @ center
        if part is not None:
            pairs = zip(self._rows.source, self._rows.site, strict=True)
            allowed = np.array([pair in part.series for pair in pairs])
            if part.spans is not None:
                allowed &= np.any([(self._rows.start >= a) & (self._rows.start <= b) for a, b in part.spans], axis=0)
            if part.usable_only:
                allowed &= self._rows.quality == 0
            scores = np.where(allowed, scores, -np.inf)
        best = np.argsort(-scores, kind="stable")[:m]
        return best[np.isfinite(scores[best])]


class MemoryStore:
    """The plainest store that does what `Store` says."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        empty = np.zeros((0, identity.dimension), np.float32)
        times, texts = np.zeros(0, "datetime64[ns]"), np.zeros(0, object)
        rows = Rows(empty, times, times, texts, texts, np.zeros(0, np.int16), texts)
        self._states = {1: rows}
        self._told = {1: Version(1, np.datetime64("now", "ns"), "create", 0)}
        self._indexed = False

    def latest(self) -> int:
        return max(self._states)

    def versions(self) -> list[Version]:
        return [self._told[number] for number in sorted(self._told)]

    def version_info(self, version: int | None = None) -> Version:
        version = self.latest() if version is None else version
        self._state(version)
        return self._told[version]

    def append(self, rows: Rows) -> Appended:
        check_rows(rows, self.identity)
        newest = self._states[self.latest()]
        seen = set(content_hashes(newest, self.identity).tolist())
        fresh = []
        for number, one in enumerate(content_hashes(rows, self.identity).tolist()):
            if one not in seen:
                seen.add(one)
                fresh.append(number)
        if not fresh:
            return Appended(self.latest(), 0, len(rows))
        self._make("append", Rows.joined([newest, rows.take(np.array(fresh))]), len(fresh))
        return Appended(self.latest(), len(fresh), len(rows) - len(fresh))

    def heads(self, version: int | None = None) -> Heads:
        version = self.latest() if version is None else version
        rows = self._state(version)
        sources, sites = (list(dict.fromkeys(texts.tolist())) for texts in (rows.source, rows.site))
        n = len(rows)
        return Heads(
            version=version,
            ids=content_hashes(rows, self.identity),
            start=rows.start,
            end=rows.end,
            source=np.array([sources.index(one) for one in rows.source], np.int32),
            site=np.array([sites.index(one) for one in rows.site], np.int32),
            sources=tuple(sources),
            sites=tuple(sites),
            quality=rows.quality,
            place=np.arange(n),
            checksum=np.zeros(n, np.uint64),
            damaged=0,
        )

    def blocks(self, heads: Heads) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        yield np.arange(len(heads)), self._state(heads.version).embeddings

    def take(self, heads: Heads, chosen: np.ndarray) -> Rows:
        return self._state(heads.version).take(np.asarray(chosen, np.int64))

    def embeddings(self, heads: Heads, chosen: np.ndarray) -> np.ndarray:
        return self._state(heads.version).embeddings[np.asarray(chosen, np.int64)]

    def build_index(self) -> float:
        newest = self._states[self.latest()]
        if len(newest) < 1000:
            raise ArchiveError("index", f"it holds {len(newest)} rows", "Add more.")
        self._make("index", newest)
        self._indexed = True
        return 1.0

    def near(self, heads: Heads) -> Exact | None:
        return Exact(self._state(heads.version), heads) if self._indexed else None

    def restore(self, version: int) -> int:
        self._make("restore", self._state(version))
        return self.latest()

    def compact(self, rows_per_file: int = 2**20) -> int:
        return self.latest()

    def forget(self, keep: int) -> int:
        if keep < 1:
            raise ArchiveError("keep", "too few", "Give 1 or more.")
        given_up = sorted(self._states)[:-keep]
        for version in given_up:
            del self._states[version], self._told[version]
        return len(given_up)

    def verify(self) -> Report:
        return Report(self.latest(), len(self._states[self.latest()]), 0, ())

    def repair(self) -> Report:
        return self.verify()

    def _make(self, what: str, rows: Rows, added: int = 0) -> None:
        number = self.latest() + 1
        self._states[number] = rows
        self._told[number] = Version(number, np.datetime64("now", "ns"), what, len(rows), added)

    def _state(self, version: int) -> Rows:
        if version not in self._states:
            raise ArchiveError("version", f"there is no version {version}", "See versions().")
        return self._states[version]
