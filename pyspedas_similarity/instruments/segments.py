"""Long time ranges in pieces: which files of an archive hold them, each fetched when its turn comes.

    server   <remote>/<folder>/2015/10/<stem>_20151016130524_v3.3.0.cdf       (SPDF: burst data by month too)
    here     <local>/<folder>/2015/10/16/<stem>_20151016130524_v3.3.0.cdf     (SDC: burst data by day)

Files are kept where the SDC, IDL SPEDAS and the ``no_update`` of pyspedas's own loaders have them; those that pyspedas
brought from SPDF, which lie in the folder of the month, are found as well. pyspedas's loaders are not called, because
``mms_load_data_spdf`` (2.2.1) ignores ``no_update``, takes 300 s more at the start of the range for every data type, in
burst ends in a TypeError where nothing was found, and does not distinguish a server failure from a time without data.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import numpy as np

from ..errors import LoadError
from ..tplot import Variable
from .cdf_checks import check_cdf

if TYPE_CHECKING:
    import requests

# After so many failures to reach it, one after another, a server is not asked again: each costs seconds or a minute.
_MOST_FAILURES = 5
_RETRIES, _BACKOFF_S = 2, 1.0
_TIMEOUT_S = (10, 60)
# A file may take as long as a slow connection needs, but not endlessly.
_PATIENCE_S, _FEWEST_BYTES_A_SECOND = 120, 2000
_MOST_FILE_BYTES, _MOST_LIST_BYTES, _PART_BYTES = 2**32, 2**24, 2**18
_MOST_REDIRECTS = 5
_LATER = "Try again later."
# Months of lists kept: of three kinds of file, the present month and the one before, and some to spare.
_MOST_LISTS = 12
_MOST_NAMED = 10
_SECOND = np.timedelta64(1, "s")


@dataclass(frozen=True)
class Segment:
    """Consecutive distributions and their companions.

    Attributes
    ----------
    distribution : Variable
        Values of shape (n, azimuth, polar, energy), with ``v1``, ``v2``, ``v3``.
    companions : mapping of str to Variable
        What there is of ``field``, ``velocity``, ``density``, ``temperature_parallel`` and
        ``temperature_perpendicular``, each with its own times, and of ``error`` and ``flags``, one for each
        distribution.
    """

    distribution: Variable
    companions: Mapping[str, Variable]


@dataclass(frozen=True)
class Piece:
    """One file of a time range, to be read alone, here or on another machine.

    Attributes
    ----------
    source : str
        The variable it holds.
    probe : str
        Spacecraft or station.
    start, end : numpy.datetime64
        Its samples lie between them, to a minute or two.
    name : str
        Of the file.
    local : str
        Root of the archive here; every machine has to see the same under this path.
    remote : str or None
        Root of the archive at the server, if it may be asked.
    """

    source: str
    probe: str
    start: np.datetime64
    end: np.datetime64
    name: str
    local: str
    remote: str | None


@dataclass
class Tally:
    """Counts of what was loaded, and what was not, with the reasons."""

    loaded: int = 0
    lost: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        named = [f"{what} ({why})" for what, why in list(self.lost.items())[:_MOST_NAMED]]
        more = len(self.lost) - len(named)
        return "; ".join([*named, *([f"and {more} more"] if more else [])])


@dataclass(frozen=True)
class Product:
    """One kind of file.

    Attributes
    ----------
    folder : str
        Below the root of an archive, such as ``mms1/fpi/brst/l2/des-dist``.
    stem : str
        Begin of the files' names, such as ``mms1_fpi_brst_l2_des-dist``.
    longest : numpy.timedelta64
        No file covers more time.
    daily : bool
        Whether there is a folder for each day here; there is one for each month at the server.
    """

    folder: str
    stem: str
    longest: np.timedelta64
    daily: bool


@dataclass(frozen=True)
class DataFile:
    """A file of the archive: where it is here, if it is, and at the server, if there is one."""

    start: np.datetime64
    name: str
    path: Path
    url: str | None


class FileTree:
    """The files of an archive here and, unless `remote` is None, at a server.

    Parameters
    ----------
    local : Path
    remote : str or None
        Address of the server's root; None to use only what is here.
    tally : Tally
        Receives the lists that could not be loaded.
    only : str, optional
        Name of a file: of its kind there is no other then.
    """

    def __init__(self, local: Path, remote: str | None, tally: Tally, only: str | None = None) -> None:
        self.only = only
        self.local = local
        self.remote = remote.rstrip("/") if remote else None
        self.tally = tally
        self._lists: dict[tuple[str, str], list[DataFile]] = {}
        self._failures = 0
        self._session = _session() if remote else None

    def files(self, product: Product, start: np.datetime64, end: np.datetime64) -> Iterator[DataFile]:
        """The files that may hold samples from `start` to `end`, the newest version of each, ascending.

        Names give the start of a file, in whole seconds, not its end: the last one before `start` is included.
        """
        if self.only is None or not self.only.startswith(product.stem + "_"):
            yield from self._all(product, start, end)
            return
        file = next((one for one in self._all(product, start, end) if one.name == self.only), None)
        if file is None:
            self.tally.lost[self.only] = f"it is not below {self.local}, which every worker has to see"
        else:
            yield file

    def _all(self, product: Product, start: np.datetime64, end: np.datetime64) -> Iterator[DataFile]:
        earliest, before = start - product.longest, None
        for month in _months(earliest, end):
            for file in self._list(product, month):
                if not earliest <= file.start <= end:
                    continue
                if file.start + _SECOND <= start:
                    before = file
                    continue
                if before is not None:
                    yield before
                    before = None
                yield file
        if before is not None:
            yield before

    def fetch(self, file: DataFile, fits: Callable[[Path], object] = check_cdf) -> Path:
        """Make sure that a file is here, whole.

        Parameters
        ----------
        file : DataFile
        fits : callable
            Raises a LoadError for a file that has come under this name and is another one.

        Raises
        ------
        LoadError
            If it is not local and cannot be downloaded.
        """
        try:
            check_cdf(file.path)
            return file.path
        except LoadError:
            if file.url is None:
                raise
        self._check_server(file.url)
        file.path.parent.mkdir(parents=True, exist_ok=True)
        # In a folder of its own: what is whole is then moved in one step, and nothing that is there already is touched.
        with tempfile.TemporaryDirectory(prefix=".download-", dir=file.path.parent) as fresh:
            arrived = Path(fresh, file.name)
            self._download(file.url, arrived)
            try:
                check_cdf(arrived, contents=True)
                fits(arrived)
            except LoadError as error:
                raise LoadError(file.url, f"what the server sends is wrong: {error.found}", _LATER) from error
            arrived.replace(file.path)
        return file.path

    def close(self) -> None:
        """Close the connections to the server."""
        if self._session is not None:
            self._session.close()

    def _list(self, product: Product, month: str) -> list[DataFile]:
        key = (product.stem, month)
        if key not in self._lists:
            if len(self._lists) >= _MOST_LISTS:
                del self._lists[next(iter(self._lists))]
            self._lists[key] = self._newest(product, month)
        return self._lists[key]

    def _newest(self, product: Product, month: str) -> list[DataFile]:
        pattern = re.compile(rf"{re.escape(product.stem)}_(\d{{8}}(?:\d{{6}})?)_v(\d+)\.(\d+)\.(\d+)\.cdf")
        folder = self.local / product.folder / month
        here = {path.name: path for wild in ("*.cdf", "[0-3][0-9]/*.cdf") for path in folder.glob(wild)}
        there = set(self._names_at_server(product, month, pattern))
        newest: dict[str, tuple[tuple[int, ...], str]] = {}
        for name in {*here, *there}:
            if (match := pattern.fullmatch(name)) and start_of(match[1]) is not None:
                stamp, *version = match.groups()
                newest[stamp] = max(newest.get(stamp, ((), "")), (tuple(map(int, version)), name))
        files = []
        for stamp, (_, name) in sorted(newest.items()):
            path = here.get(name, folder / (stamp[6:8] if product.daily else "") / name)
            url = f"{self.remote}/{product.folder}/{month}/{name}" if name in there else None
            files.append(DataFile(start_of(stamp), name, path, url))
        return files

    def _names_at_server(self, product: Product, month: str, pattern: re.Pattern[str]) -> Iterable[str]:
        if self._session is None:
            return []
        url = f"{self.remote}/{product.folder}/{month}/"
        try:
            self._check_server(url)
            text = b"".join(self._received(url, _MOST_LIST_BYTES)).decode("utf-8", "replace")
            return [match.group() for match in pattern.finditer(text)]
        except _AbsentError:  # a month without data has no folder
            return []
        except LoadError as error:
            self.tally.lost[f"list of {product.stem} of {month.replace('/', '-')}"] = error.found
        return []

    def _check_server(self, url: str) -> None:
        if self._failures >= _MOST_FAILURES:
            found = f"not requested, because the server failed {self._failures} times in a row"
            raise LoadError(url, found, "Try again later, or with no_update=True on local files.")

    def _download(self, url: str, path: Path) -> None:
        """Write what is at an address; once more where it ends too early."""
        for once_more in (True, False):
            try:
                with path.open("wb") as file:
                    for part in self._received(url, _MOST_FILE_BYTES):
                        file.write(part)
                return
            except _CutError:
                if not once_more:
                    raise
            except OSError as error:
                raise LoadError(str(path.parent), f"it cannot be written ({error})", "Make room for it.") from error

    def _received(self, url: str, most_bytes: int) -> Iterator[bytes]:
        """Yield the content at an address in parts; stop a server that sends too little, too slowly or too much."""
        import requests
        import urllib3

        began, received = time.monotonic(), 0
        try:
            with self._session.get(url, stream=True, timeout=_TIMEOUT_S) as answer:
                self._failures = 0
                _check_status(url, answer.status_code)
                # Not iter_content: it waits until a part is full, however slowly it comes.
                while part := answer.raw.read1(_PART_BYTES, decode_content=True):
                    received += len(part)
                    patience = _PATIENCE_S + received / _FEWEST_BYTES_A_SECOND
                    if received > most_bytes or time.monotonic() - began > patience:
                        why = "is too long" if received > most_bytes else "comes too slowly"
                        raise LoadError(url, f"what the server sends {why}: {received} bytes until now", _LATER)
                    yield part
                _check_length(url, answer.headers, received)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise self._failure(url, error, received) from error

    def _failure(self, url: str, error: Exception, received: int) -> LoadError:
        """A server that did not answer, or not to the end."""
        self._failures += 1
        if received:
            return _CutError(url, f"what the server sends is not a whole CDF file: {received} bytes came", _LATER)
        return LoadError(url, f"the server does not answer: {type(error).__name__}", _LATER)


class _AbsentError(LoadError):
    """There is nothing at an address."""


class _CutError(LoadError):
    """Download that ended too early."""


def _check_status(url: str, status: int) -> None:
    import requests

    if status != requests.codes.ok:
        kind = _AbsentError if status == requests.codes.not_found else LoadError
        raise kind(url, f"HTTP status {status}", _LATER)


def _check_length(url: str, headers: Mapping[str, str], received: int) -> None:
    told = headers.get("Content-Length", "")
    if told.isdecimal() and "Content-Encoding" not in headers and int(told) != received:
        raise _CutError(url, f"the server sent an incomplete CDF file: {received} of {told} bytes", _LATER)


def join(segments: Iterable[Segment]) -> Segment:
    """Segments of one spacecraft, in their order, as one that is in memory as large as all of them.

    Raises
    ------
    ValueError
        If there is none.
    """
    parts = list(segments)
    if not parts:
        raise ValueError("there is no segment to join")
    names = dict.fromkeys(name for part in parts for name in part.companions)
    companions = {name: concatenate([p.companions[name] for p in parts if name in p.companions]) for name in names}
    return Segment(concatenate([part.distribution for part in parts]), companions)


def concatenate(parts: Sequence[Variable]) -> Variable:
    """One variable of several of the same name; samples not later than all before them are left out.

    Tables that differ become tables of each sample.
    """
    if len(parts) == 1:
        return parts[0]
    for key in parts[0].coordinates:
        if len({part.coordinates[key].tobytes() for part in parts}) > 1:
            parts = [replace(one, coordinates=one.coordinates | {key: _of_each_sample(one, key)}) for one in parts]
    first = parts[0]
    times = np.concatenate([part.times for part in parts])
    rows = after(times)
    coordinates = {
        key: np.concatenate([part.coordinates[key] for part in parts])[rows] if table.ndim == 2 else table
        for key, table in first.coordinates.items()
    }
    values = np.concatenate([part.values for part in parts])[rows]
    return replace(first, times=times[rows], values=values, coordinates=coordinates)


def _of_each_sample(part: Variable, key: str) -> np.ndarray:
    table = part.coordinates[key]
    return table if table.ndim == 2 else np.tile(table, (len(part.times), 1))


def after(times: np.ndarray, last: np.datetime64 | None = None) -> np.ndarray:
    """Return the indices of samples later than `last` and than all earlier samples; never those with NaT."""
    nanoseconds = times.astype("datetime64[ns]").astype("int64")  # NaT is the smallest integer
    smallest = np.iinfo(np.int64).min
    floor = smallest if last is None else last.astype("datetime64[ns]").astype("int64")
    reached = np.maximum.accumulate(np.concatenate([[floor], nanoseconds]))[:-1]
    return np.flatnonzero(nanoseconds > reached)


def _session() -> requests.Session:
    """A session with fewer retries than pyspedas's own, which waits 12 s for every file of a server that is gone."""
    import requests

    session = requests.Session()
    for adapter in session.adapters.values():
        adapter.max_retries = adapter.max_retries.new(
            total=_RETRIES,
            read=0,  # a server that stalls would stall again
            backoff_factor=_BACKOFF_S,
            status_forcelist=(429, 500, 502, 503, 504),
            raise_on_status=False,
            respect_retry_after_header=False,  # which may ask to wait for days
        )
    session.hooks["response"].append(_stay_there)
    session.max_redirects = _MOST_REDIRECTS
    return session


def _stay_there(answer: requests.Response, **_: Any) -> None:
    """Follow a server to another of its places, but not to another server, nor from https to http."""
    if not answer.is_redirect:
        return
    here, there = urlsplit(answer.url), urlsplit(urljoin(answer.url, answer.headers["Location"]))
    if (there.hostname, there.port or here.port) != (here.hostname, here.port) or there.scheme not in (
        here.scheme,
        "https",
    ):
        answer.close()
        raise LoadError(answer.url, f"the server sends elsewhere, to {there.netloc[:80]}", _LATER)


def _months(start: np.datetime64, end: np.datetime64) -> list[str]:
    months = np.arange(start.astype("datetime64[M]"), end.astype("datetime64[M]") + np.timedelta64(1, "M"))
    return [str(month).replace("-", "/") for month in months]


def start_of(stamp: str) -> np.datetime64 | None:
    """The time of the digits in a file's name, such as 20151016130524 or 2011013122; None where it is none."""
    day, time = stamp[:8], stamp[8:].ljust(6, "0")
    try:
        return np.datetime64(f"{day[:4]}-{day[4:6]}-{day[6:]}T{time[:2]}:{time[2:4]}:{time[4:]}", "ns")
    except ValueError:
        return None
