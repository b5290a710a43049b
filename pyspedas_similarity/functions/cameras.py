"""Public functions for frames: loading of THEMIS files and of images, flags of quality, keograms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import tplot
from ..conventions import nothing_found, pyspedas_convention, result_names
from ..errors import VariableError
from ..imaging import keogram as slices
from ..imaging.frame_quality import QualityRules
from ..imaging.recipes import FrameRecipe
from ..instruments import frames, images, oath, themis_asi
from ..instruments.identification import check_camera_frames
from ..provenance import versions
from ..results import tplot_output
from ..times import to_astropy
from ..tplot import Variable

if TYPE_CHECKING:
    from astropy.table import QTable

    from ..instruments.asi_files import Skymap

__all__ = ["ewogram", "frame_quality", "keogram", "load_asi", "load_images", "read_oath"]


@pyspedas_convention()
def load_asi(
    trange: Any,
    site: str | Sequence[str],
    datatype: str = "asf",
    suffix: str = "",
    get_support_data: bool = False,
    varnames: str | Sequence[str] | None = None,
    time_clip: bool = True,
    no_update: bool = False,
    downloadonly: bool = False,
    notplot: bool = False,
    skymap: Skymap | str | Path | None = None,
) -> list[str] | dict[str, dict[str, np.ndarray]]:
    """Load full frames or thumbnails of THEMIS all-sky imagers, in the manner of pyspedas's loaders.

    Parameters
    ----------
    trange : time range in any form
        A range that ends at a full hour does not take that hour's file.
    site : str or list of str
        Four letters of a station, such as 'fsmi'.
    datatype : {'asf', 'ast'}
        Full frames, 256 x 256 every 3 s in hourly files, or thumbnails, 32 x 32 in daily ones.
    suffix : str
        Added to the names.
    get_support_data : bool
        With the ends of the exposures, ``thg_asf_<site>_tend`` in unix seconds, where the files have them.
    varnames : str or list of str, optional
        Only these variables, without suffix; ends of exposures so named come without `get_support_data`.
    time_clip : bool
        False: all frames of the files.
    no_update : bool
        Use only files that are in pyspedas's ``local_data_dir`` for THEMIS. Else those that are not there, or not
        complete, are downloaded from its ``remote_data_dir`` and kept; complete ones are not downloaded again.
    downloadonly : bool
        Do not read the files; return where they are.
    notplot : bool
        Store nothing; return the arrays.
    skymap : Skymap or path of a .sav file, optional
        As the archive has it. Kept in the attributes, as ``skymap``, turned to the rows and columns of the frames.
    errors : {'log', 'raise'}
        What to do about bad input: log it and return [], or raise.

    Returns
    -------
    list of str
        ``thg_asf_<site>`` or ``thg_ast_<site>`` for each site, counts (time, row, column) as in the files, times to the
        microsecond. [] where nothing is found, after one warning. With `downloadonly` paths of files.
    dict
        With `notplot`: for each name 'x', unix seconds, and 'y'.

    Raises
    ------
    SimilarityError
        With ``errors='raise'``, for bad input.

    Notes
    -----
    Hours that could not be loaded are named in one warning; hours without a file, as by day, as information. For ranges
    longer than some hours, `find_similar` and `encode` with ``instrument='themis_asi'`` read file by file.
    """
    wanted = [varnames] if isinstance(varnames, str) else list(varnames or [])
    everything = not wanted or "*" in wanted
    support = get_support_data or any(name.endswith("_tend") for name in wanted)
    request = themis_asi.Request.read(trange, site, datatype, no_update=no_update, time_clip=time_clip, support=support)
    if downloadonly:
        return themis_asi.files(request) or nothing_found(f"there are no files of {request}")
    found = themis_asi.variables(request, skymap)
    chosen = [one for one in found if everything or one.name in wanted]
    if not chosen:
        there = f"only {', '.join(one.name for one in found)}" if found else "there are no data"
        return nothing_found(f"{there} of {request}")
    named = [replace(one, name=one.name + suffix) for one in chosen]
    if notplot:
        return {one.name: {"x": one.times.astype("int64") / 1e9, "y": one.values} for one in named}
    return [tplot.write(one) for one in named]


@pyspedas_convention()
def load_images(
    path: str | Path | Sequence[str | Path],
    times: Any = None,
    cadence_s: Any = None,
    name: str | None = None,
    trange: Any = None,
    channel: str | None = None,
) -> list[str]:
    """Load image files and movies into a tplot variable of frames.

    Parameters
    ----------
    path : str, Path or list of them
        Folder, of which the images directly inside are read; file; or pattern, such as ``'2013/**/*.png'``. PNG, JPEG,
        TIFF, GIF, FITS, and movies (MP4, MOV, AVI, MKV, WebM, MPEG), which need the extra ``images``.
    times : str, Path, callable or times, optional
        Where the time of a file is found. Default: ``YYYYMMDD_HHMMSS`` in its name, also with other separators or none,
        and with fractions of a second. Text with ``%``: a format of `datetime.strptime` for the whole name. Text with
        ``(?P<``: a regular expression with the groups ``year``, ``month``, ``day`` (or ``doy``), ``hour``, ``minute``,
        ``second``, ``fraction``, or one group ``time``. A ``.csv`` file: columns ``file`` and ``time``. A function of
        the path. Or the times: one for each file in order of the paths, or those of all frames of one movie.
    cadence_s : seconds, timedelta or Quantity, optional
        Between the frames of a movie, an animated GIF or a file with several images, of which the first has the time
        of the file.
    name : str, optional
        Of the variable. Default: ``images_`` and the name of the folder or file.
    trange : time range, optional
        Load only these frames.
    channel : {'brightness', 'red', 'green', 'blue'}, optional
        What to take of images in color; 'brightness' is the mean of the three. By default these are left out; images
        whose three colors are equal are gray and are loaded in any case.
    errors : {'log', 'raise'}
        What to do about bad input: log it and return [], or raise.

    Returns
    -------
    list of str
        The name of the variable (time, row, column), in the integers or floating-point numbers of the files. [] where
        nothing is found, after one warning.

    Raises
    ------
    SimilarityError
        With ``errors='raise'``, for bad input, or if no image could be loaded.

    Notes
    -----
    Files that are damaged, empty, implausibly large, without a time, with the time of another one, or of another size
    or type than most are left out and counted in one warning. For more images than fit into memory give the same
    arguments to a search: ``find_similar(instrument='images', trange=..., load_keywords={'path': ..., 'times': ...})``
    reads some hundred at once.
    """
    request = images.ImageRequest.read(trange, path, times, cadence_s, name, channel)
    found = images.read_variable(request)
    if found is None:
        return nothing_found(f"{request.left_out.subject} have no frames in {trange}")
    return [tplot.write(found)]


@pyspedas_convention(lambda: oath_table([]), errors="raise")
def read_oath(path: str | Path) -> QTable:
    """Read station, time and class of the pictures of the Oslo Auroral THEMIS (OATH) data set.

    Parameters
    ----------
    path : str or Path
        Folder with ``images/cropped_scaled``, ``images/files_origin.csv`` and ``classifications/classifications.csv``,
        as it is distributed.
    errors : {'log', 'raise'}
        What to do about bad input: log it and return an empty table, or raise.

    Returns
    -------
    astropy.table.QTable
        By station and time: ``picture`` (number), ``file``, ``station``, ``time`` (Time, UTC), ``class`` (arc, diffuse,
        discrete, cloudy, moon, noaurora; empty if unknown), ``class6`` and ``class2`` (-1 if unknown), ``rotation``
        (degrees, of rotated copies; these pictures are not rotated). Pictures without station or time, and lines of the
        tables whose picture is not there, are left out and counted in one warning.

    Raises
    ------
    SimilarityError
        If a table is missing or has other columns.

    See Also
    --------
    find_similar : with ``instrument='oath', load_keywords={'path': path}`` searches ``oath_<station>``

    Notes
    -----
    Clausen and Nickisch 2018, doi 10.1029/2018JA025274.
    """
    pictures, left_out = oath.read_pictures(path)
    left_out.loaded = len(pictures)
    left_out.report()
    return oath_table(pictures)


def oath_table(pictures: Sequence[oath.Picture]) -> QTable:
    """Return the table of pictures, of any number."""
    from astropy.table import QTable

    times = to_astropy(np.array([one.time for one in pictures], "datetime64[ns]"))
    made = QTable()
    made["picture"] = np.array([one.number for one in pictures], np.int64)
    made["file"] = np.array([str(one.path) for one in pictures], str)
    made["station"] = np.array([one.station for one in pictures], str)
    made["time"] = times
    made["class"] = np.array([one.label for one in pictures], str)
    made["class6"] = np.array([one.class6 for one in pictures], np.int64)
    made["class2"] = np.array([one.class2 for one in pictures], np.int64)
    made["rotation"] = np.array([one.rotation for one in pictures], float)
    return made


@pyspedas_convention()
def frame_quality(
    names: str | int | Iterable[str | int],
    overlays: Sequence[tuple[float, float, float, float]] = (),
    rules: QualityRules | None = None,
    newname: str | Sequence[str] | None = None,
    suffix: str | None = None,
    overwrite: bool = True,
) -> list[str]:
    """Judge camera frames: which are usable, and in which something happens.

    Parameters
    ----------
    names : str, int or list of them
        Loaded tplot variables of frames (time, row, column), at least 64 x 64.
    overlays : sequence of (top, bottom, left, right), optional
        Rectangles that are no sky, such as text, as shares of rows and columns.
    rules : QualityRules, optional
        Other thresholds than the default ones.
    newname, suffix, overwrite, errors
        As in `find_similar`.

    Returns
    -------
    list of str
        For each variable X ``X_flag``, uint8 (time): 0 usable, 1 cloud, 2 Moon or twilight, 3 saturated, 4 dropped,
        5 duplicate; and ``X_activity``, float64 (time): from 1 on something happens, NaN where a frame is dropped.

    Raises
    ------
    SimilarityError
        With ``errors='raise'``, for bad input.

    See Also
    --------
    find_similar : leaves out what is not usable, and with ``active_only=True`` what is inactive

    Notes
    -----
    What decides, and how often it errs, is in the documentation under 'All-sky frames'.
    """
    variables = _frames(names)
    titles = result_names([one.name for one in variables], newname, suffix, ("_flag", "_activity"), overwrite)
    rules = rules or QualityRules()
    made = []
    for variable, (flag, activity) in zip(variables, titles, strict=True):
        gate = frames.assess(variable, FrameRecipe(overlays=tuple(overlays)), rules)
        provenance = {"source": variable.name, "rules": asdict(rules), "versions": versions()}
        made.append(tplot_output.flag_series(variable, flag, gate, provenance))
        made.append(tplot_output.activity_series(variable, activity, gate, provenance))
    return tplot_output.write_all(made)


@pyspedas_convention()
def keogram(
    names: str | int | Iterable[str | int],
    height_km: float | None = None,
    width: float | None = None,
    newname: str | Sequence[str] | None = None,
    suffix: str | None = None,
    overwrite: bool = True,
) -> list[str]:
    """Cut keograms, from south to north, out of frames.

    Parameters
    ----------
    names : str, int or list of them
        Loaded tplot variables of frames (time, row, column).
    height_km : float, optional
        Of the light: the axis then is geodetic latitude. Needs a skymap.
    width : float, optional
        Of the strip: degrees across with a skymap (default 3), else columns (default 5).
    newname, suffix, overwrite, errors
        As in `find_similar`.

    Returns
    -------
    list of str
        For each variable X ``X_keogram``, a spectrogram (time, bins) in the frames' units. The axis is the zenith angle
        in degrees, positive to the north, where the frames have a skymap, else the row, from the southern edge.

    Raises
    ------
    SimilarityError
        With ``errors='raise'``, for bad input.

    Notes
    -----
    Eather et al. 1976, doi 10.1029/JA081i019p03285.
    """
    return _slices("keogram", slices.keogram, names, height_km, width, (newname, suffix, overwrite))


@pyspedas_convention()
def ewogram(
    names: str | int | Iterable[str | int],
    height_km: float | None = None,
    width: float | None = None,
    newname: str | Sequence[str] | None = None,
    suffix: str | None = None,
    overwrite: bool = True,
) -> list[str]:
    """Cut ewograms, from west to east, out of frames: ``X_ewogram``.

    As `keogram`; the axis is the zenith angle, positive to the east, geodetic longitude where `height_km` is given, or
    the column from the western edge.
    """
    return _slices("ewogram", slices.ewogram, names, height_km, width, (newname, suffix, overwrite))


def _slices(
    title: str,
    cut: Callable[..., slices.Keogram],
    names: Any,
    height_km: float | None,
    width: float | None,
    naming: tuple[Any, str | None, bool],
) -> list[str]:
    variables = _frames(names)
    newname, suffix, overwrite = naming
    titles = result_names([one.name for one in variables], newname, suffix, (f"_{title}",), overwrite)
    made = []
    for variable, (name,) in zip(variables, titles, strict=True):
        north_up, view = frames.north_up(variable)
        if height_km is not None and view is None:
            remedy = "Load it with skymap=, or leave height_km out."
            raise VariableError(variable.name, "it has no skymap, which a height needs", remedy)
        made.append(tplot_output.keogram_series(variable, name, cut(north_up, view, height_km, width), title))
    return tplot_output.write_all(made)


def _frames(names: Any) -> list[Variable]:
    variables = [tplot.read(name) for name in tplot.expand(names)]
    for variable in variables:
        check_camera_frames(variable)
        frames.check_one_camera(variable)
    return variables
