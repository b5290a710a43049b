"""How every verb behaves: pyspedas's manners for bad input, for nothing found, and for names of results."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from . import tplot
from .errors import ArgumentError, SimilarityError, VariableError
from .tplot import Variable

logger = logging.getLogger(__name__)
_Verb = TypeVar("_Verb", bound=Callable[..., Any])


def pyspedas_manners(verb: _Verb) -> _Verb:
    """With errors='log' (the default), log a SimilarityError once and return [], as pyspedas does."""

    @functools.wraps(verb)
    def polite(*args: Any, errors: str = "log", **keywords: Any) -> list[str]:
        if errors not in ("log", "raise"):
            raise ArgumentError("errors", f"found {errors!r}", "Give 'log' or 'raise'.")
        try:
            return verb(*args, **keywords)
        except SimilarityError as error:
            if errors == "raise":
                raise
            logger.error("%s: %s", verb.__name__, error)
            return []

    return polite  # type: ignore[return-value]


def nothing_found(why: str) -> list[str]:
    """Say why, once, and give the empty list that the verb returns."""
    logger.warning("Nothing found: %s.", why)
    return []


def result_names(
    variables: list[Variable], newname: Any, suffix: str | None, endings: tuple[str, ...], overwrite: bool
) -> list[tuple[str, ...]]:
    """Names of the results of each variable, one for each ending.

    Raises
    ------
    SimilarityError
        If `newname` does not give one name for each variable, or a name is taken and `overwrite` False.
    """
    bases = [variable.name for variable in variables]
    if newname is not None:
        bases = [newname] if isinstance(newname, str) else list(newname)
    if len(bases) != len(variables) or len(set(bases)) != len(bases):
        found = f"found {len(bases)} names for {len(variables)} variables"
        raise ArgumentError("newname", found, "Give one name for each, all different.")
    titles = [tuple(f"{base}{ending}{suffix or ''}" for ending in endings) for base in bases]
    taken = set(tplot.loaded_names()) if not overwrite else set()
    for title in (title for group in titles for title in group):
        if title in taken:
            raise VariableError(title, "it exists and overwrite=False", "Give newname or suffix, or overwrite=True.")
    return titles
