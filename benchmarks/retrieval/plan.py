"""Settings of a benchmark run, and the data sets by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.data_sets.edr import make_edr
from benchmarks.data_sets.foreign import DRAWS, default_folder, make_foreign
from benchmarks.data_sets.sky import make_arcs, make_movie, make_nights, make_projected
from benchmarks.data_sets.tasks import DataSet, DataUnavailable
from benchmarks.data_sets.windows import make_reduced, make_regions
from benchmarks.retrieval.encoders import is_encoder, label_of
from pyspedas_similarity.encoder.fitted import NAMED
from pyspedas_similarity.encoder.weights import PREFIX, packaged_networks
from pyspedas_similarity.errors import ArgumentError

DATASETS = ("foreign", "movie", "arcs", "reduced", "regions", "edr", "nights", "projected")
"""Data by other authors, simulated and real, before those of the simulator of this package."""
SLOW = ("random", "random_compact")
"""Named encoders that a quick run omits."""

QUICK = {
    "edr": {"events": 6, "duration_s": 6.0},
    "foreign": {"draws": (0,), "events": 6, "samples": 60},
    "nights": {"nights": 4, "duration_s": 420.0, "cadence_s": 6.0},
}


@dataclass(frozen=True)
class Plan:
    """Settings of a benchmark run.

    `encoders` are names of `NAMED`, empty for all, and folders: a folder is a saved encoder, or contains saved encoders
    of several seeds, or contains such folders with the names of data sets or kinds of image that each is for. `seeds`
    is the number for encoders that are fitted or random. `foreign` is the folder of the simulator by other authors, by
    default the folder ``foreign`` next to `data`, if it exists, and `draws` are its seeds. `most` is the largest number
    of queries of a task, evenly spaced; None for all.
    """

    quick: bool = False
    data: Path | None = None
    only: tuple[str, ...] = ()
    encoders: tuple[str, ...] = ()
    seeds: int = 3
    foreign: Path | None = None
    draws: tuple[int, ...] = DRAWS
    most: int | None = None

    def __post_init__(self) -> None:
        for name in self.only:
            if name not in DATASETS:
                raise ArgumentError("--only", f"found {name!r}", f"Use {', '.join(DATASETS)}.")
        for name in self.encoders:
            if not is_encoder(name):
                remedy = f"Use {', '.join(NAMED)}, or folders of saved encoders."
                raise ArgumentError("--encoders", f"found {name!r}, which is neither a name nor a folder", remedy)
        if len(set(map(label_of, self.encoders))) < len(self.encoders):
            raise ArgumentError("--encoders", "two of them have one name", "Give folders of different names.")
        for option, folder in (("--data", self.data), ("--foreign", self.foreign)):
            if folder is not None and not folder.is_dir():
                raise ArgumentError(f"{option} {folder}", "there is no such folder", "Give an existing folder.")
        if self.most is not None and self.most < 1:
            raise ArgumentError("--most", f"found {self.most}", "Give 1 or more.")
        if self.seeds < 1:
            raise ArgumentError("--seeds", f"found {self.seeds}", "Give 1 or more.")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the encoders to run."""
        if self.encoders:
            return self.encoders
        packaged = (PREFIX + name for name in packaged_networks().values())
        return (*packaged, *(name for name in NAMED if not (self.quick and name in SLOW)))


def make_data_sets(name: str, plan: Plan) -> Iterable[DataSet]:
    """Return the data sets of one name of `DATASETS`; raise DataUnavailable if there are none."""
    if name == "edr":
        return [make_edr(**QUICK[name] if plan.quick else {})]
    if name == "foreign":
        settings = QUICK[name] if plan.quick else {"draws": plan.draws}
        return make_foreign(plan.foreign or default_folder(plan.data), **settings)
    if name in ("nights", "projected"):
        make = make_nights if name == "nights" else make_projected
        return make(**QUICK["nights"] if plan.quick else {})
    if plan.data is None:
        raise DataUnavailable("it is real data: give its folder with --data")
    if name == "arcs":
        return make_arcs(plan.data)
    return [{"reduced": make_reduced, "regions": make_regions, "movie": make_movie}[name](plan.data)]
