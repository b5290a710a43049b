"""One match seen again through the encoder that found it, to tell what drove its score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import tplot
from ..encoder.fitted import NAMED
from ..encoder.shipped import SHIPPED
from ..errors import EncoderError, QueryError, VariableError
from ..imaging.recipes import FrameRecipe, Recipe, recipe_from_dict
from ..instruments.sample_images import images_of, select
from ..library.encoding import Choices, Plan, make_plan, prepare
from ..plotting.occlusion import Occlusion, occlude
from ..plotting.original import Original, encoded_image
from ..times import Span
from ..tplot import Variable
from .originals import Found, middle_of, span_of, variable_of

_USUAL = 64
# Scores of the same sample differ by less: eight-bit encoders round otherwise in other batches.
_SAME = 1e-3


@dataclass(frozen=True, eq=False)
class Driven:
    """A match, its image and the embeddings of what it was compared with.

    Attributes
    ----------
    row : int
        Of the table.
    time : datetime64[ns]
    plan : Plan
    samples : Variable
        Prepared, those that were searched.
    image : numpy.ndarray, shape (channels, pixels, pixels)
    query_image : numpy.ndarray or None
    query_heading : str
    likes, unlikes : list of numpy.ndarray, shape (n, dimension)
    score : float
        As it was found.
    """

    row: int
    time: np.datetime64
    plan: Plan
    samples: Variable
    image: np.ndarray
    query_image: np.ndarray | None
    query_heading: str
    likes: list[np.ndarray]
    unlikes: list[np.ndarray]
    score: float

    @classmethod
    def of(cls, found: Found, row: int, encoder: Any, originals: Mapping[str, str] | str | None) -> Driven:
        """Read a match again.

        Raises
        ------
        SimilarityError
            If it, a query or the encoder is not at hand.
        """
        record, time = found.record(row), found.peak[row]
        reader = _Reader(record, encoder, originals)
        source = str(record["source"])
        plan, samples = reader.opened(source)
        image = _images(samples, plan.recipe, _rows_at(samples, Span(time, time)))[0]
        likes = [reader.embedded(query) for query in record["queries"]]
        unlikes = [reader.embedded(query) for query in record.get("unlike", ())]
        query = record["queries"][0]
        heading = f"query, {str(reader.middle(query))[:23].replace('T', ' ')}"
        return cls(
            row, time, plan, samples, image, reader.image(query), heading, likes, unlikes, float(found.score[row])
        )

    def occluded(self, patch: int | None, fill: str) -> Occlusion:
        """Hide each part of the image in turn.

        Raises
        ------
        VariableError
            If the score comes out otherwise than it was found: the data are others.
        """
        usual = self._usual() if fill == "median" else None
        made = occlude(self.image, self.plan.encoder.encode, self.likes, self.unlikes, patch, usual)
        if np.isfinite(self.score) and abs(made.score - self.score) > _SAME:
            found = f"what is loaded now gives the score {made.score:.4f}, and {self.score:.4f} was found"
            raise VariableError(self.samples.name, found, "Load what was searched, with its field and velocity.")
        return made

    def _usual(self) -> np.ndarray:
        """The median of images spread over the variable, for frames on the scale of this one: each has its own."""
        rows = np.unique(np.linspace(0, len(self.samples.times) - 1, _USUAL).round().astype(int))
        some = _images(self.samples, self.plan.recipe, rows)
        known = np.isfinite(some).any(axis=0)
        usual = np.where(known, np.nanmedian(np.where(known, some, 0), axis=0), np.nan)
        if not isinstance(self.plan.recipe, FrameRecipe):
            return usual
        low, middle, high = np.nanpercentile(usual, (25, 50, 75))
        own = np.nanpercentile(self.image, (25, 50, 75))
        return (usual - middle) * (own[2] - own[0]) / max(high - low, 1e-9) + own[1]

    def match_pictures(self) -> tuple[Original, ...]:
        """Channels of the match."""
        return encoded_image(self.image, self.plan.recipe)

    def query_pictures(self) -> tuple[Original, ...]:
        """Channels of the first query."""
        return encoded_image(self.query_image, self.plan.recipe)


class _Reader:
    """Opens variables as they were searched."""

    def __init__(self, record: Mapping[str, Any], encoder: Any, originals: Mapping[str, str] | str | None) -> None:
        self._record, self._names = record, originals
        name = record.get("encoder", {}).get("name")
        if encoder is None and name not in (*NAMED, *SHIPPED):
            raise EncoderError(f"encoder {name}", "its name does not say which it is", "Give it as encoder.")
        settings = {key: value for key, value in record["recipe"].items() if key != "hash"}
        self._choices = Choices(encoder=name if encoder is None else encoder, recipe=recipe_from_dict(settings))
        self._opened: dict[str, tuple[Plan, Variable]] = {}

    def opened(self, name: str) -> tuple[Plan, Variable]:
        """The plan and all prepared samples of a variable."""
        if name not in self._opened:
            loaded = self._names if isinstance(self._names, str) else (self._names or {}).get(name, name)
            variable = tplot.read(loaded)
            plan = make_plan([variable], self._choices)
            if plan.encoder.hash != self._record["encoder"]["hash"]:
                remedy = "Give the one that was searched with as encoder."
                raise EncoderError(f"encoder {plan.encoder.card.name}", "it is another than that of the search", remedy)
            self._opened[name] = plan, prepare(variable, plan)
        return self._opened[name]

    def embedded(self, query: Mapping[str, Any]) -> np.ndarray:
        """Embeddings of a query's samples."""
        plan, samples = self.opened(_named(query))
        rows = _rows_at(samples, span_of(query))
        return np.concatenate([plan.encoder.encode(part) for part in _in_parts(samples, plan.recipe, rows)])

    def middle(self, query: Mapping[str, Any]) -> np.datetime64:
        """The time of a query's middle sample."""
        return middle_of(span_of(query), self.opened(_named(query))[1].times)

    def image(self, query: Mapping[str, Any]) -> np.ndarray:
        """Of a query's middle sample."""
        plan, samples = self.opened(_named(query))
        time = self.middle(query)
        return _images(samples, plan.recipe, _rows_at(samples, Span(time, time)))[0]


def _named(query: Mapping[str, Any]) -> str:
    name = variable_of(query)
    if not name or span_of(query) is None:
        remedy = "Store it as a variable and search with ('name', time)."
        raise QueryError(f"query {query.get('label', '')}", "an array is not kept with the result", remedy)
    return name


def _rows_at(samples: Variable, span: Span) -> np.ndarray:
    rows = np.flatnonzero((samples.times >= span.start) & (samples.times <= span.end))
    if not len(rows):
        raise VariableError(samples.name, f"it has no sample at {span}", "Load what was searched.")
    return rows


def _images(samples: Variable, recipe: Recipe, rows: np.ndarray) -> np.ndarray:
    return np.concatenate(list(_in_parts(samples, recipe, rows)))


def _in_parts(samples: Variable, recipe: Recipe, rows: np.ndarray) -> Any:
    """Images of some samples, block by block; where neighbors are averaged, they are there to be."""
    wanted = np.zeros(len(samples.times), bool)
    wanted[rows] = True
    if getattr(recipe, "average", 1) == 1:
        samples, wanted = select(samples, rows), np.ones(len(rows), bool)
    for block, made in images_of(samples, recipe, wanted):
        yield made[wanted[block]]
