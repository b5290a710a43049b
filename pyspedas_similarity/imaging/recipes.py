"""Recipes: every choice between a measurement and its image, frozen and hashed.

Two images may be compared when their recipes have the same hash. A change of the code that changes images raises the
recipe's `version`, and so its hash.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np

from ..errors import ArgumentError
from .tables import is_rectangle as _is_rectangle


@dataclass(frozen=True)
class Recipe:
    """Base class of the recipes."""

    kind: ClassVar[str] = ""
    version: ClassVar[int] = 1

    @property
    def channels(self) -> int:
        """Number of planes of an image."""
        return 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one image: channels, rows, columns."""
        return self.channels, self.pixels, self.pixels

    @property
    def hash(self) -> str:
        """Sixteen hexadecimal digits that identify every choice in it."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """All choices as plain values, for provenance and JSON."""
        return {"kind": self.kind, "version": self.version, **json.loads(json.dumps(asdict(self), default=_plain))}


_FIELD_PLANES = ("perp1-perp2", "par-perp1", "par-perp2")
_INSTRUMENT_PLANES = ("xy", "xz", "yz")


@dataclass(frozen=True)
class DistributionRecipe(Recipe):
    """Recipe for planes of velocity space from a 3-D velocity distribution.

    Phase space density is looked up at the nearest instrument bin for points on a regular grid of velocities. Where
    points are averaged they represent equal volumes of velocity space, so that bins are weighted by v^2 dv and
    solid angle. What each choice does to retrieval is measured in docs/benchmarks.

    Attributes
    ----------
    species : {'ion', 'electron', 'helium', 'oxygen'}
        Turns energy into speed (not relativistic); 'ion' means protons.
    planes : tuple of str
        Of 'perp1-perp2', 'par-perp1', 'par-perp2' (axes of field and flow, see `imaging.plasma`), or of 'xy', 'xz',
        'yz' (axes of the measurement; for FPI: DBCS). First axis to the right (columns), second upward (rows,
        ascending).
    pixels : int
        Rows and columns of a plane.
    speed_unit : {'km/s', 'thermal'}
        'thermal': speeds in units of sqrt(2 k T / m) of each sample, which takes the temperature out of the image.
    speed_max : float
        Half width of a plane, in that unit.
    depth : int
        Layers, one pixel apart, averaged on each side of the plane. 0 is a cut; half of `pixels` is all of velocity
        space. Some layers reduce counting noise in the image and keep a beam next to the cut.
    subtract_velocity : bool
        Put the bulk velocity at the center, which takes the flow out of the image.
    density_unit : {'absolute', 'thermal'}
        'thermal': phase space density in units of n / v_thermal^3, which takes the density out of the image.
    floor, ceiling : float
        Phase space density, s^3 cm^-6 or in thermal units, that becomes 0 and 1 on a logarithmic scale. The ion floor
        is about two single counts of DIS at 1 keV in one column of points: below it lies counting noise.
    blur : float
        Standard deviation, in pixels, of the smoothing before the logarithm; one pixel is about one 11.25 degree sector
        of FPI at 300 km/s with the ion defaults, so that a beam on the edge of two sectors looks like one inside one.
    agyrotropy : bool
        Add a channel: the perp1-perp2 plane less its mean around the field. It shows what is not gyrotropic, such as
        crescents, alone.
    least_counts : float
        Bins with fewer counts (density over its error, squared) are taken as empty: noise of one count fills the tails.
        0 keeps all. Without errors all are kept.
    energy_min_ev : float
        Bins below it are not measured: photoelectrons and secondaries of the spacecraft.
    bad_flags : int
        Bits of the instrument's error flags that make a sample unusable. Of FPI, bit 0 (flagged by hand). Bit 1
        (saturation likely) is not among them: it is set in 758 of 800 samples of a good solar wind file.
    average : int
        Number of neighboring samples averaged before the image is made.
    gap : float
        Field and velocity are interpolated over at most this many cadences of the slower of both series.
    """

    kind: ClassVar[str] = "distribution"
    species: str = "ion"
    planes: tuple[str, ...] = _INSTRUMENT_PLANES
    pixels: int = 32
    speed_unit: str = "km/s"
    speed_max: float = 1000.0
    depth: int = 4
    subtract_velocity: bool = False
    density_unit: str = "absolute"
    floor: float = 3e-25
    ceiling: float = 3e-20
    blur: float = 1.0
    agyrotropy: bool = False
    least_counts: float = 0.0
    energy_min_ev: float = 0.0
    bad_flags: int = 0b1
    average: int = 1
    gap: float = 3.0

    def __post_init__(self) -> None:
        _check_pixels(self.pixels)
        _check_choice("species", self.species, ("ion", "electron", "helium", "oxygen"))
        _check_choice("speed_unit", self.speed_unit, ("km/s", "thermal"))
        _check_choice("density_unit", self.density_unit, ("absolute", "thermal"))
        if not self.planes or not any(set(self.planes) <= set(known) for known in (_FIELD_PLANES, _INSTRUMENT_PLANES)):
            remedy = f"Give some of {_FIELD_PLANES}, or some of {_INSTRUMENT_PLANES}."
            raise ArgumentError("recipe.planes", f"found {self.planes!r}", remedy)
        if self.agyrotropy and "perp1-perp2" not in self.planes:
            raise ArgumentError(
                "recipe.agyrotropy", "it needs the plane across the field", "Add 'perp1-perp2' to planes."
            )
        if not 0 < self.floor < self.ceiling:
            raise ArgumentError("recipe.floor", f"found {self.floor} to {self.ceiling}", "Give 0 < floor < ceiling.")
        if self.speed_max <= 0 or min(self.depth, self.blur, self.least_counts, self.energy_min_ev, self.gap) < 0:
            raise ArgumentError("recipe", "found a negative number", "Give numbers of 0 or more, speed_max above 0.")
        if self.average < 1:
            raise ArgumentError("recipe.average", f"found {self.average}", "Give 1 or more samples.")

    @property
    def channels(self) -> int:
        """Number of planes, and one for agyrotropy."""
        return len(self.planes) + self.agyrotropy

    @property
    def field_aligned(self) -> bool:
        """True if the planes are aligned with the magnetic field."""
        return self.planes[0] in _FIELD_PLANES

    def without_field(self) -> DistributionRecipe:
        """Return the recipe in the axes of the measurement, for data without magnetic field."""
        if not self.field_aligned:
            return self
        planes = tuple(_INSTRUMENT_PLANES[_FIELD_PLANES.index(plane)] for plane in self.planes)
        return replace(self, planes=planes, agyrotropy=False)


@dataclass(frozen=True)
class FrameRecipe(Recipe):
    """Recipe for an image of a camera frame; the steps are applied in this order. Their cost: docs/benchmarks.

    Attributes
    ----------
    pixels : int
        Rows and columns after averaging over the area of each pixel.
    overlays : tuple of (float, float, float, float)
        Rectangles without sky, such as text in movies: top, bottom, left, right from 0 to 1 of the frame, in the rows
        and columns the imager is given. They carry no weight; a pixel of which they cover more than half is NaN.
    dark : {'none', 'corners'}
        'corners' takes off each frame's median in its four corners, outside the lens' disc. The stretch takes any
        offset off already: this matters with `vignetting` and for a background over a changing dark level. Where
        corners are not dark, as in movies, what is there is taken off all the same.
    vignetting : float
        Share of the light that the lens loses at the circle's rim, growing with the square of the distance; 0 is off.
        Local contrast makes it needless: such a slow change is part of the neighborhood's mean.
    mask_radius : float
        Radius of the circular mask in units of half the frame's width (of the disc's radius where it is fitted);
        outside it the image is NaN. The default leaves out the lowest degrees of a THEMIS camera: horizon, trees and
        light domes.
    least_elevation : float or None
        Degrees; what is lower is NaN, in place of the circle. Needs a view.
    circle : {'frame', 'fitted'}
        'fitted' finds the lens' disc in the frames, for cameras whose disc is off the frame's center.
    projection : {'none', 'sky', 'geographic', 'geomagnetic'}
        'none' keeps the frame's rows and columns. Others need a view, and have north up and east to the right, as seen
        on a map: 'sky' with a zenith angle that grows linearly from the center to the edge, which is at
        `least_elevation` (the horizon if None), so that all cameras have one scale; 'geographic' and 'geomagnetic' as
        a map of the light's place (`camera_geometry.Map`), up being the north of the Earth's axis or of its dipole.
    height_km : float
        Of the light on a map. An arc is at 100 to 120 km.
    width_km : float
        Of the map, from edge to edge.
    center : (float, float) or None
        Geographic latitude and longitude of the map's center, degrees; None is above the camera.
    background_s : float
        Seconds of the running quantile in time that is taken off: what stands still in the image, such as buildings and
        the moon (which moves by its width in two minutes). 0 is off. A structure that stays for longer than
        1 - `background_quantile` of it is taken off, too.
    background_quantile : float
    stretch : (float, float)
        Percentiles inside the mask that become 0 and 1, so that frames of any gain can be compared.
    curve : {'linear', 'asinh'}
        From 0 to 1 of the stretch. 'asinh' is linear to about 0.1 and logarithmic above (Lupton et al. 1999,
        doi 10.1086/301004), to show a faint arc next to a bright breakup.
    contrast_pixels : float
        Standard deviation of the neighborhood whose mean (the background) is taken off and whose standard deviation
        divides the rest: local contrast normalization (Jarrett et al. 2009, doi 10.1109/ICCV.2009.5459469), which
        brings a faint arc and a bright breakup to one scale. 0 leaves it out.
    contrast_floor : float
        Added to that standard deviation, in units of the stretch, so that noise of an empty sky is not blown up.
    most_missing : float
        The same for all recipes, 0.05: a frame of which a larger share inside the mask is not finite has no image. Up
        to it, missing pixels are filled from their neighbors.
    """

    kind: ClassVar[str] = "frame"
    version: ClassVar[int] = 2
    most_missing: ClassVar[float] = 0.05
    pixels: int = 128
    overlays: tuple[tuple[float, float, float, float], ...] = ()
    dark: str = "none"
    vignetting: float = 0.0
    mask_radius: float = 0.85
    least_elevation: float | None = None
    circle: str = "frame"
    projection: str = "none"
    height_km: float = 110.0
    width_km: float = 800.0
    center: tuple[float, float] | None = None
    background_s: float = 0.0
    background_quantile: float = 0.2
    stretch: tuple[float, float] = (1.0, 99.0)
    curve: str = "linear"
    contrast_pixels: float = 8.0
    contrast_floor: float = 0.05

    def __post_init__(self) -> None:
        _check_pixels(self.pixels)
        _check_choice("dark", self.dark, ("none", "corners"))
        _check_choice("circle", self.circle, ("frame", "fitted"))
        _check_choice("projection", self.projection, ("none", "sky", "geographic", "geomagnetic"))
        _check_choice("curve", self.curve, ("linear", "asinh"))
        _check_between("mask_radius", self.mask_radius, 0.01, 1.5)
        _check_between("vignetting", self.vignetting, 0, 0.95)
        _check_between("height_km", self.height_km, 1, 2000)
        _check_between("width_km", self.width_km, 1, 10000)
        _check_between("background_s", self.background_s, 0, 1e6)
        _check_between("background_quantile", self.background_quantile, 0, 1)
        if self.least_elevation is not None:
            _check_between("least_elevation", self.least_elevation, 0, 80)
        self._check_rectangles()
        if self.center is not None:
            self._check_center()
        if len(self.stretch) != 2 or not 0 <= self.stretch[0] < self.stretch[1] <= 100:
            raise ArgumentError("recipe.stretch", f"found {self.stretch}", "Give two ascending percentiles.")
        if not (self.contrast_pixels >= 0 and self.contrast_floor > 0):
            raise ArgumentError(
                "recipe.contrast_pixels, contrast_floor", "found a negative value", "Give positive ones."
            )

    @property
    def needs_view(self) -> bool:
        """True if images need the directions of the camera's pixels."""
        return self.projection != "none" or self.least_elevation is not None

    def _check_rectangles(self) -> None:
        remedy = "Give rectangles as (top, bottom, left, right), ascending from 0 to 1."
        for one in self.overlays:
            if not isinstance(one, (tuple, list)) or not _is_rectangle(one):
                raise ArgumentError("recipe.overlays", f"found {one!r}", remedy)
        object.__setattr__(self, "overlays", tuple(tuple(map(float, one)) for one in self.overlays))

    def to_dict(self) -> dict[str, Any]:
        """Return all choices as plain values, for provenance and JSON."""
        record = super().to_dict()
        record["centre"] = record.pop("center")  # recipes and hashes that are stored have this spelling
        return record

    def _check_center(self) -> None:
        center = self.center
        if len(center) != 2 or not (-90 <= center[0] <= 90 and -180 <= center[1] <= 360):
            raise ArgumentError("recipe.center", f"found {center!r}", "Give latitude and longitude in degrees.")
        object.__setattr__(self, "center", tuple(map(float, center)))


@dataclass(frozen=True)
class SpectrumRecipe(Recipe):
    """Recipe for an image of energy spectra by pitch angle or look direction.

    Columns are energy, on a common logarithmic grid, ascending to the right. Rows are pitch angle from 0 to 180
    degrees, ascending upward, or looks in the order of the instrument.

    Attributes
    ----------
    energy_range : tuple of float
        Energies at the left and right edge, in the unit of the variable's table (HOPE: eV; ELFIN, EPI-Lo: keV).
    direction : {'pitch_angle', 'look'}
        What the other axis is. Looks have no common order of angles: their rows are their numbers.
    energy_axis : {1, 2}
        Which of the variable's axes holds energy: that of tplot's ``v1`` or of ``v2``.
    energy_power : float
        Flux is multiplied by this power of energy. 1 makes energy flux of number flux: without it the fall of flux with
        energy, which all spectra have in common, is most of what an encoder sees.
    level : {'sample', 'fixed'}
        'sample' divides by the sample's mean over its measured pixels, so that the shape counts and not how much there
        is; 'fixed' leaves the variable's units.
    floor, ceiling : float
        What becomes 0 and 1 on a logarithmic scale, in units of the level.
    pixels : int
    """

    kind: ClassVar[str] = "spectrum"
    energy_range: tuple[float, float] = (10.0, 50000.0)
    direction: str = "pitch_angle"
    energy_axis: int = 2
    energy_power: float = 1.0
    level: str = "sample"
    floor: float = 1e-2
    ceiling: float = 1e2
    pixels: int = 32

    def __post_init__(self) -> None:
        _check_pixels(self.pixels)
        _check_level(self.level, self.floor, self.ceiling)
        _check_range("recipe.energy_range", self.energy_range, logarithmic=True)
        if self.direction not in ("pitch_angle", "look"):
            raise ArgumentError("recipe.direction", f"found {self.direction!r}", "Give 'pitch_angle' or 'look'.")
        if self.energy_axis not in (1, 2) or not -5 <= self.energy_power <= 5:
            found = f"found {self.energy_axis!r}, {self.energy_power!r}"
            remedy = "Give 1 or 2 for the axis and -5 to 5 for the power."
            raise ArgumentError("recipe.energy_axis, energy_power", found, remedy)


@dataclass(frozen=True)
class WindowRecipe(Recipe):
    """Recipe for images of windows of a spectrogram (time, energy) or of reduced distributions (time, velocity).

    Time is to the right, energy or velocity upward. Length and stride are in seconds because the same number of samples
    would be another structure in data of another cadence; both have to be chosen, since no length suits bow shock and
    plasma sheet.

    Attributes
    ----------
    length_s, stride_s : float
        Duration of a window, and from one to the next, seconds; rounded to whole samples, at least two and one. A
        window that covers more or less than its duration by a tenth, or by one sample where that is more, is NaN, and
        so is one with a step shorter than half or longer than one and a half of the usual one.
    axis_range : tuple of float
        Values of the variable's ``v`` at the lower and upper edge; the default suits energies of ions in eV.
    axis_scale : {'log', 'linear'}
        'log' for energies, 'linear' for velocities.
    level, floor, ceiling : str, float, float
        As in `SpectrumRecipe`; a sample is a window here, so that changes inside it stay.
    pixels : int
    """

    kind: ClassVar[str] = "window"
    length_s: float
    stride_s: float
    axis_range: tuple[float, float] = (10.0, 30000.0)
    axis_scale: str = "log"
    level: str = "sample"
    floor: float = 1e-2
    ceiling: float = 1e2
    pixels: int = 32

    def __post_init__(self) -> None:
        _check_pixels(self.pixels)
        _check_level(self.level, self.floor, self.ceiling)
        if self.axis_scale not in ("log", "linear"):
            raise ArgumentError("recipe.axis_scale", f"found {self.axis_scale!r}", "Give 'log' or 'linear'.")
        _check_range("recipe.axis_range", self.axis_range, logarithmic=self.axis_scale == "log")
        for name in ("length_s", "stride_s"):
            object.__setattr__(self, name, _seconds(name, getattr(self, name)))


@dataclass(frozen=True)
class PanelRecipe(Recipe):
    """Recipe for windows of time series and spectrograms, of one variable or of several together.

    A window has the length of the query. It is divided into `POINTS` cells; the mean of the samples in each of them is
    compared, for spectrograms in at most `BINS` bins of energy or frequency.

    Attributes
    ----------
    length_s : float or None
        Duration of a window, seconds. None: that of the query, or 32 cadences of the slowest variable if the query is
        a single time, which is then its center.
    durations : tuple of float
        Durations of the windows that are searched, in units of `length_s`: (0.5, 1, 2) also finds what looks the same
        at half or twice the duration of the query.
    values : {'relative', 'absolute', 'shape'}
        What counts as equal. 'relative': the same deviation from what is usual in the library, whatever its size.
        'absolute': deviation and size. 'shape': curves of the same form, whatever their level and amplitude.
    vectors : {'axes', 'turning', 'any_orientation'}
        How vectors are compared. 'axes': by their components. 'turning': by magnitude, and angle to the mean direction
        of the window. 'any_orientation': by the products of the vectors at all pairs of times, which no rotation or
        reflection changes.
    logarithmic : bool or None
        Take the logarithm of the values. None: where plot options or metadata say so, else for positive values of
        which one in a hundred is more than ten (in spectrograms a hundred) times as large as the lowest hundredth.
        Never for vectors.
    weights : tuple of float, or 'learned'
        Weight of each variable, in their order; empty: 1 for each. 'learned': the more its windows at the queries
        agree with each other, and differ from those at `unlike`, the more a variable counts.
    """

    kind: ClassVar[str] = "panel"
    POINTS: ClassVar[int] = 32
    BINS: ClassVar[int] = 16
    length_s: float | None = None
    durations: tuple[float, ...] = (1.0,)
    values: str = "relative"
    vectors: str = "axes"
    logarithmic: bool | None = None
    weights: tuple[float, ...] | str = ()

    def __post_init__(self) -> None:
        _check_choice("values", self.values, ("relative", "absolute", "shape"))
        _check_choice("vectors", self.vectors, ("axes", "turning", "any_orientation"))
        _check_choice("logarithmic", self.logarithmic, (None, True, False))
        if self.length_s is not None:
            object.__setattr__(self, "length_s", _seconds("length_s", self.length_s))
        object.__setattr__(self, "durations", _positive_numbers("durations", self.durations, 1 / 16, 16))
        if not len(self.durations):
            raise ArgumentError("recipe.durations", "found none", "Give (1,) for windows of the query's length.")
        if self.weights != "learned":
            object.__setattr__(self, "weights", _positive_numbers("weights", self.weights, 0, 1e6))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the window of a scalar: channels, bins, points."""
        return 1, 1, self.POINTS


def _positive_numbers(name: str, values: Any, low: float, high: float) -> tuple[float, ...]:
    """Return numbers as a tuple of floats; ArgumentError if one of them is none, or out of range."""
    numbers = (values,) if _is_number(values) else values
    if not isinstance(numbers, (tuple, list, np.ndarray)) or not all(
        _is_number(one) and low <= one <= high for one in numbers
    ):
        raise ArgumentError(f"recipe.{name}", f"found {values!r:.60}", f"Give numbers from {low:g} to {high:g}.")
    return tuple(float(one) for one in numbers)


RECIPES = {
    recipe.kind: recipe for recipe in (DistributionRecipe, FrameRecipe, SpectrumRecipe, WindowRecipe, PanelRecipe)
}


def recipe_from_dict(record: Mapping[str, Any]) -> Recipe:
    """Make the recipe again that `Recipe.to_dict` wrote.

    Raises
    ------
    ArgumentError
        If the kind or version is not known here, or a field is missing or foreign.
    """
    record = dict(record)
    kind, version = record.pop("kind", None), record.pop("version", None)
    if kind not in RECIPES or version != RECIPES[kind].version:
        remedy = "Use the release of this package that wrote it."
        raise ArgumentError("recipe", f"found kind {kind!r} version {version!r}, unknown here", remedy)
    recipe = RECIPES[kind]
    if kind == FrameRecipe.kind and "centre" in record:
        record["center"] = record.pop("centre")
    if set(record) != {field.name for field in fields(recipe)}:
        raise ArgumentError(
            "recipe", f"found the fields {sorted(record)}", "The record is damaged or of another release."
        )
    return recipe(**{key: _as_tuple(value) for key, value in record.items()})


def _as_tuple(value: Any) -> Any:
    """JSON's lists as the tuples they were, at any depth."""
    return tuple(_as_tuple(one) for one in value) if isinstance(value, list) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, (bool, np.timedelta64))


def _plain(value: Any) -> Any:
    """Return the Python value of a numpy scalar or array, which JSON does not know."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON")


def _check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        raise ArgumentError(f"recipe.{name}", f"found {value!r}", f"Give one of {', '.join(map(str, choices))}.")


def _check_between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ArgumentError(f"recipe.{name}", f"found {value!r}", f"Give {low:g} to {high:g}.")


def _seconds(name: str, value: Any) -> float:
    """Return a duration as a float, so that 60 and 60.0 have one hash."""
    if not _is_number(value) or not 0 < value < math.inf:
        raise ArgumentError(f"recipe.{name}", f"found {value!r}", "Give seconds, more than 0.")
    return float(value)


def _check_pixels(pixels: int) -> None:
    if not isinstance(pixels, Integral) or not 8 <= pixels <= 512:
        raise ArgumentError("recipe.pixels", f"found {pixels!r}", "Give a whole number from 8 to 512.")


def _check_level(level: str, floor: float, ceiling: float) -> None:
    if level not in ("sample", "fixed"):
        raise ArgumentError("recipe.level", f"found {level!r}", "Give 'sample' or 'fixed'.")
    if not 0 < floor < ceiling < math.inf:
        raise ArgumentError("recipe.floor", f"found {floor} to {ceiling}", "Give 0 < floor < ceiling.")


def _check_range(name: str, limits: tuple[float, float], logarithmic: bool) -> None:
    lowest = 0 if logarithmic else -math.inf
    if len(limits) != 2 or not lowest < limits[0] < limits[1] < math.inf:
        above = " above 0" if logarithmic else ""
        raise ArgumentError(name, f"found {limits}", f"Give two ascending values{above}.")
