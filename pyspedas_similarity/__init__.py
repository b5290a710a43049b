"""Show me all the others like it: similar intervals in space physics data, inside pyspedas.

After ``import pyspedas_similarity``, the verbs here are also those of ``pyspedas.similarity``.
"""

from __future__ import annotations

import sys
from types import ModuleType

import wrapt

from . import instruments
from .errors import SimilarityError
from .functions.archive_map import plot_archive_map
from .functions.archives import add, open_archive
from .functions.cameras import ewogram, frame_quality, keogram, load_asi, load_images, read_oath
from .functions.classification import classify, fine_tune
from .functions.conversion import to_tplot, to_xarray
from .functions.encoders import adapt, encode, import_encoder, load_encoder, save_encoder, train
from .functions.neighbors import clusters, duplicates, find_nearest, novelty
from .functions.results import (
    Review,
    intervals,
    plot_keogram,
    plot_matches,
    plot_score,
    report,
    result,
    resume_review,
    review,
    superposed_epochs,
    what_drove,
)
from .functions.search import find_similar, search
from .functions.slices import VelocitySlices, velocity_slices
from .imaging import recipes
from .results.conjunctions import conjunctions
from .results.exports import export, time_list, time_ranges, to_timeseries
from .results.joins import join_events, read_events
from .results.search_result import SearchResult

__all__ = [  # noqa: RUF022  in the order of use
    # search
    "find_similar",
    "search",
    "result",
    "SearchResult",
    "intervals",
    # figures and pages
    "plot_matches",
    "plot_score",
    "plot_keogram",
    "superposed_epochs",
    "what_drove",
    "report",
    "review",
    "resume_review",
    "Review",
    # known events, other programs
    "join_events",
    "read_events",
    "conjunctions",
    "export",
    "time_list",
    "time_ranges",
    "to_timeseries",
    "to_tplot",
    "to_xarray",
    # velocity distributions
    "velocity_slices",
    "VelocitySlices",
    # archives
    "open_archive",
    "add",
    "find_nearest",
    "novelty",
    "clusters",
    "duplicates",
    "plot_archive_map",
    # encoders and labels
    "encode",
    "classify",
    "adapt",
    "train",
    "fine_tune",
    "save_encoder",
    "load_encoder",
    "import_encoder",
    # cameras
    "load_asi",
    "load_images",
    "read_oath",
    "frame_quality",
    "keogram",
    "ewogram",
    # what images are made of
    "recipes",
    "instruments",
    "SimilarityError",
]


def _register(pyspedas: ModuleType) -> None:
    """Become ``pyspedas.similarity``, unless something else already is."""
    if not hasattr(pyspedas, "similarity"):
        pyspedas.similarity = sys.modules[__name__]


# Runs now if pyspedas is imported, else when it is.
wrapt.register_post_import_hook(_register, "pyspedas")
