"""Public function that cuts velocity distributions."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import tplot
from ..conventions import check_choice, pyspedas_convention, result_names
from ..errors import ArgumentError, TimeError, VariableError
from ..imaging import distributions
from ..imaging.recipes import DistributionRecipe
from ..instruments import sample_images
from ..instruments.companions import Gaps, find_companions, with_companions
from ..instruments.registry import recipe_of
from ..times import nearest_rows, to_interval, to_times
from ..tplot import Variable

if TYPE_CHECKING:
    from xarray import Dataset

__all__ = ["VelocitySlices", "velocity_slices"]

logger = logging.getLogger(__name__)

_UNITS = "s^3 cm^-6"
_FIELD_AXES = "par along B, perp1 along V across B, perp2 along B x V"


@dataclass(frozen=True, eq=False)
class VelocitySlices:
    """Slices of one variable as arrays.

    Attributes
    ----------
    source : str
        Name of the variable.
    times : numpy.ndarray of datetime64[ns], shape (n,)
        Of the samples.
    planes : tuple of str
        Such as 'par-perp1': v1 is par, v2 is perp1.
    density : numpy.ndarray of float32, shape (n, planes, v2, v1)
        Phase space density, s^3 cm^-6; 0 where nothing was counted, NaN where nothing was measured.
    speed : numpy.ndarray, shape (v1,)
        Middles of the pixels along v1, and along v2, km/s.
    thickness : float
        Of each slice, km/s: the mean over this thickness, half of it on each side of the plane. 0 for a cut.
    frame : {'plasma', 'spacecraft'}
        'plasma': the bulk velocity is subtracted, it lies at the origin.
    axes : numpy.ndarray, shape (n, 3, 3)
        Unit vectors par, perp1, perp2, or x, y, z, in the axes of the measurement.
    origin : numpy.ndarray, shape (n, 3)
        Velocity at the origin of the planes, km/s, in the axes of the measurement: the one that was subtracted, or 0.
    coordinate_system : str
        Axes of the measurement by their metadata; empty where it does not state them.
    recipe : DistributionRecipe
        All choices that the slices were made with.
    """

    source: str
    times: np.ndarray
    planes: tuple[str, ...]
    density: np.ndarray
    speed: np.ndarray
    thickness: float
    frame: str
    axes: np.ndarray
    origin: np.ndarray
    coordinate_system: str
    recipe: DistributionRecipe

    @property
    def about(self) -> dict[str, Any]:
        """What the slices are, in plain values."""
        return {
            "source": self.source,
            "frame": self.frame,
            "axes": _FIELD_AXES if self.recipe.field_aligned else "x, y, z of the measurement",
            "coordinate_system": self.coordinate_system,
            "thickness_km_s": self.thickness,
            "species": self.recipe.species,
            "recipe": json.dumps(self.recipe.to_dict()),
        }

    def to_xarray(self) -> Dataset:
        """Return a Dataset with a variable (time, v2, v1) for each plane."""
        import xarray

        speed = {"units": "km/s"}
        coordinates = {"time": self.times, "v2": ("v2", self.speed, speed), "v1": ("v1", self.speed, speed)}
        coordinates |= {"axis": ["1", "2", "3"], "component": ["x", "y", "z"]}
        if self.recipe.field_aligned:
            coordinates["axis"] = ["par", "perp1", "perp2"]
        found: dict[str, Any] = {
            "axes": (("time", "axis", "component"), self.axes, {"units": "1"}),
            "origin": (("time", "component"), self.origin, {"units": "km/s"}),
        }
        for number, plane in enumerate(self.planes):
            found[plane] = (("time", "v2", "v1"), self.density[:, number], self._about_plane(plane))
        return xarray.Dataset(found, coordinates, self.about)

    def variables(self, titles: Sequence[str], store: str) -> list[tuple[Variable, dict[str, object]]]:
        """Return a tplot variable (time, v1, v2) with its plot options for each plane; times ascend."""
        _, rows = np.unique(self.times, return_index=True)
        made = []
        for number, (plane, title) in enumerate(zip(self.planes, titles, strict=True)):
            about = self._about_plane(plane)
            values = self.density[rows, number].swapaxes(1, 2)
            attributes = {"data_att": {"units": _UNITS, "coord_sys": self.coordinate_system, **about, **self.about}}
            tables = {"v1": self.speed, "v2": self.speed}
            # Drawn is the row of pixels next to v2 = 0; by default pyspedas would sum over v1.
            options = {"spec": True, "spec_dim_to_plot": "v1", "spec_slices_to_use": {"v2": len(self.speed) // 2}}
            options |= {"ytitle": f"v_{about['v1']}", "ysubtitle": "[km/s]", "zlog": True, "ztitle": f"f [{_UNITS}]"}
            made.append((Variable(title, self.times[rows], values, tables, attributes, store), options))
        return made

    def _about_plane(self, plane: str) -> dict[str, str]:
        across, up = plane.split("-") if "-" in plane else plane
        return {"units": _UNITS, "v1": across, "v2": up, "long_name": f"phase space density, {plane} plane"}


def _nothing(output: str) -> Any:
    """Return the empty value of an output."""
    if output == "tplot":
        return []
    none = np.empty((0, 3))
    recipe = DistributionRecipe()
    arrays = (np.empty(0, "datetime64[ns]"), (), np.empty((0, 0, 0, 0), np.float32), np.empty(0), 0.0)
    empty = VelocitySlices("", *arrays, "spacecraft", np.empty((0, 3, 3)), none, "", recipe)
    return empty if output == "arrays" else empty.to_xarray()


@pyspedas_convention(_nothing, errors="raise")
def velocity_slices(
    names: str | int | Iterable[str | int],
    times: Any = None,
    *,
    trange: Any = None,
    planes: str | Sequence[str] | None = None,
    recipe: DistributionRecipe | None = None,
    instrument: str | None = None,
    field: str | None = None,
    velocity: str | None = None,
    output: str = "xarray",
    newname: str | Sequence[str] | None = None,
    suffix: str | None = None,
    overwrite: bool = True,
) -> Dataset | VelocitySlices | list[str]:
    """Cut 3-D velocity distributions along planes, for many times at once, and return the values.

    Parameters
    ----------
    names : str, int or list of them
        Loaded tplot variables (time, azimuth, polar, energy), as in `find_similar`; one, unless ``output='tplot'``.
    times : time or list of times, optional
        Single times, in any form; each selects the nearest sample, if it is within one cadence. Default: all samples.
    trange : time range, optional
        In place of `times`: all samples in it.
    planes : str or list of str, optional
        Of 'par-perp1', 'par-perp2', 'perp1-perp2' (axes of field and flow), or of 'xy', 'xz', 'yz' (axes of the
        measurement). The first axis is v1, the second v2. Default: those of the recipe.
    recipe : DistributionRecipe, optional
        Grid (``pixels``, ``speed_max``), thickness (``depth``), frame (``subtract_velocity``) and which bins and
        samples count (``energy_min_ev``, ``least_counts``, ``bad_flags``). Speeds in thermal units become km/s by the
        median thermal speed of the samples, so that all have one grid. Density is not scaled, nothing is smoothed or
        averaged over time. Default: that of the instrument, with 64 pixels, in the instrument's axes where no field is
        loaded and no plane is asked for.
    instrument, field, velocity
        As in `find_similar`.
    output : {'xarray', 'tplot', 'arrays'}
    newname, suffix, overwrite
        With ``output='tplot'``, as in `find_similar`.
    errors : {'raise', 'log'}
        Response to bad input: raise, or log it and return what is empty.

    Returns
    -------
    xarray.Dataset
        A variable (time, v2, v1) for each plane: phase space density, s^3 cm^-6, float32; 0 where nothing was counted,
        NaN where nothing was measured, and of samples that are flagged or have no field or velocity where the slice
        needs it. ``v1``, ``v2``: km/s, ascending. ``axes`` (time, axis, component): unit vectors of the axes in those
        of the measurement; ``origin`` (time, component): the velocity at the origin, km/s. Attributes state the
        thickness (``thickness_km_s``), the frame of reference (``frame``: 'plasma' where the bulk velocity is
        subtracted, else 'spacecraft'), the axes, and the recipe. Samples are in the order of `times`.
    VelocitySlices
        With ``output='arrays'``: the same as arrays.
    list of str
        With ``output='tplot'``: for each variable X and plane, such as 'par-perp1', ``X_slice_par_perp1``, values
        (time, v1, v2) with v1 and v2 in km/s, times ascending.

    Raises
    ------
    TimeError
        If there is no sample at one of the times, or in the time range.
    SimilarityError
        For other bad input.

    Notes
    -----
    Each pixel has the density of the instrument's bin that its velocity lies in, averaged over layers one pixel apart
    across the thickness: nothing is interpolated. Bins are as wide as the instrument's angles and energies are.

    Examples
    --------
    >>> import pyspedas_similarity as sim
    >>> found = sim.velocity_slices('mms1_des_dist_brst', '2015-10-16/13:07:02.2')  # doctest: +SKIP
    >>> found['perp1-perp2'].isel(time=0).plot()  # doctest: +SKIP
    """
    check_choice("output", output, ("xarray", "tplot", "arrays"))
    expanded = tplot.expand(names)
    if len(expanded) > 1 and output != "tplot":
        remedy = "Give one, or output='tplot'."
        raise ArgumentError("names", f"found {len(expanded)} variables: {', '.join(expanded)}", remedy)
    wanted = _Wanted.read(times, trange)
    choice = _Choice(planes, recipe, instrument, {"field": field, "velocity": velocity})
    bases = [base for (base,) in result_names(expanded, newname, None, ("",), True)]
    found = [_slices(tplot.read(name), wanted, choice) for name in expanded]
    if output == "arrays":
        return found[0]
    if output == "xarray":
        return found[0].to_xarray()
    return _store(found, bases, suffix, overwrite)


@dataclass(frozen=True)
class _Wanted:
    """Times or a time range; neither means all samples."""

    times: np.ndarray | None
    span: tuple[np.datetime64, np.datetime64] | None

    @classmethod
    def read(cls, times: Any, trange: Any) -> _Wanted:
        if times is not None and trange is not None:
            raise ArgumentError("trange", "given with times", "Give one of them.")
        if times is not None:
            several = isinstance(times, (list, tuple)) or getattr(times, "ndim", 0) > 0
            return cls(to_times(times if several else [times]), None)
        return cls(None, None if trange is None else to_interval(trange))

    def rows(self, variable: Variable) -> np.ndarray:
        """Return the indices of the samples; TimeError where there is none."""
        if self.times is None and self.span is None:
            return np.arange(len(variable.times))
        there = f"{variable.times[0]} to {variable.times[-1]}" if len(variable.times) else "no time"
        if self.times is None:
            start, end = self.span
            rows = np.flatnonzero((variable.times >= start) & (variable.times <= end))
            lost = [] if len(rows) else [f"time range {start} to {end}"]
        else:
            rows = nearest_rows(variable.times, self.times)
            lost = [f"time {one}" for one in self.times[rows < 0]]
        if lost:
            others = f" and {len(lost) - 1} others" if len(lost) > 1 else ""
            found = f"{variable.name} has no sample there; it covers {there}"
            raise TimeError(lost[0] + others, found, "Give a time within one cadence of a sample.")
        return rows


@dataclass(frozen=True)
class _Choice:
    """Planes and recipe as the caller gave them."""

    planes: str | Sequence[str] | None
    recipe: DistributionRecipe | None
    instrument: str | None
    companions: Mapping[str, str | None]

    def recipe_for(self, variable: Variable, has_field: bool) -> DistributionRecipe:
        """Return the recipe for a variable, in the axes of the instrument where there is no field to choose others."""
        recipe = self.recipe or recipe_of(variable, self.instrument)
        if not isinstance(recipe, DistributionRecipe):
            found = "slices are those of 3-D distributions, and this is none"
            raise VariableError(variable.name, found, "Give (time, azimuth, polar, energy) and a DistributionRecipe.")
        if self.planes is not None:
            planes = (self.planes,) if isinstance(self.planes, str) else tuple(self.planes)
            recipe = replace(recipe, planes=planes, agyrotropy=False)
        if has_field or not recipe.field_aligned:
            return recipe
        if self.recipe is not None or self.planes is not None:
            remedy = "Load the field of the same spacecraft (fgm), give its name as field=, or planes such as 'xy'."
            raise VariableError(variable.name, "the planes need the magnetic field, and none is loaded", remedy)
        logger.warning("%s: no magnetic field is loaded; slices have the axes of the instrument.", variable.name)
        return recipe.without_field()


def _slices(variable: Variable, wanted: _Wanted, choice: _Choice) -> VelocitySlices:
    companions = find_companions(variable, choice.companions)
    recipe = choice.recipe_for(variable, "field" in companions)
    sample_images.check(variable, recipe)
    rows = wanted.rows(variable)
    whole = with_companions(sample_images.known_tables(sample_images.without_fills(variable)), companions, recipe)
    samples = sample_images.select(whole, rows)
    gaps = Gaps()
    gaps.count(samples, recipe)
    gaps.warn(variable.name, recipe)
    physical = _physical(samples, recipe, distributions.SLICE_PIXELS if choice.recipe is None else recipe.pixels)
    cut = sample_images.slices_of(samples, physical)
    return VelocitySlices(
        source=variable.name,
        times=samples.times,
        planes=physical.planes,
        density=cut.density,
        speed=distributions.middles(physical),
        thickness=distributions.thickness(physical),
        frame="plasma" if physical.subtract_velocity else "spacecraft",
        axes=cut.axes,
        origin=cut.center,
        coordinate_system=str(variable.attributes.get("data_att", {}).get("coord_sys") or ""),
        recipe=physical,
    )


def _physical(samples: Variable, recipe: DistributionRecipe, pixels: int) -> DistributionRecipe:
    """Return the recipe in km/s, on one grid for all samples."""
    if not len(samples.times):
        return distributions.physical_recipe(recipe, recipe.speed_max, pixels)
    half_width = distributions.half_width(sample_images.measured(samples, recipe), recipe)
    if not np.isfinite(half_width):
        raise VariableError(samples.name, "no sample has a temperature", "Give a recipe with speed_unit='km/s'.")
    return distributions.physical_recipe(recipe, half_width, pixels)


def _store(found: Sequence[VelocitySlices], bases: Sequence[str], suffix: str | None, overwrite: bool) -> list[str]:
    """Write the slices as tplot variables; nothing is written where a name is taken and may not be."""
    made = []
    for one, base in zip(found, bases, strict=True):
        endings = tuple(f"_slice_{plane.replace('-', '_')}" for plane in one.planes)
        (titles,) = result_names([base], None, suffix, endings, overwrite)
        made += one.variables(titles, tplot.read(one.source).store) if len(one.times) else []
    return [tplot.write(variable, options) for variable, options in made]
