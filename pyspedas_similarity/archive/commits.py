"""Commit protocols for new versions: locked in folders, optimistic in object stores.

In a folder, a file lock excludes other writers; the operating system releases it when its holder ends. A manifest
without a commit record was left by a writer that was killed, and is removed.

In an object store there is no lock. Lance writes the manifest of version n + 1 by a conditional put: one writer
succeeds, the others retry from its version. A manifest without a commit record is complete there, but its writer may
or may not be alive; the next writer creates the commit record. Commit records are also created by a conditional put,
and their names remain reserved after a version is deleted. A writer that is suspended between manifest and commit
record therefore finds the number taken and does not acknowledge the batch.
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
from .commit_records import (
    CommitRecord,
    committed_versions,
    create_commit_record,
    manifest_hash,
    manifest_name,
    manifest_versions,
    newest_committed,
    read_commit_record,
    read_record,
    to_bytes,
    write_commit_record,
    write_record,
)
from .fragments import convert_lance_errors, names_of, schema
from .locations import REPAIR, ROWS, Folder, Place, make_folder, sync, sync_folder
from .rows import Identity

if TYPE_CHECKING:
    from lance import LanceDataset
    from lance.fragment import FragmentMetadata

# Maximum time that a writer waits for other writers; a commit takes milliseconds.
PATIENCE_S = 120.0
IDENTITY_RECORDS = ("archive.json", "archive.copy.json")
FOLDERS = ("locks", "seals")
# Lance's cache of the newest version number; without it, Lance lists the versions.
HINT = f"{ROWS}/_versions/latest_version_hint.json"
# Transaction property in which Lance stores `commit_message`.
_MESSAGE = "__lance_commit_message"


class CommitConflictError(BusyArchiveError):
    """Another writer committed this version first; the caller's change was not committed."""


@dataclass(frozen=True, eq=False)
class Change:
    """Change of a new version relative to the previous one.

    Locked commits use the Lance operation, optimistic ones the list of all data files of the new version. `files` names
    the added data files, `added` is the number of added rows; `what` and `origin` are as in `CommitRecord`.
    """

    what: str
    operation: Any
    fragments: Sequence[FragmentMetadata]
    files: tuple[str, ...] = ()
    added: int = 0
    origin: int = 0

    @property
    def rows(self) -> int:
        """Number of rows of the new version."""
        return sum(one.physical_rows for one in self.fragments)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A version whose manifest matches its commit record."""

    record: CommitRecord
    dataset: LanceDataset

    @property
    def version(self) -> int:
        """Number of the version."""
        return self.record.version

    def files(self) -> dict[str, Any]:
        """Return a mapping of data file names to fragments, in stored order."""
        return {names_of([one.metadata])[0]: one for one in self.dataset.get_fragments()}

    def fragments(self) -> list[FragmentMetadata]:
        """Return Lance's metadata of the fragments, in stored order."""
        return [one.metadata for one in self.dataset.get_fragments()]


class LockedCommits:
    """Commit protocol for folders: versions are committed under a file lock, and synced."""

    def __init__(self, place: Folder, identity: Identity) -> None:
        self._place, self._identity = place, identity

    def lock(self) -> AbstractContextManager[None]:
        """Hold the commit lock."""
        return self._place.exclusive("commit", PATIENCE_S, "writing to it")

    def begin(self) -> None:
        """Create an empty archive; files of an earlier attempt, never acknowledged, are replaced."""
        import shutil

        import lance

        place, rows = self._place, self._place.folder / ROWS
        for name in FOLDERS:
            make_folder(place.folder / name)
        with self.lock():
            if committed_versions(place):
                return
            shutil.rmtree(rows, ignore_errors=True)
            write_identity(place, self._identity)
            dataset = lance.write_dataset(schema(self._identity.dimension).empty_table(), place.rows)
            (rows / "data").mkdir(exist_ok=True)
            sync(path for path in rows.rglob("*") if path.is_file())
            for folder in (rows / "data", rows, place.folder):
                sync_folder(folder)
            write_commit_record(
                place, make_commit_record(place, self._identity, dataset.version, Change("create", None, ()))
            )

    def resolve_uncommitted(self, since: int) -> None:
        """Remove versions that a killed writer left without a commit record; call only under the lock."""
        newest = newest_committed(self._place, since)
        leftover = [one for one in manifest_versions(self._place) if one > newest]
        if leftover:
            self._place.remove(*(manifest_name(version) for version in leftover), HINT)

    def make(self, change: Change, newest: Snapshot) -> Snapshot:
        """Commit a version, sync it to disk and write its commit record; call only under the lock."""
        import lance

        place, transactions = self._place, f"{ROWS}/_transactions"
        before = set(place.names(transactions))
        try:
            dataset = lance.LanceDataset.commit(place.rows, change.operation, read_version=newest.version)
            new = [f"{transactions}/{name}" for name in place.names(transactions) if name not in before]
            place.make_durable(*new, manifest_name(dataset.version))
            dataset = open_version(place, dataset.version)  # read from disk, which may be full
            if sum(one.metadata.physical_rows for one in dataset.get_fragments()) != change.rows:
                raise OSError(f"the manifest of version {dataset.version} is incomplete")
            record = make_commit_record(place, self._identity, dataset.version, change)
            write_commit_record(place, record)
        except BaseException:
            with suppress(OSError):
                self.resolve_uncommitted(newest.version)
            raise
        return Snapshot(record, dataset)


class OptimisticCommits:
    """Commit protocol for object stores: versions are committed by conditional puts, without a lock."""

    def __init__(self, place: Place, identity: Identity) -> None:
        self._place, self._identity = place, identity

    def lock(self) -> AbstractContextManager[None]:
        """Return a null context; no lock is needed."""
        return nullcontext()

    def begin(self) -> None:
        """Create an empty archive, or complete one that another process has started to create."""
        import lance

        for name in IDENTITY_RECORDS:
            with suppress(FileExistsError):
                self._place.create(name, to_bytes(self._identity.to_dict()))
        read_identity(self._place).check(self._identity, self._place.address)
        if self._stored_description(1) is None:
            message = self._description(Change("create", None, ()))
            empty = schema(self._identity.dimension).empty_table()
            try:
                lance.write_dataset(
                    empty, self._place.rows, storage_options=self._place.options, commit_message=message
                )
            except OSError:
                if self._stored_description(1) is None:  # no other writer created it either
                    raise
        self._commit_if_missing(1)

    def resolve_uncommitted(self, since: int) -> None:
        """Create the missing commit record of the newest version, if another writer left it without one."""
        with suppress(DamagedArchiveError):  # committed and deleted in the meantime
            self._commit_if_missing(newest_committed(self._place, since) + 1)

    def make(self, change: Change, newest: Snapshot) -> Snapshot:
        """Commit a version and create its commit record; CommitConflictError if another process committed it first."""
        import lance

        number, message = newest.version + 1, self._description(change)
        operation = lance.LanceOperation.Overwrite(schema(self._identity.dimension), change.fragments)
        # Without retries, Lance commits exactly this version number or fails; it never rebases on a concurrent commit.
        options = {"read_version": newest.version, "max_retries": 0, "storage_options": self._place.options}
        try:
            dataset = lance.LanceDataset.commit(self._place.rows, operation, commit_message=message, **options)
        except (OSError, ValueError, RuntimeError) as error:
            stored = self._stored_description(number)  # the commit may have succeeded with its response lost
            if stored is None:
                raise
            if stored != message:
                found = f"another process committed version {number} first"
                raise CommitConflictError(self._place.address, found, "Try again.") from error
            dataset = open_version(self._place, number)
        try:
            made = make_commit_record(self._place, self._identity, number, change)
            return Snapshot(self._create_record(made), dataset)
        except DamagedArchiveError as error:
            found = f"version {number} was deleted before it was acknowledged; its rows may or may not be stored"
            raise BusyArchiveError(self._place.address, found, "Try again: rows are never stored twice.") from error

    def _commit_if_missing(self, number: int) -> None:
        """Create the commit record of a version on behalf of its writer, if its manifest exists."""
        stored = self._stored_description(number)
        if stored is not None:
            fragments = [one.metadata for one in open_version(self._place, number).get_fragments()]
            about = json.loads(stored)
            change = Change(about["what"], None, fragments, tuple(about["files"]), about["added"], about["origin"])
            self._create_record(make_commit_record(self._place, self._identity, number, change))

    def _create_record(self, record: CommitRecord) -> CommitRecord:
        """Create a commit record, or return the existing one; DamagedArchiveError if its manifest differs."""
        try:
            create_commit_record(self._place, record)
            return record
        except FileExistsError:
            with suppress(ArchiveError):
                there = read_commit_record(self._place, record.version)
                if there.manifest == record.manifest:
                    return there
        raise DamagedArchiveError(self._place.address, f"version {record.version} was deleted", "Try again.")

    def _stored_description(self, number: int) -> str | None:
        """Return the description of the change stored in a version; None if the version does not exist."""
        try:
            self._place.size(manifest_name(number))
        except FileNotFoundError:
            return None
        transaction = open_version(self._place, number).read_transaction(number)
        stored = ((transaction and transaction.transaction_properties) or {}).get(_MESSAGE)
        if stored is None:
            found = f"its version {number} was made by another program"
            raise ArchiveError(self._place.address, found, "Remove that version, or export the previous one.")
        return stored

    @staticmethod
    def _description(change: Change) -> str:
        description = {"what": change.what, "files": change.files, "added": change.added, "origin": change.origin}
        return json.dumps(description | {"attempt": secrets.token_hex(16)})


def commit_protocol(place: Place, identity: Identity) -> LockedCommits | OptimisticCommits:
    """Return the commit protocol for a location."""
    return LockedCommits(place, identity) if place.locks else OptimisticCommits(place, identity)


def open_version(place: Place, version: int) -> LanceDataset:
    """Open the Lance data set at a version."""
    import lance

    damaged = DamagedArchiveError(place.address, f"version {version} cannot be opened", REPAIR)
    with convert_lance_errors(damaged):
        return lance.dataset(place.rows, version=version, storage_options=place.options)


def make_commit_record(place: Place, identity: Identity, version: int, change: Change) -> CommitRecord:
    """Return the commit record of a version that was just written."""
    now, digest = str(np.datetime64("now", "us")), manifest_hash(place, version)
    fields_of_change = change.what, change.rows, change.added, tuple(change.files)
    return CommitRecord(version, now, *fields_of_change, digest, identity.hash, change.origin)


def read_identity(place: Place) -> Identity:
    """Read the identity of an archive, from the copy if the first record is damaged.

    Raise ArchiveError if there is no archive, both records are damaged, or the format version is not supported.
    """
    damaged = None
    for name in IDENTITY_RECORDS:
        try:
            return Identity.from_dict(read_record(place, name), place.address)
        except DamagedArchiveError as error:
            damaged = error
        except OSError as error:
            if damaged is None:
                found, remedy = "there is no archive", "Give the folder of an archive; sim.add creates one."
                raise ArchiveError(place.address, found, remedy) from error
    raise damaged


def write_identity(place: Place, identity: Identity) -> None:
    """Write the identity of an archive and its backup copy."""
    for name in IDENTITY_RECORDS:
        write_record(place, name, identity.to_dict())
