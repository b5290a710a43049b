"""Loader of MMS FPI distributions with magnetic field and moments, file by file, through pyspedas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .. import tplot
from ..conventions import check_choice, probe_names
from ..errors import ArgumentError, LoadError
from ..times import rows_in_order, to_interval
from ..tplot import Variable
from .isolated_reader import IsolatedCdf, cdf_errors
from .sample_images import select
from .segments import DataFile, FileTree, Piece, Product, Segment, after, concatenate, joined, listing, loading

# Maximum number of distributions per segment: 64 KiB each, and the same for their errors. cdflib needs several times
# the memory of the data: 1.8 GB for all 4,300 samples of an electron burst file, 0.18 GB in parts of this size.
_MOST_SAMPLES = 1024
# Maximum time covered by a file: burst data some minutes, fast data two hours, survey data a day.
_LONGEST = {"brst": np.timedelta64(10, "m"), "fast": np.timedelta64(130, "m"), "srvy": np.timedelta64(25, "h")}
# Fields and moments extend beyond a segment, so that they can be interpolated to its first and last sample.
_MARGIN = {"brst": np.timedelta64(1, "s"), "fast": np.timedelta64(10, "s")}
# The first sample may be slightly earlier than the time in the file name, or some seconds later.
_SLACK = np.timedelta64(1, "m")
_OTHER = "It is another file than its name says: move it out of the archive and load again."
_SDC = "the SDC loader may ask for a password at the terminal"


def segments(
    sensor: str,
    trange: Any,
    probe: str | int | Sequence[str | int] = "1",
    data_rate: str = "brst",
    no_update: bool = False,
    spdf: bool | None = None,
    piece: Piece | None = None,
) -> Iterator[Segment]:
    """Yield distributions with magnetic field and moments, at most 1,024 samples of one file at once: 64 MiB.

    Delete each segment before requesting the next one, otherwise two are in memory. The tplot store is not changed.
    Times of a probe are strictly increasing, within `trange`. Field (DMPA; flagged samples are NaN) and moments
    (velocity in DBCS) extend slightly beyond their segment. One warning at the end lists what could not be loaded;
    LoadError if there are data and nothing could be.

    Parameters
    ----------
    sensor : {'dis', 'des'}
    trange : time range in any form
    probe : '1' to '4', or several, which are processed one after another
    data_rate : {'brst', 'fast'}
        With 'fast', the field is survey data.
    no_update : bool
        Use only local files in pyspedas's ``local_data_dir`` for MMS; otherwise missing files are downloaded there from
        its ``remote_data_dir`` (SPDF).
    spdf : bool, optional
        False is allowed only with `no_update`.
    piece : Piece, optional
        Read only this file.
    """
    stations = _stations(sensor, probe if piece is None else piece.probe, data_rate, no_update, spdf)
    return _iterate_segments(stations, to_interval(trange), no_update, piece)


def pieces(
    sensor: str,
    trange: Any,
    probe: str | int | Sequence[str | int] = "1",
    data_rate: str = "brst",
    no_update: bool = False,
    spdf: bool | None = None,
) -> Iterator[Piece]:
    """Yield the files that `segments` reads, without downloading them.

    `segments` with each as ``piece`` yields the same as without, but samples contained in two files twice.
    """
    return _listed(_stations(sensor, probe, data_rate, no_update, spdf), to_interval(trange), no_update)


def load(
    sensor: str,
    trange: Any,
    probe: str | int | Sequence[str | int] = "1",
    data_rate: str = "brst",
    suffix: str = "",
    **keywords: Any,
) -> list[str]:
    """Load distributions with field and moments into tplot variables at once; parameters are those of `segments`.

    Returns the names of the distributions, one for each probe that has data, then those of their companions.
    """
    whole = joined(segments(sensor, trange, probe, data_rate, **keywords)).values()
    variables = [one.distribution for one in whole] + [v for one in whole for v in one.companions.values()]
    return [tplot.write(replace(variable, name=variable.name + suffix)) for variable in variables]


def files(
    sensor: str,
    trange: Any,
    probe: str | int | Sequence[str | int] = "1",
    data_rate: str = "brst",
    no_update: bool = False,
) -> list[Path]:
    """Download the missing files that `segments` needs; return the paths of all, without reading the samples.

    LoadError if there is none of one kind, or one of them cannot be downloaded.
    """
    start, end = to_interval(trange)
    stations = _stations(sensor, probe, data_rate, no_update, None)
    with closing(file_tree(no_update)) as tree:
        return [path for station in stations for path in _Reader(tree, station).files(start, end)]


segments_ions, segments_electrons = (partial(segments, sensor) for sensor in ("dis", "des"))
pieces_ions, pieces_electrons = (partial(pieces, sensor) for sensor in ("dis", "des"))
load_ions, load_electrons = (partial(load, sensor) for sensor in ("dis", "des"))


@dataclass(frozen=True)
class _Station:
    """Files and variables of one sensor of one spacecraft."""

    probe: str
    sensor: str
    data_rate: str

    @property
    def field_rate(self) -> str:
        return "brst" if self.data_rate == "brst" else "srvy"

    @property
    def margin(self) -> np.timedelta64:
        return _MARGIN[self.data_rate]

    def fpi(self, kind: str) -> Product:
        """Return the product 'dist' or 'moms'."""
        return level_2(self.probe, "fpi", self.data_rate, f"{self.sensor}-{kind}", _LONGEST[self.data_rate])

    def fgm(self) -> Product:
        return level_2(self.probe, "fgm", self.field_rate, "", _LONGEST[self.field_rate])

    def name(self, quantity: str) -> str:
        """Return the name of an FPI variable."""
        return f"mms{self.probe}_{self.sensor}_{quantity}_{self.data_rate}"

    def companion_products(self) -> list[tuple[Product, dict[str, str]]]:
        """Return the products of moments and field, each with its variables by quantity."""
        moments = {
            "velocity": self.name("bulkv_dbcs"),
            "density": self.name("numberdensity"),
            "temperature_parallel": self.name("temppara"),
            "temperature_perpendicular": self.name("tempperp"),
        }
        magnetic = {"field": f"mms{self.probe}_fgm_b_dmpa_{self.field_rate}_l2"}
        return [(self.fpi("moms"), moments), (self.fgm(), magnetic)]


def _stations(
    sensor: str, probe: str | int | Sequence[str | int], data_rate: str, no_update: bool, spdf: bool | None
) -> list[_Station]:
    """Check the arguments of a loader."""
    probes = probe_names(probe, "mms", ("1", "2", "3", "4"))
    check_choice("data_rate", data_rate, _MARGIN)
    if spdf is False and not no_update:
        remedy = "Omit it; or call pyspedas.projects.mms.fpi and fgm first, then this with no_update=True."
        raise ArgumentError("spdf", f"found False, but {_SDC}", remedy)
    return [_Station(one, sensor, data_rate) for one in probes]


def level_2(probe: str, instrument: str, rate: str, datatype: str, longest: np.timedelta64) -> Product:
    """Return a kind of level 2 files of MMS; files of FGM have no data type."""
    parts = [f"mms{probe}", instrument, rate, "l2", *([datatype] if datatype else [])]
    return Product("/".join(parts), "_".join(parts), longest, daily=rate == "brst")


def file_tree(no_update: bool, piece: Piece | None = None) -> FileTree:
    """Return the tree of the files of MMS, or that of one piece."""
    from pyspedas.projects.mms.mms_load_data_spdf import CONFIG  # which sets remote_data_dir

    return FileTree.of(CONFIG, no_update, piece)


def _listed(stations: list[_Station], span: tuple[np.datetime64, np.datetime64], no_update: bool) -> Iterator[Piece]:
    with listing(file_tree(no_update), f"MMS {_seconds(*span)}") as tree:
        for station in stations:
            product = station.fpi("dist")
            for file in tree.files(product, *span):
                yield tree.piece(file, station.name("dist"), station.probe, product.longest)


def _iterate_segments(
    stations: list[_Station], span: tuple[np.datetime64, np.datetime64], no_update: bool, piece: Piece | None
) -> Iterator[Segment]:
    with loading(file_tree(no_update, piece), f"MMS {_seconds(*span)}") as tree:
        for station in stations:
            yield from _Reader(tree, station).segments(*span)


def _seconds(start: np.datetime64, end: np.datetime64) -> str:
    return f"{start.astype('datetime64[s]')} to {end.astype('datetime64[s]')}"


@dataclass
class _Reader:
    """Reader of the files of one sensor."""

    tree: FileTree
    station: _Station
    # Most recent companion files, which the next segment may need again.
    _cache: dict[str, dict[str, Variable]] = field(default_factory=dict)

    def segments(self, start: np.datetime64, end: np.datetime64) -> Iterator[Segment]:
        last = None
        for file in self.tree.files(self.station.fpi("dist"), start, end):
            what = f"mms{self.station.probe} {self.station.sensor} {file.start.astype('datetime64[s]')}"
            try:
                opened = self._open(self.station.fpi("dist"), file, [self.station.name("dist")])
            except LoadError as error:
                self.tree.tally.lost[what] = f"{error.subject}: {error.found}"
                continue
            times, rows = opened.times, self._ascending_rows(opened)
            rows = rows[after(times[rows], last)]
            rows = rows[(times[rows] >= start) & (times[rows] <= end)]
            if len(rows) == 0:
                continue
            last = times[rows[-1]]
            available = self._read_companions(what, times[rows[0]], last)
            for part in np.array_split(rows, -(-len(rows) // _MOST_SAMPLES)):
                companions = self._select_companions(available, times[part])
                # Keep no reference to a yielded segment, otherwise two are in memory.
                try:
                    yield opened.segment(self.station, part, companions)
                except LoadError as error:
                    self.tree.tally.lost[what] = f"{error.subject}: {error.found}"
                    break
                self.tree.tally.loaded += 1

    def files(self, start: np.datetime64, end: np.datetime64) -> list[Path]:
        """Return the paths of all files from `start` to `end`, downloaded if necessary."""
        products = [(self.station.fpi("dist"), {"dist": self.station.name("dist")})]
        found = []
        for product, names in products + self.station.companion_products():
            listed = list(self.tree.files(product, start, end))
            if self.tree.tally.lost or not listed:
                text = str(self.tree.tally) or "there is no file of it here or at the server"
                what = f"{product.stem} {_seconds(start, end)}"
                raise LoadError(what, text, "Try again later, or with the local files.")
            found += [self._open(product, one, list(names.values())).path for one in listed]
        return found

    def _read_companions(self, what: str, start: np.datetime64, end: np.datetime64) -> dict[str, Variable]:
        """Read field and moments from `start` to `end`, extended by a margin at both ends."""
        used, found = {}, {}
        for product, names in self.station.companion_products():
            margin = self.station.margin
            needed = {file.name for file in self.tree.files(product, start, end)}
            parts = []
            for file in self.tree.files(product, start - margin, end + margin):
                try:
                    used[file.name] = self._cache.get(file.name) or self._read(file, names, product)
                    parts.append(used[file.name])
                except LoadError as error:
                    if file.name in needed:
                        self.tree.tally.lost[f"{', '.join(names)} of {what}"] = f"{error.subject}: {error.found}"
            there = dict.fromkeys(key for part in parts for key in part)
            found |= {key: concatenate([part[key] for part in parts if key in part]) for key in there}
        self._cache = used
        return found

    def _open(self, product: Product, file: DataFile, wanted: list[str]) -> _SamplesFile:
        """Open a file, downloaded if necessary, and check that its samples match the time in its name."""
        # Burst files begin in the second in their names; other files begin with the first data.
        latest = _SLACK if product.daily else product.longest
        within = (file.start - _SLACK, file.start + latest)
        path = self.tree.fetch(file, lambda path: _SamplesFile(path, wanted, within))
        return _SamplesFile(path, wanted, within)

    def _read(self, file: DataFile, names: Mapping[str, str], product: Product) -> dict[str, Variable]:
        """Read named variables of a file."""
        opened = self._open(product, file, list(names.values()))
        rows = self._ascending_rows(opened)
        found = {key: opened.variable(name, rows) for key, name in names.items() if name in opened.names}
        flags = f"mms{self.station.probe}_fgm_flag_{self.station.field_rate}_l2"
        if flags not in opened.names:
            return found
        bad = opened.variable(flags, rows).values != 0
        return {key: _mask_samples(variable, bad) for key, variable in found.items()}

    def _ascending_rows(self, opened: _SamplesFile) -> np.ndarray:
        """Return the rows of a file with increasing times; the others are counted as lost."""
        rows = rows_in_order(opened.times)
        if lost := len(opened.times) - len(rows):
            what = f"{lost} of {len(opened.times)} samples of {opened.path.name}"
            self.tree.tally.lost[what] = "their times are missing, go back or lie inside a leap second"
        return rows

    def _select_companions(self, available: dict[str, Variable], times: np.ndarray) -> dict[str, Variable]:
        ends = [times[0] - self.station.margin, times[-1] + self.station.margin]
        parts = {key: select(one, slice(*np.searchsorted(one.times, ends))) for key, one in available.items()}
        return {key: part for key, part in parts.items() if _covers(part.times, times)}


class _SamplesFile:
    """Open file of variables with common times, read in parts by cdflib in a separate process.

    The values are the same as those of pyspedas's ``cdf_to_tplot``, which reads whole files in this process.
    """

    def __init__(self, path: Path, wanted: Sequence[str], within: tuple[np.datetime64, np.datetime64]) -> None:
        import cdflib

        self.path = path
        with cdf_errors(path):
            self._cdf = IsolatedCdf(path)
            self.names = self._cdf.names
            there = [name for name in wanted if name in self.names]
            if not there:
                raise LoadError(str(path), f"it does not hold {', '.join(wanted)}", _OTHER)
            stamps = np.atleast_1d(self._cdf.varget(self._cdf.varattsget(there[0])["DEPEND_0"]))
            times = cdflib.cdfepoch.to_datetime(stamps) if stamps.size else stamps
            self.times = _without_leap_seconds(np.atleast_1d(times).astype("datetime64[ns]"), stamps)
        known = self.times[rows_in_order(self.times)]
        if len(self.times) and not (len(known) and within[0] <= known[0] <= within[1]):
            found = f"its samples begin at {known[0] if len(known) else 'no time'}, which is not the time in its name"
            raise LoadError(str(path), found, _OTHER)

    def variable(self, name: str, rows: np.ndarray) -> Variable:
        """Read samples of a variable, with fill values replaced by NaN; LoadError if they cannot be read."""
        with cdf_errors(self.path):
            about = self._cdf.varattsget(name)
            values = self._records(name, rows)
            if values.dtype.kind == "f" and "FILLVAL" in about:
                values[values == about["FILLVAL"]] = np.nan
            values.flags.writeable = False
            axes = {f"v{k}": about[f"DEPEND_{k}"] for k in (1, 2, 3) if f"DEPEND_{k}" in about}
            coordinates = {key: self._records(axis, rows) for key, axis in axes.items()}
            units = str(about.get("UNITS", "")).split(">")[0].rstrip()
            file = {"VATT": about, "GATT": self._cdf.globalattsget(), "FILENAME": str(self.path)}
            attributes = {"CDF": file, "data_att": {"units": units, "coord_sys": ""}}
            return Variable(name, self.times[rows], values, coordinates, attributes)

    def _records(self, name: str, rows: np.ndarray) -> np.ndarray:
        info = self._cdf.varinq(name)
        if not info.Rec_Vary:
            return np.reshape(self._cdf.varget(name), info.Dim_Sizes)
        first, last = int(rows[0]), int(rows[-1])
        records = self._cdf.varget(name, startrec=first, endrec=last)
        records = np.reshape(records, (last - first + 1, *info.Dim_Sizes))
        return records if len(rows) == len(records) else records[rows - first]

    def segment(self, station: _Station, rows: np.ndarray, companions: Mapping[str, Variable]) -> Segment:
        """Return distributions with their companions, errors and flags."""
        names = {"error": station.name("disterr"), "flags": station.name("errorflags")}
        own = {key: self.variable(name, rows) for key, name in names.items() if name in self.names}
        return Segment(self.variable(station.name("dist"), rows), {**companions, **own})


def _without_leap_seconds(times: np.ndarray, stamps: np.ndarray) -> np.ndarray:
    """Return times with NaT for TT2000 stamps inside a leap second, which datetime64 cannot represent."""
    import cdflib

    if stamps.dtype.kind != "i" or not (np.diff(times) < np.timedelta64(0, "ns")).any():
        return times
    inside = np.atleast_2d(cdflib.cdfepoch.breakdown_tt2000(stamps))[:, 5] == 60
    return np.where(inside, np.datetime64("NaT", "ns"), times)


def _mask_samples(variable: Variable, bad: np.ndarray) -> Variable:
    """Return a variable with NaN for flagged samples."""
    values = variable.values.copy()
    values[bad] = np.nan
    values.flags.writeable = False
    return replace(variable, values=values)


def _covers(companion_times: np.ndarray, times: np.ndarray) -> bool:
    """Return True if companion times lie between the first and last of `times`, or on both sides of a single one."""
    before = np.searchsorted(companion_times, times[0])
    after_last = np.searchsorted(companion_times, times[-1], side="right")
    return bool(before < after_last or (len(times) == 1 and 0 < before < len(companion_times)))
