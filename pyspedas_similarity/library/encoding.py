"""From variables to embeddings: encoder and recipe are settled, samples prepared, images made and encoded in blocks."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..encoder.fitted import MOST_IMAGES, NAMED, fit, is_unfitted, named_encoder, spread_evenly
from ..encoder.fixed import default_encoder
from ..encoder.runtime import Encoder
from ..encoder.shipped import AUTOMATIC, SHIPPED, shipped_encoder, shipped_for
from ..encoder.weights import load_encoder
from ..errors import EncoderError, QueryError, VariableError
from ..imaging.frame_quality import FrameQuality
from ..imaging.recipes import DistributionRecipe, FrameRecipe, Recipe, recipe_from_dict
from ..instruments import frames, sample_images
from ..instruments.companions import Gaps, find_companions, with_companions
from ..instruments.registry import is_all_sky, recipe_of
from ..instruments.segments import Segment
from ..search.query import Query
from ..tplot import Variable

if TYPE_CHECKING:
    from tqdm import tqdm

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choices:
    """What the caller chose of how variables are encoded; None and empty: by default.

    Attributes
    ----------
    instrument : str or None
        Whose recipe to use, where the name of a variable does not tell.
    encoder : str, Path, Encoder or None
    recipe : Recipe or None
    companions : mapping of str to str
        Names of variables under 'field' and 'velocity'.
    progress : bool
    scalars : bool
        Whether what images leave out is computed as well.
    usable_only : bool or None
        Whether only usable camera frames count; None: those of all-sky cameras that are registered.
    active_only : bool
        Whether only active ones do.
    thumbnails : bool
        Whether a small picture of each sample is kept in an archive.
    """

    instrument: str | None = None
    encoder: str | Path | Encoder | None = None
    recipe: Recipe | None = None
    companions: Mapping[str, str | None] = field(default_factory=dict)
    progress: bool = True
    scalars: bool = False
    usable_only: bool | None = False
    active_only: bool = False
    thumbnails: bool = False

    def leaves_out(self, variable: Variable) -> bool:
        """Whether what is not usable of a variable is left out."""
        return is_all_sky(variable, self.instrument) if self.usable_only is None else self.usable_only


@dataclass(frozen=True)
class Plan:
    """How samples become embeddings."""

    encoder: Encoder
    recipe: Recipe
    choices: Choices


@dataclass(frozen=True)
class Embedded:
    """One variable with an embedding for each sample.

    Attributes
    ----------
    source : Variable
        Its times say when the samples are; its values may be the embeddings, where it was too long to keep.
    embeddings : numpy.ndarray of float32, shape (n, dimension)
        Of unit length, or NaN.
    scalars : mapping of str to numpy.ndarray, shape (n,)
        ``density`` (cm^-3) and ``temperature`` (eV), where asked for and taken out of the images by the recipe.
    gate : FrameQuality or None
        Which samples are usable and active, where asked for and they are camera frames.
    """

    source: Variable
    embeddings: np.ndarray
    scalars: Mapping[str, np.ndarray] = field(default_factory=dict)
    gate: FrameQuality | None = None


def make_plan(variables: Sequence[Variable], choices: Choices, has_field: bool | None = None) -> Plan:
    """Settle encoder and recipe, and check that they go with each other and with the variables.

    Parameters
    ----------
    variables : sequence of Variable
        As loaded.
    choices : Choices
    has_field : bool, optional
        Whether a magnetic field belongs to them; by default it is looked for among the loaded variables.

    Raises
    ------
    SimilarityError
        If they do not go together.
    """
    trained = _trained(choices.encoder)
    try:
        natural = choices.recipe or common_recipe(variables, choices.instrument)
    except VariableError:
        if trained is None or not trained.card.recipe:
            raise
        natural = recipe_from_dict(trained.card.recipe)  # the encoder knows what the variable's name does not tell
    encoder = trained or _untold(natural, variables, choices, has_field)
    card = encoder.card
    if card.kind != natural.kind:
        remedy = f"Give an encoder for images of the kind {natural.kind!r}."
        raise EncoderError(f"encoder {card.name}", f"made for {card.kind} images, not {natural.kind}", remedy)
    recipe = recipe_from_dict(card.recipe) if card.recipe else natural
    if choices.recipe is not None and recipe.hash != choices.recipe.hash:
        raise EncoderError(
            f"encoder {card.name}", "trained with another recipe than the one given", "Leave recipe out."
        )
    if isinstance(natural, DistributionRecipe) and recipe.species != natural.species:
        found = f"trained on {recipe.species} distributions; {variables[0].name} holds {natural.species}s"
        raise EncoderError(f"encoder {card.name}", found, f"Train one on {natural.species} distributions.")
    if isinstance(recipe, DistributionRecipe) and recipe.field_aligned:
        recipe = _with_or_without_field(variables, recipe, choices, has_field, free=not card.recipe)
    plan = Plan(encoder, recipe, choices)
    if has_field is not None or not is_unfitted(encoder):
        return plan
    return fitted(plan, [_samples_of(variable, plan)[0] for variable in variables])


def fitted(plan: Plan, samples: Sequence[Variable]) -> Plan:
    """The plan with its encoder fitted to prepared samples, spread evenly over them, where it is one that is fitted.

    Raises
    ------
    ArgumentError
        If there are too few samples, or they are all the same.
    """
    if not is_unfitted(plan.encoder):
        return plan
    encoder = fit(plan.encoder.card.name, _spread_images(samples, plan), plan.recipe.kind)
    times = np.concatenate([one.times[[0, -1]] for one in samples])
    training = encoder.card.training | {
        "data": [one.name for one in samples],
        "start": str(times.min()),
        "end": str(times.max()),
    }
    card = replace(encoder.card, recipe=plan.recipe.to_dict(), recipe_hash=plan.recipe.hash, training=training)
    return replace(plan, encoder=replace(encoder, card=card))


def _spread_images(samples: Sequence[Variable], plan: Plan) -> Iterator[np.ndarray]:
    """Images of samples that are spread evenly; all are made, since neighbors may be averaged."""
    chosen = spread_evenly(sum(len(one.values) for one in samples), MOST_IMAGES[plan.encoder.card.name])
    first = 0
    for one in samples:
        for block in images(one, plan):
            inside = chosen[np.searchsorted(chosen, first) : np.searchsorted(chosen, first + len(block))]
            yield block[inside - first]
            first += len(block)


def common_recipe(variables: Sequence[Variable], instrument: str | None) -> Recipe:
    """The recipe of all variables; VariableError if they have not one in common."""
    recipes = [recipe_of(variable, instrument) for variable in variables]
    for variable, recipe in zip(variables, recipes, strict=True):
        if recipe != recipes[0]:
            found = f"its images ({recipe.kind}) are not made like those of {variables[0].name} ({recipes[0].kind})"
            raise VariableError(variable.name, found, "Search variables of different kinds one after another.")
    return recipes[0]


def prepare(variable: Variable, plan: Plan) -> Variable:
    """The variable whose samples become images, with what these need beside it.

    Parameters
    ----------
    variable : Variable
        As loaded.
    plan : Plan

    Raises
    ------
    VariableError
        If no images can be made of it.
    """
    samples, companions = _samples_of(variable, plan)
    if isinstance(plan.recipe, DistributionRecipe):
        gaps = Gaps()
        gaps.count(samples, companions)
        gaps.warn(variable.name, plan.recipe)
    return samples


def _samples_of(variable: Variable, plan: Plan) -> tuple[Variable, Mapping[str, Variable]]:
    """As `prepare`, without a word on gaps, and the companions."""
    samples = sample_images.as_samples(variable, plan.recipe)
    sample_images.check(samples, plan.recipe)
    if isinstance(plan.recipe, FrameRecipe):
        return frames.prepared(samples, plan.recipe), {}
    if not isinstance(plan.recipe, DistributionRecipe):
        return samples, {}
    companions = find_companions(variable, plan.choices.companions)
    return with_companions(samples, companions, plan.recipe), companions


def images(samples: Variable, plan: Plan) -> Iterator[np.ndarray]:
    """Images of prepared samples, block by block."""
    return sample_images.images(samples, plan.recipe)


def embed(samples: Variable, plan: Plan) -> Embedded:
    """Embeddings of all prepared samples; images of the whole variable never exist at once."""
    parts = []
    with progress_bar(plan, desc=samples.name, total=len(samples.times)) as bar:
        for block in images(samples, plan):
            parts.append(plan.encoder.encode(block))
            bar.update(len(block))
    scalars = sample_images.scalars(samples, plan.recipe) if plan.choices.scalars else {}
    return Embedded(samples, np.concatenate(parts), scalars, judged(samples, plan))


def new_embeddings(samples: Variable, plan: Plan, wanted: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Embeddings of prepared samples, block by block, without the blocks in which none is wanted.

    Yields
    ------
    rows : slice
    embeddings : numpy.ndarray of float32, shape (rows, dimension)
        The same as `embed` gives.
    """
    for rows, made in sample_images.images_of(samples, plan.recipe, wanted):
        yield rows, plan.encoder.encode(made)


def judged(samples: Variable, plan: Plan) -> FrameQuality | None:
    """What is usable and active of prepared samples, where it is asked for and they are frames that can be judged."""
    wanted = plan.choices.active_only or plan.choices.leaves_out(samples)
    if not (wanted and isinstance(plan.recipe, FrameRecipe) and frames.can_be_judged(samples)):
        return None
    return frames.gate(samples, plan.recipe)


def embed_segments(segments: Iterator[Segment], choices: Choices) -> tuple[Plan | None, list[Embedded], list[Variable]]:
    """Embeddings of segments that come one after another and are let go.

    Parameters
    ----------
    segments : iterator of Segment
        Of one instrument; those of one variable ascend in time.
    choices : Choices

    Returns
    -------
    plan : Plan or None
        None where there was no segment.
    embedded : list of Embedded
        One for each variable, with the embeddings as values.
    templates : list of Variable
        The first sample of each.
    """
    plan, bar = None, None
    parts: dict[str, list[Embedded]] = {}
    templates: dict[str, Variable] = {}
    for plan, samples in prepared_segments(segments, choices):
        bar = progress_bar(plan, desc=samples.name) if bar is None else bar  # tqdm without a total has no truth value
        if samples.name not in templates:
            templates[samples.name] = _first_sample(samples)
        quiet = replace(plan, choices=replace(choices, progress=False))
        made = embed(samples, quiet)
        parts.setdefault(samples.name, []).append(
            replace(made, source=replace(samples, values=made.embeddings, coordinates={}))
        )
        bar.update(len(made.embeddings))
        del samples, made
    if bar is not None:
        bar.close()
    return plan, [_joined(found) for found in parts.values()], list(templates.values())


def prepared_segments(
    segments: Iterator[Segment], choices: Choices, plan: Plan | None = None
) -> Iterator[tuple[Plan, Variable]]:
    """The plan, which the first segment settles if none is given, and the samples of one segment after another.

    Nothing here holds a segment while the next one is read; who takes the samples should not either. After the last
    one, one warning for each variable tells of gaps in what its images need.
    """
    gaps: dict[str, Gaps] = {}
    for segment in segments:
        plan = plan or make_plan([segment.distribution], choices, "field" in segment.companions)
        gap = gaps.setdefault(segment.distribution.name, Gaps())
        held = [segment]
        del segment
        held = [_prepare_segment(held.pop(), plan, gap)]
        # What streams by cannot be searched twice: an encoder is fitted to the first segment.
        plan = fitted(plan, held)
        yield plan, held.pop()
    for name, gap in gaps.items():
        if isinstance(plan.recipe, DistributionRecipe):
            gap.warn(name, plan.recipe)


def _first_sample(samples: Variable) -> Variable:
    """A copy of the first sample: a view of it would keep the whole segment in memory."""
    first = sample_images.select(samples, np.array([0]))
    return replace(
        first, values=first.values.copy(), coordinates={key: table.copy() for key, table in first.coordinates.items()}
    )


def _prepare_segment(segment: Segment, plan: Plan, gaps: Gaps) -> Variable:
    """As `prepare`, with the companions that came along; what they lack is counted, to be told once."""
    variable, companions = segment.distribution, segment.companions
    sample_images.check(variable, plan.recipe)
    if isinstance(plan.recipe, FrameRecipe):
        return frames.prepared(variable, plan.recipe)
    if not isinstance(plan.recipe, DistributionRecipe):
        return variable
    if plan.recipe.field_aligned and "field" not in companions:
        # One segment without a field is a gap, not the end of the search.
        companions = {**companions, "field": Variable("magnetic field", variable.times[:0], np.empty((0, 3)))}
    samples = with_companions(variable, companions, plan.recipe)
    gaps.count(samples, companions)
    return samples


def embed_query(query: Query, plan: Plan, searched: Sequence[Embedded] = ()) -> np.ndarray:
    """Embeddings of a query's samples; of what was embedded already, those.

    Raises
    ------
    QueryError
        If none of its samples can be encoded, or of its frames none is usable.
    """
    known = {one.source.name: one for one in searched if one.source.values is one.embeddings}
    if query.span is not None and query.samples.name in known:
        owner = known[query.samples.name]
        embeddings = query.samples.values
        gate = owner.gate and owner.gate.at(np.isin(owner.source.times, query.samples.times))
    else:
        sample_images.check(query.samples, plan.recipe)
        made = embed(query.samples, replace(plan, choices=replace(plan.choices, progress=False)))
        embeddings, gate = made.embeddings, made.gate
    if gate is not None and plan.choices.leaves_out(query.samples):
        if not gate.usable.any():
            remedy = "Give another query, or usable_only=False."
            raise QueryError(f"query {query.label}", f"it is not usable: {gate}", remedy)
        embeddings = np.where(gate.usable[:, None], embeddings, np.float32(np.nan))
    if not np.isfinite(embeddings).any():
        remedy = "Give a query at which something was measured."
        raise QueryError(
            f"query {query.label}", "it cannot be encoded: nothing measured, or the same everywhere", remedy
        )
    return embeddings


def _joined(parts: Sequence[Embedded]) -> Embedded:
    embeddings = np.concatenate([part.embeddings for part in parts])
    times = np.concatenate([part.source.times for part in parts])
    scalars = {key: np.concatenate([part.scalars[key] for part in parts]) for key in parts[0].scalars}
    gate = FrameQuality.joined([part.gate for part in parts]) if parts[0].gate is not None else None
    return Embedded(replace(parts[0].source, times=times, values=embeddings), embeddings, scalars, gate)


def _with_or_without_field(
    variables: Sequence[Variable], recipe: DistributionRecipe, choices: Choices, has_field: bool | None, free: bool
) -> DistributionRecipe:
    """The recipe itself where there is a magnetic field, else its planes in the axes of the instrument."""
    lacking = _lacking_field(variables, choices, has_field)
    if not lacking:
        return recipe
    name = lacking[0].name
    if choices.recipe is not None or not free:
        remedy = "Load the field of the same spacecraft (fgm), or give its name as field=."
        raise VariableError(name, "its images need the magnetic field, and none is loaded", remedy)
    logger.warning("%s: no magnetic field is loaded: planes are those of the instrument's axes.", name)
    return recipe.without_field()


def _lacking_field(variables: Sequence[Variable], choices: Choices, has_field: bool | None) -> list[Variable]:
    """The variables to which no magnetic field belongs; `has_field`: as in `make_plan`."""
    if has_field is None:
        return [v for v in variables if "field" not in find_companions(v, choices.companions)]
    return [] if has_field else list(variables)


def _untold(natural: Recipe, variables: Sequence[Variable], choices: Choices, has_field: bool | None) -> Encoder:
    """The encoder of a name; where none is given the shipped one for these very images, or else the fixed default."""
    if choices.encoder == AUTOMATIC:
        return shipped_for(natural.kind, natural.hash, natural.shape)
    if choices.encoder is not None:
        return named_encoder(choices.encoder, natural.kind)
    try:
        shipped = shipped_for(natural.kind, natural.hash, natural.shape)
    except EncoderError:
        return default_encoder(natural.kind)
    # One with a recipe of its own is taken if asked for: it sees other images than the caller expects.
    fits = shipped.card.recipe_hash in ("", natural.hash)
    needs_field = isinstance(natural, DistributionRecipe) and natural.field_aligned
    lacks_field = needs_field and _lacking_field(variables, choices, has_field)
    return shipped if fits and not lacks_field else default_encoder(natural.kind)


def _trained(encoder: str | Path | Encoder | None) -> Encoder | None:
    """An encoder that was given, saved or shipped; None for those made by name, or chosen by the images."""
    if encoder is None or (isinstance(encoder, str) and encoder in (*NAMED, AUTOMATIC)):
        return None
    if isinstance(encoder, Encoder):
        return encoder
    if isinstance(encoder, str) and encoder in SHIPPED and not Path(encoder).is_dir():
        return shipped_encoder(encoder)
    if isinstance(encoder, (str, Path)) and Path(encoder).is_dir():
        return load_encoder(encoder)
    remedy = f"Give one of {', '.join((*NAMED, AUTOMATIC, *SHIPPED))}, the folder of a saved encoder, or an Encoder."
    raise EncoderError("encoder", f"found {str(encoder)[:80]!r}, which is neither", remedy)


def progress_bar(plan: Plan, **options: object) -> tqdm:
    """A bar that shows after two seconds, in a terminal only."""
    from tqdm import tqdm

    # disable=None keeps the bar out of logs and pipes.
    return tqdm(**options, delay=2, unit="sample", leave=False, disable=None if plan.choices.progress else True)
