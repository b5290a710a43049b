"""Time series and spectrograms as panels: kind, scale, units and coordinate system by shape and metadata."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from ..errors import VariableError
from ..imaging.recipes import PanelRecipe
from ..imaging.tables import LEAST_FILL, is_evenly_logarithmic, is_numbering
from ..imaging.windows import even_bins, rebinned
from ..tplot import Variable
from . import sample_images

LINE_KINDS = ("lines", "vector")
"""Kinds of panels that are drawn as lines."""

_SYSTEM = re.compile(
    r"(?<![a-z])(dbcs|dsl|dsi|ssl|gse|gsm|sm|gei|geo|fac|lmn|rtn|dmpa|bcs|mfa|sse|hee|hci|srf|isr2|uvw|hdz|sc)(?![a-z])"
)
# Coordinate systems, as they appear in the names of variables, or in capitals inside a word, such as BGSEc.
_SYSTEM_INSIDE = re.compile(r"GSE|GSM|GEI|GEO|RTN|DSL|SRF")
_NO_SYSTEM = ("", "none", "n/a", "unknown", "scalar", "xyz")
# Ratio of the highest to the lowest hundredth of positive values from which on their logarithm is taken.
_LOGARITHMIC_LINES, _LOGARITHMIC_SPECTRA = 10.0, 100.0
# Share of negative values, as from a background that was subtracted, that a logarithmic spectrogram may have.
_MOST_NEGATIVE = 0.05
# Samples from which quantiles are taken; of longer series they are evenly spread.
_SAMPLES_JUDGED = 10**5
# Share of samples in which a bin has to be measured, and of the bins that a sample has to have.
_LEAST_SAMPLES, _LEAST_BINS = 0.5, 0.75
# Standard deviations whose squares single precision holds, and the least share of the largest value.
_LEAST_SPREAD, _LARGEST_SPREAD, _PRECISION = 1e-12, 1e18, 1e-7


@dataclass(frozen=True, eq=False)
class Panel:
    """Measurements of one variable as columns: float64 (n, columns), NaN where nothing was measured.

    `kind` is 'lines', 'vector', 'spectrogram' (at most 16 bins, with their middles in `bins`) or 'embedding'; `system`
    is the coordinate system of a vector in lower case, empty if it is not known.
    """

    variable: Variable
    times: np.ndarray
    values: np.ndarray
    kind: str
    logarithmic: bool = False
    system: str = ""
    bins: np.ndarray | None = None

    @property
    def name(self) -> str:
        """Name of the variable."""
        return self.variable.name

    @property
    def units(self) -> str:
        """Units as the metadata names them, or else the title of the color bar; empty if there is neither."""
        title = str(self.variable.options.get("z_title") or "") if self.kind == "spectrogram" else ""
        return self.variable.units or ("" if title == self.name else title.strip("[] "))  # pyspedas puts the name there

    @property
    def record(self) -> dict[str, object]:
        """What was understood, in plain values."""
        about = {"name": self.name, "kind": self.kind, "units": self.units, "logarithmic": self.logarithmic}
        return about | ({"coordinate_system": self.system} if self.kind == "vector" else {})

    def __str__(self) -> str:
        scale = "logarithm of " if self.logarithmic else ""
        shape = f"{self.values.shape[1]} columns" if self.values.shape[1] > 1 else "one column"
        system = f" in {self.system.upper()}" if self.system else ""
        return f"{self.name}: {scale}{self.kind}{system}, {shape}"


def may_be_panel(variable: Variable) -> bool:
    """Return True for a time series or a spectrogram: (time,) or (time, columns)."""
    return variable.values.ndim in (1, 2)


def panel_of(variable: Variable, recipe: PanelRecipe) -> Panel:
    """Read a time series or spectrogram as a panel.

    VariableError if it is neither, or holds fewer than two measured samples, or one value only.
    """
    if not may_be_panel(variable):
        remedy = "Give a time series (time,), (time, components) or a spectrogram (time, bins)."
        raise VariableError(variable.name, f"found the shape {variable.values.shape}", remedy)
    tables = {key: one for key, one in variable.coordinates.items() if np.asarray(one).dtype.kind in "fiu"}
    bins = [tables[key] for key in ("v", "v1") if key in tables]
    variable = replace(variable, coordinates={"v": bins[0]} if bins else {})
    variable = sample_images.in_order(variable)
    sample_images.check_series(variable)
    variable = sample_images.without_fills(variable)
    values = variable.values.reshape(len(variable.values), -1).astype(np.float64)
    values[~(np.abs(values) < LEAST_FILL)] = np.nan
    kind = _kind(variable)
    if kind == "vector":
        made = Panel(variable, variable.times, values[:, :3], kind, system=coordinate_system(variable))
    else:
        logarithmic = _is_logarithmic(variable, values, kind, recipe)
        values, bins = _spectrogram(variable, values, recipe) if kind == "spectrogram" else (values, None)
        values = _logarithms(values, kind) if logarithmic else values
        made = Panel(variable, variable.times, values, kind, logarithmic, bins=bins)
    _check_values(made)
    return made


def coordinate_system(variable: Variable) -> str:
    """Return the coordinate system of a vector in lower case, from its metadata or else its name; empty if unknown."""
    about = {key.lower(): value for key, value in variable.cdf_attributes("VATT").items()}
    for given in (variable.attributes.get("data_att", {}).get("coord_sys"), about.get("coordinate_system")):
        system = given.partition(">")[0].strip().lower() if isinstance(given, str) else ""
        if system not in _NO_SYSTEM:
            return system
    found = _SYSTEM.findall(variable.name.lower().replace("_", " ")) or _SYSTEM_INSIDE.findall(variable.name)
    return found[-1].lower() if found else ""


def check_same(panels: list[Panel], vectors: str) -> None:
    """Check that panels of one product, on different spacecraft, can be compared.

    VariableError if their kinds, columns, units, bins or, where vectors are compared by axes, coordinate systems
    differ.
    """
    first = panels[0]
    for one in panels[1:]:
        pairs = {
            "kind": (one.kind, first.kind),
            "number of columns": (one.values.shape[1], first.values.shape[1]),
            "units": (one.units, first.units),
        }
        if vectors == "axes":
            pairs["coordinate system"] = (one.system or "not known", first.system or "not known")
        if _differ(one.bins, first.bins):
            pairs["range of bins"] = tuple(f"{bins[0]:.3g} to {bins[-1]:.3g}" for bins in (one.bins, first.bins))
        for what, (found, wanted) in pairs.items():
            if found != wanted:
                text = f"its {what} is {found!r}, that of {first.name} is {wanted!r}"
                remedy = "Give variables of the same product, or together=True for different ones."
                raise VariableError(one.name, text, remedy)


def _differ(bins: np.ndarray | None, other: np.ndarray | None) -> bool:
    """Return True if bins of as many columns are more than the width of a bin apart."""
    if bins is None or other is None or len(bins) != len(other) or len(bins) < 2:
        return False
    return bool((np.abs(bins - other) > np.abs(np.gradient(other))).any())


def _kind(variable: Variable) -> str:
    values, table = variable.values, variable.coordinates.get("v")
    if values.ndim == 1 or values.shape[1] == 1:
        return "lines"
    has_bins = table is not None and not is_numbering(np.atleast_2d(table)[0], fewest=1)
    if not has_bins and (values.shape[1] == 3 or (values.shape[1] == 4 and _is_norm(values))):
        return "vector"
    if has_bins or values.shape[1] > 8:
        return "spectrogram"
    return "lines"


def _is_norm(values: np.ndarray) -> bool:
    """Return True if the fourth column is the magnitude of the first three, as in fields of MMS."""
    known = np.isfinite(values).all(axis=1)
    magnitude = np.linalg.norm(values[known, :3].astype(np.float64), axis=1)
    return bool(known.any() and np.allclose(values[known, 3], magnitude, rtol=1e-2, atol=1e-3))


def _is_logarithmic(variable: Variable, values: np.ndarray, kind: str, recipe: PanelRecipe) -> bool:
    if recipe.logarithmic is not None:
        return recipe.logarithmic
    key = "z_axis_type" if kind == "spectrogram" else "y_axis_type"
    if variable.options.get(key) == "log" or str(variable.cdf_attributes("VATT").get("SCALETYP", "")).lower() == "log":
        return True
    some = _some(values)
    known = some[np.isfinite(some)]
    positive = known[known > 0]
    most_negative = _MOST_NEGATIVE if kind == "spectrogram" else 0.0
    if not positive.size or (known < 0).mean() > most_negative or (kind == "lines" and len(positive) < len(known)):
        return False
    low, high = np.quantile(positive, (0.01, 0.99))
    return bool(high > low * (_LOGARITHMIC_SPECTRA if kind == "spectrogram" else _LOGARITHMIC_LINES))


def _some(values: np.ndarray) -> np.ndarray:
    """Return samples from which quantiles are taken, as a view."""
    return values[:: max(len(values) // _SAMPLES_JUDGED, 1)]


def _spectrogram(variable: Variable, values: np.ndarray, recipe: PanelRecipe) -> tuple[np.ndarray, np.ndarray]:
    """Return means in at most 16 bins, which are even on the scale of the table, and the middles of these bins."""
    table = known_table(variable.coordinates.get("v", np.arange(values.shape[1])))
    if table.shape not in (values.shape[1:], values.shape):
        remedy = f"Give one value for each of the {values.shape[1]} bins."
        raise VariableError(f"{variable.name}: v table", f"found the shape {table.shape}", remedy)
    if len(np.unique(table[np.isfinite(table)])) < 2:
        remedy = "Give the energy or frequency of each bin."
        raise VariableError(f"{variable.name}: v table", "found fewer than two values", remedy)
    edges, _ = even_bins(table, recipe.BINS)
    values, kept = _with_filled_bins(rebinned(values, table, recipe.BINS))
    return values, ((edges[:-1] + edges[1:]) / 2)[kept]


def known_table(table: np.ndarray) -> np.ndarray:
    """Return energies or frequencies as float64, NaN for fill values, and for 0 and less on a logarithmic scale."""
    table = np.array(table, np.float64)
    table[~(np.abs(table) < LEAST_FILL)] = np.nan
    first = table if table.ndim == 1 else table[0]
    known = np.unique(first[first > 0])
    if len(known) > 2 and is_evenly_logarithmic(known):
        table[table <= 0] = np.nan
    return table


def _with_filled_bins(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Leave out bins measured in less than half of the samples; interpolate others; return which are kept too.

    A sample of which less than three quarters of the bins are measured stays NaN.
    """
    known = np.isfinite(values)
    some = known.any(axis=1)
    kept = known[some].mean(axis=0) >= _LEAST_SAMPLES if some.any() else np.ones(values.shape[1], bool)
    values, known = values[:, kept], known[:, kept]
    share = known.mean(axis=1) if kept.any() else np.zeros(len(values))
    rows = np.flatnonzero((share < 1) & (share >= _LEAST_BINS))
    if not len(rows):
        return values, kept
    values, numbers = values.copy(), np.arange(values.shape[1])
    for row in rows:
        there = known[row]
        values[row] = np.interp(numbers, numbers[there], values[row, there])
    return values, kept


def _logarithms(values: np.ndarray, kind: str) -> np.ndarray:
    """Return logarithms; zeros and what is below the floor have that of the floor.

    Negative values of lines are NaN, and spectra of which more than half is negative. The floor of a spectrogram is the
    lowest tenth of what is positive: below it lies mostly counting noise, which the logarithm would raise to a large
    part of all variance. That of a line is half of the lowest hundredth.
    """
    some = _some(values)
    positive = some[some > 0]
    floor = 1.0
    if positive.size:
        floor = np.quantile(positive, 0.1) if kind == "spectrogram" else np.quantile(positive, 0.01) / 2
    with np.errstate(invalid="ignore"):
        measured = values >= 0
        if kind == "spectrogram":
            measured = measured.mean(axis=1, keepdims=True) >= 0.5
        return np.where(measured, np.log10(np.maximum(values, floor)), np.nan)


def _check_values(panel: Panel) -> None:
    known = np.isfinite(panel.values).all(axis=1)
    if len(known) < 2:
        raise VariableError(panel.name, f"found {len(known)} sample", "Load a longer time range.")
    if known.sum() < 2:
        remedy = "Inspect it with tplot; it may hold fill values only."
        raise VariableError(panel.name, f"{int(known.sum())} of {len(known)} samples were measured", remedy)
    measured = panel.values[known]
    if (measured == measured[0]).all():
        remedy = "Leave it out: there is nothing to compare in it."
        raise VariableError(panel.name, "all its samples have the same value", remedy)
    spread, largest = float(measured.std(axis=0).max()), float(np.abs(measured).max())
    if not _LEAST_SPREAD < spread < _LARGEST_SPREAD:
        found = f"its standard deviation is {spread:.1e}, beyond what single precision holds squared"
        raise VariableError(panel.name, found, "Store it in other units.")
    if spread < _PRECISION * largest:
        found = (
            f"its standard deviation is {spread:.1e} around values of {largest:.1e}, less than single precision holds"
        )
        raise VariableError(panel.name, found, "Store it without its mean.")


def of_embeddings(variable: Variable, times: np.ndarray, embeddings: np.ndarray) -> Panel:
    """Return the embeddings of distributions or frames as a panel."""
    return Panel(variable, times, embeddings.astype(np.float64), "embedding")
