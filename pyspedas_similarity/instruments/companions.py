"""Companions of a distribution: field, velocity, errors and flags, found by name or given.

They are further coordinates of the variable (``field``, ``velocity``, ``error``, ``flags``), one row for each sample.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..errors import VariableError
from ..imaging.plasma import at_times
from ..imaging.recipes import DistributionRecipe
from ..imaging.tables import LEAST_FILL
from ..times import cadence
from ..tplot import Variable, loaded_names, read
from .sample_images import ordered_rows

logger = logging.getLogger(__name__)

_NAME = re.compile(
    r"(?P<spacecraft>(?:mms|simulated)\d)_(?P<sensor>d[ei]s)_dist_(?P<rate>brst|fast)(?P<suffix>.*)", re.DOTALL
)
_MISSING = " is missing"
_NO_FLAGS = -1  # all bits
_NAMES_KEY = "companions"  # of the attributes of samples: names of their companions by role
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
    """Return the loaded variables that belong to a distribution, by role; names in `given` come before those found.

    VariableError if a given one is not loaded, or is of another spacecraft.
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
    """Return the distribution with what its images need, one row for each sample.

    Field and velocity are interpolated over gaps of at most ``recipe.gap`` cadences of the slower series; samples in
    wider gaps get NaN. Samples for which a companion of the same file has nothing get NaN, or flags of all bits. `Gaps`
    counts them. Samples of a companion with times that go back or are missing are left out, after a warning.
    VariableError if a companion does not fit.
    """
    rows = {}
    for role in ("field", "velocity"):
        needed = recipe.field_aligned or (role == "velocity" and recipe.subtract_velocity)
        if needed and role in companions:
            rows[role] = _vectors(variable, companions[role], recipe)
    for role, needed in (("error", recipe.least_counts > 0), ("flags", recipe.bad_flags != 0)):
        if needed and role in companions:
            rows[role] = _same_samples(variable, companions[role], _NO_FLAGS if role == "flags" else np.nan)
    if "error" in rows and (lost := _unknown(rows["error"])).any():
        lost = lost.reshape(-1, *[1] * (variable.values.ndim - 1))
        variable = replace(variable, values=np.where(lost, np.float32(np.nan), variable.values))
    names = {role: companions[role].name for role in rows}
    attributes = {**variable.attributes, _NAMES_KEY: names}
    return replace(variable, coordinates={**variable.coordinates, **rows}, attributes=attributes)


def missing(samples: Variable, recipe: DistributionRecipe) -> dict[str, np.ndarray]:
    """Return the samples without image because of a companion, bool (n,), by what is wrong with it.

    `samples` are made by `with_companions`; a key is such as 'mms1_fgm_b_dmpa_brst_l2 is missing'.
    """
    found = {}
    for role, name in samples.attributes.get(_NAMES_KEY, {}).items():
        rows = samples.coordinates[role]
        if role in ("field", "velocity"):
            found[name + _MISSING] = np.isnan(rows).any(axis=1)
            if role == "field":
                found[f"{name} is zero"] = (rows == 0).all(axis=1)
        elif role == "flags":
            found[f"{name} flags it as bad"] = (rows[:, 0].astype(np.int64) & recipe.bad_flags) != 0
            found[f"{name} has no sample for it"] = rows[:, 0] == _NO_FLAGS
        else:
            found[f"{name} has no sample for it"] = _unknown(rows)
    return {what: rows for what, rows in found.items() if rows.any()}


class Gaps:
    """Samples that get no image because of a companion; of many segments, for one warning."""

    def __init__(self) -> None:
        self._lost: dict[str, int] = {}
        self._total = 0

    def count(self, samples: Variable, recipe: DistributionRecipe) -> None:
        """Take notice of what `with_companions` made."""
        self._total += len(samples.times)
        for what, rows in missing(samples, recipe).items():
            self._lost[what] = self._lost.get(what, 0) + int(rows.sum())

    def warn(self, name: str, recipe: DistributionRecipe) -> None:
        """Warn once of the gaps, if there are any."""
        gaps = {what.removesuffix(_MISSING): n for what, n in self._lost.items() if what.endswith(_MISSING)}
        lost = ", ".join(f"{count} of {self._total} for {companion}" for companion, count in gaps.items())
        texts = [f"because of gaps wider than {recipe.gap:g} cadences: {lost}"] if gaps else []
        others = {what: n for what, n in self._lost.items() if not what.endswith(_MISSING)}
        texts += [f"{count} of {self._total} because {what}" for what, count in others.items()]
        if texts:
            logger.warning("%s: samples without image, %s.", name, "; ".join(texts))


def _vectors(variable: Variable, companion: Variable, recipe: DistributionRecipe) -> np.ndarray:
    values = companion.values
    if values.ndim != 2 or values.shape[1] not in (3, 4):  # FGM puts the magnitude behind the vector
        remedy = "Give a vector (time, 3)."
        raise VariableError(companion.name, f"found the shape {values.shape}", remedy)
    good = ordered_rows(companion)
    values, times = np.where(np.abs(values[good]) < LEAST_FILL, values[good], np.nan), companion.times[good]
    gap = np.timedelta64(int(recipe.gap * max(cadence(s.times) for s in (variable, companion)).astype("int64")), "ns")
    return at_times(values[:, :3], times, variable.times, gap)


def _unknown(error: np.ndarray) -> np.ndarray:
    """Samples of which no error is known: bool, shape (n,)."""
    return np.isnan(error.reshape(len(error), -1)).all(axis=1)


def _same_samples(variable: Variable, companion: Variable, nothing: float) -> np.ndarray:
    """Rows of a companion that comes from the same file, at the distribution's times; `nothing` where it has none."""
    good = ordered_rows(companion)
    times, values = companion.times[good], companion.values
    rows = np.clip(np.searchsorted(times, variable.times), 0, max(len(times) - 1, 0))
    there = times[rows] == variable.times if len(times) else np.zeros(len(variable.times), bool)
    if not there.any():
        found, remedy = "it lacks some of the distribution's times, or all", f"Load it together with {variable.name}."
        raise VariableError(companion.name, found, remedy)
    rows = good[rows]
    if not there.all():
        kind = np.int64 if values.dtype.kind in "iu" else values.dtype
        values = values[rows].astype(kind)
        values[~there] = nothing
    elif not np.array_equal(rows, np.arange(len(companion.times))):
        values = values[rows]
    return values.reshape(len(variable.times), -1) if values.ndim == 1 else values


def _check_spacecraft(variable: Variable, companion: Variable, parts: Mapping[str, str]) -> None:
    other = re.match(r"(?:mms|simulated)\d(?=_)", companion.name)
    if parts and other and other[0] != parts["spacecraft"]:
        remedy = f"Give a variable of {parts['spacecraft']}."
        raise VariableError(companion.name, f"it is of {other[0]}, {variable.name} of another spacecraft", remedy)
