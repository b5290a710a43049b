r"""Quality and activity of camera frames.

Each frame is judged alone; only a duplicate is found by the frame before. Gain and offset do not matter: brightness is
counted from the dark corners outside the lens's disc, and noise is measured in the frame::

    +---.--""--.---+  <- corner: dark level
    | /          \ |
    ||  .------.  ||     the disc, in which the Moon may stand
    || |  sky   | ||     the sky that is judged: `QualityRules.radius`
    ||  '------'  ||
    | \          / |
    +---'--..--'---+

What decides: a sky through which stars are seen is clear; aurora is structure on it, 6 % of the light around and more.
A frame without stars is cloud, unless its structure is so strong that no cloud can have it: bright aurora hides stars.
Broken or thin cloud that lets stars through counts as usable, and as active where its edges are strong enough: one
frame cannot be distinguished from patches. Of simulated cloudy frames, half of them of broken cloud, half pass. Diffuse
glow without edges is not active.

Thresholds lie in the middle of the gaps between the kinds of frames of two witnesses, real files and simulated nights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from types import MappingProxyType

import numpy as np

from ..errors import ArgumentError, VariableError
from .recipes import FrameRecipe
from .resampling import Disc, covered
from .tables import is_rectangle

FLAGS = MappingProxyType({"usable": 0, "cloud": 1, "moon or twilight": 2, "saturated": 3, "dropped": 4, "duplicate": 5})

Overlay = tuple[float, float, float, float]

# Points are looked for on a grid of this side, or the next finer one that an integer factor makes of the frame;
# structure on one of half of it.
_GRID = 128
SMALLEST_FRAME = 64
_CORNER_RADIUS, _DISC_RADIUS = 1.12, 0.95
# Degree of the polynomial for smooth glow, and Gaussian scales as shares of the frame: 1.6 and 8 pixels of 128.
_DEGREE = 6
_SIGMAS = (0.8 / 64, 4 / 64)
_STRONGEST = 0.95
# Of the Moon, in pixels of 64: the disc as the lens blurs it, where its halo is tested, and how far it is followed.
_MOON_CORE, _MOON_RING, _MOON_REACH = 5.0, 3.0, 20
# The halo's 20th percentile is so much of its 80th, its 80th so much of the disc, its 20th so much of the sky.
_EVEN, _STEEP, _ABOVE = 0.5, 0.5, 1.5
# No frame is taken as cleaner than this: a movie may have no noise at all.
_MOST_CLEAN = 1000.0
# Frames worked on at once: bounds memory, and keeps the intermediate images in the cache.
_BLOCK = 8
# What is larger is taken as no count, and what is smaller as none.
_LARGEST, _TINY = 1e15, np.float32(1e-20)


@dataclass(frozen=True)
class QualityRules:
    """Thresholds for the quality of frames.

    Brightness is the median light of the sky above the corners, over the noise of a pixel of 128 x 128. It grows with
    the root of the light: about 20 to 40 for airglow seen by a THEMIS camera in its second of exposure.

    Attributes
    ----------
    radius : float
        Part of the frame that is judged, in half widths. 0.75 leaves out the lowest 20 degrees or so: trees, towns,
        the glow of the horizon, and reflections in the dome.
    point_noise : float
        A point is a pixel of 128 x 128 that stands out of both neighbors two pixels away, in each of four directions,
        by this many standard deviations of the noise.
    least_stars : int
        From so many points on the sky is clear; points in one cell of 4 x 4 pixels count once. Hot pixels and the Moon
        are one or two.
    contrast : float
        Structure, as a share of the light around it, at which activity is 1; see `FrameQuality`.
    hiding : float
        Activity from which on structure is aurora even where no stars are seen.
    bright : float
        Brightness from which on a sky without activity is taken as lit by Moon or twilight.
    daylight : float
        Brightness from which on a sky without stars is not taken as cloud but as twilight or day.
    moon : float
        The brightest pixel of 64 x 64 is the Moon if it has this many times the median light and a round halo. Disc and
        halo do not count as structure.
    dark : float
        Brightness below which there is no sky: the shutter was closed.
    saturated_share : float
        Share of the sky's pixels at the frame's maximum.
    """

    radius: float = 0.75
    point_noise: float = 5.0
    least_stars: int = 4
    contrast: float = 0.06
    hiding: float = 2.5
    bright: float = 60.0
    daylight: float = 200.0
    moon: float = 6.0
    dark: float = 3.0
    saturated_share: float = 0.1

    def __post_init__(self) -> None:
        if not (0.4 <= self.radius <= 1 and min(asdict(self).values()) > 0 and self.bright > self.dark):
            remedy = "Give a radius from 0.4 to 1, positive numbers, and bright above dark."
            raise ArgumentError("rules", f"found {self}", remedy)


@dataclass(frozen=True, eq=False)
class FrameQuality:
    """Flags and activity of n frames.

    Attributes
    ----------
    flag : numpy.ndarray of uint8, shape (n,)
        See `FLAGS`.
    activity : numpy.ndarray of float32, shape (n,)
        Structure in units of `QualityRules.contrast`: a twentieth of the sky differs by that share, or more, from the
        light around it at scales of about 1.5 to 8 pixels of 128, beyond smooth glow, stars and noise. From 1 on
        something happens. NaN where the frame is dropped, without meaning where it is saturated.
    features : mapping of str to numpy.ndarray of float32, shape (n,)
        What decided: 'readable' (1 or 0), 'at_maximum' (share of the sky), 'brightness', 'stars' (cells with a point),
        'moon' (1 or 0), 'structure' (share of the light).
    """

    flag: np.ndarray
    activity: np.ndarray
    features: Mapping[str, np.ndarray]

    @property
    def usable(self) -> np.ndarray:
        """Usable frames: bool, shape (n,)."""
        return self.flag == FLAGS["usable"]

    @property
    def active(self) -> np.ndarray:
        """Active frames: bool, shape (n,)."""
        return self.activity >= 1

    def __str__(self) -> str:
        counts = {name: int((self.flag == flag).sum()) for name, flag in FLAGS.items()}
        return ", ".join(f"{count} {name}" for name, count in counts.items() if count)

    def at(self, chosen: np.ndarray) -> FrameQuality:
        """Return flags and activity of some frames, chosen by index or bool."""
        features = {name: values[chosen] for name, values in self.features.items()}
        return FrameQuality(self.flag[chosen], self.activity[chosen], MappingProxyType(features))

    @classmethod
    def joined(cls, parts: Iterable[FrameQuality]) -> FrameQuality:
        """Put the gates of successive blocks together."""
        parts = [_NOTHING, *parts]
        features = {name: np.concatenate([part.features[name] for part in parts]) for name in _FEATURES}
        flag, activity = (np.concatenate([getattr(part, name) for part in parts]) for name in ("flag", "activity"))
        return cls(flag, activity, MappingProxyType(features))


_FEATURES = ("readable", "at_maximum", "brightness", "stars", "moon", "structure")
_NOTHING = FrameQuality(
    np.empty(0, np.uint8), np.empty(0, np.float32), {name: np.empty(0, np.float32) for name in _FEATURES}
)


def assess_frames(
    frames: np.ndarray,
    rules: QualityRules = QualityRules(),
    previous: np.ndarray | None = None,
    overlays: tuple[Overlay, ...] = (),
) -> FrameQuality:
    """Flag frames and measure their activity.

    Parameters
    ----------
    frames : numpy.ndarray, shape (n, rows, columns)
        Counts, or any measure of brightness that is linear in it, with the dark corners around the lens's disc.
    rules : QualityRules
    previous : numpy.ndarray, shape (rows, columns), optional
        The frame before the first one, where a stream comes in blocks: then blocks give what the whole gives.
    overlays : tuple of (top, bottom, left, right)
        Rectangles that are no sky, such as text, as shares of rows and columns from the upper left corner.

    Returns
    -------
    FrameQuality

    Raises
    ------
    VariableError
        If these are no frames, are too small to show stars, or `previous` is another shape.
    ArgumentError
        If an overlay is no rectangle within the frame, or leaves no sky or no dark corner.
    """
    if frames.ndim != 3 or min(frames.shape[1:]) < SMALLEST_FRAME or frames.dtype.kind not in "uif":
        remedy = f"Give numbers (time, row, column) with at least {SMALLEST_FRAME} rows and columns."
        raise VariableError("frames", f"found {frames.dtype} of the shape {frames.shape}", remedy)
    if previous is not None and previous.shape != frames.shape[1:]:
        remedy = f"Give one frame of the shape {frames.shape[1:]}."
        raise VariableError("previous", f"found the shape {previous.shape}", remedy)
    sky = _sky(frames.shape[1:], rules.radius, tuple(map(tuple, overlays)))
    starts = range(0, len(frames), _BLOCK)
    return FrameQuality.joined(
        _judge(frames[i : i + _BLOCK], frames[i - 1] if i else previous, sky, rules) for i in starts
    )


def _filled(frames: np.ndarray, sky: _Sky) -> tuple[np.ndarray, np.ndarray]:
    """Return frames with missing pixels as the one before them in the row, and which were measured enough."""
    if frames.dtype.kind != "f":
        return frames, np.ones(len(frames), bool)
    pixels = frames.reshape(len(frames), -1)
    known = np.abs(pixels) < _LARGEST
    if known.all():
        return frames, known.all(axis=1)
    wrong = (~known & ~np.isnan(pixels)).any(axis=1)  # numbers that are no counts, not pixels that were not measured
    readable = ~wrong & (known.take(sky.inside, axis=1).mean(axis=1) >= 1 - FrameRecipe.most_missing)
    last = np.maximum.accumulate(np.where(known, np.arange(pixels.shape[1]), -1), axis=1)
    first = known.argmax(axis=1)
    filled = np.take_along_axis(pixels, np.where(last < 0, first[:, None], last), axis=1)
    return np.where(readable[:, None], filled, 0).reshape(frames.shape), readable


def _judge(frames: np.ndarray, previous: np.ndarray | None, sky: _Sky, rules: QualityRules) -> FrameQuality:
    frames, readable = _filled(frames, sky)
    previous = None if previous is None else _filled(previous[None], sky)[0][0]
    found = _features(frames, readable, sky, rules)
    features = {name: np.asarray(values, np.float32) for name, values in found.items()}
    activity = features["structure"] / np.float32(rules.contrast)
    flag = _decide(features, activity, rules)
    flag[_repeats(frames, previous, sky.hidden) & (flag != FLAGS["dropped"])] = FLAGS["duplicate"]
    activity[flag == FLAGS["dropped"]] = np.nan
    return FrameQuality(flag, activity, MappingProxyType(features))


def _decide(features: Mapping[str, np.ndarray], activity: np.ndarray, rules: QualityRules) -> np.ndarray:
    """Flags without duplicates; what comes later wins."""
    clear, brightness = features["stars"] >= rules.least_stars, features["brightness"]
    saturated = features["at_maximum"] >= rules.saturated_share
    flag = np.full(len(clear), FLAGS["usable"], np.uint8)
    flag[(activity < 1) & ((brightness >= rules.bright) | (features["moon"] > 0))] = FLAGS["moon or twilight"]
    flag[~clear & (activity < rules.hiding) & (brightness < rules.daylight)] = FLAGS["cloud"]
    flag[~clear & (brightness >= rules.daylight)] = FLAGS["moon or twilight"]
    flag[saturated] = FLAGS["saturated"]
    flag[(features["readable"] == 0) | (brightness < rules.dark) & ~saturated] = FLAGS["dropped"]
    return flag


def _repeats(frames: np.ndarray, previous: np.ndarray | None, hidden: np.ndarray | None) -> np.ndarray:
    """Return which frames equal the previous one outside of overlays: bool."""
    same = np.zeros(len(frames), bool)
    for i in range(len(frames)):
        before = frames[i - 1] if i else previous
        if before is not None:
            equal = frames[i] == before
            same[i] = equal.all() if hidden is None else (equal | hidden).all()
    return same


def _features(frames: np.ndarray, readable: np.ndarray, sky: _Sky, rules: QualityRules) -> dict[str, np.ndarray]:
    """The numbers that decide, each (n,): see `_FEATURES`."""
    pixels = frames.reshape(len(frames), -1)
    inside = pixels.take(sky.inside, axis=1)
    highest = (pixels if sky.shown is None else pixels.take(sky.shown, axis=1)).max(axis=1)
    readable = readable & ((inside.min(axis=1) < highest) | (highest == _most(frames.dtype)))
    grid = _coarser(pixels.reshape(frames.shape), sky.factor)
    dark = np.median(pixels.take(sky.corner, axis=1), axis=1).astype(np.float32)
    light = np.median(grid.reshape(len(grid), -1).take(sky.grid_inside, axis=1), axis=1) - dark
    fine, coarse = _noise(pixels, sky.noise_at[0], frames.shape[2]), _noise(grid, sky.noise_at[1], grid.shape[2])
    # Of white noise both are equal; a movie that was scaled or compressed lacks the finest noise.
    noise = np.maximum(np.maximum(coarse, fine / sky.factor), np.maximum(np.abs(light) / _MOST_CLEAN, _TINY))
    grid -= dark[:, None, None]
    stars = _remove_points(grid, sky, noise, light, rules.point_noise)
    half = _coarser(grid, 2)
    without = half.copy()
    moon = _remove_moon(without, sky, light, rules.moon)
    return {
        "readable": readable,
        "at_maximum": (inside == highest[:, None]).mean(axis=1),
        "brightness": light / noise * sky.fineness,
        "stars": stars,
        "moon": moon,
        "structure": _structure(without, half, sky, noise / 2),
    }


def _most(dtype: np.dtype) -> float:
    """Return the value of a saturated pixel."""
    return np.iinfo(dtype).max if dtype.kind in "ui" else np.inf


def _coarser(frames: np.ndarray, factor: int) -> np.ndarray:
    """Mean over blocks of `factor` x `factor` pixels, float32; what is left at the lower and right edge is cut off."""
    rows, columns = (size // factor * factor for size in frames.shape[1:])
    if factor == 1:
        return frames.astype(np.float32)
    total = frames[:, 0:rows:factor].astype(np.float32)
    for i in range(1, factor):
        total += frames[:, i:rows:factor]
    across = total[:, :, 0:columns:factor] * np.float32(1 / factor**2)
    for j in range(1, factor):
        across += total[:, :, j:columns:factor] * np.float32(1 / factor**2)
    return across


def _noise(frames: np.ndarray, at: np.ndarray, width: int) -> np.ndarray:
    """Standard deviation of a pixel's noise, from 2 x 2 pixels with signs + - - +, in which a slope cancels."""
    pixels = frames.reshape(len(frames), -1)
    corners = [pixels[:, at + step].astype(np.float32) for step in (0, 1, width, width + 1)]
    spread = np.abs(corners[0] - corners[1] - corners[2] + corners[3])
    # Cut at three medians, so that stars do not count; 0.782 is the mean of a normal variable's size, cut there.
    limit = 3 * np.median(spread, axis=1, keepdims=True)
    return np.minimum(spread, limit).mean(axis=1) / (2 * 0.782)


def _remove_points(light: np.ndarray, sky: _Sky, noise: np.ndarray, level: np.ndarray, threshold: float) -> np.ndarray:
    """Count the cells of the sky with a point in them, and cut points down to their surroundings in `light`.

    A pixel stands out by its least excess, of four directions, over the brighter of two neighbors. Along an arc and
    inside a patch there is none.
    """
    rows, columns = light.shape[1:]
    middle = light[:, 2:-2, 2:-2]
    around = np.full_like(middle, -np.inf)
    beside = np.empty_like(middle)
    for row, column in ((0, 2), (2, 0), (2, 2), (2, -2)):
        one = light[:, 2 + row : rows - 2 + row, 2 + column : columns - 2 + column]
        other = light[:, 2 - row : rows - 2 - row, 2 - column : columns - 2 - column]
        np.maximum(one, other, out=beside)
        np.maximum(around, beside, out=around)
    excess = middle - around
    found = np.nonzero((excess > threshold * noise[:, None, None]) & sky.points[2:-2, 2:-2])
    # Counting noise grows with the root of the light.
    local = np.sqrt(np.maximum(middle[found] / np.maximum(level, _TINY)[found[0]], 1))
    frame, row, column = (index[excess[found] > threshold * noise[found[0]] * local] for index in found)
    cells = np.unique(np.ravel_multi_index((frame, row // 4, column // 4), (len(light), rows, columns)))
    np.minimum(middle, around, out=middle)
    return np.bincount(cells // (rows * columns), minlength=len(light))


def _remove_moon(light: np.ndarray, sky: _Sky, level: np.ndarray, least: float) -> np.ndarray:
    """Return True if there is a bright disc in a round halo; both are subtracted from `light`."""
    brightest = np.where(sky.disc, light, -np.inf).reshape(len(light), -1).argmax(axis=1)
    peak = light.reshape(len(light), -1)[np.arange(len(light)), brightest]
    found = peak >= np.maximum(least * level, _TINY)
    for i in np.flatnonzero(found):
        distance = _distance_to(brightest[i], light[i], sky.disc)
        ring = light[i][sky.disc & (np.abs(distance - _MOON_RING) < 1)]
        low, high = np.percentile(ring, (20, 80)) if ring.size else (0.0, 0.0)
        found[i] = low >= _EVEN * high and high <= _STEEP * peak[i] and low >= _ABOVE * level[i]
        if found[i]:
            light[i] -= _halo(light[i], distance, sky.disc)
    return found


def _distance_to(place: int, light: np.ndarray, disc: np.ndarray) -> np.ndarray:
    """Distance from the middle of the light around a pixel, in pixels of 64."""
    rows, columns = np.ogrid[: light.shape[0], : light.shape[1]]
    row, column = np.unravel_index(place, light.shape)
    near = np.where(disc & (np.hypot(rows - row, columns - column) <= 3), np.maximum(light, 0), 0)
    row, column = (near * rows).sum() / near.sum(), (near * columns).sum() / near.sum()
    return np.hypot(rows - row, columns - column) / (min(light.shape) / (_GRID // 2))


def _halo(light: np.ndarray, distance: np.ndarray, disc: np.ndarray) -> np.ndarray:
    """Light around the Moon above that at `_MOON_REACH`: all of it in the disc, the mean around it outside."""
    shell = np.minimum(2 * distance, 2 * _MOON_REACH)[disc].astype(int)
    weight, total, place = (np.bincount(shell, values) for values in (np.ones(shell.size), light[disc], distance[disc]))
    there = np.flatnonzero(weight)[:-1]
    # The halo falls outward: what rises again is aurora or the horizon.
    profile = np.minimum.accumulate(total[there] / weight[there])
    beyond = profile[-1]
    halo = np.interp(distance, place[there] / weight[there], profile - beyond)
    return np.where(distance < _MOON_CORE, light - beyond, halo)


def _structure(light: np.ndarray, around: np.ndarray, sky: _Sky, noise: np.ndarray) -> np.ndarray:
    """Share of the light around by which the strongest twentieth of the sky differs from it, above the noise.

    The smooth part, which is airglow, vignetting, and the glow of horizon and twilight, is taken off as a polynomial;
    what is left is band-passed from about 1.5 to 8 pixels of 128. `around` is `light` with the Moon.
    """
    rest, total = np.zeros((2, *light.shape), np.float32)
    inside = light.reshape(len(light), -1).take(sky.half_at, axis=1)
    rest.reshape(len(light), -1)[:, sky.half_at] = inside - inside @ sky.polynomials @ sky.polynomials.T
    total.reshape(len(light), -1)[:, sky.half_at] = around.reshape(len(light), -1).take(sky.half_at, axis=1)
    fine, coarse = sky.kernels
    level = np.maximum(coarse.smooth(total), noise[:, None, None])
    share = (np.abs(fine.smooth(rest) - coarse.smooth(rest)) / level).reshape(len(light), -1)
    share, level = share.take(sky.half_at, axis=1), level.reshape(len(light), -1).take(sky.half_at, axis=1)
    rank = int(_STRONGEST * share.shape[1])
    strongest = np.partition(share, rank, axis=1)[:, rank]
    # 1.96 standard deviations hold 95 % of noise; a Gaussian kernel leaves 1 / (2 sqrt(pi) sigma) of it.
    of_noise = 1.96 * noise / level.mean(axis=1) / (2 * np.sqrt(np.pi) * fine.sigma)
    return np.sqrt(np.maximum(strongest**2 - of_noise**2, 0))


@dataclass(frozen=True, eq=False)
class _Kernel:
    """Gaussian smoothing over a masked sky, as matrices: the sky is small, and this is several times faster."""

    sigma: float
    rows: np.ndarray
    columns: np.ndarray
    per_weight: np.ndarray

    @classmethod
    def over(cls, mask: np.ndarray, sigma: float) -> _Kernel:
        rows, columns = (
            np.exp(-0.5 * ((np.arange(size)[:, None] - np.arange(size)) / sigma) ** 2) for size in mask.shape
        )
        # Without its tails, which have no effect: numbers near the smallest representable make products slow.
        rows, columns = (np.where(kernel > 1e-6, kernel, 0) for kernel in (rows, columns))
        weight = np.where(mask, rows @ mask @ columns, 1)
        return cls(sigma, rows.astype(np.float32), columns.astype(np.float32), (mask / weight).astype(np.float32))

    def smooth(self, images: np.ndarray) -> np.ndarray:
        """Mean over the mask around each pixel of images that are 0 outside it, (n, rows, columns)."""
        return self.rows @ images @ self.columns * self.per_weight


@dataclass(frozen=True, eq=False)
class _Sky:
    """Masks and indices that depend on the frame shape only. Indices are of flattened frames, masks are grids.

    `factor` frame pixels along each side make one of the grid, in which points are looked for; two of the grid make
    one of the half grid, in which structure is.
    """

    factor: int
    fineness: float
    hidden: np.ndarray | None
    shown: np.ndarray | None
    corner: np.ndarray
    inside: np.ndarray
    grid_inside: np.ndarray
    noise_at: tuple[np.ndarray, np.ndarray]
    points: np.ndarray
    disc: np.ndarray
    half_at: np.ndarray
    polynomials: np.ndarray
    kernels: tuple[_Kernel, _Kernel]


@lru_cache(maxsize=8)
def _sky(shape: tuple[int, int], radius: float, overlays: tuple[Overlay, ...]) -> _Sky:
    factor = max(min(shape) // _GRID, 1)
    hidden = _hidden(shape, overlays)
    corner = (_distance(shape) >= _CORNER_RADIUS) & ~hidden
    inside, points, half = (_sky_mask(hidden, step, radius) for step in (1, factor, 2 * factor))
    if half.mean() < 0.1 or corner.mean() < 0.01:
        raise ArgumentError("overlays", "they leave no sky or no dark corner", "Give smaller rectangles.")
    sigmas = [share * min(half.shape) for share in _SIGMAS]
    disc = _sky_mask(hidden, 2 * factor, _DISC_RADIUS)
    return _Sky(
        factor,
        min(points.shape) / _GRID,
        hidden if overlays else None,
        np.flatnonzero(~hidden) if overlays else None,
        _some(corner),
        _some(inside),
        _some(points),
        (_some(_squares(inside)), _some(_squares(points))),
        points,
        disc,
        np.flatnonzero(half),
        _polynomials(half),
        (_Kernel.over(half, sigmas[0]), _Kernel.over(half, sigmas[1])),
    )


def _sky_mask(hidden: np.ndarray, factor: int, radius: float) -> np.ndarray:
    """Sky on a grid `factor` times coarser than the frame; a pixel of it that an overlay touches is none."""
    rows, columns = (size // factor for size in hidden.shape)
    blocks = hidden[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor)
    return (_distance((rows, columns)) <= radius) & ~blocks.any(axis=(1, 3))


def _hidden(shape: tuple[int, int], overlays: tuple[Overlay, ...]) -> np.ndarray:
    for overlay in overlays:
        if not is_rectangle(overlay):
            remedy = "Give (top, bottom, left, right) as ascending shares from 0 to 1."
            raise ArgumentError("overlays", f"found {overlay!r}", remedy)
    return covered(overlays, shape)


def _distance(shape: tuple[int, int]) -> np.ndarray:
    """From the middle, in half widths along each axis."""
    return Disc.of_frame(shape).distance(*np.ogrid[: shape[0], : shape[1]])


def _squares(mask: np.ndarray) -> np.ndarray:
    """Return where a pixel and its neighbors to the right, below and below right are in the mask."""
    whole = mask.copy()
    whole[:-1, :-1] &= mask[1:, :-1] & mask[:-1, 1:] & mask[1:, 1:]
    whole[-1], whole[:, -1] = False, False
    return whole


def _some(mask: np.ndarray, most: int = 1024) -> np.ndarray:
    """Indices of at most so many pixels, spread evenly: enough for a median, and quicker than all."""
    found = np.flatnonzero(mask)
    return found[:: -(-len(found) // most)]


def _polynomials(mask: np.ndarray) -> np.ndarray:
    """Orthonormal polynomials in row and column up to `_DEGREE` over the mask, float32 (pixels, polynomials)."""
    rows, columns = np.meshgrid(*(np.linspace(-1, 1, size) for size in mask.shape), indexing="ij")
    powers = [(i, j) for i in range(_DEGREE + 1) for j in range(_DEGREE + 1 - i)]
    basis = np.stack([rows[mask] ** i * columns[mask] ** j for i, j in powers], axis=-1)
    return np.linalg.qr(basis)[0].astype(np.float32)
