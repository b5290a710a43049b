"""Training images with their positives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SEED_STEP = 10_000
"""Difference between the first seeds of the simulated data for one training seed and the next."""


@dataclass(frozen=True, eq=False)
class PairedImages:
    """Images, and which of them show the same thing, without labels.

    Attributes
    ----------
    images : numpy.ndarray, shape (n, channels, pixels, pixels)
        NaN where nothing was measured; float16 for large sets.
    positives : numpy.ndarray, shape (n, k)
        Rows that show the same thing, -1 for none: see `encoder.positives`.
    groups : numpy.ndarray, shape (n,)
        Event, pass or night; some are held out to judge epochs.
    data : list of str
        Names of the data, for the card.
    """

    images: np.ndarray
    positives: np.ndarray
    groups: np.ndarray
    data: list[str]

    def select(self, kept: np.ndarray) -> PairedImages:
        """Return the images of `kept` (n,) bool; positives that were removed become -1."""
        row = np.append(np.where(kept, np.cumsum(kept) - 1, -1), -1)  # the last is for -1
        return PairedImages(self.images[kept], row[self.positives[kept]], self.groups[kept], self.data)


def concatenate(*parts: PairedImages) -> PairedImages:
    """Concatenate sets of images; their groups, which need different names, become text."""
    firsts = np.cumsum([0, *(len(part.images) for part in parts[:-1])])
    width = max(part.positives.shape[1] for part in parts)
    positives = np.full((sum(len(part.images) for part in parts), width), -1)
    for part, first in zip(parts, firsts, strict=True):
        rows, columns = np.nonzero(part.positives >= 0)
        positives[first + rows, columns] = first + part.positives[rows, columns]
    return PairedImages(
        np.concatenate([part.images for part in parts]),
        positives,
        np.concatenate([part.groups.astype(str) for part in parts]),
        [name for part in parts for name in part.data],
    )
