"""Images of any loaded variable, block by block."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..errors import VariableError, named_errors
from ..imaging.distributions import Slices, density_slices, distribution_images
from ..imaging.plasma import Distributions, distributions, moments
from ..imaging.recipes import DistributionRecipe, FrameRecipe, Recipe, SpectrumRecipe, WindowRecipe
from ..imaging.tables import LEAST_FILL, check_range
from ..imaging.windows import is_uneven, spectrum_images, window_images
from ..times import rows_in_order
from ..tplot import Variable
from . import frames
from .identification import check_camera_frames

logger = logging.getLogger(__name__)

FILL_NAMES = ("fillval", "_fillvalue", "missing_value", "fill")
"""Names of attributes that hold a value for what was not measured; case does not count."""

# Samples made into images at once; 256 distributions or frames are about 20 MB of images.
BLOCK = 256
# Phase space density in other units than the recipe's, s^3 cm^-6.
_DENSITY_UNITS = {"": 1.0, "s^3/cm^6": 1.0, "s^3 cm^-6": 1.0, "s3/cm6": 1.0, "s^3/m^6": 1e-12, "s^3 m^-6": 1e-12}


def check(variable: Variable, recipe: Recipe) -> None:
    """Refuse a variable that the recipe cannot make images of.

    VariableError for a wrong number of dimensions, missing tables, unknown units or times that go back.
    """
    check_series(variable)
    values = variable.values
    if isinstance(recipe, (SpectrumRecipe, WindowRecipe)):
        _check_tables(variable, recipe)
        return
    if not isinstance(recipe, DistributionRecipe):
        check_camera_frames(variable)
        return
    missing = [key for key in ("v1", "v2", "v3") if key not in variable.coordinates]
    if values.ndim != 4 or missing or min(values.shape[1:]) < 2:
        found = f"found the shape {values.shape}" + (f" without {', '.join(missing)}" if missing else "")
        remedy = "Give (time, azimuth, polar, energy) with v1, v2, v3, as pyspedas.projects.mms.fpi leaves it."
        raise VariableError(variable.name, found, remedy)
    if variable.units not in _DENSITY_UNITS:
        remedy = "Give phase space density in s^3/cm^6."
        raise VariableError(variable.name, f"found the units {variable.units!r}", remedy)


def images(variable: Variable, recipe: Recipe, block: int = BLOCK) -> Iterator[np.ndarray]:
    """Yield images of a checked variable's samples, in their order: float32 (up to block, channels, pixels, pixels)."""
    for _, made in images_of(variable, recipe, np.ones(len(variable.values), bool), block):
        yield made


def images_of(
    variable: Variable, recipe: Recipe, wanted: np.ndarray, block: int = BLOCK
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield rows and images block by block, without blocks in which no sample is wanted.

    Images do not depend on `wanted`.
    """
    for start in range(0, len(variable.values), block):
        rows = slice(start, min(start + block, len(variable.values)))
        if not wanted[rows].any():
            continue
        if isinstance(recipe, DistributionRecipe):
            yield rows, _distributions(variable, rows, recipe)
        elif isinstance(recipe, (SpectrumRecipe, WindowRecipe)):
            yield rows, _spectra(variable, rows, recipe)
        else:
            yield rows, frames.images(variable, rows, recipe)


def why_no_image(samples: Variable, recipe: Recipe) -> str:
    """Return why a few samples have no image, in words; empty where nothing more is known."""
    if isinstance(recipe, WindowRecipe) and is_uneven(samples.coordinates["v1"], recipe).any():
        return f"the {recipe.length_s:g} s around it have a data gap or uneven steps"
    if isinstance(recipe, FrameRecipe) and (share := frames.missing_share(samples, recipe).max()) > recipe.most_missing:
        return f"{share:.0%} of the frame was not measured, more than {recipe.most_missing:.0%}"
    return ""


def left_out(recipe: Recipe) -> tuple[str, ...]:
    """The scalars that the recipe takes out of the images: those of `scalars`."""
    thermal = isinstance(recipe, DistributionRecipe) and "thermal" in (recipe.speed_unit, recipe.density_unit)
    return ("density", "temperature") if thermal else ()


def scalars(variable: Variable, recipe: Recipe) -> dict[str, np.ndarray]:
    """Return the scalars (n,) that the recipe removes: ``density`` (cm^-3) and ``temperature`` (eV), or nothing."""
    if not left_out(recipe):
        return {}
    found = []
    for start in range(0, len(variable.values), BLOCK):
        part = measured(select(variable, slice(start, start + BLOCK)), recipe)
        found.append(moments(part, recipe.energy_min_ev))
    return {key: np.concatenate([getattr(one, key) for one in found]) for key in left_out(recipe)}


def as_samples(variable: Variable, recipe: Recipe | None) -> Variable:
    """Return the variable whose samples the recipe makes images of: windows for a `WindowRecipe`, else itself.

    Windows (n, length, bins) are read-only views of a spectrogram (time, bins), with the times of their samples in
    ``v1`` and ``v`` in ``v2`` (bins,), or (n, length, bins) where it changes. The time of a window is that of its
    central sample, the later of the two where the length is even. Windows with a data gap or uneven steps stay, to be
    NaN as images, after one warning. VariableError if it is no such spectrogram, its times go back, or it is too short
    or coarse for one window.
    """
    if not isinstance(recipe, WindowRecipe):
        return variable
    _check_spectrogram(variable)
    step = _usual_step(variable.times)
    length, stride = (round(seconds / step) if step > 0 else 0 for seconds in (recipe.length_s, recipe.stride_s))
    if not 2 <= length <= len(variable.times):
        found = f"{len(variable.times)} samples at a cadence of {step:g} s, for windows of {recipe.length_s:g} s"
        raise VariableError(variable.name, found, "Give a length of at least two samples and at most all of them.")
    stride = max(stride, 1)
    times = sliding_window_view(variable.times, length)[::stride]
    table = variable.coordinates["v"]
    if table.ndim == 2:
        # Most tables are the same at all times: one row of it then serves all windows.
        same = np.array_equal(table, np.broadcast_to(table[:1], table.shape), equal_nan=True)
        table = table[0] if same else sliding_window_view(table, length, axis=0)[::stride].swapaxes(1, 2)
    values = sliding_window_view(variable.values, length, axis=0)[::stride].swapaxes(1, 2)
    broken = int(is_uneven(times, recipe).sum())
    if broken:
        text = "%s: %d of %d windows have a data gap or uneven steps inside and no score."
        logger.warning(text, variable.name, broken, len(times))
    coordinates = {"v1": times, "v2": table}
    return Variable(variable.name, times[:, length // 2], values, coordinates, variable.attributes, variable.store)


def select(variable: Variable, samples: np.ndarray | slice) -> Variable:
    """Return a variable with some of its samples."""
    n = len(variable.values)
    if isinstance(samples, np.ndarray) and len(samples) and (np.diff(samples) == 1).all():
        # A stretch without holes stays a view: windows overlap, so that a copy would hold every sample many times.
        samples = slice(int(samples[0]), int(samples[-1]) + 1)
    coordinates = {
        key: table[samples] if table.ndim >= 2 and len(table) == n else table
        for key, table in variable.coordinates.items()
    }
    return Variable(
        variable.name,
        variable.times[samples],
        variable.values[samples],
        coordinates,
        variable.attributes,
        variable.store,
    )


def check_series(variable: Variable) -> None:
    """Refuse a variable whose times, values or tables are not numbers in order of time; VariableError."""
    values, times = variable.values, variable.times
    if lost := len(times) - len(rows_in_order(times)):
        found = f"the times of {lost} of {len(times)} samples go back or are missing"
        raise VariableError(variable.name, found, "Sort it by time and store it again.")
    if len(times) != len(values):
        raise VariableError(variable.name, f"{len(times)} times for {len(values)} samples", "Load it again.")
    if values.dtype.kind not in "fiu":
        raise VariableError(variable.name, f"its values are {values.dtype}, not numbers", "Give a variable of numbers.")
    for key in ("v", "v1", "v2", "v3"):
        kind = np.asarray(variable.coordinates.get(key, 0.0)).dtype.kind
        if kind not in "fiubM":  # windows have times in v1
            found = f"its table {key} holds text or objects, not numbers"
            raise VariableError(variable.name, found, "Store it with the values of its bins.")


def _usual_step(times: np.ndarray) -> float:
    """Median of the steps that are more than 0, seconds; one of those there are, where two cadences are as frequent."""
    steps = np.diff(times).astype(np.int64)
    steps = np.sort(steps[steps > 0])
    return float(steps[(len(steps) - 1) // 2] / 1e9) if len(steps) else 0.0


def _check_spectrogram(variable: Variable) -> None:
    check_series(variable)
    shape, table = variable.values.shape, variable.coordinates.get("v")
    if variable.values.ndim != 2 or table is None or table.shape not in (shape[1:], shape):
        tables = "no v" if table is None else f"v of the shape {table.shape}"
        remedy = "Give (time, bins) with the energies or velocities of the bins in v."
        raise VariableError(variable.name, f"found the shape {shape} and {tables}", remedy)


def _check_tables(variable: Variable, recipe: SpectrumRecipe | WindowRecipe) -> None:
    if isinstance(recipe, WindowRecipe):
        needed, remedy = {"v1", "v2"}, "Cut it into windows with as_samples first."
    else:
        needed = {"v1", "v2"} if recipe.direction == "pitch_angle" else {f"v{recipe.energy_axis}"}
        remedy = "Give (time, pitch angle or look, energy) with their values in v1 and v2."
    missing = sorted(needed - set(variable.coordinates))
    if variable.values.ndim != 3 or missing:
        found = f"found the shape {variable.values.shape}" + (f" without {', '.join(missing)}" if missing else "")
        raise VariableError(variable.name, found, remedy)
    _check_range(variable, recipe)


def _check_range(variable: Variable, recipe: SpectrumRecipe | WindowRecipe) -> None:
    """Refuse a table of energies or velocities that the recipe cannot be meant for."""
    if isinstance(recipe, WindowRecipe):
        key, limits, logarithmic = "v2", recipe.axis_range, recipe.axis_scale == "log"
    else:
        key, limits, logarithmic = f"v{recipe.energy_axis}", recipe.energy_range, True
    table = np.asarray(variable.coordinates[key], np.float64)
    if table.size and table.shape[-1] == variable.values.shape[-1 if key == "v2" else 1]:  # others are refused later
        kind = "energy table" if logarithmic else "v table"
        check_range(f"{variable.name}: {kind}", table, limits, logarithmic)


def ordered_rows(variable: Variable) -> np.ndarray:
    """Rows of a variable without those whose times are missing or go back; a warning says how many were left out."""
    rows = rows_in_order(variable.times)
    if lost := len(variable.times) - len(rows):
        text = "%s: %d of %d samples are left out: their times go back or are missing."
        logger.warning(text, variable.name, lost, len(variable.times))
    return rows


def in_order(variable: Variable) -> Variable:
    """The variable without samples whose times are missing or go back; as it is, if these are the majority."""
    n = len(variable.times)
    if 2 * len(rows_in_order(variable.times)) < n or n != len(variable.values):
        return variable  # `check` refuses it
    rows = ordered_rows(variable)
    return variable if len(rows) == n else select(variable, rows)


def without_fills(variable: Variable) -> Variable:
    """Return a variable with NaN where it has a fill value of its metadata, if that is left in it.

    Unsigned counts keep theirs, which is often that of saturation.
    """
    stated = [one for key, one in variable.cdf_attributes("VATT").items() if str(key).lower() in FILL_NAMES]
    fills = [one for one in stated if np.ndim(one) == 0 and isinstance(one, (int, float, np.number))]
    values = variable.values
    if values.dtype.kind not in "fi" or not fills:
        return variable
    missing = np.zeros(values.shape, bool)
    for fill in fills:
        missing |= values == (values.dtype.type(fill) if values.dtype.kind == "f" else fill)
    return replace(variable, values=np.where(missing, np.float32(np.nan), values)) if missing.any() else variable


def known_tables(variable: Variable) -> Variable:
    """Return a distribution whose samples with an unknown table are unmeasured, with the table of another sample.

    A row that is not finite, or one value repeated, such as 0, is unknown; where all are, they stay.
    """
    values, coordinates = variable.values, dict(variable.coordinates)
    for key in ("v1", "v2", "v3"):
        table = np.asarray(coordinates.get(key, np.empty(0)), np.float64)
        if table.ndim != 2 or len(table) != len(values):
            continue
        good = np.isfinite(table).all(axis=1) & (table.max(axis=1) > table.min(axis=1))
        if good.any() and not good.all():
            coordinates[key] = np.where(good[:, None], table, table[good.argmax()])
            values = np.where(good.reshape(-1, *[1] * (values.ndim - 1)), values, np.float32(np.nan))
    return replace(variable, values=values, coordinates=coordinates)


def _distributions(variable: Variable, rows: slice, recipe: DistributionRecipe) -> np.ndarray:
    # Neighbors that enter a running mean are included, so that block edges do not show.
    first = max(rows.start - recipe.average, 0)
    part = select(variable, slice(first, rows.stop + recipe.average))
    with named_errors(variable.name, VariableError):
        return distribution_images(measured(part, recipe), recipe)[rows.start - first :][: rows.stop - rows.start]


def slices_of(variable: Variable, recipe: DistributionRecipe) -> Slices:
    """Return the planes of a checked variable's samples in physical units; see `imaging.distributions`."""
    with named_errors(variable.name, VariableError):
        return density_slices(measured(variable, recipe), recipe)


def measured(part: Variable, recipe: DistributionRecipe) -> Distributions:
    """The samples as the imager takes them, in its units."""
    factor = np.float32(_DENSITY_UNITS[part.units])
    density = part.values
    if (density >= LEAST_FILL).any():
        density = np.where(density < LEAST_FILL, density, np.float32(np.nan))
    scaled = {"density": density, "error": part.coordinates.get("error")}
    if factor != 1:
        scaled = {key: None if values is None else values * factor for key, values in scaled.items()}
    flags = part.coordinates.get("flags")
    return distributions(
        scaled["density"],
        *(part.coordinates[key] for key in ("v1", "v2", "v3")),
        recipe.species,
        field=part.coordinates.get("field"),
        velocity=part.coordinates.get("velocity"),
        error=scaled["error"],
        flags=None if flags is None else flags[:, 0],
    )


def _spectra(variable: Variable, rows: slice, recipe: SpectrumRecipe | WindowRecipe) -> np.ndarray:
    part = select(variable, rows)
    make = spectrum_images if isinstance(recipe, SpectrumRecipe) else window_images
    # A look has no coordinate but its number.
    first = part.coordinates.get("v1", np.empty(0))
    with named_errors(variable.name, VariableError):
        return make(part.values, first, part.coordinates.get("v2", np.empty(0)), recipe)
