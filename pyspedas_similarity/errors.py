"""Errors of this package: each names the subject, what was found, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class SimilarityError(Exception):
    """Base of every error this package raises on purpose.

    Parameters
    ----------
    subject : str
        The variable, argument or file concerned.
    found : str
        What was found there.
    remedy : str
        What the caller can do.
    """

    def __init__(self, subject: str, found: str, remedy: str) -> None:
        self.subject = subject
        self.found = found
        self.remedy = remedy
        super().__init__(subject, found, remedy)

    def __str__(self) -> str:
        return f"{self.subject}: {self.found}. {self.remedy}"


class ArgumentError(SimilarityError):
    """An argument is outside what a function takes."""


class TimeError(SimilarityError):
    """A time cannot be read, cannot be held by datetime64[ns], or has no sample."""


class VariableError(SimilarityError):
    """A tplot variable is missing or is not what it should be."""


class QueryError(SimilarityError):
    """A query lies outside the data or cannot be encoded."""


class EncoderError(SimilarityError):
    """An encoder cannot be read, or was made for another kind of image."""


class LoadError(SimilarityError):
    """A source could not bring its data."""


class ArchiveError(SimilarityError):
    """An archive cannot be read or written."""


class DamagedArchiveError(ArchiveError):
    """Something in an archive is not as it was written."""


class MixingError(ArchiveError):
    """Samples of another encoder or recipe than those in the archive."""


class BusyArchiveError(ArchiveError):
    """Somebody else holds the lock of an archive for too long."""


class WorkerError(SimilarityError):
    """A worker of a cluster failed, or there is none."""


@contextmanager
def named_errors(subject: str, kind: type[SimilarityError]) -> Iterator[None]:
    """Put a subject, such as a variable or a line of a file, in front of that of errors of a kind."""
    try:
        yield
    except kind as error:
        raise kind(f"{subject}: {error.subject}", error.found, error.remedy) from error
