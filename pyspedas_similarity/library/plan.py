"""Options of encoding, choice of encoder and recipe for variables, and the check that they fit each other."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..encoder.fitted import MAX_IMAGES, NAMED, fit, is_unfitted, named_encoder, spread_evenly
from ..encoder.runtime import Encoder
from ..encoder.weights import PREFIX, default_encoder, is_joined, is_packaged, known_names, load_encoder
from ..errors import ArgumentError, EncoderError, VariableError
from ..imaging.recipes import DistributionRecipe, PanelRecipe, Recipe, recipe_from_dict
from ..instruments import sample_images
from ..instruments.companions import find_companions
from ..instruments.registry import instrument_named, is_all_sky, recipe_of, station_of
from ..provenance import METHOD, versions
from ..tplot import Variable


@dataclass(frozen=True)
class EncodingOptions:
    """Options of encoding; None or empty means the default.

    `companions` are names of tplot variables under 'field' and 'velocity'. `usable_only` gives only usable camera
    frames a score (None: only of registered all-sky cameras), `active_only` reports active ones. `scalars` are computed
    where the recipe removes them from the images; `thumbnails` are stored in an archive.
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

    def __post_init__(self) -> None:
        if self.recipe is not None and not isinstance(self.recipe, Recipe):
            found = f"found {type(self.recipe).__name__}"
            raise ArgumentError("recipe", found, "Give a Recipe, such as FrameRecipe() or WindowRecipe(60, 6).")
        if self.instrument is not None:
            instrument_named(self.instrument)

    def requires_usable(self, variable: Variable) -> bool:
        """Return True if unusable samples of a variable get no score."""
        return is_all_sky(variable, self.instrument) if self.usable_only is None else self.usable_only


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """Encoder and recipe that turn samples into embeddings."""

    encoder: Encoder
    recipe: Recipe
    options: EncodingOptions

    def provenance(self, variable: Variable) -> dict[str, Any]:
        """Return the record of a result for a variable, in plain values."""
        card = self.encoder.card
        return {
            "source": variable.name,
            "station": station_of(variable),
            "encoder": {"name": card.name, "method": card.method, "hash": self.encoder.hash},
            "recipe": self.recipe.to_dict() | {"hash": self.recipe.hash},
            "versions": versions(),
            "reference": METHOD,
        }


def make_plan(variables: Sequence[Variable], options: EncodingOptions, has_field: bool | None = None) -> Plan:
    """Choose encoder and recipe, and check that they fit each other and the variables, as loaded.

    Nothing is computed: an encoder that is fitted to the samples is left to `fit_plan`. Whether a magnetic field
    belongs to the variables is looked up among the loaded ones, where `has_field` does not say so.
    """
    trained = _trained_encoder(options.encoder)
    try:
        natural = options.recipe or common_recipe(variables, options.instrument)
    except VariableError:
        if trained is None or not trained.card.recipe:
            raise
        natural = recipe_from_dict(trained.card.recipe)  # the encoder's recipe, where the name identifies none
    if isinstance(natural, PanelRecipe) and options.recipe is None and trained is not None and trained.card.recipe:
        natural = recipe_from_dict(trained.card.recipe)
    if isinstance(natural, PanelRecipe):
        remedy = "Give a WindowRecipe, or use find_similar or search."
        raise ArgumentError("recipe", "a PanelRecipe is for searches only", remedy)
    recipe, fixed = natural, options.recipe is not None
    if trained is not None:
        _check_encoder(trained, natural, variables[0].name, options.recipe)
        if trained.card.recipe:
            recipe, fixed = recipe_from_dict(trained.card.recipe), True
    recipe = _with_or_without_field(recipe, fixed, variables, options, has_field)
    return Plan(_named_encoder(recipe, options) if trained is None else trained, recipe, options)


def fit_plan(plan: Plan, samples: Sequence[Variable]) -> Plan:
    """Fit the encoder of a plan to prepared samples, where it is one that needs to be fitted."""
    if not is_unfitted(plan.encoder):
        return plan
    encoder = fit(plan.encoder.card.name, _evenly_spread_images(samples, plan), plan.recipe.kind)
    times = np.concatenate([one.times[[0, -1]] for one in samples])
    training = encoder.card.training | {
        "data": [one.name for one in samples],
        "start": str(times.min()),
        "end": str(times.max()),
    }
    card = replace(encoder.card, recipe=plan.recipe.to_dict(), recipe_hash=plan.recipe.hash, training=training)
    return replace(plan, encoder=replace(encoder, card=card))


def common_recipe(variables: Sequence[Variable], instrument: str | None) -> Recipe:
    """Return the recipe that all variables share; VariableError if their recipes differ."""
    recipes = [recipe_of(variable, instrument) for variable in variables]
    for variable, recipe in zip(variables, recipes, strict=True):
        if recipe != recipes[0]:
            found = f"its images ({recipe.kind}) differ in kind from those of {variables[0].name} ({recipes[0].kind})"
            raise VariableError(variable.name, found, "Search variables of different kinds one after another.")
    return recipes[0]


def _with_or_without_field(
    recipe: Recipe, fixed: bool, variables: Sequence[Variable], options: EncodingOptions, has_field: bool | None
) -> Recipe:
    """Return the recipe, in instrument axes where there is no magnetic field; VariableError if it is fixed."""
    if has_field or not (isinstance(recipe, DistributionRecipe) and recipe.field_aligned):
        return recipe
    lacking = list(variables)
    if has_field is None:
        lacking = [one for one in variables if "field" not in find_companions(one, options.companions)]
    if not lacking:
        return recipe
    name = lacking[0].name
    if fixed:
        remedy = "Load the field of the same spacecraft (fgm), or give its name as field=."
        raise VariableError(name, "its images need the magnetic field, and none is loaded", remedy)
    logger.warning("%s: no magnetic field is loaded; images use the axes of the instrument.", name)
    return recipe.without_field()


def _check_encoder(encoder: Encoder, natural: Recipe, variable: str, given: Recipe | None) -> None:
    card, subject = encoder.card, f"encoder {encoder.card.name}"
    if card.kind != natural.kind:
        remedy = f"Give an encoder for images of the kind {natural.kind!r}."
        raise EncoderError(subject, f"made for {card.kind} images, not {natural.kind}", remedy)
    recipe = recipe_from_dict(card.recipe) if card.recipe else natural
    if given is not None and recipe.hash != given.hash:
        raise EncoderError(subject, "trained with another recipe than the one given", "Leave recipe out.")
    if isinstance(natural, DistributionRecipe) and recipe.species != natural.species:
        found = f"trained on {recipe.species} distributions; {variable} holds {natural.species}s"
        raise EncoderError(subject, found, f"Train one on {natural.species} distributions.")


def _named_encoder(recipe: Recipe, options: EncodingOptions) -> Encoder:
    """Return the encoder of the given name, or the default one of the recipe."""
    if options.encoder is not None:
        return named_encoder(options.encoder, recipe.kind)
    return default_encoder(recipe.kind, recipe.hash)


def _trained_encoder(encoder: str | Path | Encoder | None) -> Encoder | None:
    """Return an encoder that was given or saved; None for encoders made by name or chosen by the images."""
    if encoder is None or (isinstance(encoder, str) and encoder in NAMED):
        return None
    if isinstance(encoder, Encoder):
        return encoder
    if isinstance(encoder, (str, Path)) and (is_packaged(encoder) or is_joined(encoder) or os.path.isdir(encoder)):
        return load_encoder(encoder)
    remedy = f"Give one of {known_names()}, the folder of a saved encoder, '{PREFIX}FOLDER', or an Encoder."
    raise EncoderError("encoder", f"{str(encoder)[:80]!r} is neither a name nor a folder", remedy)


def resolve_encoder(encoder: Any) -> Any:
    """Return the encoder of an argument, loaded and checked once; what depends on the images is returned as given."""
    trained = _trained_encoder(encoder)
    return encoder if trained is None else trained


def is_available_by_name(name: Any) -> bool:
    """Return True if the name alone is enough to make or load an encoder."""
    return name in NAMED or is_packaged(name)


def recipe_of_record(record: Mapping[str, Any]) -> Recipe:
    """Return the recipe in the provenance record of a result."""
    return recipe_from_dict({key: value for key, value in record["recipe"].items() if key != "hash"})


def _evenly_spread_images(samples: Sequence[Variable], plan: Plan) -> Iterator[np.ndarray]:
    """Yield images of samples spread evenly; all images are made, since a recipe may average neighbors."""
    chosen = spread_evenly(sum(len(one.values) for one in samples), MAX_IMAGES[plan.encoder.card.name])
    first = 0
    for one in samples:
        for block in sample_images.images(one, plan.recipe):
            inside = chosen[np.searchsorted(chosen, first) : np.searchsorted(chosen, first + len(block))]
            yield block[inside - first]
            first += len(block)
