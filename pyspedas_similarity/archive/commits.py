"""Commits of new versions, with a lock that is released when its holder dies, and without a lock.

In a folder a lock excludes other writers. Files without a seal were left by a writer that died, and are removed.

In an object store everybody goes ahead. Lance puts the list of files of version n + 1 on the condition that there is
none: one succeeds and the others begin again from what it made. A list without a seal is then complete, and it is not
known whether its maker is still alive; the next writer seals it in the maker's place. Seals, too, are created on
the condition that there is none, and their names stay taken when a version is dropped. A writer that paused for an hour
between list and seal thus finds the number gone, and acknowledges nothing.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArchiveError, BusyArchiveError, DamagedArchiveError
from .durable import Folder, make_folder, sync, sync_folder
from .fragments import failures_of_lance, names_of, schema
from .identity import Identity
from .locations import ROWS, Place
from .records import read_record, to_bytes, write_record
from .seals import (
    Seal,
    create_seal,
    manifest_hash,
    manifest_name,
    manifest_versions,
    newest_sealed,
    read_seal,
    sealed_versions,
    write_seal,
)

if TYPE_CHECKING:
    from lance import LanceDataset
    from lance.fragment import FragmentMetadata

# How long a writer waits for the others: a commit takes milliseconds.
PATIENCE_S = 120.0
IDENTITY_RECORDS = ("archive.json", "archive.copy.json")
# Lance's own note of the newest version; it looks for itself where there is none.
HINT = f"{ROWS}/_versions/latest_version_hint.json"
# Where Lance keeps the text of `commit_message`.
_MESSAGE = "__lance_commit_message"
_REPAIR = "Run pyspedas-similarity archive repair."


class OvertakenError(BusyArchiveError):
    """Somebody else made the version that was to be made, and so it is sure that what was to be in it is not."""


@dataclass(frozen=True, eq=False)
class Change:
    """Change of a new version relative to the previous one.

    Attributes
    ----------
    what : str
        As in `Version`.
    operation : object
        Of Lance, where a lock is held.
    fragments : sequence of FragmentMetadata
        All files of the new version; takes the place of the operation where none is.
    files : tuple of str
        Names of those that are new.
    added : int
        Rows that are new.
    origin : int
        As in `Seal`.
    """

    what: str
    operation: Any
    fragments: Sequence[FragmentMetadata]
    files: tuple[str, ...] = ()
    added: int = 0
    origin: int = 0

    @property
    def rows(self) -> int:
        """Rows of the new version."""
        return sum(one.physical_rows for one in self.fragments)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One version, whose list of files is the one that was sealed."""

    seal: Seal
    dataset: LanceDataset

    @property
    def version(self) -> int:
        """Its number."""
        return self.seal.version

    def files(self) -> dict[str, Any]:
        """Name of the data file -> fragment, in the order they are stored."""
        return {names_of([one.metadata])[0]: one for one in self.dataset.get_fragments()}

    def fragments(self) -> list[FragmentMetadata]:
        """Return Lance's metadata of the fragments, in the given order."""
        return [one.metadata for one in self.dataset.get_fragments()]


class LockedCommits:
    """Versions are made under a lock.

    Parameters
    ----------
    place : Folder
    identity : Identity
    """

    def __init__(self, place: Folder, identity: Identity) -> None:
        self._place, self._identity = place, identity

    def lock(self) -> AbstractContextManager[None]:
        """Hold the lock without reading the newest version."""
        return self._place.exclusive("commit", PATIENCE_S, "writing to it")

    def begin(self) -> None:
        """Lay down an empty archive; what an earlier attempt left is replaced: nothing was ever acknowledged."""
        import shutil

        import lance

        place, rows = self._place, self._place.folder / ROWS
        for name in ("locks", "seals"):
            make_folder(place.folder / name)
        with self.lock():
            if sealed_versions(place):
                return
            shutil.rmtree(rows, ignore_errors=True)
            write_identity(place, self._identity)
            dataset = lance.write_dataset(schema(self._identity.dimension).empty_table(), place.rows)
            (rows / "data").mkdir(exist_ok=True)
            sync(path for path in rows.rglob("*") if path.is_file())
            for folder in (rows / "data", rows, place.folder):
                sync_folder(folder)
            write_seal(place, seal_of(place, self._identity, dataset.version, Change("create", None, ())))

    def resolve_unsealed(self, since: int) -> None:
        """Remove versions that a writer left without acknowledging them; only under the lock, when it is gone."""
        newest = newest_sealed(self._place, since)
        leftover = [one for one in manifest_versions(self._place) if one > newest]
        if leftover:
            self._place.remove(*(manifest_name(version) for version in leftover), HINT)

    def make(self, change: Change, newest: Snapshot) -> Snapshot:
        """Make a version, bring it to the disk and seal it; under the lock."""
        import lance

        place, transactions = self._place, f"{ROWS}/_transactions"
        before = set(place.names(transactions))
        try:
            dataset = lance.LanceDataset.commit(place.rows, change.operation, read_version=newest.version)
            new = [f"{transactions}/{name}" for name in place.names(transactions) if name not in before]
            place.keep(*new, manifest_name(dataset.version))
            dataset = open_version(place, dataset.version)  # as it is on the disk, which may have become full
            if sum(one.metadata.physical_rows for one in dataset.get_fragments()) != change.rows:
                raise OSError(f"the list of files of version {dataset.version} is not whole")
            seal = seal_of(place, self._identity, dataset.version, change)
            write_seal(place, seal)
        except BaseException:
            with suppress(OSError):
                self.resolve_unsealed(newest.version)
            raise
        return Snapshot(seal, dataset)


class RacingCommits:
    """Versions are made without a lock.

    Parameters
    ----------
    place : Place
    identity : Identity
    """

    def __init__(self, place: Place, identity: Identity) -> None:
        self._place, self._identity = place, identity

    def lock(self) -> AbstractContextManager[None]:
        """Nothing is held."""
        return nullcontext()

    def begin(self) -> None:
        """Write an empty archive, or finish one that another process has begun."""
        import lance

        for name in IDENTITY_RECORDS:
            with suppress(FileExistsError):
                self._place.create(name, to_bytes(self._identity.to_dict()))
        read_identity(self._place).check(self._identity, self._place.address)
        if self._message_in(1) is None:
            message = self._message(Change("create", None, ()))
            empty = schema(self._identity.dimension).empty_table()
            try:
                lance.write_dataset(
                    empty, self._place.rows, storage_options=self._place.options, commit_message=message
                )
            except OSError:
                if self._message_in(1) is None:  # nor has anybody else
                    raise
        self._seal(1)

    def resolve_unsealed(self, since: int) -> None:
        """Seal what a writer has left unsealed, be it alive or not."""
        with suppress(DamagedArchiveError):  # it has been sealed and given up meanwhile
            self._seal(newest_sealed(self._place, since) + 1)

    def make(self, change: Change, newest: Snapshot) -> Snapshot:
        """Make a version and seal it.

        Raises
        ------
        OvertakenError
            If another process has made one of this number.
        """
        import lance

        number, message = newest.version + 1, self._message(change)
        operation = lance.LanceOperation.Overwrite(schema(self._identity.dimension), change.fragments)
        # Without retries Lance puts just this number or fails, and never commits on top of what others made meanwhile.
        options = {"read_version": newest.version, "max_retries": 0, "storage_options": self._place.options}
        try:
            dataset = lance.LanceDataset.commit(self._place.rows, operation, commit_message=message, **options)
        except (OSError, ValueError, RuntimeError) as error:
            stored = self._message_in(number)  # of a commit that was made only the answer may have been lost
            if stored is None:
                raise
            if stored != message:
                found = f"others have made version {number} first"
                raise OvertakenError(self._place.address, found, "Try again.") from error
            dataset = open_version(self._place, number)
        try:
            made = seal_of(self._place, self._identity, number, change)
            return Snapshot(self._created(made), dataset)
        except DamagedArchiveError as error:
            found = f"version {number} was given up before it was acknowledged; its rows may be there or not"
            raise BusyArchiveError(self._place.address, found, "Do it again: nothing is kept twice.") from error

    def _seal(self, number: int) -> None:
        """Seal a version in the place of its maker, if there is one of this number without a seal."""
        stored = self._message_in(number)
        if stored is not None:
            fragments = [one.metadata for one in open_version(self._place, number).get_fragments()]
            said = json.loads(stored)
            change = Change(said["what"], None, fragments, tuple(said["files"]), said["added"], said["origin"])
            self._created(seal_of(self._place, self._identity, number, change))

    def _created(self, seal: Seal) -> Seal:
        """Write a seal, or return the equal one of another writer; DamagedArchiveError if that one differs."""
        try:
            create_seal(self._place, seal)
            return seal
        except FileExistsError:
            with suppress(ArchiveError):
                there = read_seal(self._place, seal.version)
                if there.manifest == seal.manifest:
                    return there
        raise DamagedArchiveError(self._place.address, f"version {seal.version} was given up", "Do it again.")

    def _message_in(self, number: int) -> str | None:
        """Return the description in a version; None if there is no such version."""
        try:
            self._place.size(manifest_name(number))
        except FileNotFoundError:
            return None
        transaction = open_version(self._place, number).read_transaction(number)
        stored = ((transaction and transaction.transaction_properties) or {}).get(_MESSAGE)
        if stored is None:
            found = f"its version {number} was made by another program"
            raise ArchiveError(self._place.address, found, "Take that away, or export the version before.")
        return stored

    @staticmethod
    def _message(change: Change) -> str:
        said = {"what": change.what, "files": change.files, "added": change.added, "origin": change.origin}
        return json.dumps(said | {"attempt": secrets.token_hex(16)})


def commits_of(place: Place, identity: Identity) -> LockedCommits | RacingCommits:
    """The way that versions are made there."""
    return LockedCommits(place, identity) if place.locks else RacingCommits(place, identity)


def open_version(place: Place, version: int) -> LanceDataset:
    """Lance's data set at a version."""
    import lance

    damaged = DamagedArchiveError(place.address, f"version {version} cannot be opened", _REPAIR)
    with failures_of_lance(damaged):
        return lance.dataset(place.rows, version=version, storage_options=place.options)


def seal_of(place: Place, identity: Identity, version: int, change: Change) -> Seal:
    """The seal of a version that was just made."""
    now, digest = str(np.datetime64("now", "us")), manifest_hash(place, version)
    about = change.what, change.rows, change.added, tuple(change.files)
    return Seal(version, now, *about, digest, identity.hash, change.origin)


def read_identity(place: Place) -> Identity:
    """Read the identity of an archive; from the copy if the first record is damaged.

    Raises
    ------
    ArchiveError
        If there is no archive, both are damaged, or its layout is not read.
    """
    damaged = None
    for name in IDENTITY_RECORDS:
        try:
            return Identity.from_dict(read_record(place, name), place.address)
        except DamagedArchiveError as error:
            damaged = error
        except OSError as error:
            if damaged is None:
                found, remedy = "there is no archive", "Give the folder of one; sim.add begins one."
                raise ArchiveError(place.address, found, remedy) from error
    raise damaged


def write_identity(place: Place, identity: Identity) -> None:
    """Write the identity of an archive, twice."""
    for name in IDENTITY_RECORDS:
        write_record(place, name, identity.to_dict())
