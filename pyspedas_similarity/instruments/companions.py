"""Companions of a distribution: field, velocity, errors and flags, found by name or given.

They travel with the variable as further coordinates (``field``, ``velocity``, ``error``, ``flags``), one row for each
sample, so that whatever takes part of the samples takes part of them too.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..errors import VariableError
from ..imaging.axes import at_times
from ..imaging.recipes import DistributionRecipe
from ..times import cadence
from ..tplot import Variable, loaded_names, read

logger = logging.getLogger(__name__)

_NAME = re.compile(
    r"(?P<spacecraft>(?:mms|simulated)\d)_(?P<sensor>d[ei]s)_dist_(?P<rate>brst|fast)(?P<suffix>.*)", re.DOTALL
)
# Fill values of CDF files are -1e31; loaders make NaN of them, other hands may not.
_LEAST_FILL = 1e30
# FGM calls survey what FPI calls fast. DMPA and DBCS differ by a fraction of a degree.
_NAMES = {
    "field": ("{spacecraft}_fgm_b_dmpa_{fgm_rate}_l2{suffix}", "{spacecraft}_fgm_b_dmpa_{fgm_rate}_l2"),
    "velocity": ("{spacecraft}_{sensor}_bulkv_dbcs_{rate}{suffix}", "{spacecraft}_{sensor}_bulkv_dbcs_{rate}"),
    "error": ("{spacecraft}_{sensor}_disterr_{rate}{suffix}",),
    "flags": (
        "{spacecraft}_{sensor}_errorflags_{rate}{suffix}_dist",
        "{spacecraft}_{sensor}_errorflags_{rate}{suffix}",
    ),
}


def find_companions(variable: Variable, given: Mapping[str, str | None]) -> dict[str, Variable]:
    """The variables that belong to a distribution.

    Parameters
    ----------
    variable : Variable
    given : mapping
        Names of variables under 'field', 'velocity', 'error', 'flags' that come before those found; None: look.

    Returns
    -------
    dict of str to Variable
        Without those that are not loaded.

    Raises
    ------
    VariableError
        If a given one is not loaded, or is of another spacecraft.
    """
    match = _NAME.fullmatch(variable.name)
    parts = match.groupdict() if match else {}
    loaded = set(loaded_names())
    found = {}
    for role, patterns in _NAMES.items():
        if given.get(role) is not None:
            found[role] = read(given[role])
            _check_spacecraft(variable, found[role], parts)
        elif parts:
            rate = {"fast": "srvy"}.get(parts["rate"], parts["rate"])
            names = [pattern.format(**parts, fgm_rate=rate) for pattern in patterns]
            there = [name for name in names if name in loaded]
            if there:
                found[role] = read(there[0])
    return found


def with_companions(variable: Variable, companions: Mapping[str, Variable], recipe: DistributionRecipe) -> Variable:
    """The distribution with what its images need, one row for each sample.

    Field and velocity are interpolated to the distribution's times, over gaps of at most ``recipe.gap`` cadences of the
    slower series; samples in wider gaps get NaN. `Gaps` counts them.

    Raises
    ------
    VariableError
        If a companion does not fit.
    """
    rows = {}
    for role in ("field", "velocity"):
        needed = recipe.field_aligned or (role == "velocity" and recipe.subtract_velocity)
        if needed and role in companions:
            rows[role] = _vectors(variable, companions[role], recipe)
    for role, needed in (("error", recipe.least_counts > 0), ("flags", recipe.bad_flags != 0)):
        if needed and role in companions:
            rows[role] = _same_samples(variable, companions[role])
    return replace(variable, coordinates={**variable.coordinates, **rows})


class Gaps:
    """Samples that get no image because field or velocity are not known there; of many segments, for one warning."""

    def __init__(self) -> None:
        self._lost: dict[str, int] = {}
        self._total = 0

    def count(self, samples: Variable, companions: Mapping[str, Variable]) -> None:
        """Take notice of what `with_companions` made."""
        self._total += len(samples.times)
        for role in ("field", "velocity"):
            rows = samples.coordinates.get(role)
            lost = 0 if rows is None else int(np.isnan(rows).any(axis=1).sum())
            if lost:
                name = companions[role].name
                self._lost[name] = self._lost.get(name, 0) + lost

    def warn(self, name: str, recipe: DistributionRecipe) -> None:
        """Warn once of the gaps, if there are any."""
        if self._lost:
            lost = ", ".join(f"{count} of {self._total} for {companion}" for companion, count in self._lost.items())
            wider = f"wider than {recipe.gap:g} cadences"
            logger.warning("%s: samples without image, because of gaps %s: %s.", name, wider, lost)


def _vectors(variable: Variable, companion: Variable, recipe: DistributionRecipe) -> np.ndarray:
    values = companion.values
    if values.ndim != 2 or values.shape[1] not in (3, 4):  # FGM puts the magnitude behind the vector
        remedy = "Give a vector (time, 3)."
        raise VariableError(companion.name, f"found the shape {values.shape}", remedy)
    if np.isnat(companion.times).any() or (np.diff(companion.times) < np.timedelta64(0, "ns")).any():
        raise VariableError(companion.name, "its times go back or are missing", "Sort it by time and store it again.")
    values = np.where(np.abs(values) < _LEAST_FILL, values, np.nan)
    gap = np.timedelta64(int(recipe.gap * max(cadence(s.times) for s in (variable, companion)).astype("int64")), "ns")
    return at_times(values[:, :3], companion.times, variable.times, gap)


def _same_samples(variable: Variable, companion: Variable) -> np.ndarray:
    """Rows of a companion that comes from the same file, at the distribution's times."""
    rows = np.searchsorted(companion.times, variable.times)
    rows = np.clip(rows, 0, len(companion.times) - 1)
    if not np.array_equal(companion.times[rows], variable.times):
        remedy = f"Load it together with {variable.name}."
        raise VariableError(companion.name, "it lacks some of the distribution's times", remedy)
    whole = np.array_equal(rows, np.arange(len(companion.times)))
    values = companion.values if whole else companion.values[rows]
    return values.reshape(len(variable.times), -1) if values.ndim == 1 else values


def _check_spacecraft(variable: Variable, companion: Variable, parts: Mapping[str, str]) -> None:
    other = re.match(r"(?:mms|simulated)\d(?=_)", companion.name)
    if parts and other and other[0] != parts["spacecraft"]:
        remedy = f"Give a variable of {parts['spacecraft']}."
        raise VariableError(companion.name, f"it is of {other[0]}, {variable.name} of another spacecraft", remedy)
