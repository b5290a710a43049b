"""The slices of pyspedas beside our images: one sample, one plane, one grid.

The geometric method of ``slice2d`` colors the grid by the bin that each point lies in, which is what a recipe without
layers and blur does. Its grid goes from edge to edge of what the energies reach, ours from middle to middle of pixels.
"""

from __future__ import annotations

import numpy as np

from pyspedas_similarity.imaging.distributions import distribution_images
from pyspedas_similarity.imaging.plasma import distributions, speed_of
from pyspedas_similarity.imaging.recipes import DistributionRecipe
from pyspedas_similarity.tplot import read

PIXELS = 64
# pyspedas's rotation and our plane: both have the first named axis to the right and the second upward.
PLANES = {
    "xy": "xy",
    "xz": "xz",
    "yz": "yz",
    "bv": "par-perp1",
    "be": "par-perp2",
    "perp": "perp1-perp2",
}


def theirs(name, index, rotation, field, velocity, **keywords):
    """What ``slice2d`` makes of one sample; its ``data`` is (column, row)."""
    from pyspedas.particles.spd_slice2d.slice2d import slice2d
    from pyspedas.projects.mms.fpi_tools.mms_get_fpi_dist import mms_get_fpi_dist

    variable = read(name)
    species = "e" if "_des_" in name else "i"
    distribution = mms_get_fpi_dist(name, index=index, probe="1", data_rate="brst", species=species)
    options = {"samples": 1, "resolution": PIXELS, "interpolation": "geometric"} | keywords
    time = str(variable.times[index])
    return slice2d(distribution, time=time, rotation=rotation, mag_data=field, vel_data=velocity, **options)


def ours(name, index, rotation, field, velocity, half_width, **choices):
    """Phase space density in our plane, (row, column), on a grid whose outer points are at `half_width`."""
    variable = read(name)
    sample = variable.values[index : index + 1]
    return ours_of(variable, sample, index, rotation, field, velocity, half_width, **choices)


def ours_of(variable, sample, index, rotation, field, velocity, half_width, **choices):
    """The same of other values (1, azimuth, polar, energy) with the tables of a variable."""
    species = "electron" if "_des_" in variable.name else "ion"
    tables = (variable.coordinates[key] for key in ("v1", "v2", "v3"))
    tables = [table if table.ndim == 1 else table[index : index + 1] for table in tables]
    measured = distributions(sample, *tables, species, field=field[None], velocity=velocity[None])
    limits = {"floor": 1e-40, "ceiling": 1e-10} | choices
    speed_max = float(half_width * PIXELS / (PIXELS - 1))
    recipe = DistributionRecipe(species, (PLANES[rotation],), PIXELS, speed_max=speed_max, depth=0, blur=0.0, **limits)
    image = distribution_images(measured, recipe)[0, 0].astype(np.float64)
    return np.where(image > 0, recipe.floor * (recipe.ceiling / recipe.floor) ** image, image)


def pair(name, index, rotation, field, velocity, **keywords):
    """Both planes (row, column), s^3 cm^-6, and the places of their columns and rows, km/s."""
    reference = theirs(name, index, rotation, field, velocity, **keywords)
    axis = reference["xgrid"]
    return reference["data"].T, ours(name, index, rotation, field, velocity, axis.max()), axis


def between_the_edges(energy_ev, species, axis):
    """Points (row, column) whose speed lies between the two edges that pyspedas and we put between two energies.

    Ours is in the middle on the logarithmic scale, on which FPI's steps are even, and pyspedas's in that of the
    energies themselves, so that its bins lie up to a tenth of a step further out. It takes the speed as relativistic.
    """
    rest_ev = {"electron": 510998.95, "ion": 938272088.2}[species]
    linear = (energy_ev[1:] + energy_ev[:-1]) / 2
    theirs = 299792.458 * np.sqrt(1 - 1 / (linear / rest_ev + 1) ** 2)
    ours = speed_of(np.sqrt(energy_ev[1:] * energy_ev[:-1]), species)
    speed = np.hypot(axis[:, None], axis)[..., None]
    return ((speed >= theirs * (1 - 1e-3)).sum(-1) != (speed >= ours * (1 - 1e-3)).sum(-1)) | (
        (speed >= theirs * (1 + 1e-3)).sum(-1) != (speed >= ours * (1 + 1e-3)).sum(-1)
    )
