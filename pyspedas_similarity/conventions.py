"""Conventions of pyspedas that all public functions share: errors, unknown keywords, names of results."""

from __future__ import annotations

import difflib
import functools
import inspect
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from . import tplot
from .errors import ArgumentError, SimilarityError, VariableError
from .times import scalar

logger = logging.getLogger(__name__)
_Function = TypeVar("_Function", bound=Callable[..., Any])


def pyspedas_convention(empty: Callable[..., Any] = list, errors: str = "log") -> Callable[[_Function], _Function]:
    """Give a public function the keyword `errors`, and refuse keywords that it does not have.

    With ``errors='log'`` a SimilarityError is logged once and what `empty` makes is returned; with ``errors='raise'``
    it is raised. Arrays without dimensions, as numpy and xarray make of scalars, are taken for what is in them. `empty`
    makes the empty value of the kind that the function returns, of those arguments of the call that it names.
    """

    def decorate(function: _Function) -> _Function:
        signature = inspect.signature(function)
        known = [*signature.parameters, "errors"]
        needed = [key for key in inspect.signature(empty).parameters if key in signature.parameters]
        open_ended = any(one.kind is one.VAR_KEYWORD for one in signature.parameters.values())

        @functools.wraps(function)
        def wrapped(*arguments: Any, errors: str = errors, **keywords: Any) -> Any:
            if errors not in ("log", "raise"):
                raise ArgumentError("errors", f"found {errors!r}", "Give 'log' or 'raise'.")
            try:
                if not open_ended:
                    check_keywords(keywords, known, function.__name__)
                return function(*arguments, **{key: scalar(value) for key, value in keywords.items()})
            except SimilarityError as error:
                if errors == "raise":
                    raise
                logger.error("%s: %s", function.__name__, error)
                return empty(**{key: keywords.get(key, signature.parameters[key].default) for key in needed})

        wrapped.__signature__ = _with_errors(signature, errors)  # type: ignore[attr-defined]
        return wrapped  # type: ignore[return-value]

    return decorate


def check_keywords(given: Iterable[str], known: Sequence[str], function: str) -> None:
    """Raise ArgumentError for a keyword that a function does not have; the message names the nearest one."""
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            remedy = f"The nearest is {near[0]}." if near else f"See help({function})."
            raise ArgumentError(name, f"{function} has no such keyword", remedy)


def check_choice(name: str, value: Any, known: Iterable[str]) -> None:
    """Raise ArgumentError for a value that is not one of those known."""
    known = list(known)
    if value not in known:
        raise ArgumentError(name, f"found {value!r:.80}", f"Give one of {', '.join(known)}.")


def probe_names(probe: Any, prefix: str, known: Sequence[str]) -> list[str]:
    """Return the short names of spacecraft, such as '1' of 1, '1', 'mms1' or 'MMS 1', or of several.

    `prefix` is a regular expression of what may come before them. Raise ArgumentError if there is none, or one is not
    among the `known`, in small letters.
    """
    probe = scalar(probe)
    given = [probe] if isinstance(probe, str) or not isinstance(probe, Iterable) else list(probe)
    names = [re.sub(rf"^(?:{prefix})[-_ ]*", "", str(scalar(one)).strip().lower()) for one in given]
    if not names or any(name not in known for name in names):
        raise ArgumentError("probe", f"found {probe!r}", f"Give one or more of {', '.join(known)}.")
    return list(dict.fromkeys(names))


def nothing_found(reason: str) -> list[str]:
    """Log once why nothing was found, and return the empty list of names."""
    logger.warning("Nothing found: %s.", reason)
    return []


def _checked_newname(newname: Any) -> list[str]:
    """Return `newname` as a list, or raise ArgumentError if it is not names that all differ."""
    names = [newname] if isinstance(newname, str) else newname
    if not isinstance(names, Sequence) or not all(isinstance(one, str) and one for one in names):
        raise ArgumentError("newname", f"found {newname!r}", "Give a name or a list of names.")
    if len(set(names)) != len(names):
        raise ArgumentError("newname", f"found {newname!r}", "Give one name for each variable, all different.")
    return list(names)


def result_names(
    series: Sequence[str], newname: Any, suffix: str | None, endings: tuple[str, ...], overwrite: bool
) -> list[tuple[str, ...]]:
    """Return the names of the results of each series, one for each ending.

    Raise SimilarityError if `newname` does not give one name for each, or a name exists and `overwrite` is False.
    """
    if suffix is not None and not isinstance(suffix, str):
        raise ArgumentError("suffix", f"found {suffix!r:.80}", "Give text, or None.")
    bases = list(series) if newname is None else _checked_newname(newname)
    if len(bases) != len(series):
        found = f"found {len(bases)} names for {len(series)} variables"
        raise ArgumentError("newname", found, "Give one name for each, all different.")
    titles = [tuple(f"{base}{ending}{suffix or ''}" for ending in endings) for base in bases]
    existing = set(tplot.loaded_names()) if not overwrite else set()
    for title in (title for group in titles for title in group):
        if title in existing:
            raise VariableError(title, "it exists and overwrite=False", "Give newname or suffix, or overwrite=True.")
    return titles


def check_result_names(names: Any, newname: Any, suffix: str | None, endings: tuple[str, ...], overwrite: bool) -> None:
    """Check the names of results as `result_names` before anything is loaded; `names` are loaded variables, or None."""
    if newname is not None:
        _checked_newname(newname)
    if names is not None:
        result_names(tplot.expand(names), newname, suffix, endings, overwrite)


def _with_errors(signature: inspect.Signature, default: str) -> inspect.Signature:
    """Return a signature with the keyword `errors` last, before any ``**keywords``."""
    parameters = list(signature.parameters.values())
    errors = inspect.Parameter("errors", inspect.Parameter.KEYWORD_ONLY, default=default, annotation="str")
    end = len(parameters) - (bool(parameters) and parameters[-1].kind is inspect.Parameter.VAR_KEYWORD)
    return signature.replace(parameters=[*parameters[:end], errors, *parameters[end:]])
