"""Public function that draws the map of an archive."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..archive.archive import Archive
from ..conventions import pyspedas_convention
from ..errors import ArchiveError
from ..library.archived import open_archived
from ..library.plan import EncodingOptions
from ..plotting.embedding_map import archive_map_figure, embedding_map, spread_places
from ..plotting.style import Style, saved
from ..results.archive_map import drawn_rows, inset_pictures, map_colors, marked_rows
from ..results.joins import read_events
from ..results.reading import read_result
from ..search.search_series import check_count

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_archive_map"]

logger = logging.getLogger(__name__)

_DRAWN = 10_000


@pyspedas_convention()
def plot_archive_map(
    archive: Archive | str | Path,
    found: Any = None,
    *,
    events: Any = None,
    color: str = "time",
    path: str | Path | None = None,
    names: str | Sequence[str] | None = None,
    trange: Any = None,
    probe: Any = None,
    limit: int = _DRAWN,
    method: str = "auto",
    seed: int = 0,
    insets: int = 0,
    **style: Any,
) -> Figure:
    """Draw the map of an archive, in which similar samples lie close to each other.

    Parameters
    ----------
    archive : Archive, str or Path
    found : SearchResult, names, table or path, optional
        A search whose queries and matches are marked.
    events : as in `read_events`, optional
        Known events; the middle sample of each is marked.
    color : {'time', 'source', 'site', 'score'}
        Quantity shown by the color of a sample; 'score' is that of `found`.
    path : str or Path, optional
        Picture to write; its ending gives the format.
    names, trange, probe
        Part of the archive that is drawn, as in `find_similar`.
    limit : int
        Largest number of samples drawn: of more, as many are taken evenly in time, and all marked; the title states
        so.
    method : {'auto', 'umap', 'pca'}
        'umap' (McInnes et al. 2018) on the graph of neighbors, half a minute for 10,000 samples; 'pca' the first two
        principal components. The picture names the method.
    seed : int
        Seed of UMAP.
    insets : int
        Draw the pictures of so many samples, spread over the map; of an archive with thumbnails (`add`).
    **style
        ``cmap``, ``query``, ``match``, ``event``, ``figsize``, ``dpi``, ``title``.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SimilarityError
        With ``errors='raise'``: the archive holds nothing of this, or bad input.
    """
    looks = Style.of(style)
    check_count("limit", limit)
    if insets:
        check_count("insets", insets)
    library = open_archived(archive, names, trange, probe, EncodingOptions(usable_only=False))
    if library is None:
        raise ArchiveError(str(archive), "it holds nothing of this", "Give other names, probe or trange.")
    result = None if found is None else read_result(found)
    marks, missing = marked_rows(library, result, None if events is None else read_events(events))
    drawn = drawn_rows(library, marks.rows, limit)
    colors = map_colors(library, drawn, color, result)
    places = embedding_map(library.index.embeddings(drawn.rows), method, seed, library.archive.graph)
    title = f"{len(drawn.rows)} samples of an archive"
    if drawn.available > len(drawn.rows):
        title = f"{len(drawn.rows)} of {drawn.available} samples of an archive, evenly in time"
    for one in missing:
        logger.warning("%s: %s.", library.archive.path, one)
    pictures = inset_pictures(library, drawn, spread_places(places.places, insets))
    if insets and not pictures:
        logger.warning("%s holds no thumbnails of these samples, so there are no insets.", library.archive.path)
    return saved(archive_map_figure(places, colors, marks.among(drawn.rows), looks, title, pictures), path, looks)
