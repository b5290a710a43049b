"""Files of a data archive by time: their listings, download when needed, and segments of what is in them.

    server   <remote>/<folder>/2015/10/<stem>_20151016130524_v3.3.0.cdf       (SPDF: burst data by month too)
    local    <local>/<folder>/2015/10/16/<stem>_20151016130524_v3.3.0.cdf     (SDC: burst data by day)

Loaders of pyspedas are not called: ``mms_load_data_spdf`` (2.2.1) ignores ``no_update``, extends the range by 300 s at
the start for every data type, raises TypeError for burst data if nothing is found, and does not distinguish a server
failure from a time without data.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from logging import getLogger
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import numpy as np

from ..errors import LoadError
from ..tplot import Variable
from .file_checks import check_cdf

if TYPE_CHECKING:
    import requests

logger = getLogger(__name__)

# Maximum number of consecutive failures, each of which takes up to a minute, before a server is no longer requested.
_MOST_FAILURES = 5
_RETRIES, _BACKOFF_S = 2, 1.0
_TIMEOUT_S = (10, 60)
# Limits of the download time: a minimum, and a minimum rate.
_PATIENCE_S, _FEWEST_BYTES_A_SECOND = 120, 2000
_MOST_FILE_BYTES, _MOST_LIST_BYTES, _PART_BYTES = 2**32, 2**24, 2**18
_MOST_REDIRECTS = 5
_LATER = "Try again later."
# Maximum number of cached monthly listings: the current and the previous month of three kinds of file, and a reserve.
_MOST_LISTS = 12
_MOST_NAMED = 10
_SECOND = np.timedelta64(1, "s")


@dataclass(frozen=True)
class Segment:
    """Consecutive distributions (n, azimuth, polar, energy) or frames, with the available companions by role.

    Distributions have the tables ``v1``, ``v2``, ``v3``. The roles are ``field``, ``velocity``, ``density``,
    ``temperature_parallel`` and ``temperature_perpendicular``, each with times of their own, and ``error`` and
    ``flags``, at the times of the distributions.
    """

    distribution: Variable
    companions: Mapping[str, Variable]


@dataclass(frozen=True)
class Piece:
    """One file of a time range, for separate reading, possibly on another machine with the same `local` root.

    `source` is the variable in the file, `probe` the spacecraft or station, `name` that of the file; `start` and `end`
    are accurate to one or two minutes. `local` and `remote` are the roots of the archive; without `remote` only local
    files are used.
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
    """Number of loaded parts, and lost parts with the reasons."""

    loaded: int = 0
    lost: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        named = [f"{what} ({why})" for what, why in list(self.lost.items())[:_MOST_NAMED]]
        more = len(self.lost) - len(named)
        return "; ".join([*named, *([f"and {more} more"] if more else [])])


@dataclass(frozen=True)
class Product:
    """One kind of file, by folder below the root and beginning of the names; local folders may be `daily`."""

    folder: str
    stem: str
    longest: np.timedelta64
    daily: bool


@dataclass(frozen=True)
class DataFile:
    """File of a data archive: local path, which may not exist, and address at the server, or None."""

    start: np.datetime64
    name: str
    path: Path
    url: str | None


class FileTree:
    """Files of a data archive: local ones and, unless `remote` is None, those at a server.

    With `only`, the name of a file, other files of its product are ignored. `tally` counts listings that could not be
    loaded, and what the caller counts.
    """

    def __init__(self, local: str | Path, remote: str | None, only: str | None = None) -> None:
        self.only = only
        self.local = Path(local)
        self.remote = remote.rstrip("/") if remote else None
        self.tally = Tally()
        self._lists: dict[tuple[str, str], list[DataFile]] = {}
        self._failures = 0
        self._session = _session() if remote else None

    @classmethod
    def of(cls, config: Mapping[str, Any], no_update: bool, piece: Piece | None = None) -> FileTree:
        """Return the tree that the settings of a mission in pyspedas name, or that of one piece."""
        if piece is not None:
            return cls(piece.local, piece.remote, piece.name)
        local_only = no_update or config["no_download"]
        return cls(config["local_data_dir"], None if local_only else config["remote_data_dir"])

    def files(self, product: Product, start: np.datetime64, end: np.datetime64) -> Iterator[DataFile]:
        """Yield the newest versions of the files that may hold samples from `start` to `end`, in ascending order.

        File names state only the start of a file, so the last file before `start` is included.
        """
        if self.only is None or not self.only.startswith(product.stem + "_"):
            yield from self._candidate_files(product, start, end)
            return
        file = next((one for one in self._candidate_files(product, start, end) if one.name == self.only), None)
        if file is None:
            self.tally.lost[self.only] = f"it is not below {self.local}, which all workers must share"
        else:
            yield file

    def _candidate_files(self, product: Product, start: np.datetime64, end: np.datetime64) -> Iterator[DataFile]:
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
        """Return the local path of a file, downloaded if it is missing or incomplete; LoadError if that fails.

        `fits` raises LoadError if the content of a downloaded file does not match its name.
        """
        try:
            check_cdf(file.path)
            return file.path
        except LoadError:
            if file.url is None:
                raise
        self._check_server(file.url)
        file.path.parent.mkdir(parents=True, exist_ok=True)
        # Download to a temporary folder and move complete files atomically.
        with tempfile.TemporaryDirectory(prefix=".download-", dir=file.path.parent) as fresh:
            downloaded = Path(fresh, file.name)
            self._download(file.url, downloaded)
            try:
                check_cdf(downloaded, contents=True)
                fits(downloaded)
            except LoadError as error:
                raise LoadError(file.url, f"what the server sends is wrong: {error.found}", _LATER) from error
            downloaded.replace(file.path)
        return file.path

    def piece(self, file: DataFile, source: str, probe: str, longest: np.timedelta64) -> Piece:
        """Return a file as a piece, for separate reading."""
        local = str(self.local.absolute())
        return Piece(source, probe, file.start, file.start + longest, file.name, local, self.remote)

    def close(self) -> None:
        """Close the connections to the server."""
        if self._session is not None:
            self._session.close()

    def _list(self, product: Product, month: str) -> list[DataFile]:
        key = (product.stem, month)
        if key not in self._lists:
            if len(self._lists) >= _MOST_LISTS:
                del self._lists[next(iter(self._lists))]
            self._lists[key] = self._newest_versions(product, month)
        return self._lists[key]

    def _newest_versions(self, product: Product, month: str) -> list[DataFile]:
        pattern = re.compile(rf"{re.escape(product.stem)}_(\d{{8}}(?:\d\d|\d{{6}})?)_v(\d+(?:\.\d+)*)\.cdf")
        folder = self.local / product.folder / month
        here = {path.name: path for wild in ("*.cdf", "[0-3][0-9]/*.cdf") for path in folder.glob(wild)}
        there = set(self._names_at_server(product, month, pattern))
        newest: dict[str, tuple[tuple[int, ...], str]] = {}
        for name in {*here, *there}:
            if (match := pattern.fullmatch(name)) and start_of(match[1]) is not None:
                stamp, version = match.groups()
                newest[stamp] = max(newest.get(stamp, ((), "")), (tuple(map(int, version.split("."))), name))
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
            text = b"".join(self._stream(url, _MOST_LIST_BYTES)).decode("utf-8", "replace")
            return [match.group() for match in pattern.finditer(text)]
        except _AbsentError:  # months without data have no folder
            return []
        except LoadError as error:
            self.tally.lost[f"list of {product.stem} of {month.replace('/', '-')}"] = error.found
        return []

    def _check_server(self, url: str) -> None:
        if self._failures >= _MOST_FAILURES:
            found = f"not requested, because the server failed {self._failures} times in a row"
            raise LoadError(url, found, "Try again later, or with no_update=True on local files.")

    def _download(self, url: str, path: Path) -> None:
        """Download a file; retry once if the download is truncated."""
        for once_more in (True, False):
            try:
                with path.open("wb") as file:
                    for part in self._stream(url, _MOST_FILE_BYTES):
                        file.write(part)
                return
            except _TruncatedError:
                if not once_more:
                    raise
            except OSError as error:
                raise LoadError(str(path.parent), f"it cannot be written ({error})", "Free disk space.") from error

    def _stream(self, url: str, most_bytes: int) -> Iterator[bytes]:
        """Yield the content at an address in parts; raise LoadError if it is incomplete, too slow or too large."""
        import requests
        import urllib3

        began, received = time.monotonic(), 0
        try:
            with self._session.get(url, stream=True, timeout=_TIMEOUT_S) as answer:
                self._failures = 0
                _check_status(url, answer.status_code)
                # iter_content would wait until a part is full, however slow the server is.
                while part := answer.raw.read1(_PART_BYTES, decode_content=True):
                    received += len(part)
                    patience = _PATIENCE_S + received / _FEWEST_BYTES_A_SECOND
                    if received > most_bytes or time.monotonic() - began > patience:
                        why = "is too long" if received > most_bytes else "comes too slowly"
                        raise LoadError(url, f"what the server sends {why}: {received} bytes until now", _LATER)
                    yield part
                _check_length(url, answer.headers, received)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise self._to_load_error(url, error, received) from error

    def _to_load_error(self, url: str, error: Exception, received: int) -> LoadError:
        """Return the LoadError for a failed request, or for a download that ended too early."""
        self._failures += 1
        if received:
            return _TruncatedError(url, f"what the server sends is not a whole CDF file: {received} bytes came", _LATER)
        return LoadError(url, f"the server does not answer: {type(error).__name__}", _LATER)


@contextmanager
def loading(tree: FileTree, subject: str) -> Iterator[FileTree]:
    """Close a file tree at the end, or if the caller stops early, and log what could not be loaded.

    LoadError if something was lost and nothing was loaded.
    """
    tally = tree.tally
    try:
        yield tree
        if tally.lost and not tally.loaded:
            lost, tally.lost = str(tally), {}  # reported by the error
            remedy = "Try again later, or with no_update=True on local files."
            raise LoadError(subject, f"nothing could be loaded: {lost}", remedy)
    finally:
        tree.close()
        if tally.lost:
            parts = f"{len(tally.lost)} part{'s' if len(tally.lost) > 1 else ''}"
            logger.warning("Could not load %s of %s: %s. The rest was.", parts, subject, tally)


@contextmanager
def listing(tree: FileTree, subject: str) -> Iterator[FileTree]:
    """Close a file tree at the end, or if the caller stops early, and log listings that could not be loaded."""
    try:
        yield tree
    finally:
        tree.close()
        if tree.tally.lost:
            logger.warning("Not all files of %s are known: %s.", subject, tree.tally)


class _AbsentError(LoadError):
    """The server has no file at an address."""


class _TruncatedError(LoadError):
    """Download that ended too early."""


def _check_status(url: str, status: int) -> None:
    import requests

    if status != requests.codes.ok:
        kind = _AbsentError if status == requests.codes.not_found else LoadError
        raise kind(url, f"HTTP status {status}", _LATER)


def _check_length(url: str, headers: Mapping[str, str], received: int) -> None:
    expected = headers.get("Content-Length", "")
    if expected.isdecimal() and "Content-Encoding" not in headers and int(expected) != received:
        raise _TruncatedError(url, f"the server sent an incomplete CDF file: {received} of {expected} bytes", _LATER)


def joined(segments: Iterable[Segment]) -> dict[str, Segment]:
    """Concatenate the segments of each variable in memory; return them by the names of the variables."""
    parts: dict[str, list[Segment]] = {}
    for segment in segments:
        parts.setdefault(segment.distribution.name, []).append(segment)
    return {name: join(found) for name, found in parts.items()}


def join(parts: Sequence[Segment]) -> Segment:
    """Concatenate segments of one variable in memory."""
    names = dict.fromkeys(name for part in parts for name in part.companions)
    companions = {name: concatenate([p.companions[name] for p in parts if name in p.companions]) for name in names}
    return Segment(concatenate([part.distribution for part in parts]), companions)


def concatenate(parts: Sequence[Variable]) -> Variable:
    """Concatenate variables of one name, without samples that are not later than all previous ones.

    Tables that differ between the parts are expanded to one row per sample.
    """
    if len(parts) == 1:
        return parts[0]
    for key in parts[0].coordinates:
        if len({part.coordinates[key].tobytes() for part in parts}) > 1:
            parts = [replace(one, coordinates=one.coordinates | {key: _table_per_sample(one, key)}) for one in parts]
    first = parts[0]
    times = np.concatenate([part.times for part in parts])
    rows = after(times)
    coordinates = {
        key: np.concatenate([part.coordinates[key] for part in parts])[rows] if table.ndim == 2 else table
        for key, table in first.coordinates.items()
    }
    values = np.concatenate([part.values for part in parts])[rows]
    return replace(first, times=times[rows], values=values, coordinates=coordinates)


def _table_per_sample(part: Variable, key: str) -> np.ndarray:
    table = part.coordinates[key]
    return table if table.ndim == 2 else np.tile(table, (len(part.times), 1))


def after(times: np.ndarray, last: np.datetime64 | None = None) -> np.ndarray:
    """Return the indices of samples later than `last` and than all previous samples; NaT is excluded."""
    nanoseconds = times.astype("datetime64[ns]").astype("int64")  # NaT is the smallest integer
    smallest = np.iinfo(np.int64).min
    floor = smallest if last is None else last.astype("datetime64[ns]").astype("int64")
    reached = np.maximum.accumulate(np.concatenate([[floor], nanoseconds]))[:-1]
    return np.flatnonzero(nanoseconds > reached)


def _session() -> requests.Session:
    """Return a session with fewer retries than that of pyspedas, which waits 12 s per file if the server is down."""
    import requests

    session = requests.Session()
    for adapter in session.adapters.values():
        adapter.max_retries = adapter.max_retries.new(
            total=_RETRIES,
            read=0,  # do not retry stalled downloads
            backoff_factor=_BACKOFF_S,
            status_forcelist=(429, 500, 502, 503, 504),
            raise_on_status=False,
            respect_retry_after_header=False,  # may be as long as days
        )
    session.hooks["response"].append(_check_redirect)
    session.max_redirects = _MOST_REDIRECTS
    return session


def _check_redirect(answer: requests.Response, **_: Any) -> None:
    """Raise LoadError for redirects to another server, or from https to http."""
    if not answer.is_redirect:
        return
    here, there = urlsplit(answer.url), urlsplit(urljoin(answer.url, answer.headers["Location"]))
    if (there.hostname, there.port or here.port) != (here.hostname, here.port) or there.scheme not in (
        here.scheme,
        "https",
    ):
        answer.close()
        raise LoadError(answer.url, f"the server redirects to {there.netloc[:80]}", _LATER)


def _months(start: np.datetime64, end: np.datetime64) -> list[str]:
    months = np.arange(start.astype("datetime64[M]"), end.astype("datetime64[M]") + np.timedelta64(1, "M"))
    return [str(month).replace("-", "/") for month in months]


def start_of(stamp: str) -> np.datetime64 | None:
    """Parse the time stamp of a file name, such as 20151016130524 or 2011013122; None if it is invalid."""
    day, time = stamp[:8], stamp[8:].ljust(6, "0")
    try:
        return np.datetime64(f"{day[:4]}-{day[4:6]}-{day[6:]}T{time[:2]}:{time[2:4]}:{time[4:]}", "ns")
    except ValueError:
        return None


@contextmanager
def local_folders(folder: Path | None = None) -> Iterator[tuple[Path, Path]]:
    """Yield the folders of MMS and THEMIS; let pyspedas use ``mms`` and ``themis`` in `folder` until the end."""
    from pyspedas.projects.mms.mms_load_data_spdf import CONFIG as MMS
    from pyspedas.projects.themis.config import CONFIG as THEMIS

    before = MMS["local_data_dir"], THEMIS["local_data_dir"]
    if folder is not None:
        MMS["local_data_dir"], THEMIS["local_data_dir"] = str(folder / "mms"), str(folder / "themis")
    try:
        yield Path(MMS["local_data_dir"]), Path(THEMIS["local_data_dir"])
    finally:
        MMS["local_data_dir"], THEMIS["local_data_dir"] = before
