"""Provenance of results: name of the attribute, method, versions of the software."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any

import numpy as np

ATTRIBUTE = "similarity"
"""Attribute of a tplot variable under which the record of a result is stored."""

CALIBRATED = ("deviations", "share_higher", "p_value", "stands_out")
"""Columns of a table of events that state how unusual a score is among all scores of a search."""

METHOD = "Smith et al. 2024, JGR Space Physics 129, e2023JA032096, doi 10.1029/2023JA032096"


def own_events(record: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return starts and ends, datetime64[ns], of the queries' own events in the record of a result."""
    spans = np.array([(one["start"], one["end"]) for one in record.get("own_events", ())], "datetime64[ns]")
    return tuple(spans.reshape(-1, 2).T)


def version_of(package: str) -> str:
    """Return the version of a package, or 'not installed', as of one that is run from a source tree."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def versions() -> dict[str, str]:
    """Return the versions of the packages that made a result."""
    return {package: version_of(package) for package in ("pyspedas-similarity", "pyspedas", "numpy")}
