"""Loaders of pyspedas that read files in this process, which therefore are checked before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import LoadError
from .cdf_checks import check_cdf, identity_of


def load_checked(loader: Callable[..., Any], **options: Any) -> list[str]:
    """Download files with a loader, check each, then load them.

    Parameters
    ----------
    loader : callable
        Of a mission in ``pyspedas.projects``, with ``downloadonly`` and ``no_update``.
    **options
        For it.

    Returns
    -------
    list of str
        Names of variables.

    Raises
    ------
    LoadError
        If a file is not whole, names it, and none is read; or if they cannot be read.
    """
    files = loader(**(options | {"downloadonly": True})) or []
    checked = {path: check_cdf(path, contents=True).identity for path in files}
    again = options | {"no_update": True} | {key: False for key in ("force_download",) if key in options}
    try:
        names = loader(**again) or []
    except Exception as error:  # values that are wrong lead loaders to nearly every exception there is
        found = f"not readable ({type(error).__name__}: {error})"
        remedy = "The files are whole: see whether pyspedas reads them alone, and with another release of it."
        raise LoadError(", ".join(map(str, files)) or "files", found, remedy) from error
    if changed := [path for path, identity in checked.items() if identity_of(path) != identity]:
        raise LoadError(str(changed[0]), "it was changed while it was read", "Load again.")
    return names
