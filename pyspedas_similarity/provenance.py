"""Provenance of results: name of the attribute, method, versions of the software."""

from __future__ import annotations

from importlib import metadata

ATTRIBUTE = "similarity"
"""Attribute of a tplot variable under which the record of a result is stored."""

CALIBRATED = ("deviations", "share_higher", "p_value", "stands_out")
"""Columns of a table of events that state how unusual a score is among all scores of a search."""

METHOD = "Smith et al. 2024, JGR Space Physics 129, e2023JA032096, doi 10.1029/2023JA032096"


def versions() -> dict[str, str]:
    """Return the versions of the packages that made a result."""
    found = {}
    for package in ("pyspedas-similarity", "pyspedas", "numpy"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # run from a source tree
            found[package] = "not installed"
    return found
