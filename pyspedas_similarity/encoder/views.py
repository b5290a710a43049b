"""Random views of images for self-supervised training: small changes that leave the meaning as it is."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from ..errors import ArgumentError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class ViewOptions:
    """Limits of the differences between a view and its image.

    Place, scale and orientation carry meaning in these images, so the defaults are mild and nothing is mirrored.
    `VIEWS` has what suits each kind of image.

    Parameters
    ----------
    gain : float
        Intensities are multiplied by 1 - gain to 1 + gain; below 1. On a logarithmic scale that is added.
    noise : float
        Standard deviation of added normal noise, in units of the image.
    shift : float
        Largest shift along each axis, as a fraction of the side; below 1.
    rotation_deg : float
        Largest rotation either way, degrees.
    crop_scale_min : float
        Smallest part of the side a view shows, above 0 up to 1.
    flips : bool
        Mirror along each axis in half of the views.
    erase : float
        Side of a square set to 0, as a fraction of the image's side; below 1.
    shift_rows : float, optional
        Largest shift up or down where it differs from `shift`. Up a logarithmic axis of energy it scales energies.
    zoom : float
        Distances from the center are multiplied by 1 - zoom to 1 + zoom; below 1. In a plane of velocities it scales
        speeds, that is energies by its square.
    counts : float
        Particles or photons behind a pixel of value 1, for noise by counting (Poisson); 0 for none.
    decades : float
        Decades of intensity from value 0 to value 1 where the scale is logarithmic; 0 where it is linear. Then a pixel
        of 0 is one without signal and stays 0.

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

    def as_dict(self) -> dict[str, float | bool | None]:
        """The options by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


VIEWS = {
    # Planes of velocity: the field's direction is known to some degrees, the bulk velocity and the energy scale to some
    # per cent. The recipe's floor is about two counts of the ion instrument, five decades below its ceiling.
    "distribution": ViewOptions(
        gain=0.3, noise=0, shift=0.03, crop_scale_min=1, zoom=0.05, counts=2e5, decades=5, erase=0.15
    ),
    # Frames of the whole sky, stretched by contrast to values of some units: there is no count to go back to.
    "frame": ViewOptions(noise=0.1),
    # Pitch angle by energy, both absolute: columns may shift as energies scale, rows hardly.
    "spectrum": ViewOptions(
        gain=0.3, noise=0.01, shift=0.03, shift_rows=0, rotation_deg=0, crop_scale_min=1, counts=1e4, decades=4
    ),
    # Energy by time: a window may begin earlier or later.
    "window": ViewOptions(
        gain=0.3, noise=0.01, shift=0.1, shift_rows=0.03, rotation_deg=0, crop_scale_min=1, counts=1e4, decades=4
    ),
}
"""What suits each kind of image, with the default recipes' scales."""


def make_views(batch: torch.Tensor, options: ViewOptions, generator: torch.Generator) -> torch.Tensor:
    """One random view of each image.

    Parameters
    ----------
    batch : torch.Tensor
        (n, channels, pixels, pixels) float32, left as it is.
    options : ViewOptions
        How far the views may stray.
    generator : torch.Generator
        The only source of randomness, on the device of `batch`.

    Returns
    -------
    torch.Tensor
        Of the shape of `batch`; 0 where a view looks beyond the image.
    """
    import torch
    from torch.nn.functional import affine_grid, grid_sample

    grid = affine_grid(_placements(len(batch), options, generator), list(batch.shape), align_corners=False)
    views = grid_sample(batch, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    factor = 1 + options.gain * _either_way((len(batch), 1, 1, 1), generator)
    if options.decades:
        views = torch.where(views > 0, views + factor.log10() / options.decades, views)
    else:
        views = views * factor
    if options.counts:
        views = _counted(views, options, generator)
    if options.noise:
        views = views + options.noise * torch.randn(views.shape, generator=generator, device=views.device)
    return torch.where(_erased(batch, options.erase, generator), 0.0, views)


def _counted(views: torch.Tensor, options: ViewOptions, generator: torch.Generator) -> torch.Tensor:
    """Noise by counting: each pixel above 0 as a count would give it, on the scale of the image."""
    import torch

    if options.decades:
        expected = options.counts * 10 ** (options.decades * (views - 1))
    else:
        expected = options.counts * views
    expected = expected.clamp(min=0)
    counted = torch.poisson(expected, generator)
    share = counted / options.counts
    if options.decades:
        share = (1 + share.log10() / options.decades).clamp(min=0)  # no count is below the floor
    return torch.where(views > 0, share, views)


def _placements(n: int, options: ViewOptions, generator: torch.Generator) -> torch.Tensor:
    """Affine maps (n, 2, 3) from a view's coordinates to its image's, both from -1 to 1."""
    import torch

    device = generator.device
    angle = math.radians(options.rotation_deg) * _either_way((n,), generator)
    side = options.crop_scale_min + (1 - options.crop_scale_min) * torch.rand(n, generator=generator, device=device)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).reshape(n, 2, 2)
    if options.flips:
        turn = turn * torch.randint(0, 2, (n, 1, 2), generator=generator, device=device).mul(2).sub(1)
    # A crop lies anywhere in the image (1 - side either way); a shift is twice its fraction on this scale.
    rows = options.shift if options.shift_rows is None else options.shift_rows
    room = (1 - side)[:, None] + 2 * torch.tensor([options.shift, rows], device=device)
    center = room * _either_way((n, 2), generator)
    # What was at distance r is shown at r times the zoom.
    side = side / (1 + options.zoom * _either_way((n,), generator))
    return torch.cat([turn * side[:, None, None], center[:, :, None]], dim=2)


def _erased(batch: torch.Tensor, fraction: float, generator: torch.Generator) -> torch.Tensor:
    """Return where views are erased: bool (n, 1, pixels, pixels), one square per image."""
    import torch

    n, pixels = len(batch), batch.shape[-1]
    side = round(fraction * pixels)
    first = torch.randint(0, pixels - side + 1, (n, 2, 1), generator=generator, device=batch.device)
    along = torch.arange(pixels, device=batch.device)
    inside = (along >= first) & (along < first + side)
    return (inside[:, 0, :, None] & inside[:, 1, None, :])[:, None]


def _either_way(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Uniform between -1 and 1."""
    import torch

    return 2 * torch.rand(shape, generator=generator, device=generator.device) - 1
