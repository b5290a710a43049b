r"""Images of camera frames, and their static background; `FrameRecipe` describes each step.

Rows and columns stay as they are in the frame, or are projected: north up and east to the right, as seen on a map. The
background is a running quantile in time::

    brightness
       |    /\  arc          __/\__    the quantile of the frames in a window around each knot,
       | __/  \____/\_______/          linear between knots
       | o-------o-------o-------o     knots, a quarter of a window apart
       +---------------------------- time
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..errors import ArgumentError, VariableError
from .camera_geometry import View
from .recipes import FrameRecipe
from .resampling import Disc, Sampling, corner_level, fitted_disc, sampling
from .tables import LEAST_FILL
from .threads import run_in_threads

_SMALLEST_FRAME = 16
# Frames worked on at once: bounds memory to some tens of MB, and keeps the intermediate images near the processor.
_BLOCK = 16
# Multiplications in a product of matrices up to which BLAS uses one thread. Several wait for each other for ages where
# another process has the cores.
_UNTHREADED = 2**18
# Least measured share of a pixel of the image; width of the neighborhood that others are filled from, and its least
# measured weight.
_LEAST_MEASURED, _FILL_PIXELS, _LEAST_NEAR = 0.5, 2.0, 1e-3
# Share of the stretch up to which 'asinh' is about linear.
_KNEE = 0.1

# Knots and frames looked at in each window: a quantile of 40 frames is as steady as an image needs.
_KNOTS, _FRAMES = 4, 40

# A matrix that blurs, in parts: see `_gaussian`.
_Blur = list[tuple[slice, slice, np.ndarray]]


def frame_images(
    frames: np.ndarray,
    recipe: FrameRecipe,
    view: View | None = None,
    background: np.ndarray | None = None,
    disc: Disc | None = None,
) -> np.ndarray:
    """Resample, stretch and locally normalize camera frames.

    Parameters
    ----------
    frames : array-like, shape (n, rows, columns)
        Counts or any measure of brightness; sliced block by block.
    recipe : FrameRecipe
    view : View, optional
        Where the frames' pixels look; needed by projections and a least elevation.
    background : numpy.ndarray, shape (n, pixels, pixels), optional
        What is taken off the resampled frames (`Background.at`), if the recipe has a background.
    disc : Disc, optional
        The lens' disc, for recipes with a fitted circle; fitted to these frames if not given. Give it where the frames
        of one camera come in parts, so that all have the same mask.

    Returns
    -------
    numpy.ndarray of float32, shape (n, 1, pixels, pixels)
        NaN outside the mask; all NaN for a frame that is constant, or of which more than `FrameRecipe.most_missing` of
        what lies inside the mask is not finite. Less is filled from the neighbors.
    """
    plan = _plan(frames, recipe, view, disc)
    _check_background(background, len(frames), recipe)
    images = np.full((len(frames), *recipe.shape), np.nan, np.float32)

    def work(start: int) -> None:
        rows = slice(start, start + _BLOCK)
        light = _resampled(frames[rows], recipe, plan)
        if background is not None:
            # A frame without anything in it is none, whatever is taken off.
            empty = light.max(axis=0) == light.min(axis=0)
            light -= np.where(empty, np.nan, background[rows][:, plan.mask].T)
        images[rows, 0, plan.mask] = _normalized(light, plan, recipe).T

    run_in_threads(work, range(0, len(frames), _BLOCK))
    return images


def resampled_frames(
    frames: np.ndarray, recipe: FrameRecipe, view: View | None = None, disc: Disc | None = None
) -> np.ndarray:
    """The steps before the background, in the frames' unit: float32 (n, pixels, pixels); see `frame_images`."""
    plan = _plan(frames, recipe, view, disc)
    images = np.full((len(frames), recipe.pixels, recipe.pixels), np.nan, np.float32)
    for start in range(0, len(frames), _BLOCK):
        rows = slice(start, start + _BLOCK)
        images[rows, plan.mask] = _resampled(frames[rows], recipe, plan).T
    return images


def missing_share(
    frames: np.ndarray, recipe: FrameRecipe, view: View | None = None, disc: Disc | None = None
) -> np.ndarray:
    """Share of each frame that is not finite inside the mask: shape (n,)."""
    plan = _plan(frames, recipe, view, disc)
    return 1 - (plan.matrix @ _in_columns(np.abs(frames) < LEAST_FILL)).sum(axis=0) / plan.gain.sum()


def _plan(frames: np.ndarray, recipe: FrameRecipe, view: View | None, disc: Disc | None) -> Sampling:
    shape = tuple(frames.shape)
    if len(shape) != 3 or min(shape[1:]) < _SMALLEST_FRAME:
        remedy = f"Give (time, row, column) with at least {_SMALLEST_FRAME} rows and columns."
        raise VariableError("frames", f"found the shape {shape}", remedy)
    if recipe.circle == "fitted" and disc is None and len(frames):
        disc = fitted_disc(frames)
    return sampling(recipe, shape[1:], view, disc if recipe.circle == "fitted" else None)


def _check_background(background: np.ndarray | None, n: int, recipe: FrameRecipe) -> None:
    if (background is None) != (recipe.background_s == 0):
        found = f"the recipe's background_s is {recipe.background_s:g}, and "
        found += "no background is given" if background is None else "a background is given"
        raise VariableError("background", found, "Give that of running_background if, and only if, it is above 0.")
    if background is not None and background.shape != (n, recipe.pixels, recipe.pixels):
        remedy = f"Give one of {recipe.pixels} x {recipe.pixels} pixels for each of the {n} frames."
        raise VariableError("background", f"found the shape {background.shape}", remedy)


# Here and below, light is (pixels inside the mask, frames): products with sparse matrices are fast that way, and need
# no BLAS.


def _resampled(frames: np.ndarray, recipe: FrameRecipe, plan: Sampling) -> np.ndarray:
    frames = np.asarray(frames)
    known = np.abs(frames) < LEAST_FILL if frames.dtype.kind == "f" else np.ones(1, bool)
    with np.errstate(over="ignore", invalid="ignore"):
        if known.all():
            light = plan.matrix @ _in_columns(frames)
        else:
            light = _filled(
                plan.matrix @ _in_columns(np.where(known, frames, 0)), plan.matrix @ _in_columns(known), plan
            )
        if recipe.dark == "corners":
            light -= plan.gain[:, None] * corner_level(frames).astype(np.float32)
    return light


def _in_columns(frames: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(frames.reshape(len(frames), -1).T, np.float32)


def _filled(light: np.ndarray, weight: np.ndarray, plan: Sampling) -> np.ndarray:
    """Replace what was not measured by its neighbors; all NaN for frames that lack too much.

    A pixel of which at least a half was measured has the mean of that; others have the mean of a Gaussian neighborhood
    of those, or the median of the frame where that has none.
    """
    measured = weight / plan.gain[:, None]
    lost = 1 - weight.sum(axis=0) / plan.gain.sum() > FrameRecipe.most_missing
    known = measured >= _LEAST_MEASURED
    light = np.where(known, light / np.where(known, measured, 1), np.nan)
    light[:, lost] = np.nan
    some = np.flatnonzero(~known.all(axis=0) & ~lost)
    if len(some):
        part, there = light[:, some], known[:, some]
        inside, blur = np.flatnonzero(plan.mask), _gaussian(plan.mask.shape[0], _FILL_PIXELS)
        near = _blurred(there.astype(np.float32), inside, blur)
        around = _blurred(np.where(there, part, 0), inside, blur) / np.maximum(near, _LEAST_NEAR)
        around = np.where(near >= _LEAST_NEAR, around, np.nanmedian(part, axis=0))
        light[:, some] = np.where(there, part, around)
    return light


def _normalized(light: np.ndarray, plan: Sampling, recipe: FrameRecipe) -> np.ndarray:
    usable = np.isfinite(light).all(axis=0)
    light = np.where(usable, light, 0)
    low, high = np.percentile(np.ascontiguousarray(light.T), recipe.stretch, axis=1).astype(np.float32)
    usable &= high > low
    light -= low
    light /= np.where(usable, high - low, 1)
    np.clip(light, 0, 1, out=light)
    if recipe.curve == "asinh":
        light = np.arcsinh(light / np.float32(_KNEE)) / np.float32(np.arcsinh(1 / _KNEE))
    if recipe.contrast_pixels > 0:
        light = _local_contrast(light, plan, recipe)
    light[:, ~usable] = np.nan
    return light


def _local_contrast(light: np.ndarray, plan: Sampling, recipe: FrameRecipe) -> np.ndarray:
    """Take off the neighborhood's mean and divide by its standard deviation, both over the masked sky only."""
    light, inside = np.asfortranarray(light), np.flatnonzero(plan.mask)  # as `_blurred` works and returns
    blur = _gaussian(recipe.pixels, recipe.contrast_pixels)
    weight = np.maximum(_blurred(np.ones((len(inside), 1), np.float32), inside, blur), 1e-3)
    detail = light - _blurred(light, inside, blur) / weight
    deviation = np.sqrt(_blurred(detail * detail, inside, blur) / weight)
    deviation += np.float32(recipe.contrast_floor)
    return np.divide(detail, deviation, out=detail)


def _blurred(light: np.ndarray, inside: np.ndarray, blur: _Blur) -> np.ndarray:
    """Sum over the Gaussian neighborhood, what is outside counting as nothing."""
    pixels, n = blur[-1][0].stop, light.shape[1]
    image, down = np.zeros((n, pixels, pixels), np.float32), np.empty((n, pixels, pixels), np.float32)
    image.reshape(n, -1)[:, inside] = light.T
    for part, near, weights in blur:
        np.matmul(weights.T, image[:, near], out=down[:, part])
    for part, near, weights in blur:
        np.matmul(down[..., near], weights, out=image[..., part])
    return image.reshape(n, -1).take(inside, axis=1).T


@lru_cache(maxsize=8)
def _gaussian(pixels: int, sigma: float) -> _Blur:
    """The matrix (pixels, pixels) that blurs a row with zeros beyond its ends, in parts.

    A part is its columns, those from which they are computed, and the weights of these, shape (second, first).
    """
    from scipy.ndimage import gaussian_filter1d

    matrix = gaussian_filter1d(np.eye(pixels), sigma, axis=0, mode="constant").astype(np.float32)
    reach, parts = np.count_nonzero(matrix[0]) - 1, []
    size = max(_UNTHREADED // (pixels * min(2 * reach + 1, pixels)), 1)
    for start in range(0, pixels, size):
        part = slice(start, min(start + size, pixels))
        near = slice(max(start - reach, 0), min(part.stop + reach, pixels))
        parts.append((part, near, np.ascontiguousarray(matrix[near, part])))
    return parts


@dataclass(frozen=True, eq=False)
class Background:
    """Images of what stands still at m times: `levels` float32 (m, pixels, pixels), as of `resampled_frames`."""

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
    constant are left out. At both ends of the record the window is the first or last full one. Frames are read one by
    one; no more than a window's images are in memory. ArgumentError if the recipe has no background; VariableError if
    the times (n,) do not ascend or do not fit the frames (n, rows, columns).
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
    window_s, duration = recipe.background_s, seconds[-1]
    chosen = np.unique(np.floor(seconds / (window_s / _FRAMES)), return_index=True)[1]
    images: dict[int, np.ndarray] = {}
    half, reach = min(window_s, duration) / 2, window_s / 2 + 1e-6  # some slack: seconds are rounded
    for knot in np.linspace(0, duration, int(np.ceil(duration / window_s * _KNOTS)) + 1):
        middle = float(np.clip(knot, half, duration - half))  # the window lies inside the record
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
