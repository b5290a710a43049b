"""Loader of THEMIS all-sky full frames and thumbnails, file by file, for which pyspedas has no loader.

    <root>/thg/l1/asi/gako/2011/01/thg_l1_asf_gako_2011010617_v01.cdf    full frames, an hour each
    <root>/thg/l1/asi/gako/2011/05/thg_l1_ast_gako_20110505_v01.cdf      thumbnails, a day each

The layout is the same locally and at the server; it is that of ``thm_load_asi`` of IDL SPEDAS.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np

from .. import tplot
from ..errors import ArgumentError, LoadError
from ..imaging.camera_geometry import STATIONS
from ..times import to_interval
from ..tplot import Variable
from .asi_files import FrameFile, Skymap, read_skymap
from .segments import DataFile, FileTree, Piece, Product, Segment, Tally, after, joined, listing, loading

logger = getLogger(__name__)

# Time covered by a file, as numpy time unit.
_UNITS = {"asf": "h", "ast": "D"}
# The time of a frame requested at the end of an hour may be in the next hour.
_SLACK = np.timedelta64(1, "m")
_MOMENT = np.timedelta64(1, "ns")
_MOST_NAMED = 24


@dataclass(frozen=True)
class Request:
    """Checked arguments of a loader, made by `Request.read`.

    `time_clip` returns only frames from `start` to `end`; `support` includes the ends of the exposures.
    """

    sites: tuple[str, ...]
    datatype: str
    start: np.datetime64
    end: np.datetime64
    no_update: bool = False
    time_clip: bool = True
    support: bool = False

    @classmethod
    def read(cls, trange: Any, site: Any, datatype: str = "asf", **options: bool) -> Request:
        """Check the arguments of a loader; ArgumentError with similar names if the site or datatype does not exist."""
        if datatype not in _UNITS:
            raise ArgumentError("datatype", f"found {datatype!r}", "Give 'asf', full frames, or 'ast', thumbnails.")
        return cls(_sites(site), datatype, *to_interval(trange), **options)

    def __str__(self) -> str:
        start, end = (time.astype("datetime64[s]") for time in (self.start, self.end))
        return f"THEMIS {self.datatype} {', '.join(self.sites)} {start} to {end}"

    @property
    def length(self) -> np.timedelta64:
        """Time covered by one file."""
        return np.timedelta64(1, _UNITS[self.datatype])

    def name(self, site: str) -> str:
        """Return the name of the variable of a site."""
        return f"thg_{self.datatype}_{site}"


def segments(
    trange: Any,
    probe: str | Sequence[str] = "",
    site: str | Sequence[str] = "",
    datatype: str = "asf",
    no_update: bool = False,
    piece: Piece | None = None,
) -> Iterator[Segment]:
    """Yield frames file by file: an hour of full frames, 157 MB, or a day of thumbnails, 59 MB.

    Delete each segment before requesting the next one, otherwise two are in memory. The tplot store is not changed.
    Values are counts (n, rows, columns), without companions; times of one site are strictly increasing, within
    `trange`. One warning at the end lists what could not be loaded, without hours that have no file, such as daytime;
    LoadError if there are data and nothing could be.

    Parameters
    ----------
    trange : time range in any form
    probe, site : str or list of str
        Synonyms: four letters, such as 'fsmi'; several are processed one after another.
    datatype : {'asf', 'ast'}
        Full frames or thumbnails.
    no_update : bool
        Use only local files in pyspedas's ``local_data_dir`` for THEMIS; otherwise missing or incomplete files are
        downloaded there from its ``remote_data_dir``.
    piece : Piece, optional
        Read only this file.
    """
    station = site or probe if piece is None else piece.probe
    return _iterate_segments(Request.read(trange, station, datatype, no_update=no_update), piece)


def pieces(
    trange: Any,
    probe: str | Sequence[str] = "",
    site: str | Sequence[str] = "",
    datatype: str = "asf",
    no_update: bool = False,
) -> Iterator[Piece]:
    """Yield the files that `segments` reads, without downloading them.

    `segments` with each of them as ``piece`` yields the same as without, except that a change of the frame size is not
    reported and frames contained in two files are yielded twice.
    """
    return _listed(Request.read(trange, site or probe, datatype, no_update=no_update))


def load(
    trange: Any,
    probe: str | Sequence[str] = "",
    suffix: str = "",
    no_update: bool = False,
    site: str | Sequence[str] = "",
    datatype: str = "asf",
) -> list[str]:
    """Load frames into tplot variables, see `variables`; `probe` and `site` are synonyms."""
    request = Request.read(trange, site or probe, datatype, no_update=no_update)
    found = variables(request)
    return [tplot.write(replace(variable, name=variable.name + suffix)) for variable in found]


def files(request: Request) -> list[str]:
    """Download the missing files of a request; return the paths of all, without reading them.

    LoadError if there are data but no file could be downloaded.
    """
    with loading(_tree(request), str(request)) as tree:
        found = [str(path) for site in request.sites for _, path in _fetch_files(tree, request, site)]
        tree.tally.loaded = len(found)
    return found


def variables(request: Request, skymap: Skymap | str | Path | None = None) -> list[Variable]:
    """Read all frames of a request, one variable per site, then the ends of exposures if requested.

    An unmodified `skymap` is stored with the frames of its site, rotated to match them. ArgumentError if it belongs to
    none of the sites, or its shape differs; LoadError if no frames or not the skymap could be loaded.
    """
    sky = read_skymap(skymap) if isinstance(skymap, (str, Path)) else skymap
    if sky is not None and sky.site not in request.sites:
        found = f"it is of {sky.site}, not of {', '.join(request.sites)}"
        raise ArgumentError("skymap", found, "Give the skymap of the station that is loaded.")
    whole = joined(_iterate_segments(request))
    for site in request.sites:
        _log_absent(request, site, whole.get(request.name(site)))
    frames = [_with_skymap(one.distribution, sky) for one in whole.values()]
    companions = [variable for one in whole.values() for variable in one.companions.values()]
    return frames + companions


def _sites(site: Any) -> tuple[str, ...]:
    names = [site] if isinstance(site, str) or not isinstance(site, Sequence) else list(site)
    for name in names or [""]:
        if not isinstance(name, str) or name.lower() not in STATIONS:
            near = difflib.get_close_matches(str(name).lower(), STATIONS, n=3, cutoff=0.5)
            remedy = f"Near names: {', '.join(near)}." if near else f"Give one of {', '.join(STATIONS)}."
            raise ArgumentError("site", f"found {name!r}, which is not a THEMIS all-sky station", remedy)
    return tuple(dict.fromkeys(name.lower() for name in names))


def _listed(request: Request) -> Iterator[Piece]:
    with listing(_tree(request), str(request)) as tree:
        for site in request.sites:
            for file in _files_of_site(tree, request, site):
                yield tree.piece(file, request.name(site), site, request.length)


def _tree(request: Request, piece: Piece | None = None) -> FileTree:
    """Return the tree of the files of a request, or that of one piece."""
    from pyspedas.projects.themis.config import CONFIG

    return FileTree.of(CONFIG, request.no_update, piece)


def _files_of_site(tree: FileTree, request: Request, site: str) -> Iterator[DataFile]:
    """Yield the existing files of a site."""
    stem = f"thg_l1_{request.datatype}_{site}"
    # One nanosecond less, so that a range that ends at the start of a file does not include this file.
    product = Product(f"thg/l1/asi/{site}", stem, request.length - _MOMENT, daily=False)
    return tree.files(product, request.start, max(request.start, request.end - _MOMENT))


def _fetch_files(tree: FileTree, request: Request, site: str) -> Iterator[tuple[DataFile, Path]]:
    """Download the files of a site if necessary; yield them with their paths."""
    for file in _files_of_site(tree, request, site):
        try:
            path = tree.fetch(
                file, lambda path, file=file: _valid_rows(FrameFile(path, request.name(site)), file, request)
            )
        except LoadError as error:
            tree.tally.lost[file.name] = error.found
            continue
        yield file, path


def _iterate_segments(request: Request, piece: Piece | None = None) -> Iterator[Segment]:
    with loading(_tree(request, piece), str(request)) as tree:
        for site in request.sites:
            last, shape = None, None
            for file, path in _fetch_files(tree, request, site):
                try:
                    opened = FrameFile(path, request.name(site))
                    _check_size(opened, shape)
                    rows = _rows(opened, file, request, last, tree.tally)
                    segment = _segment(opened, rows, request) if len(rows) else None
                except LoadError as error:
                    tree.tally.lost[file.name] = error.found
                    continue
                tree.tally.loaded += 1
                shape = opened.shape
                if segment is not None:
                    last = opened.times[rows[-1]]
                    # Keep no reference to a segment when the next one is read.
                    yield segment
                    del segment


def _check_size(opened: FrameFile, shape: tuple[int, int] | None) -> None:
    if shape not in (None, opened.shape):
        found = f"its frames have {opened.shape[0]} x {opened.shape[1]} pixels, previous ones {shape[0]} x {shape[1]}"
        raise LoadError(str(opened.path), found, "Load it alone.")


def _rows(opened: FrameFile, file: DataFile, request: Request, last: np.datetime64 | None, tally: Tally) -> np.ndarray:
    """Return the rows of the requested frames; frames with invalid times are counted as lost."""
    times = opened.times
    ascending = _valid_rows(opened, file, request, last)
    if len(ascending) < len(times):
        count = len(times) - len(ascending)
        tally.lost[f"{count} of {len(times)} frames of {file.name}"] = "their times are missing, wrong or go back"
    if not request.time_clip:
        return ascending
    return ascending[(times[ascending] >= request.start) & (times[ascending] <= request.end)]


def _valid_rows(opened: FrameFile, file: DataFile, request: Request, last: np.datetime64 | None = None) -> np.ndarray:
    """Return the rows of frames with increasing times that match the file name."""
    times = opened.times
    theirs = (times >= file.start - _SLACK) & (times < file.start + request.length + _SLACK)
    ascending = np.flatnonzero(theirs)[after(times[theirs], last)]
    if len(times) and not len(ascending):
        found = f"none of its {len(times)} times matches its name and is later than the previous ones"
        raise LoadError(str(opened.path), found, "Remove the file and load again.")
    return ascending


def _segment(opened: FrameFile, rows: np.ndarray, request: Request) -> Segment:
    frames = opened.frames(rows)
    latitude, longitude = STATIONS[frames.attributes["data_att"]["site"]]
    frames.attributes["data_att"].update(latitude=latitude, longitude=longitude)
    ends = opened.ends(rows) if request.support else None
    return Segment(frames, {} if ends is None else {ends.name: ends})


def _log_absent(request: Request, site: str, found: Segment | None) -> None:
    unit = _UNITS[request.datatype]
    kind = f"datetime64[{unit}]"
    there = set() if found is None else set(np.unique(found.distribution.times.astype(kind)))
    first, last = (time.astype(kind) for time in (request.start, max(request.start, request.end - _MOMENT)))
    wanted = np.arange(first, last + np.timedelta64(1, unit))
    absent = [str(time) for time in wanted if time not in there]
    if absent:
        more = f" and {len(absent) - _MOST_NAMED} more" if len(absent) > _MOST_NAMED else ""
        named = ", ".join(absent[:_MOST_NAMED])
        logger.info("%s: no frames in %d of %d files' times: %s%s.", site, len(absent), len(wanted), named, more)


def _with_skymap(frames: Variable, skymap: Skymap | None) -> Variable:
    if skymap is None or skymap.site != frames.attributes["data_att"]["site"]:
        return frames
    if skymap.azimuth.shape != frames.values.shape[1:]:
        found = f"it has {skymap.azimuth.shape} pixels, {frames.name} {frames.values.shape[1:]}"
        raise ArgumentError("skymap", found, "Give the skymap of these frames; that of full frames fits no thumbnails.")
    # The pixel in row r and column c of these files looks where the last row but r and the last column but c of the
    # skymap do, as the stars of Gakona show: tests/real_data/test_orientation.py.
    return replace(frames, attributes={**frames.attributes, "skymap": skymap.turned()})
