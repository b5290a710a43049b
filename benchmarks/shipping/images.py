"""What a shipped encoder is trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SEED_STEP = 10_000
"""From the simulated data of one seed of training to those of the next."""


@dataclass(frozen=True, eq=False)
class TrainingImages:
    """Images and how they belong together, without labels.

    Attributes
    ----------
    images : numpy.ndarray, shape (n, channels, pixels, pixels)
        NaN where nothing was measured; float16 where there are many.
    positives : numpy.ndarray, shape (n, k)
        Rows that saw the same thing, -1 for none: see `encoder.positives`.
    groups : numpy.ndarray, shape (n,)
        Event, pass or night: some are held out to judge epochs by.
    data : list of str
        Names of the data, for the card.
    """

    images: np.ndarray
    positives: np.ndarray
    groups: np.ndarray
    data: list[str]

    def where(self, kept: np.ndarray) -> TrainingImages:
        """The images of `kept` (n,) bool; who has lost a partner has none in its place."""
        place = np.append(np.where(kept, np.cumsum(kept) - 1, -1), -1)  # the last is for -1
        return TrainingImages(self.images[kept], place[self.positives[kept]], self.groups[kept], self.data)


def joined(*parts: TrainingImages) -> TrainingImages:
    """Libraries one after another; groups, which have to be named apart, become text."""
    firsts = np.cumsum([0, *(len(part.images) for part in parts[:-1])])
    width = max(part.positives.shape[1] for part in parts)
    positives = np.full((sum(len(part.images) for part in parts), width), -1)
    for part, first in zip(parts, firsts, strict=True):
        rows, columns = np.nonzero(part.positives >= 0)
        positives[first + rows, columns] = first + part.positives[rows, columns]
    return TrainingImages(
        np.concatenate([part.images for part in parts]),
        positives,
        np.concatenate([part.groups.astype(str) for part in parts]),
        [name for part in parts for name in part.data],
    )
