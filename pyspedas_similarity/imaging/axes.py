"""Axes of the plasma: where B and V point, at the time of each sample.

 perp2 = b x perp1
   |                 par    along the magnetic field
   |                 perp1  along the part of the bulk velocity across the field
   +------ perp1     perp2  along B x V
  /
par (toward you)    These are the axes of pyspedas's slice rotations: 'bv' shows par to the right and perp1
                     upward, 'be' par and perp2, 'perp' perp1 and perp2.
"""

from __future__ import annotations

import numpy as np

# A bulk velocity within a thousandth of the field's direction does not define perp1.
_LEAST_ACROSS = 1e-3


def plasma_axes(field: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    """Unit vectors par, perp1, perp2 of each sample.

    Parameters
    ----------
    field, velocity : numpy.ndarray, shape (n, 3)
        In one system of axes.

    Returns
    -------
    numpy.ndarray, shape (n, 3, 3)
        ``axes[i, 0]`` is par. NaN where the field is zero or either is not known. Where the velocity is along the
        field, perp1 is the direction across the field nearest to the x axis (or to y, where the field is along x).
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        par = field / np.linalg.norm(field, axis=1, keepdims=True)
        across = velocity - (velocity * par).sum(axis=1, keepdims=True) * par
        size = np.linalg.norm(across, axis=1)
        unclear = size <= _LEAST_ACROSS * np.linalg.norm(velocity, axis=1)
        along_x = np.abs(par[:, 0]) > 0.9
        other = np.where(along_x[:, None], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0])
        other = other - (other * par).sum(axis=1, keepdims=True) * par
        across = np.where(unclear[:, None], other, across)
        perp1 = across / np.linalg.norm(across, axis=1, keepdims=True)
    axes = np.stack([par, perp1, np.cross(par, perp1)], axis=1)
    known = np.isfinite(field).all(axis=1) & np.isfinite(velocity).all(axis=1) & np.isfinite(axes).all(axis=(1, 2))
    return np.where(known[:, None, None], axes, np.nan)


def at_times(values: np.ndarray, times: np.ndarray, wanted: np.ndarray, gap: np.timedelta64) -> np.ndarray:
    """Vectors interpolated linearly to other times; NaN inside gaps and beyond the ends, never an invention.

    Parameters
    ----------
    values : numpy.ndarray, shape (m, k)
        Rows that are not finite are passed over, and so widen the gap.
    times : numpy.ndarray of datetime64[ns], shape (m,), ascending
    wanted : numpy.ndarray of datetime64[ns], shape (n,)
    gap : numpy.timedelta64
        Widest distance between two neighboring rows that is bridged; at the ends, half of it is allowed for.

    Returns
    -------
    numpy.ndarray, shape (n, k)
    """
    known = np.isfinite(values).all(axis=1)
    values, times = values[known].astype(np.float64), times[known]
    if len(times) == 0:
        return np.full((len(wanted), values.shape[1]), np.nan)
    origin = times[0]
    here, there = ((t - origin).astype(np.int64).astype(np.float64) for t in (wanted, times))
    result = np.stack([np.interp(here, there, column) for column in values.T], axis=1)
    after = np.clip(np.searchsorted(times, wanted), 1, max(len(times) - 1, 1))
    width = np.diff(times, append=times[-1:])[after - 1] if len(times) > 1 else np.zeros(len(wanted), "timedelta64[ns]")
    outside = (wanted < times[0] - gap // 2) | (wanted > times[-1] + gap // 2)
    on_a_row = np.isin(wanted, times)
    return np.where((outside | ((width > gap) & ~on_a_row))[:, None], np.nan, result)
