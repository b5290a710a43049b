"""Camera frames of a variable: how they are turned, where they look, their background, whether they are usable.

``attributes['data_att']`` states the sides of the sky of the ``first_row`` ('north' or 'south') and ``first_column``
('west' or 'east'); ``attributes['skymap']``, a `View` of its rows and columns, comes before them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import VariableError, named_errors
from ..imaging.camera_geometry import View
from ..imaging.frame_quality import SMALLEST_FRAME, FrameQuality, QualityRules, assess_frames
from ..imaging.frames import frame_images, running_background
from ..imaging.frames import missing_share as share_of_missing
from ..imaging.recipes import FrameRecipe
from ..imaging.resampling import fitted_disc
from ..tplot import Variable

SIDES = ("first_row", "first_column")

# Between two halves of a frame, in units of the direction's north or east component; about 0.8 in a whole sky.
_LEAST_DIFFERENCE = 0.3


def check_one_camera(variable: Variable) -> None:
    """Refuse frames that were taken at the same time: VariableError, two cameras are in one variable."""
    again = np.flatnonzero(np.diff(variable.times) == np.timedelta64(0, "ns"))
    if again.size:
        found = f"two frames at {variable.times[again[0]]}"
        raise VariableError(variable.name, found, "Keep the frames of each camera in a variable of their own.")


def north_up(variable: Variable) -> tuple[np.ndarray, View | None]:
    """Return frames (n, row, column), a view with north up and east to the right, and where their pixels look, or None.

    VariableError if the skymap is none, or has other rows and columns.
    """
    about, view = variable.attributes.get("data_att", {}), variable.attributes.get("skymap")
    frames = variable.values
    if view is not None and (not isinstance(view, View) or view.azimuth.shape != frames.shape[1:]):
        found = f"{view.azimuth.shape} pixels" if isinstance(view, View) else f"a {type(view).__name__}"
        remedy = "Give a View, or what read_skymap returns, of these frames."
        raise VariableError(variable.name, f"frames of {frames.shape[1:]} pixels, but as skymap {found}", remedy)
    sides = dict(about) | ({} if view is None else sides_of(view))
    for axis, key, turned in ((1, "first_row", "south"), (2, "first_column", "east")):
        if sides.get(key) == turned:
            frames = np.flip(frames, axis)
            if view is not None:
                angles = (np.flip(angle, axis - 1) for angle in (view.azimuth, view.elevation))
                view = View(view.latitude, view.longitude, *angles)
    return frames, view


def sides_of(view: View) -> dict[str, str]:
    """Return the sides of the sky that the first row and the first column are on, as ``data_att`` names them.

    A view of a camera turned by 45 degrees, or of a part of the sky, does not show them all.
    """
    azimuth, flat = np.radians(view.azimuth), np.cos(np.radians(view.elevation))
    found = {}
    for axis, key, along, sides in (
        (0, "first_row", flat * np.cos(azimuth), ("north", "south")),
        (1, "first_column", flat * np.sin(azimuth), ("east", "west")),
    ):
        halves = [half[np.isfinite(half)] for half in np.array_split(along, 2, axis=axis)]
        difference = halves[0].mean() - halves[1].mean() if all(half.size for half in halves) else 0.0
        if abs(difference) > _LEAST_DIFFERENCE:
            found[key] = sides[0] if difference > 0 else sides[1]
    return found


def prepared(variable: Variable, recipe: FrameRecipe) -> Variable:
    """Return the variable with disc and background of all its frames among the attributes.

    Of frames that come file by file, those of each file make their own. VariableError if two cameras are in the
    variable, its skymap does not fit, or no disc is found.
    """
    check_one_camera(variable)
    found: dict[str, Any] = {}
    frames, view = north_up(variable)
    with named_errors(variable.name, VariableError):
        if recipe.circle == "fitted":
            found["disc"] = fitted_disc(frames)
        if recipe.background_s:
            found["background"] = running_background(frames, variable.times, recipe, view)
    return replace(variable, attributes={**variable.attributes, **found})


def images(variable: Variable, rows: slice, recipe: FrameRecipe) -> np.ndarray:
    """Images of some prepared frames: float32, shape (n, 1, pixels, pixels)."""
    frames, view = north_up(variable)
    level = variable.attributes["background"].at(variable.times[rows]) if recipe.background_s else None
    with named_errors(variable.name, VariableError):
        return frame_images(frames[rows], recipe, view, level, variable.attributes.get("disc"))


def missing_share(variable: Variable, recipe: FrameRecipe) -> np.ndarray:
    """Share of each prepared frame that is not finite where the image is: shape (n,)."""
    frames, view = north_up(variable)
    return share_of_missing(frames, recipe, view, variable.attributes.get("disc"))


def can_be_judged(variable: Variable) -> bool:
    """Return True if frames are large enough for quality flags: thumbnails are not."""
    return min(variable.values.shape[1:]) >= SMALLEST_FRAME


def assess(variable: Variable, recipe: FrameRecipe, rules: QualityRules | None = None) -> FrameQuality:
    """Flag and activity of every frame; the recipe's overlays are no sky."""
    frames, _ = north_up(variable)
    return assess_frames(frames, rules or QualityRules(), overlays=recipe.overlays)
