"""Random views of images (augmentation) for self-supervised training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import ArgumentError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class ViewOptions:
    """Limits of the random differences between a view and its image.

    Place, scale and orientation are meaningful in these images, so the defaults are small and images are not mirrored.
    `VIEWS` has options for each kind of image.

    Parameters
    ----------
    gain : float
        Intensities are multiplied by a factor from 1 - gain to 1 + gain; below 1.
    noise : float
        Standard deviation of added normal noise, in units of the image.
    shift : float
        Maximum shift along each axis, as a fraction of the side; below 1.
    rotation_deg : float
        Maximum rotation in either direction, degrees.
    crop_scale_min : float
        Minimum side of a crop, as a fraction of the side, above 0 up to 1.
    flips : bool
        Mirror along each axis with probability 1/2.
    erase : float
        Side of a square set to 0, as a fraction of the side; below 1.
    shift_rows : float, optional
        Maximum shift along rows if different from `shift`. On a logarithmic energy axis it scales energies.
    zoom : float
        Distances from the center are multiplied by a factor from 1 - zoom to 1 + zoom; below 1. In a velocity plane it
        scales speeds, and energies by its square.
    counts : float
        Number of counts for a pixel value of 1, for Poisson noise; 0 for no such noise.
    decades : float
        Decades of intensity from value 0 to value 1 of a logarithmic scale; 0 for a linear scale. Pixels of value 0
        have no signal and stay 0.

    Raises
    ------
    ArgumentError
        A value is out of its range.
    """

    gain: float = 0.2
    noise: float = 0.05
    shift: float = 0.05
    rotation_deg: float = 5.0
    crop_scale_min: float = 0.8
    flips: bool = False
    erase: float = 0.2
    shift_rows: float | None = None
    zoom: float = 0.0
    counts: float = 0.0
    decades: float = 0.0

    def __post_init__(self) -> None:
        limits = {"gain": 1.0, "noise": math.inf, "shift": 1.0, "rotation_deg": 360.0, "erase": 1.0, "zoom": 1.0}
        limits |= {"counts": math.inf, "decades": math.inf, "shift_rows": 1.0}
        for name, limit in limits.items():
            value = getattr(self, name)
            if not (name == "shift_rows" and value is None) and not 0 <= value < limit:
                raise ArgumentError(f"views.{name}", f"{value}", f"Give 0 up to below {limit:g}.")
        if not 0 < self.crop_scale_min <= 1:
            raise ArgumentError("views.crop_scale_min", f"{self.crop_scale_min}", "Give above 0 up to 1.")


VIEWS = {
    # Velocity planes: the field direction is accurate to a few degrees, bulk velocity and energy to a few percent.
    # The floor of the recipe is about two counts of the ion instrument, five decades below its ceiling.
    "distribution": ViewOptions(
        gain=0.3, noise=0, shift=0.03, crop_scale_min=1, zoom=0.05, counts=2e5, decades=5, erase=0.15
    ),
    # All-sky frames with contrast stretching, from which counts cannot be recovered.
    "frame": ViewOptions(noise=0.1),
    # Pitch angle by energy: the energy scale may shift (columns), the pitch angle hardly (rows).
    "spectrum": ViewOptions(
        gain=0.3, noise=0.01, shift=0.03, shift_rows=0, rotation_deg=0, crop_scale_min=1, counts=1e4, decades=4
    ),
    # Energy by time: the start of a window is arbitrary.
    "window": ViewOptions(
        gain=0.3, noise=0.01, shift=0.1, shift_rows=0.03, rotation_deg=0, crop_scale_min=1, counts=1e4, decades=4
    ),
}
"""Default options by kind of image, for the scales of the default recipes."""


def make_views(batch: torch.Tensor, options: ViewOptions, generator: torch.Generator) -> torch.Tensor:
    """Make one random view of each image (n, channels, pixels, pixels); 0 beyond the edges of the image."""
    import torch
    from torch.nn.functional import affine_grid, grid_sample

    grid = affine_grid(_affine_maps(len(batch), options, generator), list(batch.shape), align_corners=False)
    views = grid_sample(batch, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    factor = 1 + options.gain * _uniform((len(batch), 1, 1, 1), generator)
    if options.decades:
        views = torch.where(views > 0, views + factor.log10() / options.decades, views)
    else:
        views = views * factor
    if options.counts:
        views = _add_counting_noise(views, options, generator)
    if options.noise:
        views = views + options.noise * torch.randn(views.shape, generator=generator, device=views.device)
    return torch.where(_erased_mask(batch, options.erase, generator), 0.0, views)


def _add_counting_noise(views: torch.Tensor, options: ViewOptions, generator: torch.Generator) -> torch.Tensor:
    """Add Poisson noise to pixels above 0, on the scale of the image."""
    import torch

    if options.decades:
        expected = options.counts * 10 ** (options.decades * (views - 1))
    else:
        expected = options.counts * views
    expected = expected.clamp(min=0)
    counted = torch.poisson(expected, generator)
    share = counted / options.counts
    if options.decades:
        share = (1 + share.log10() / options.decades).clamp(min=0)  # values below the floor are clipped
    return torch.where(views > 0, share, views)


def _affine_maps(n: int, options: ViewOptions, generator: torch.Generator) -> torch.Tensor:
    """Return affine maps (n, 2, 3) from coordinates of a view to those of its image, both from -1 to 1."""
    import torch

    device = generator.device
    angle = math.radians(options.rotation_deg) * _uniform((n,), generator)
    side = options.crop_scale_min + (1 - options.crop_scale_min) * torch.rand(n, generator=generator, device=device)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).reshape(n, 2, 2)
    if options.flips:
        turn = turn * torch.randint(0, 2, (n, 1, 2), generator=generator, device=device).mul(2).sub(1)
    # A crop may be anywhere in the image (offset up to 1 - side); a shift is twice its fraction in these coordinates.
    rows = options.shift if options.shift_rows is None else options.shift_rows
    room = (1 - side)[:, None] + 2 * torch.tensor([options.shift, rows], device=device)
    center = room * _uniform((n, 2), generator)
    # Content at distance r is shown at r times the zoom factor.
    side = side / (1 + options.zoom * _uniform((n,), generator))
    return torch.cat([turn * side[:, None, None], center[:, :, None]], dim=2)


def _erased_mask(batch: torch.Tensor, fraction: float, generator: torch.Generator) -> torch.Tensor:
    """Return a mask of erased pixels: bool (n, 1, pixels, pixels), one square per image."""
    import torch

    n, pixels = len(batch), batch.shape[-1]
    side = round(fraction * pixels)
    first = torch.randint(0, pixels - side + 1, (n, 2, 1), generator=generator, device=batch.device)
    along = torch.arange(pixels, device=batch.device)
    inside = (along >= first) & (along < first + side)
    return (inside[:, 0, :, None] & inside[:, 1, None, :])[:, None]


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Return uniform random numbers from -1 to 1."""
    import torch

    return 2 * torch.rand(shape, generator=generator, device=generator.device) - 1
