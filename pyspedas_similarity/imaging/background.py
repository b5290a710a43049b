r"""Static background of a camera's images: a running quantile in time.

brightness
   |    /\  arc          __/\__    the quantile of the frames in a window around each knot,
   | __/  \____/\_______/          linear between knots
   | o-------o-------o-------o     knots, a quarter of a window apart
   +---------------------------- time
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import ArgumentError, VariableError
from .camera_geometry import View
from .frames import resampled_frames
from .recipes import FrameRecipe
from .resampling import fitted_disc

# Knots and frames looked at in each window: a quantile of 40 frames is as steady as an image needs.
_KNOTS, _FRAMES = 4, 40


@dataclass(frozen=True, eq=False)
class Background:
    """Images of what stands still, some a window.

    Attributes
    ----------
    times : numpy.ndarray of datetime64[ns], shape (m,)
    levels : numpy.ndarray of float32, shape (m, pixels, pixels)
        In the frames' unit, as `allsky.resampled_frames`; NaN outside the mask.
    """

    times: np.ndarray
    levels: np.ndarray

    def at(self, times: np.ndarray) -> np.ndarray:
        """The level at each time, linear between knots and constant beyond: shape (n, pixels, pixels)."""
        knots, wanted = (np.asarray(t, "datetime64[ns]").astype(np.int64) for t in (self.times, times))
        position = np.interp((wanted - knots[0]) / 1e9, (knots - knots[0]) / 1e9, np.arange(len(knots)))
        lower = np.minimum(position.astype(int), max(len(knots) - 2, 0))
        share = (position - lower).astype(np.float32)[:, None, None]
        upper = np.minimum(lower + 1, len(knots) - 1)
        return (1 - share) * self.levels[lower] + share * self.levels[upper]


def running_background(
    frames: np.ndarray, times: np.ndarray, recipe: FrameRecipe, view: View | None = None
) -> Background:
    """The recipe's quantile in time of each pixel of the resampled frames.

    Frames are taken from all over the record, one every fortieth of the window, and those that are not finite or
    constant are left out. At both ends of the record the window is the first or last full one.

    Parameters
    ----------
    frames : array-like, shape (n, rows, columns)
        Read frame by frame; no more than a window's images are in memory.
    times : numpy.ndarray of datetime64[ns], shape (n,)
        Ascending.
    recipe : FrameRecipe
    view : View, optional

    Returns
    -------
    Background

    Raises
    ------
    ArgumentError
        If the recipe has no background.
    VariableError
        As `allsky.frame_images`, or if times do not fit the frames.
    """
    if recipe.background_s == 0:
        raise ArgumentError("recipe.background_s", "found 0", "Give the seconds of the window.")
    seconds = _seconds(frames, times)
    disc = fitted_disc(frames) if recipe.circle == "fitted" else None
    mask = np.isfinite(resampled_frames(np.zeros((1, *frames.shape[1:])), recipe, view, disc)[0])
    knots, levels = [], []
    for knot, images in _windows(frames, seconds, recipe, lambda frame: resampled_frames(frame, recipe, view, disc)):
        inside = [image[mask] for image in images]
        usable = [light for light in inside if np.isfinite(light).all() and light.max() > light.min()]
        if usable:
            level = np.full(mask.shape, np.nan, np.float32)
            level[mask] = np.quantile(np.stack(usable), recipe.background_quantile, axis=0)
            knots.append(knot)
            levels.append(level)
    if not levels:  # then no frame has an image, whatever is taken off
        knots, levels = [0.0], [np.where(mask, np.float32(0), np.float32(np.nan))]
    start = np.asarray(times[0], "datetime64[ns]")
    return Background(start + np.rint(np.array(knots) * 1e9).astype("timedelta64[ns]"), np.stack(levels))


def _windows(
    frames: np.ndarray, seconds: np.ndarray, recipe: FrameRecipe, resample: Callable[[np.ndarray], np.ndarray]
) -> Iterator[tuple[float, list[np.ndarray]]]:
    """Each knot in seconds with the images of its window, each of which is made once."""
    chosen = _chosen(seconds, recipe.background_s / _FRAMES)
    images: dict[int, np.ndarray] = {}
    for knot in _knots(seconds[-1], recipe.background_s):
        middle = _middle(knot, seconds[-1], recipe.background_s)
        reach = recipe.background_s / 2 + 1e-6  # some slack: seconds are rounded
        first, last = np.searchsorted(seconds[chosen], (middle - reach, middle + reach))
        window = chosen[first:last].tolist()
        images = {i: images[i] if i in images else resample(frames[i : i + 1])[0] for i in window}
        yield float(knot), list(images.values())


def _seconds(frames: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Seconds since the first frame."""
    times = np.asarray(times, "datetime64[ns]")
    if not len(frames) or times.shape != (len(frames),):
        found = f"{len(frames)} frames with {times.size} times"
        raise VariableError("frames", found, "Give at least one frame, and a time for each.")
    if np.isnat(times).any() or (np.diff(times) < np.timedelta64(0, "ns")).any():
        raise VariableError("frames", "their times go back, or some are not known", "Sort them by time.")
    return (times - times[0]) / np.timedelta64(1, "s")


def _chosen(seconds: np.ndarray, step: float) -> np.ndarray:
    """Indices of frames, at most one for each step."""
    return np.unique(np.floor(seconds / step), return_index=True)[1]


def _knots(duration: float, window: float) -> np.ndarray:
    return np.linspace(0, duration, int(np.ceil(duration / window * _KNOTS)) + 1)


def _middle(knot: float, duration: float, window: float) -> float:
    """Middle of the window of a knot, moved so that it lies inside the record."""
    half = min(window, duration) / 2
    return float(np.clip(knot, half, duration - half))
