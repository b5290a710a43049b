"""Images of a training run: usable ones, held-out groups, and partners (row numbers of images of the same event).

Several kinds of partners, (n, k) each, are combined by ``numpy.hstack``.

Images are not copied; they stay in memory or in a memory-mapped file and are read in batches.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from ..errors import ArgumentError
from .runtime import check_shape, fill, is_usable

MIN_IMAGES = 16
MAX_JUDGED = 1024
"""Maximum number of images for the evaluation of an epoch, for a standard error of the precision of about 0.01."""
_BLOCK = 1024


@dataclass(frozen=True, eq=False)
class TrainingImages:
    """Images with rows of the training set and of the held-out groups; partners are on the same side of the split."""

    images: np.ndarray
    training: np.ndarray
    held_out: np.ndarray
    partners: np.ndarray
    seed: int

    def batch(self, rows: np.ndarray) -> np.ndarray:
        """Return the images of `rows`, filled with 0: (len(rows), channels, pixels, pixels) float32."""
        return fill(np.asarray(self.images[rows], np.float32))[0]

    def sample_partners(self, rows: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
        """Return for each of `rows` a random partner with probability `share`, else the row itself."""
        if not self.partners.shape[1]:
            return rows
        choices = self.partners[rows]
        # The argmax of random numbers selects each partner with equal probability.
        ticket = np.where(choices >= 0, rng.random(choices.shape), -1.0)
        chosen = np.take_along_axis(choices, ticket.argmax(axis=1)[:, None], axis=1)[:, 0]
        takes = (rng.random(len(rows)) < share) & (chosen >= 0)
        return np.where(takes, chosen, rows)

    def batch_norm_rows(self) -> np.ndarray:
        """Return a random sample of the training set for batch normalization statistics."""
        return np.random.default_rng([self.seed, 1]).permutation(self.training)[:MAX_JUDGED]

    def evaluation_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Return rows to evaluate an epoch, at most about `MAX_JUDGED`, and their partners as positions in them."""
        pool = self.held_out if len(self.held_out) else self.training
        most = MAX_JUDGED // (1 + self.partners.shape[1])
        rows = pool if len(pool) <= MAX_JUDGED else np.random.default_rng([self.seed, 2]).permutation(pool)[:most]
        theirs = self.partners[rows]
        rows = np.union1d(rows, theirs[theirs >= 0])
        position = np.full(len(self.images) + 1, -1)  # the last element is for -1
        position[rows] = np.arange(len(rows))
        return rows, position[self.partners[rows]]

    def hash(self) -> str:
        """Return a hash of images, split and partners: 16 hexadecimal digits."""
        digest = hashlib.sha256(str(self.images.shape).encode())
        for first in range(0, len(self.images), _BLOCK):
            digest.update(np.ascontiguousarray(self.images[first : first + _BLOCK], np.float32))
        for rows in (self.training, self.held_out, self.partners):
            digest.update(np.ascontiguousarray(rows, np.int64))
        return digest.hexdigest()[:16]


def make_training_images(
    images: np.ndarray,
    positives: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    held_out: float = 0.2,
    seed: int = 0,
) -> TrainingImages:
    """Check images, positives and groups (see `train_network`), and split the images.

    Whole groups are held out, since a random split of nearly equal neighbors in time would leak: at most the fraction
    `held_out` of the images, or the smallest group if every group is larger; none without positives, which the
    evaluation needs.
    """
    check_shape(images)
    images = np.asanyarray(images)
    usable = _usable(images)
    if usable.sum() < MIN_IMAGES:
        found = f"{usable.sum()} of {len(images)} can be used"
        raise ArgumentError("images", found, f"Give {MIN_IMAGES} or more, or use a fixed encoder.")
    partners = _partners(positives, usable)
    held = np.zeros(len(images), bool)
    if groups is not None and positives is not None and held_out > 0:
        held = _held_out(np.asarray(groups), usable, held_out, seed)
    partners[(partners >= 0) & (held[partners] != held[:, None])] = -1  # no pairs across the split
    if held.any() and not (partners[held] >= 0).any():
        held[:] = False  # no partners for the evaluation
        partners = _partners(positives, usable)
    training = np.flatnonzero(usable & ~held)
    if len(training) < MIN_IMAGES:
        found = f"{len(training)} images are left for training, {held.sum()} are held out"
        raise ArgumentError("groups", found, "Give more groups, or held_out=0.")
    return TrainingImages(images, training, np.flatnonzero(held), partners, seed)


def _usable(images: np.ndarray) -> np.ndarray:
    """Return a mask of usable images, bool (n,), computed in blocks."""
    usable = np.zeros(len(images), bool)
    first_used, differ = None, False
    for first in range(0, len(images), _BLOCK):
        block = np.asarray(images[first : first + _BLOCK], np.float32)
        usable[first : first + _BLOCK] = good = is_usable(block)
        if good.any() and not differ:
            filled = fill(block[good])[0]
            first_used = filled[0] if first_used is None else first_used
            differ = bool((filled != first_used).any())
    if usable.sum() >= MIN_IMAGES and not differ:
        raise ArgumentError("images", f"all {usable.sum()} usable ones are equal", "Give images that differ.")
    return usable


def _partners(positives: np.ndarray | None, usable: np.ndarray) -> np.ndarray:
    """Return partners (n, k) with -1 for unusable images and for the image itself."""
    n = len(usable)
    if positives is None:
        return np.empty((n, 0), np.int64)
    positives = np.asarray(positives)
    if positives.dtype.kind not in "iu" or positives.ndim not in (1, 2) or len(positives) != n:
        found = f"{positives.dtype} of shape {positives.shape} for {n} images"
        raise ArgumentError("positives", found, "Give integers, (n,) or (n, k).")
    partners = positives.reshape(n, -1).astype(np.int64)
    if partners.size and not (partners.min() >= -1 and partners.max() < n):
        raise ArgumentError("positives", f"{partners.min()} to {partners.max()}", f"Give rows of 0 to {n - 1}, or -1.")
    good = (partners >= 0) & usable[partners] & usable[:, None] & (partners != np.arange(n)[:, None])
    return np.where(good, partners, -1)


def _held_out(groups: np.ndarray, usable: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Choose groups with at most `share` of the usable images: mask (n,) bool; all False for a single group."""
    if groups.shape != usable.shape:
        raise ArgumentError("groups", f"shape {groups.shape} for {len(usable)} images", "Give one label per image.")
    names, label = np.unique(groups[usable], return_inverse=True)
    sizes = np.bincount(label, minlength=len(names))
    taken: list[int] = []
    for each in np.random.default_rng([seed, 0]).permutation(len(names)):
        if sizes[taken].sum() + sizes[each] <= share * len(label):
            taken.append(int(each))
    if not taken and len(names) > 1:
        taken = [int(sizes.argmin())]
    held = np.zeros(len(usable), bool)
    held[usable] = np.isin(label, taken)
    return held


def next_in_time(times: np.ndarray, group: np.ndarray, lag: np.timedelta64) -> np.ndarray:
    """Return the row of the next sample in time of the same group within `lag`: (n, 1) int64, -1 for none."""
    ticks = _ticks(times)
    _, label = np.unique(_labels("group", group, ticks), return_inverse=True)
    longest = _duration("lag", lag)
    if not longest:
        raise ArgumentError("lag", f"{lag}", "Give a duration above 0.")
    partners = np.full((len(ticks), 1), -1)
    for each in range(label.max(initial=-1) + 1):
        rows = np.flatnonzero(label == each)
        rows = rows[np.argsort(ticks[rows], kind="stable")]
        found = np.searchsorted(ticks[rows], ticks[rows], side="right")
        following = rows[np.minimum(found, len(rows) - 1)]
        near = (found < len(rows)) & (ticks[following] - ticks[rows] <= longest)
        partners[rows[near], 0] = following[near]
    return partners


def same_time(times: np.ndarray, source: np.ndarray, tolerance: np.timedelta64) -> np.ndarray:
    """Return the nearest samples of other sources within `tolerance`, such as sibling spacecraft.

    (n, number of sources) int64: column j is the partner with the j-th label in sorted order; -1 for none, and in the
    column of the sample's own label.
    """
    ticks = _ticks(times)
    names, label = np.unique(_labels("source", source, ticks), return_inverse=True)
    limit = _duration("tolerance", tolerance)
    partners = np.full((len(ticks), len(names)), -1)
    for column in range(len(names)):
        there, rows = np.flatnonzero(label == column), np.flatnonzero(label != column)
        there = there[np.argsort(ticks[there], kind="stable")]
        after = np.clip(np.searchsorted(ticks[there], ticks[rows]), 1, max(len(there) - 1, 1))
        before = there[after - 1]
        after = there[np.minimum(after, len(there) - 1)]
        nearer = np.abs(ticks[after] - ticks[rows]) < np.abs(ticks[before] - ticks[rows])
        nearest = np.where(nearer, after, before)
        within = np.abs(ticks[nearest] - ticks[rows]) <= limit
        partners[rows[within], column] = nearest[within]
    return partners


def _ticks(times: np.ndarray) -> np.ndarray:
    """Return times as integer nanoseconds."""
    times = np.asarray(times)
    if times.ndim != 1 or times.dtype.kind != "M" or np.isnat(times).any():
        raise ArgumentError("times", f"{times.dtype} of shape {times.shape}", "Give (n,) datetime64, none missing.")
    return times.astype("datetime64[ns]").astype(np.int64)


def _labels(name: str, labels: np.ndarray, ticks: np.ndarray) -> np.ndarray:
    if np.shape(labels) != ticks.shape:
        raise ArgumentError(
            name, f"shape {np.shape(labels)}, but times have {ticks.shape}", "Give one label per sample."
        )
    return np.asarray(labels)


def _duration(name: str, duration: np.timedelta64) -> int:
    if not isinstance(duration, np.timedelta64) or np.isnat(duration) or duration < np.timedelta64(0, "ns"):
        raise ArgumentError(name, f"{duration!r}", "Give a numpy.timedelta64 of 0 or more.")
    return int(duration.astype("timedelta64[ns]").astype(np.int64))
