"""Public functions that review the matches of a search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..results.review import Review, begin_review
from .search import find_similar

__all__ = ["Review", "resume_review", "review"]


def review(found: Any, **search: Any) -> Review:
    """Review the matches of a search, and search again with the answers.

    Parameters
    ----------
    found : names of tplot variables or SearchResult
        What `find_similar` or `search` returned.
    **search
        Keywords of `find_similar` for the searches that follow, where the result does not record them: an encoder
        whose name does not identify it; ``instrument``, ``trange``, ``probe``, ``load_keywords``; ``field``,
        ``velocity``; ``like`` where a query was an array.

    Returns
    -------
    Review
        In a notebook with ipywidgets it shows queries and matches with buttons. Elsewhere: ``next()``, ``judge(number,
        'yes')``, ``again()``, ``save(path)``.

    Raises
    ------
    SimilarityError
        If `found` is no result of a search, or the search cannot be repeated.

    Examples
    --------
    >>> import pyspedas_similarity as sim
    >>> found = sim.find_similar('mms1_dis_dist_brst', like='2020-11-19/23:36:20')  # doctest: +SKIP
    >>> judged = sim.review(found)  # doctest: +SKIP
    """
    return begin_review(found, find_similar, search)


def resume_review(path: str | Path, **search: Any) -> Review:
    """Resume a saved review.

    Parameters
    ----------
    path : str or Path
        File written by `Review.save`. Times may carry an offset from UTC; unknown columns are kept.
    **search
        As in `review`; they take precedence over those in the file.

    Raises
    ------
    ArgumentError
        If the file is no review, or one of its rows cannot be read; the message names the row.
    """
    return Review.resume(path, find_similar, **search)
