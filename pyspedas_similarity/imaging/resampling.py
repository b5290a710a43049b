"""Resampling of camera frames to images by a sparse matrix.

Pixels of the image are averages over their area. Where rows and columns stay, shares of the frame's pixels are exact;
on projections points are laid inside each pixel of the image, no farther apart than the pixels of the camera, and each
is interpolated between its four nearest ones. So nothing is lost between points, and no structure appears by aliasing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ..errors import VariableError
from .camera_geometry import Map, View, direction_of
from .recipes import FrameRecipe

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Most points along an image's side: 4 million of them take two seconds and some hundred MB, once.
_MOST_POINTS = 2048
# What the matrix depends on.
_GEOMETRY = ("pixels", "overlays", "vignetting", "mask_radius", "least_elevation", "projection")
_GEOMETRY += ("height_km", "width_km", "center")
# The lens' disc is looked for along this many rays, at this share of the sky's brightness above the corners', in the
# median of at most so many frames. Half of the edges have to be as close to the circle, in units of its radius.
_RAYS, _EDGE_LEVEL, _MOST_FRAMES, _CLOSE = 180, 0.25, 40, 0.02


@dataclass(frozen=True)
class Disc:
    """Disc of the sky in pixels of the frame; the middle of the first pixel is row 0, column 0."""

    row: float
    column: float
    row_radius: float
    column_radius: float

    @classmethod
    def of_frame(cls, shape: tuple[int, int]) -> Disc:
        """The ellipse that touches the frame's edges."""
        return cls((shape[0] - 1) / 2, (shape[1] - 1) / 2, shape[0] / 2, shape[1] / 2)

    def distance(self, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Distance from the center in units of the radius."""
        return np.hypot((row - self.row) / self.row_radius, (column - self.column) / self.column_radius)


@dataclass(frozen=True)
class Sampling:
    """Resampling of a frame to the k pixels of the image that are seen.

    `matrix` float32 (k, rows * columns) holds the weights of the frame's pixels; `mask` (pixels, pixels) is which are
    seen; `gain` float32 (k,) is the sum of the weights: 1 but for vignetting.
    """

    matrix: csr_array
    mask: np.ndarray
    gain: np.ndarray


def fitted_disc(frames: np.ndarray) -> Disc:
    """Find the lens' disc in the median of some frames (n, rows, columns), evenly taken from all of them.

    Along rays from the frame's center the last pixel is sought that is a quarter of the way from the corners' dark to
    the sky's brightness. A circle is put through these edges by least squares (Kasa 1976, doi
    10.1109/TIM.1976.6312298), leaving out those far from it, where a tree or the moon stands at the rim. Rounded to
    half pixels, so that other frames of the same camera give the same one. VariableError if there is no such disc.
    """
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), _MOST_FRAMES)).astype(int))
    median = np.nan_to_num(median_of_known(np.stack([frames[i] for i in chosen]).astype(np.float32), axis=0))
    frame = Disc.of_frame(median.shape)
    angle = np.arange(_RAYS) / _RAYS * 2 * np.pi
    length = np.arange(1, int(np.hypot(*median.shape) / 2))
    rows, columns = (
        np.rint(middle + length[:, None] * turn).astype(int)
        for middle, turn in ((frame.row, np.sin(angle)), (frame.column, np.cos(angle)))
    )
    inside = (rows >= 0) & (rows < median.shape[0]) & (columns >= 0) & (columns < median.shape[1])
    levels = np.where(inside, median[np.where(inside, rows, 0), np.where(inside, columns, 0)], -np.inf)
    dark, sky = corner_level(median[None])[0], np.median(median[frame.distance(*np.indices(median.shape)) < 0.5])
    bright = levels > dark + _EDGE_LEVEL * (sky - dark)
    last = len(length) - 1 - np.argmax(bright[::-1], axis=0)
    # A ray that is bright up to the frame's edge shows no edge of the disc.
    known = bright.any(axis=0) & (inside.sum(axis=0) - last > 2)
    radius = length[last] + 0.5
    points = np.stack([frame.row + radius * np.sin(angle), frame.column + radius * np.cos(angle)], 1)[known]
    circle = _circle_through(points) if sky > dark and len(points) >= _RAYS / 4 else None
    if circle is None:
        raise VariableError("frames", "no edge of a lens' disc is to be seen in them", "Use circle='frame'.")
    row, column, radius = (round(value * 2) / 2 for value in circle)
    return Disc(row, column, radius, radius)


def _circle_through(points: np.ndarray) -> tuple[float, float, float] | None:
    """Row, column and radius of the circle to which most points are close, if there is one."""
    kept = np.ones(len(points), bool)
    for _ in range(10):
        system = np.column_stack([2 * points[kept], np.ones(kept.sum())])
        found = np.linalg.lstsq(system, (points[kept] ** 2).sum(axis=1), rcond=None)[0]
        radius = np.sqrt(max(found[2] + found[0] ** 2 + found[1] ** 2, 0))
        distance = np.abs(np.hypot(*(points - found[:2]).T) - radius)
        kept = distance <= max(2.5 * np.median(distance), 1.0)
    if (distance < _CLOSE * radius).mean() < 0.5:
        return None
    return float(found[0]), float(found[1]), float(radius)


def corner_level(frames: np.ndarray) -> np.ndarray:
    """Median of what is finite in squares, a sixteenth of the frame wide, in the four corners of each frame: (n,)."""
    rows, columns = (max(size // 16, 1) for size in frames.shape[1:])
    ends = (slice(rows), slice(-rows, None)), (slice(columns), slice(-columns, None))
    corners = [frames[:, row, column] for row in ends[0] for column in ends[1]]
    return median_of_known(np.stack(corners).swapaxes(0, 1).reshape(len(frames), -1), axis=1)


def median_of_known(values: np.ndarray, axis: int) -> np.ndarray:
    """Median of what is finite along an axis; NaN where nothing is."""
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return np.median(values, axis=axis)
    masked = np.ma.median(np.ma.masked_invalid(values), axis=axis)
    return np.ma.filled(masked.astype(np.float64), np.nan)


def sampling(
    recipe: FrameRecipe, shape: tuple[int, int], view: View | None = None, disc: Disc | None = None
) -> Sampling:
    """The matrix that makes images of frames; kept for the next frames of the same camera.

    VariableError if the recipe needs a view and there is none, it is of other frames, or no pixel of the image is seen.
    """
    if not recipe.needs_view:
        return _sampling(_geometry(recipe), shape, None, disc or Disc.of_frame(shape))
    if view is None:
        found = "the recipe has a projection or a least elevation, but where the pixels look is not known"
        raise VariableError("skymap", found, "Give a View, or the file of a skymap, or use a recipe without it.")
    if view.azimuth.shape != shape or view.elevation.shape != shape:
        found = f"it is of {view.azimuth.shape} pixels, the frames have {shape}"
        raise VariableError("skymap", found, "Give the View of these frames.")
    return _sampling(_geometry(recipe), shape, _Camera.of(view), disc or Disc.of_frame(shape))


def _geometry(recipe: FrameRecipe) -> FrameRecipe:
    """A recipe with the same choices of place, and the default in all others: they have one matrix."""
    return FrameRecipe(**{name: getattr(recipe, name) for name in _GEOMETRY})


@dataclass(frozen=True)
class _Camera:
    """A view that equals any other of the same content, whichever array it is in."""

    digest: str
    view: View = field(compare=False)

    @classmethod
    def of(cls, view: View) -> _Camera:
        content = hashlib.blake2b(repr((view.latitude, view.longitude)).encode())
        for angles in (view.azimuth, view.elevation):
            content.update(np.ascontiguousarray(angles, np.float64).tobytes())
        return cls(content.hexdigest(), view)


@lru_cache(maxsize=16)
def _sampling(recipe: FrameRecipe, shape: tuple[int, int], camera: _Camera | None, disc: Disc) -> Sampling:
    clear = ~covered(recipe.overlays, shape)
    if recipe.projection == "none":
        matrix = _area_matrix(recipe.pixels, shape)
        matrix = matrix.multiply(clear.ravel().astype(np.float32)).tocsr()
    else:
        matrix = _projection_matrix(recipe, camera.view, disc, clear)
    share = np.asarray(matrix.sum(axis=1)).ravel()
    mask = share >= 0.5 - 1e-6
    matrix = matrix.multiply(1 / np.where(mask, share, 1)[:, None]).tocsr()
    if recipe.projection == "none":
        mask &= _circle(recipe, disc, shape) if recipe.least_elevation is None else _above(recipe, matrix, camera.view)
    if not mask.any():
        found = "nothing that the camera sees is in its images"
        raise VariableError("recipe", found, "Choose the mask, and the map's center and width, for this camera.")
    matrix = matrix[np.flatnonzero(mask)].multiply(1 / _throughput(recipe, disc, shape).ravel()).tocsr()
    matrix = matrix.astype(np.float32)
    gain = np.asarray(matrix.sum(axis=1), np.float32).ravel()
    return Sampling(matrix, mask.reshape(recipe.pixels, recipe.pixels), gain)


def covered(rectangles: tuple[tuple[float, float, float, float], ...], shape: tuple[int, int]) -> np.ndarray:
    """Pixels of a frame that rectangles (top, bottom, left, right), in shares of it, touch."""
    found = np.zeros(shape, bool)
    for top, bottom, left, right in rectangles:
        rows = slice(int(np.floor(top * shape[0])), int(np.ceil(bottom * shape[0])))
        found[rows, int(np.floor(left * shape[1])) : int(np.ceil(right * shape[1]))] = True
    return found


def _circle(recipe: FrameRecipe, disc: Disc, shape: tuple[int, int]) -> np.ndarray:
    """Pixels of the image whose middle lies in the circle, where rows and columns stay: (pixels * pixels,)."""
    row, column = ((np.arange(recipe.pixels) + 0.5) * size / recipe.pixels - 0.5 for size in shape)
    return (disc.distance(row[:, None], column) <= recipe.mask_radius).ravel()


def _above(recipe: FrameRecipe, matrix: csr_array, view: View) -> np.ndarray:
    """Pixels of the image whose mean elevation is high enough, what is not seen counting as far below."""
    return matrix @ np.nan_to_num(view.elevation.astype(np.float64), nan=-90.0).ravel() >= recipe.least_elevation


def _throughput(recipe: FrameRecipe, disc: Disc, shape: tuple[int, int]) -> np.ndarray:
    """Share of the light that reaches each pixel of the frame."""
    return 1 - recipe.vignetting * np.minimum(disc.distance(*np.indices(shape)), 1) ** 2


def _area_matrix(pixels: int, shape: tuple[int, int]) -> csr_array:
    from scipy import sparse

    rows, columns = (sparse.csr_array(_area_weights(size, pixels)) for size in shape)
    return sparse.kron(rows, columns, format="csr")


def _area_weights(size: int, pixels: int) -> np.ndarray:
    """Matrix (pixels, size) that averages `size` samples over `pixels` equal stretches, fractions included."""
    edges = np.linspace(0, size, pixels + 1)
    left, right = edges[:-1, None], edges[1:, None]
    sample = np.arange(size)
    overlap = np.clip(np.minimum(right, sample + 1) - np.maximum(left, sample), 0, None)
    return overlap / overlap.sum(axis=1, keepdims=True)


def _projection_matrix(recipe: FrameRecipe, view: View, disc: Disc, clear: np.ndarray) -> csr_array:
    """Weights of the frame's pixels, whose sum is the share of each pixel of the image that is seen."""
    from scipy import sparse

    place = _Places(view)
    per_side = _points_per_pixel(*place(*_directions(recipe, view, recipe.pixels)), recipe.pixels)
    size = recipe.pixels * per_side
    azimuth, elevation = _directions(recipe, view, size)
    row, column = place(azimuth, elevation)
    if recipe.least_elevation is None:
        seen = (elevation >= 0) & (disc.distance(row, column) <= recipe.mask_radius)
    else:
        seen = elevation >= recipe.least_elevation
    seen &= np.isfinite(row)
    pixel = np.arange(size) // per_side
    to = (pixel[:, None] * recipe.pixels + pixel)[seen]
    row, column = (np.clip(value[seen], 0, most - 1) for value, most in zip((row, column), clear.shape, strict=True))
    matrix = sparse.csr_array((recipe.pixels**2, clear.size), dtype=np.float64)
    for rows, row_share in _neighbors(row, clear.shape[0]):
        for columns, column_share in _neighbors(column, clear.shape[1]):
            weight = row_share * column_share * clear[rows, columns] / per_side**2
            entries = (weight, (to, rows * clear.shape[1] + columns))
            matrix = matrix + sparse.coo_array(entries, shape=matrix.shape).tocsr()
    return matrix


def _neighbors(position: np.ndarray, size: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The two nearest indices and their shares by linear interpolation."""
    lower = np.minimum(position.astype(np.int64), size - 2)
    return [(lower, 1 - (position - lower)), (lower + 1, position - lower)]


def _points_per_pixel(row: np.ndarray, column: np.ndarray, pixels: int) -> int:
    """Points along a side of the image's pixels that lie no farther apart than the camera's pixels."""
    steps = [np.abs(np.diff(value, axis=axis)) for value in (row, column) for axis in (0, 1)]
    longest = max(np.nanmax(step, initial=0) if np.isfinite(step).any() else 0 for step in steps)
    return int(np.clip(np.ceil(longest), 2, max(_MOST_POINTS // pixels, 2)))


def _directions(recipe: FrameRecipe, view: View, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Azimuth and elevation, degrees, of (size, size) points evenly over the image."""
    if recipe.projection == "sky":
        rim = 90 - (recipe.least_elevation or 0)
        offset = ((np.arange(size) + 0.5) * 2 / size - 1) * rim
        east, north = np.meshgrid(offset, -offset)
        return np.degrees(np.arctan2(east, north)), 90 - np.hypot(east, north)
    latitude, longitude = recipe.center or (view.latitude, view.longitude)
    drawn = Map(latitude, longitude, recipe.width_km, size, recipe.projection == "geomagnetic")
    return direction_of(*drawn.positions(), recipe.height_km, (view.latitude, view.longitude))


class _Places:
    """Row and column, with fractions, at which a camera sees a direction; NaN where it does not.

    Directions are put on a plane by zenith angle and azimuth, where pixels lie nearly evenly. From the nearest pixel,
    its slopes along rows and columns lead on to the place.
    """

    def __init__(self, view: View) -> None:
        from scipy.spatial import KDTree

        plane = _on_plane(view.azimuth, view.elevation)
        down, right = np.gradient(plane, axis=(0, 1))
        slopes = np.stack([down, right], -1)  # (row, column, coordinate of the plane, row or column)
        known = np.isfinite(slopes).all(axis=(2, 3))
        known[known] = np.abs(np.linalg.det(slopes[known])) > 0
        if not known.any():
            raise VariableError("skymap", "it has no directions of pixels", "Give another skymap.")
        self._pixels, self._directions = np.argwhere(known), plane[known]
        self._inverse = np.linalg.inv(slopes[known])
        self._tree = KDTree(self._directions)

    def __call__(self, azimuth: np.ndarray, elevation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        wanted = _on_plane(azimuth, elevation)
        nearest = self._tree.query(wanted)[1]
        offset = (self._inverse[nearest] @ (wanted - self._directions[nearest])[..., None])[..., 0]
        # Half a pixel and some slack: beyond lies what the camera does not see.
        offset[np.abs(offset).max(axis=-1) > 1] = np.nan
        row, column = np.moveaxis(self._pixels[nearest] + offset, -1, 0)
        return row, column


def _on_plane(azimuth: np.ndarray, elevation: np.ndarray) -> np.ndarray:
    zenith, turn = 90 - np.asarray(elevation, np.float64), np.radians(np.asarray(azimuth, np.float64))
    return np.stack([zenith * np.sin(turn), zenith * np.cos(turn)], -1)
