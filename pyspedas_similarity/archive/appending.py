"""Appending of new files to an archive: the operation, and the error of a failed write."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from ..errors import ArchiveError
from .commits import Change, Snapshot
from .fragments import failures_of_lance, names_of
from .locations import Place

if TYPE_CHECKING:
    from lance.fragment import FragmentMetadata


def appending(written: list[FragmentMetadata], newest: Snapshot) -> Change:
    """Return the operation that makes new files part of the archive."""
    import lance

    fragments, rows = [*newest.fragments(), *written], sum(one.physical_rows for one in written)
    return Change("append", lance.LanceOperation.Append(written), fragments, tuple(names_of(written)), rows)


def writing(place: Place) -> AbstractContextManager[None]:
    """Convert any failure of writing into one error that says what became of the data."""
    if place.locks:
        found = "it cannot be written (is the disk full?); nothing of this batch was kept, all before is"
        remedy = "Make room, or check its rights, and do it again."
    else:
        found = "it cannot be written; this batch may be there or not, all before is"
        remedy = "Check the network and the credentials, and do it again: nothing is kept twice."
    return failures_of_lance(ArchiveError(place.address, found, remedy))
