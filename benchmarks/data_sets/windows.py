"""Real windows of reduced electron distributions and of ion spectrograms."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.data_sets.tasks import (
    DataSet,
    DataUnavailable,
    Task,
    data_file,
    negate,
    next_rows,
    not_self,
    same_value,
    within,
)
from pyspedas_similarity.imaging.recipes import Recipe, WindowRecipe
from pyspedas_similarity.imaging.windows import window_images
from pyspedas_similarity.instruments.file_checks import read_npz
from pyspedas_similarity.search.reference import EVENT

REDUCED_FILE = "mms/mms_des_reduced_events_01_10.npz"
REGIONS_FILE = "spectra/mms_region_windows_training.h5"

LENGTH, STRIDE, CADENCE_S = 64, 16, 0.03
"""Windows of reduced distributions, in samples; one is 1.92 s long."""

REDUCED_RECIPE = WindowRecipe(
    length_s=LENGTH * CADENCE_S, stride_s=STRIDE * CADENCE_S, axis_range=(-70000.0, 70000.0), axis_scale="linear"
)

COPIES = {"ev10_mms4"}
"""Keys of the file with the data of another key: this one is a copy of ev09_mms4."""

SAME_CROSSING_S = 10.0
"""Events closer in time are one group: 6 to 8 overlap; 3 to 5, and 8 and 9, are seconds apart."""

REGION_BINS, REGION_SAMPLES, REGION_CADENCE_S = 32, 40, 4.5
# The file has no energies. Images depend only on their equal spacing on a logarithmic scale.
REGION_ENERGY_EV = np.geomspace(10.0, 30000.0, REGION_BINS)
REGION_RECIPE = WindowRecipe(length_s=REGION_SAMPLES * REGION_CADENCE_S, stride_s=REGION_SAMPLES * REGION_CADENCE_S)

LARGEST_STEP = 3.0
"""Earth radii; windows with a smaller step in position belong to one pass."""

FEWEST_TOGETHER = 5
"""Smaller numbers of windows of a region in a pass are excluded: the file ends with a single one of each region."""


REGIONS = ("solar wind", "foreshock", "magnetosheath", "magnetosphere", "plasma sheet", "lobe")
"""Names of the labels 0 to 5 of the file."""


@dataclass(frozen=True)
class RegionWindows:
    """Ion spectrograms: ``flux`` (n, 40, 32), indices into `REGIONS` and numbers of passes, both (n,)."""

    flux: np.ndarray
    label: np.ndarray
    pass_number: np.ndarray

    def images(self, recipe: Recipe) -> np.ndarray:
        """Return images of all windows."""
        steps = np.timedelta64(round(REGION_CADENCE_S * 1e9), "ns") * np.arange(self.flux.shape[1])
        return window_images(self.flux, np.datetime64("2000-01-01", "ns") + steps, REGION_ENERGY_EV, recipe)


@dataclass(frozen=True)
class ReducedWindows:
    """Windows of f(t, v): ``values`` (n, 64, 141), ``times`` (n, 64) datetime64[ns], ``velocity_km_s`` (141,).

    ``spacecraft``, ``event`` and ``group`` (n,): numbers; a group is a set of events that overlap or are close in time.
    """

    values: np.ndarray
    times: np.ndarray
    velocity_km_s: np.ndarray
    spacecraft: np.ndarray
    event: np.ndarray
    group: np.ndarray

    @property
    def middle(self) -> np.ndarray:
        """Middle time of each window, (n,)."""
        return self.times[:, 0] + (self.times[:, -1] - self.times[:, 0]) // 2


def make_reduced(data: Path) -> DataSet:
    """Return windows of ten tail events on four spacecraft, or raise DataUnavailable."""
    path = data_file(data, REDUCED_FILE)
    windows = cut_windows(read_npz(path))

    def draw(recipe: Recipe) -> np.ndarray:
        return window_images(windows.values, windows.times, windows.velocity_km_s, recipe)

    return DataSet(
        "reduced",
        "MMS reduced electron distributions f(t, v_par), ten tail events of July 2017",
        simulated=False,
        recipe=REDUCED_RECIPE,
        draw=draw,
        group=windows.group,
        tasks=reduced_tasks(windows),
        following=next_rows(10 * windows.event + windows.spacecraft),
    )


def cut_windows(file: dict[str, np.ndarray]) -> ReducedWindows:
    """Cut the series ``evNN_mmsM_orig_f``, ``..._tt2000`` and ``evNN_mmsM_v_kms`` of all events and spacecraft."""
    keys = sorted({key[: len("evNN_mmsM")] for key in file} - COPIES)
    values, times, spacecraft, event = [], [], [], []
    for key in keys:
        density = file[f"{key}_orig_f"]
        # Only differences matter, so leap seconds in these times do not.
        when = np.datetime64("2000-01-01T12", "ns") + file[f"{key}_orig_tt2000"].astype("timedelta64[ns]")
        starts = range(0, len(density) - LENGTH + 1, STRIDE)
        values += [density[start : start + LENGTH] for start in starts]
        times += [when[start : start + LENGTH] for start in starts]
        spacecraft += [int(key[-1])] * len(starts)
        event += [int(key[2:4])] * len(starts)
    return ReducedWindows(
        np.stack(values),
        np.stack(times),
        file[f"{keys[0]}_v_kms"],
        np.array(spacecraft),
        np.array(event),
        _crossings(np.stack(times)),
    )


def _crossings(times: np.ndarray) -> np.ndarray:
    """Return the number of the crossing of each window (n,), from `times` (n, length)."""
    order = np.argsort(times[:, 0], kind="stable")
    ends = np.maximum.accumulate(times[order, -1])
    breaks = times[order, 0][1:] - ends[:-1] > np.timedelta64(round(SAME_CROSSING_S * 1e9), "ns")
    group = np.empty(len(times), int)
    group[order] = np.append(0, breaks.cumsum())
    return group


def reduced_tasks(windows: ReducedWindows) -> tuple[Task, Task]:
    """Return the tasks to find other spacecraft at the same time, and in the same crossing."""
    half = np.timedelta64(round(LENGTH * CADENCE_S * 1e9 / 2), "ns")
    rules = {"allowed": negate(same_value(windows.spacecraft)), "leaky": not_self(len(windows.event))}
    rules |= {"list_groups": True, "looking_for": EVENT}
    all_rows = np.arange(len(windows.event))
    return (
        Task(
            "siblings",
            "a window finds those of the three other spacecraft within half a window in time; its own spacecraft "
            "left out",
            "clocks: the spacecraft were within tens of kilometers of each other and saw the same plasma",
            queries=all_rows,
            relevant=within(windows.middle, half),
            **rules,
        ),
        Task(
            "crossing",
            "a window finds those of the three other spacecraft of the same crossing",
            "clocks: events that overlap or follow each other within 10 s are one crossing",
            queries=all_rows,
            relevant=same_value(windows.group),
            **rules,
        ),
    )


def make_regions(data: Path) -> DataSet:
    """Return windows of ion spectrograms of six regions, or raise DataUnavailable."""
    windows = read_regions(data)
    return DataSet(
        "regions",
        "MMS ion spectrograms of 3 minutes, six regions (solar wind to lobe)",
        simulated=False,
        recipe=REGION_RECIPE,
        draw=windows.images,
        group=windows.pass_number,
        tasks=(region_task(windows.label, windows.pass_number),),
        following=next_rows(windows.pass_number),
    )


def read_regions(data: Path) -> RegionWindows:
    """Read the windows of six regions, without single windows of a region in a pass, or raise DataUnavailable."""
    path = data_file(data, REGIONS_FILE)
    try:
        h5py = importlib.import_module("h5py")  # not a dependency of the package
    except ImportError as error:
        raise DataUnavailable("its file is HDF5, and h5py is not installed (pip install h5py)") from error
    with h5py.File(path) as file:
        flux, label, place = (file[name][:] for name in ("flux", "labels", "parameters"))
    pass_number = passes(place[:, 0, 2], place[:, -1, 2])
    _, index, counts = np.unique(np.stack([pass_number, label]), axis=1, return_inverse=True, return_counts=True)
    kept = counts[index.ravel()] >= FEWEST_TOGETHER
    return RegionWindows(flux[kept], label[kept], pass_number[kept])


def passes(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Return the number of the pass of each window, from positions (n,) at its first and last sample in Earth radii.

    Windows are stored in order of time within a pass: the third parameter in the file continues from the end of one
    window to the start of the next. Where it jumps or is missing, another pass begins.
    """
    near = np.abs(first[1:] - last[:-1]) < LARGEST_STEP  # false for NaN
    return np.append(0, (~near).cumsum())


def region_task(label: np.ndarray, pass_number: np.ndarray) -> Task:
    """Return the task to find windows of the same region in other passes; both arrays (n,)."""
    return Task(
        "regions",
        "a window finds those of the same region; its own pass left out",
        "region labels of the file, inferred from fields, temperatures and positions by its authors",
        queries=np.arange(len(label)),
        relevant=same_value(label),
        allowed=negate(same_value(pass_number)),
        leaky=not_self(len(label)),
        across_groups=True,
        list_groups=True,
    )
