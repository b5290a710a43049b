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
    """How far a view may stray from its image.

    Place, scale and orientation carry meaning in these images, so the defaults are mild and nothing is mirrored.

    Parameters
    ----------
    gain : float
        Brightness is multiplied by 1 - gain to 1 + gain; below 1.
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

    def __post_init__(self) -> None:
        limits = {"gain": 1.0, "noise": math.inf, "shift": 1.0, "rotation_deg": 360.0, "erase": 1.0}
        for name, limit in limits.items():
            if not 0 <= getattr(self, name) < limit:
                raise ArgumentError(f"views.{name}", f"{getattr(self, name)}", f"Give 0 up to below {limit:g}.")
        if not 0 < self.crop_scale_min <= 1:
            raise ArgumentError("views.crop_scale_min", f"{self.crop_scale_min}", "Give above 0 up to 1.")

    def as_dict(self) -> dict[str, float | bool]:
        """The options by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def make_views(batch: torch.Tensor, options: ViewOptions, generator: torch.Generator) -> torch.Tensor:
    """One random view of each image.

    Parameters
    ----------
    batch : torch.Tensor
        (n, channels, pixels, pixels) float32, left as it is.
    options : ViewOptions
        How far the views may stray.
    generator : torch.Generator
        The only source of randomness.

    Returns
    -------
    torch.Tensor
        Of the shape of `batch`; 0 where a view looks beyond the image.
    """
    import torch
    from torch.nn.functional import affine_grid, grid_sample

    grid = affine_grid(_placements(len(batch), options, generator), list(batch.shape), align_corners=False)
    views = grid_sample(batch, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    views = views * (1 + options.gain * _either_way((len(batch), 1, 1, 1), generator))
    views = views + options.noise * torch.randn(views.shape, generator=generator)
    return torch.where(_erased(batch, options.erase, generator), 0.0, views)


def _placements(n: int, options: ViewOptions, generator: torch.Generator) -> torch.Tensor:
    """Affine maps (n, 2, 3) from a view's coordinates to its image's, both from -1 to 1."""
    import torch

    angle = math.radians(options.rotation_deg) * _either_way((n,), generator)
    side = options.crop_scale_min + (1 - options.crop_scale_min) * torch.rand(n, generator=generator)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).reshape(n, 2, 2)
    if options.flips:
        turn = turn * torch.randint(0, 2, (n, 1, 2), generator=generator).mul(2).sub(1)
    # A crop lies anywhere in the image (1 - side either way); a shift is twice its fraction on this scale.
    centre = (1 - side + 2 * options.shift)[:, None] * _either_way((n, 2), generator)
    return torch.cat([turn * side[:, None, None], centre[:, :, None]], dim=2)


def _erased(batch: torch.Tensor, fraction: float, generator: torch.Generator) -> torch.Tensor:
    """Where a view is erased: (n, 1, pixels, pixels) bool, one square an image."""
    import torch

    n, pixels = len(batch), batch.shape[-1]
    side = round(fraction * pixels)
    first = torch.randint(0, pixels - side + 1, (n, 2, 1), generator=generator)
    along = torch.arange(pixels)
    inside = (along >= first) & (along < first + side)
    return (inside[:, 0, :, None] & inside[:, 1, None, :])[:, None]


def _either_way(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Uniform between -1 and 1."""
    import torch

    return 2 * torch.rand(shape, generator=generator) - 1
