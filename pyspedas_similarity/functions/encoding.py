"""Public function that embeds variables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..conventions import check_result_names, nothing_found, pyspedas_convention, result_names
from ..encoder.runtime import Encoder
from ..imaging.recipes import Recipe
from ..instruments import sample_images
from ..library.plan import EncodingOptions, resolve_encoder
from ..library.samples import Request
from ..library.series import open_loaded
from ..results import tplot_output

__all__ = ["encode"]


@pyspedas_convention()
def encode(
    names: str | int | Iterable[str | int] | None = None,
    *,
    trange: Any = None,
    instrument: str | None = None,
    probe: Any = None,
    encoder: str | Path | Encoder | None = None,
    newname: str | Sequence[str] | None = None,
    suffix: str | None = None,
    overwrite: bool = True,
    recipe: Recipe | None = None,
    field: str | None = None,
    velocity: str | None = None,
    progress: bool = True,
    load_keywords: Mapping[str, Any] | None = None,
) -> list[str]:
    """Embed every sample of variables, for search or other models.

    Parameters
    ----------
    names, trange, instrument, probe, encoder, newname, suffix, overwrite, errors, recipe, field, velocity, progress, \
load_keywords
        As in `find_similar`.

    Returns
    -------
    list of str
        For each variable X ``X_embedding``, float32 (time, dimension): of unit length, NaN where there is none.
        Where the recipe removes density and temperature from the images, also ``X_embedding_density`` (cm^-3) and
        ``X_embedding_temperature`` (eV), computed from the same distributions.

    Raises
    ------
    SimilarityError
        With ``errors='raise'``, for bad input.
    """
    request = Request(names, trange, instrument, probe, load_keywords or {})
    encoder = resolve_encoder(encoder)
    options = EncodingOptions(instrument, encoder, recipe, {"field": field, "velocity": velocity}, progress, True)
    check_result_names(names, newname, suffix, ("_embedding",), overwrite)
    library = open_loaded(request, options)
    if library is None:
        return nothing_found(f"there are no data of {instrument} in {trange}")
    removed = sample_images.left_out(library.series[0].plan.recipe)
    endings = ("_embedding", *(f"_embedding_{key}" for key in removed))
    titles = result_names([one.name for one in library.series], newname, suffix, endings, overwrite)
    made = []
    for series, (title, *scalar_titles) in zip(library.series, titles, strict=True):
        embedded, provenance = series.embedded, series.provenance
        made.append(tplot_output.embedding_series(series, title, embedded.embeddings, provenance))
        for name, (quantity, values) in zip(scalar_titles, embedded.scalars.items(), strict=True):
            made.append(tplot_output.scalar_series(series, name, quantity, values, provenance))
    return tplot_output.write_all(made)
