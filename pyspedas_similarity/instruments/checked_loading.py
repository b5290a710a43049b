"""Loaders of pyspedas that read files in this process, which therefore are checked before."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import LoadError
from ..times import parts_of, to_interval
from ..tplot import Variable, loaded_names, preserved, read, write
from .file_checks import check_cdf, identity_of
from .segments import concatenate

logger = logging.getLogger(__name__)
_Loader = Callable[..., Any]


def load_checked(loader: _Loader, wanted: str, trange: list[str], **options: Any) -> list[str]:
    """Download daily files with a loader of pyspedas, check each, then load the wanted variable.

    Return its name, or nothing if there are no data. Days of files that are not whole or cannot be read are missing in
    it, which one warning reports; what else the loader makes is then not stored. LoadError if no file can be read.
    """
    files = _files(loader, options | {"trange": trange})
    identities, lost = _checked(files)
    again = _offline(options)
    if not lost:
        try:
            return [wanted] if _made(loader, wanted, identities, again | {"trange": trange}) else []
        except LoadError:
            if len(files) == 1:
                raise
    parts = _days(loader, wanted, again, trange, identities, lost)
    if lost and not parts:
        raise next(iter(lost.values()))
    if lost:
        text = "%s: %d of %d files are left out: %s"
        logger.warning(text, wanted, len(lost), len(files), "; ".join(dict.fromkeys(map(str, lost.values()))))
    return [write(concatenate(parts))] if parts else []


def load_whole(loader: _Loader, **options: Any) -> list[str]:
    """Download daily files with a loader, check each, then load all that is in them; LoadError for a damaged one."""
    identities, lost = _checked(_files(loader, options))
    if lost:
        raise next(iter(lost.values()))
    return _loaded(loader, identities, _offline(options))


def by_day(load: Callable[[list[str]], Variable | None], trange: list[str]) -> Variable | None:
    """Load a time range at once or, if that fails, day by day without the days that cannot be loaded.

    LoadError if no day can be loaded.
    """
    days, parts, lost = _each_day(trange), [], []
    try:
        return load(trange)
    except LoadError:
        if len(days) == 1:
            raise
    for day in days:
        try:
            parts.append(load(day))
        except LoadError as error:
            lost.append(error)
    found = [one for one in parts if one is not None]
    if lost and not found:
        raise lost[0]
    if lost:
        logger.warning("%d of %d days are left out: %s", len(lost), len(days), "; ".join(map(str, lost)))
    return concatenate(found) if found else None


def _files(loader: _Loader, options: Mapping[str, Any]) -> list[str]:
    """Download files with a loader; return their paths."""
    return list(map(str, loader(**(options | {"downloadonly": True})) or []))


def _offline(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a loader with which it reads local files only."""
    return options | {"no_update": True} | {key: False for key in ("force_download",) if key in options}


def _checked(files: list[str]) -> tuple[dict[str, tuple[int, ...]], dict[str, LoadError]]:
    """Return the identity of each whole file, and the error of each other one."""
    identities, lost = {}, {}
    for path in files:
        try:
            identities[path] = check_cdf(path, contents=True).identity
        except LoadError as error:
            lost[path] = error
    return identities, lost


def _days(
    loader: _Loader,
    wanted: str,
    options: Mapping[str, Any],
    trange: list[str],
    identities: Mapping[str, tuple[int, ...]],
    lost: dict[str, LoadError],
) -> list[Variable]:
    """The wanted variable of each day whose files can be read; errors of others are added to the lost."""
    parts = []
    with preserved():
        for day in _each_day(trange):
            here = options | {"trange": day}
            files = _files(loader, here)
            if not files or not identities.keys() >= set(files):
                continue
            try:
                if _made(loader, wanted, {path: identities[path] for path in files}, here):
                    parts.append(read(wanted))
            except LoadError as error:
                lost |= dict.fromkeys(files, error)
    return parts


def _each_day(trange: list[str]) -> list[list[str]]:
    """The parts of a time range that lie in one day each."""
    parts = parts_of(to_interval(trange), np.timedelta64(1, "D"))
    return [[str(one.start), str(one.end)] for one in parts]


def _made(loader: _Loader, wanted: str, identities: Mapping[str, tuple[int, ...]], options: Mapping[str, Any]) -> bool:
    """Load checked files; return True if the wanted variable was made."""
    return bool(_loaded(loader, identities, options)) and wanted in loaded_names()


def _loaded(loader: _Loader, identities: Mapping[str, tuple[int, ...]], options: Mapping[str, Any]) -> list[str]:
    """Load checked files; return the names of variables; LoadError if they cannot be read, or changed meanwhile."""
    try:
        names = loader(**options) or []
    except Exception as error:  # values that are wrong lead loaders to nearly every exception there is
        found = f"not readable ({type(error).__name__}: {error})"
        remedy = "The files are whole: see whether pyspedas reads them alone, and with another release of it."
        raise LoadError(", ".join(identities) or "files", found, remedy) from error
    if changed := [path for path, identity in identities.items() if identity_of(path) != identity]:
        raise LoadError(changed[0], "it was changed while it was read", "Load again.")
    return list(names)
