"""Show me all the others like it: similar intervals in space physics data, inside pyspedas.

After ``import pyspedas_similarity``, the verbs here are also those of ``pyspedas.similarity``.
"""

from __future__ import annotations

import sys
from types import ModuleType

import wrapt

from .errors import SimilarityError
from .functions.archives import add, open_archive
from .functions.cameras import ewogram, frame_quality, keogram, load_asi
from .functions.classification import classify, fine_tune
from .functions.conversion import to_tplot, to_xarray
from .functions.neighbors import clusters, duplicates, find_nearest, novelty
from .functions.search import encode, find_similar, intervals, load_encoder, save_encoder, train
from .results.conjunctions import conjunctions
from .results.exports import export, time_list, time_ranges, to_timeseries
from .results.figures import plot_archive_map, plot_keogram, plot_matches, plot_score, superposed_epochs, what_drove
from .results.joins import join_events, read_events
from .results.report import report
from .results.review import Review, resume_review, review

__all__ = [
    "Review",
    "SimilarityError",
    "add",
    "classify",
    "clusters",
    "conjunctions",
    "duplicates",
    "encode",
    "ewogram",
    "export",
    "find_nearest",
    "find_similar",
    "fine_tune",
    "frame_quality",
    "intervals",
    "join_events",
    "keogram",
    "load_asi",
    "load_encoder",
    "novelty",
    "open_archive",
    "plot_archive_map",
    "plot_keogram",
    "plot_matches",
    "plot_score",
    "read_events",
    "report",
    "resume_review",
    "review",
    "save_encoder",
    "superposed_epochs",
    "time_list",
    "time_ranges",
    "to_timeseries",
    "to_tplot",
    "to_xarray",
    "train",
    "what_drove",
]


def _register(pyspedas: ModuleType) -> None:
    """Become ``pyspedas.similarity``, unless something else already is."""
    if not hasattr(pyspedas, "similarity"):
        pyspedas.similarity = sys.modules[__name__]


# Runs now if pyspedas is imported, else when it is.
wrapt.register_post_import_hook(_register, "pyspedas")
