"""Show me all the others like it: similar intervals in space physics data, inside pyspedas.

After ``import pyspedas_similarity``, the verbs here are also those of ``pyspedas.similarity``.
"""

from __future__ import annotations

import sys
from types import ModuleType

import wrapt

from .allsky import ewogram, frame_quality, keogram, load_asi
from .bridges import to_tplot, to_xarray
from .case_study.exports import export, time_list, time_ranges, to_timeseries
from .case_study.footprints import conjunctions
from .case_study.joins import join_events, read_events
from .case_study.pictures import plot_archive_map, plot_keogram, plot_matches, plot_score, superposed_epochs, what_drove
from .case_study.reporting import report
from .case_study.reviewing import Review, resume_review, review
from .classification import classify, fine_tune
from .errors import SimilarityError
from .filling import add, open_archive
from .neighbourhood import clusters, duplicates, find_nearest, novelty
from .verbs import encode, find_similar, intervals, load_encoder, save_encoder, train

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
