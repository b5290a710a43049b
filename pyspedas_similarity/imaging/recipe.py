"""Recipes: every choice between a measurement and its image, frozen and hashed.

Two images may be compared when their recipes have the same hash. A change of the code that changes images raises the
recipe's `version`, and so its hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

from ..errors import ArgumentError


@dataclass(frozen=True)
class Recipe:
    """What the recipes have in common; see its children."""

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
        """Sixteen hexadecimal digits that stand for every choice in it."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """All choices as plain values, for provenance and JSON."""
        return {"kind": self.kind, "version": self.version, **json.loads(json.dumps(asdict(self)))}


@dataclass(frozen=True)
class DistributionRecipe(Recipe):
    """How a 3-D velocity distribution becomes planes of velocity space.

    Phase space density is looked up at the nearest instrument bin for every cell of a Cartesian velocity cube and
    averaged along each cube axis, so that no population is missed because it lies beside a cut. Axes are those of the
    measurement (for FPI: DBCS); field-aligned planes are a later recipe.

    Attributes
    ----------
    species : {'ion', 'electron'}
        Turns energy into speed; 'ion' means protons.
    speed_max_km_s : float
        Half width of the cube.
    floor, ceiling : float
        Phase space density, s^3 cm^-6, averaged along the cube axis, that becomes 0 and 1 on a logarithmic scale.
        The ion floor is about two single counts at 1 keV in one column of cells: below it lies counting noise.
    pixels : int
        Cells along each cube axis.
    planes : tuple of str
        Of 'xy', 'xz', 'yz': first axis to the right (columns), second upward (rows, ascending).
    blur_pixels : float
        Standard deviation of the smoothing before the logarithm; one pixel is about one 11.25 degree sector of FPI at
        300 km/s with the ion defaults, so that a beam on the edge of two sectors looks like one inside a sector.
    """

    kind: ClassVar[str] = "distribution"
    species: str = "ion"
    speed_max_km_s: float = 1000.0
    floor: float = 1e-25
    ceiling: float = 1e-20
    pixels: int = 32
    planes: tuple[str, ...] = ("xy", "xz", "yz")
    blur_pixels: float = 1.0

    def __post_init__(self) -> None:
        _check_pixels(self.pixels)
        if self.species not in ("ion", "electron"):
            raise ArgumentError("recipe.species", f"found {self.species!r}", "Give 'ion' or 'electron'.")
        if not self.planes or any(plane not in ("xy", "xz", "yz") for plane in self.planes):
            raise ArgumentError("recipe.planes", f"found {self.planes!r}", "Give some of 'xy', 'xz', 'yz'.")
        if not 0 < self.floor < self.ceiling:
            raise ArgumentError("recipe.floor", f"found {self.floor} to {self.ceiling}", "Give 0 < floor < ceiling.")
        if not (self.speed_max_km_s > 0 and self.blur_pixels >= 0):
            raise ArgumentError("recipe.speed_max_km_s, blur_pixels", "found a negative value", "Give positive values.")

    @property
    def channels(self) -> int:
        """Number of planes."""
        return len(self.planes)


@dataclass(frozen=True)
class FrameRecipe(Recipe):
    """How a camera frame becomes an image.

    Attributes
    ----------
    pixels : int
        Rows and columns after area averaging.
    mask_radius : float
        Radius of the circular mask in units of half the frame's width; outside it the image is NaN. The default
        leaves out the lowest degrees of a THEMIS camera: horizon, trees and light domes.
    stretch : tuple of float
        Percentiles inside the mask that become 0 and 1, so that frames of any gain can be compared.
    contrast_pixels : float
        Standard deviation of the neighbourhood whose mean (the background) is taken off and whose standard deviation
        divides the rest: local contrast normalisation (Jarrett et al. 2009, doi 10.1109/ICCV.2009.5459469), which
        brings a faint arc and a bright breakup to one scale. 0 leaves it out.
    contrast_floor : float
        Added to that standard deviation, in units of the stretch, so that noise of an empty sky is not blown up.
    """

    kind: ClassVar[str] = "frame"
    pixels: int = 128
    mask_radius: float = 0.85
    stretch: tuple[float, float] = (1.0, 99.0)
    contrast_pixels: float = 4.0
    contrast_floor: float = 0.05

    def __post_init__(self) -> None:
        _check_pixels(self.pixels)
        if not 0 < self.mask_radius <= 1.5:
            raise ArgumentError("recipe.mask_radius", f"found {self.mask_radius}", "Give a value above 0, at most 1.5.")
        if len(self.stretch) != 2 or not 0 <= self.stretch[0] < self.stretch[1] <= 100:
            raise ArgumentError("recipe.stretch", f"found {self.stretch}", "Give two ascending percentiles.")
        if not (self.contrast_pixels >= 0 and self.contrast_floor > 0):
            raise ArgumentError(
                "recipe.contrast_pixels, contrast_floor", "found a negative value", "Give positive ones."
            )


RECIPES = {recipe.kind: recipe for recipe in (DistributionRecipe, FrameRecipe)}


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
    if set(record) != {field.name for field in fields(recipe)}:
        raise ArgumentError(
            "recipe", f"found the fields {sorted(record)}", "The record is damaged or of another release."
        )
    return recipe(**{key: tuple(value) if isinstance(value, list) else value for key, value in record.items()})


def _check_pixels(pixels: int) -> None:
    if not isinstance(pixels, int) or not 8 <= pixels <= 512:
        raise ArgumentError("recipe.pixels", f"found {pixels!r}", "Give a whole number from 8 to 512.")
