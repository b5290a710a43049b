"""The public verbs. Each plans first (everything is read and checked), then computes, and stores only at the end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import tplot
from ..archive.archive import Archive
from ..conventions import nothing_found, pyspedas_manners, result_names
from ..encoder.cards import Card
from ..encoder.runtime import Encoder
from ..encoder.weights import load_encoder, save_encoder
from ..errors import ArgumentError, VariableError
from ..imaging.frame_quality import FrameQuality
from ..imaging.recipes import Recipe
from ..instruments import sample_images
from ..library.archived import Kept, open_kept
from ..library.encoding import Choices, embed_query, images, make_plan, prepare, prepared_segments
from ..library.inputs import Opened, load_variables, open_samples, open_segments, provenance_of, within
from ..provenance import ATTRIBUTE
from ..results import tplot_output
from ..search.background import fit_background
from ..search.events import best_events, find_events, outside
from ..search.query import Query, query_records, read_queries
from ..search.scoring import coherence_lag, default_threshold, similarity
from ..times import cadence, to_timedelta64
from ..tplot import Variable

if TYPE_CHECKING:
    from astropy.table import QTable

    from ..encoder.canonical import CanonicalPlan
    from ..encoder.training import TrainingPlan

__all__ = ["encode", "find_similar", "intervals", "load_encoder", "save_encoder", "train"]

logger = logging.getLogger(__name__)
# Of which a fifth is held out in training.
_STRETCHES = 10


@dataclass(frozen=True)
class _Rules:
    """How scores become intervals, as the caller asked."""

    k: int | None
    threshold: float | None
    exclude: np.timedelta64 | None
    fdr: float | None = None

    @classmethod
    def read(cls, k: Any, threshold: Any, exclude: Any, fdr: Any) -> _Rules:
        if k is not None and (isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1):
            raise ArgumentError("k", f"found {k!r}", "Give the number of intervals wanted, 1 or more, or None.")
        if threshold is not None:
            is_number = isinstance(threshold, (int, float, np.number)) and not isinstance(threshold, bool)
            if not is_number or not -1 <= threshold <= 1:
                raise ArgumentError("threshold", f"found {threshold!r}", "Give a cosine from -1 to 1, or None.")
        if fdr is not None:
            is_number = isinstance(fdr, (int, float, np.number)) and not isinstance(fdr, bool)
            if not is_number or not 0 < fdr < 1:
                raise ArgumentError("fdr", f"found {fdr!r}", "Give a share between 0 and 1, such as 0.05, or None.")
            if threshold is not None:
                raise ArgumentError("fdr", "given beside threshold", "Give one of them.")
        automatic = isinstance(exclude, str) and exclude == "auto"
        return cls(k, threshold, None if automatic else to_timedelta64(exclude, "exclude"), fdr)


@pyspedas_manners
def find_similar(
    names: str | int | Iterable[str | int] | None = None,
    like: Any = None,
    trange: Any = None,
    instrument: str | None = None,
    probe: Any = None,
    encoder: str | Path | Encoder | None = None,
    k: int | None = None,
    threshold: float | None = None,
    exclude: Any = "auto",
    newname: str | Sequence[str] | None = None,
    suffix: str | None = None,
    overwrite: bool = True,
    recipe: Recipe | None = None,
    field: str | None = None,
    velocity: str | None = None,
    usable_only: bool | None = None,
    active_only: bool = False,
    progress: bool = True,
    unlike: Any = None,
    archive: Archive | str | Path | None = None,
    fdr: float | None = None,
    **load_keywords: Any,
) -> list[str]:
    """Find the intervals like a query.

    Parameters
    ----------
    names : str, int or list of them, optional
        Loaded tplot variables: 3-D distributions (time, azimuth, polar, energy) or frames (time, row, column). Globs as
        pyspedas allows. Without it, `instrument` and `trange` say what to load; what is so loaded does not stay.
    like : time, interval, (name, time), array, or a list of them
        The query or queries. A time means the sample nearest to it, if within one cadence; an interval (two times,
        as in `trange`) all samples in it; ``('name', time)`` a sample of another variable; an array a sample that is in
        no variable (tables, field and velocity are then those of the first variable's first sample). Two single times
        are written ``[[t1], [t2]]``. A bare time belongs to the first variable with data there.
    trange : time range, optional
        With `names`: the part to search. Else: what to load.
    instrument : str, optional
        With `names`: which recipe to use, where the name does not tell. Else: what to load.
    probe : str or list, optional
        Spacecraft, or station of a camera, to load.
    encoder : str, path or Encoder, optional
        Name of an encoder that needs no training (``pyspedas-similarity info`` lists them; 'pca' and 'random' are
        fitted to the searched data), folder of a saved one, or one from `train`. 'shipped' takes the
        one that comes with the package for this kind of image. The default is that one where it takes the images of the
        instrument's own recipe (MMS electrons with field, windows), else 'hybrid' for frames, and 'pixels'.
    k : int, optional
        At most this many intervals for each variable, the best ones. Where no `threshold` is given, the default one is
        lowered until there are so many.
    threshold : float, optional
        Cosine that a similar sample reaches. Default: half way between 1 and the median score.
    exclude : 'auto', seconds, timedelta or Quantity
        Samples as near as this to a query, in the query's variable, are not reported: they are similar because they are
        the same event. 'auto' takes twice the time in which the scores lose their autocorrelation. Hits no further
        apart than this are one interval.
    newname : str or list of str, optional
        Takes the place of the variables' names in those of the results.
    suffix : str, optional
        Added to the names of the results.
    overwrite : bool
        False: existing variables of these names are an error.
    errors : {'log', 'raise'}
        What to do about bad input: log it and return [], or raise.
    recipe : Recipe, optional
        Another recipe than the instrument's or the encoder's.
    field, velocity : str, optional
        Names of tplot variables, (time, 3), in the axes of the distributions: magnetic field and bulk velocity. By
        default they are found by probe and data rate where the recipe needs them; a velocity that is not there is
        computed from the distribution.
    usable_only : bool, optional
        Of camera frames, leave out those of cloud, Moon or twilight, and those that are saturated, dropped or doubled,
        as `frame_quality` flags them: they have no score. Default: those of the registered all-sky cameras are left
        out, others taken as they are. Thumbnails are too small to be judged.
    active_only : bool
        Of camera frames, report only those in which something happens.
    progress : bool
        Show a progress bar, in a terminal, on anything over two seconds.
    unlike : as `like`, optional
        What is not looked for. Where a sample is nearer to it than to a query, its score is lowered by the difference.
    archive : Archive, str or Path, optional
        Search what `add` has kept there, and load and encode nothing. `names` are then the sources to search (globs
        allowed), `probe` their probes or sites, `trange` may be a list of time ranges, and bare times in `like` are
        looked up in what is searched; ``('name', time)`` may also name another of its sources, or a loaded variable.
    fdr : float, optional
        In place of a threshold: of the intervals found in a variable, at most this share is expected to be background
        (Benjamini and Hochberg), judged by the background of the same variable. The table then has ``p_value`` and
        ``share_higher``, the share of all searched samples that score higher. Of `k`, the best of those that pass.
    **load_keywords
        Keywords of the instrument's loader, such as ``data_rate`` or ``no_update``.

    Returns
    -------
    list of str
        For each variable X ``X_similarity``, float64 (time): cosine to the nearest query, NaN where a sample cannot be
        encoded; and, where something is found in it, ``X_similar``, bars over the intervals, from which `intervals`
        makes a table. [] where nothing is found in any, after one warning; the similarity is then stored all the same.

    Raises
    ------
    SimilarityError
        With ``errors='raise'``, for bad input. The tplot store is then as it was.

    See Also
    --------
    intervals : the table

    Notes
    -----
    The method is that of Smith et al. 2024 (doi 10.1029/2023JA032096): distance between embeddings is similarity.
    Times are those of the variable's samples, UTC to the nanosecond; an interval ends where its last sample ends.

    Examples
    --------
    >>> import pyspedas_similarity as sim
    >>> found = sim.find_similar('mms1_dis_dist_brst', like='2020-11-19/23:36:20')  # doctest: +SKIP
    >>> sim.intervals(found)  # doctest: +SKIP
    """
    rules = _Rules.read(k, threshold, exclude, fdr)
    companions = {"field": field, "velocity": velocity}
    gate = {"usable_only": usable_only, "active_only": active_only}
    choices = Choices(instrument, encoder, recipe, companions, progress, **gate)
    examples = _Examples(like, unlike)
    if archive is not None:
        kept = open_kept(archive, names, trange, probe, choices, load_keywords)
        if kept is None:
            return nothing_found(f"the archive {archive} holds nothing of this")
        titles = result_names(kept.variables, newname, suffix, ("_similarity", "_similar"), overwrite)
        scored = _scored_archive(kept, examples)
    else:
        opened = open_samples(names, trange, probe, load_keywords, choices)
        if opened is None:
            return nothing_found(f"there are no data of {instrument} in {trange}")
        titles = result_names(opened.samples, newname, suffix, ("_similarity", "_similar"), overwrite)
        scored = _scored_samples(opened, examples)
    return _store_results([_search(one, rules, title) for one, title in zip(scored, titles, strict=True)])


@pyspedas_manners
def encode(
    names: str | int | Iterable[str | int] | None = None,
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
    **load_keywords: Any,
) -> list[str]:
    """Embed every sample of variables, for search or other models.

    Parameters
    ----------
    names, trange, instrument, probe, encoder, newname, suffix, overwrite, errors, recipe, field, velocity, progress
        As in `find_similar`.
    **load_keywords
        As in `find_similar`.

    Returns
    -------
    list of str
        For each variable X ``X_embedding``, float32 (time, dimension): of unit length, NaN where none can be made.
        Where the recipe takes density and temperature out of the images, also ``X_embedding_density`` (cm^-3) and
        ``X_embedding_temperature`` (eV), computed from the same distributions.

    Raises
    ------
    SimilarityError
        With ``errors='raise'``, for bad input.
    """
    choices = Choices(instrument, encoder, recipe, {"field": field, "velocity": velocity}, progress, scalars=True)
    opened = open_samples(names, trange, probe, load_keywords, choices)
    if opened is None:
        return nothing_found(f"there are no data of {instrument} in {trange}")
    endings = ("_embedding", *(f"_embedding_{key}" for key in sample_images.left_out(opened.plan.recipe)))
    titles = result_names(opened.samples, newname, suffix, endings, overwrite)
    made = []
    for one, (title, *beside) in zip(opened.embed(), titles, strict=True):
        provenance = provenance_of(one.source, opened.plan)
        made.append(tplot_output.embedding_series(one.source, title, one.embeddings, provenance))
        for name, (quantity, values) in zip(beside, one.scalars.items(), strict=True):
            made.append(tplot_output.scalar_series(one.source, name, quantity, values, provenance))
    return [tplot.write(product.variable, product.options) for product in made]


def intervals(name: str | Iterable[str]) -> QTable:
    """The table of intervals that `find_similar` found.

    Parameters
    ----------
    name : str or list of str
        ``X_similar``, or the list that `find_similar` returned.

    Returns
    -------
    astropy.table.QTable
        ``start``, ``end``, ``peak`` (astropy Time, UTC), ``score`` (cosine of the best sample), ``n_samples`` (at or
        above the threshold), ``source``, and ``probe`` or ``site`` where known; best first. Of `classify`, ``score`` is
        the probability, and there is a column ``class``. The provenance is in its ``meta``.

    Raises
    ------
    VariableError
        If the variable is not loaded or carries no intervals.
    """
    names = tplot.expand(name)
    variables = [tplot.read(one) for one in names]
    # Of the list that find_similar returned, the scores carry no intervals, and are not meant.
    bars = [v for v in variables if "intervals" in v.attributes.get(ATTRIBUTE, {})]
    return tplot_output.event_table(bars or variables)


def train(
    names: str | int | Iterable[str | int] | None = None,
    trange: Any = None,
    instrument: str | None = None,
    probe: Any = None,
    plan: TrainingPlan | CanonicalPlan | None = None,
    recipe: Recipe | None = None,
    name: str | None = None,
    progress: bool = True,
    field: str | None = None,
    velocity: str | None = None,
    lag: Any = None,
    siblings: bool = False,
    checkpoint: str | Path | None = None,
    load_keywords: Mapping[str, Any] | None = None,
    **options: Any,
) -> Encoder:
    """Train an encoder on one's own data, by self-supervision.

    Parameters
    ----------
    names, trange, instrument, probe, recipe, field, velocity
        As in `find_similar`; at least 16 samples that can be encoded, all of one kind.
    plan : TrainingPlan or CanonicalPlan, optional
        All choices of training together.
    name : str, optional
        What to call the encoder; default the method and the first variable.
    progress : bool
        Show a progress bar in a terminal.
    lag : seconds, timedelta or Quantity, optional
        The next sample of the same variable that is no further away than this shows the same thing: the second view
        of a sample may be of it.
    siblings : bool
        What the other variables have at the same time, within a cadence, shows the same thing: sibling spacecraft,
        neighboring stations.
    checkpoint : str or Path, optional
        Folder for the state of the training; called again with the same data and choices, it goes on from there.
    load_keywords : mapping, optional
        Keywords of the instrument's loader.
    **options
        Single choices of `TrainingPlan` instead of `plan`: ``method`` ('simsiam', 'simclr', 'byol', 'vicreg' or
        'barlow_twins'), ``backbone`` ('compact' or 'resnet18'), ``epochs``, ``batch_size``, ``seed``,
        ``learning_rate``, ``views`` and others. With ``method='canonical'`` those of `CanonicalPlan`: no network is
        trained, but the directions of fixed statistics on which partners agree are found, in one step. It needs `lag`
        or `siblings`, and is how the encoders that come with the package were made.

    Returns
    -------
    Encoder
        For ``find_similar(encoder=...)`` and `save_encoder`. The same data and seed give the same weights. A collapsed
        encoder comes with a warning.

    Raises
    ------
    SimilarityError
        For bad input.

    Notes
    -----
    By default SimSiam (Chen and He 2021, doi 10.1109/CVPR46437.2021.01549) through lightly, as in Smith et al. 2024,
    but with views that physics allows: no mirror images unless asked for, since orientation is meaning. With `lag` or
    `siblings` a fifth of the time covered is held out in whole stretches, and the epoch is kept whose embeddings find
    their partners there best; without, nothing says when to stop but the number of epochs and collapse.
    """
    from ..encoder import canonical, training

    plan = _training_plan(plan, options)
    method = canonical.METHOD if isinstance(plan, canonical.CanonicalPlan) else plan.method
    if method == canonical.METHOD and lag is None and not siblings:
        raise ArgumentError("lag, siblings", "neither is given", f"Give one: {method!r} learns from partners alone.")
    # Any encoder without a recipe of its own: images are to be those of the instrument.
    choices = Choices(instrument, "pixels", recipe, {"field": field, "velocity": velocity}, progress)
    library = _library(names, trange, probe, dict(load_keywords or {}), choices)
    positives = _partners(library, None if lag is None else to_timedelta64(lag, "lag"), siblings)
    groups = None if positives is None else _stretches(library.times)
    recipe, name = library.recipe, name or f"{method}_{library.names[0]}"
    if method == canonical.METHOD:
        made_of = {"recipe": recipe.to_dict(), "recipe_hash": recipe.hash, "training": {"data": library.names}}
        card = Card(name, recipe.kind, method, **made_of)
        return canonical.fit_canonical(library.images, positives, card, plan, groups)
    return training.train(
        library.images,
        kind=recipe.kind,
        recipe=recipe.to_dict(),
        recipe_hash=recipe.hash,
        data=library.names,
        plan=plan,
        name=name,
        progress=progress,
        positives=positives,
        groups=groups,
        checkpoint=checkpoint,
    )


def _training_plan(plan: TrainingPlan | CanonicalPlan | None, options: dict[str, Any]) -> TrainingPlan | CanonicalPlan:
    """The plan that was given, or one of single options."""
    from ..encoder import canonical, training

    if plan is not None and options:
        raise ArgumentError("plan", f"given beside {', '.join(options)}", "Give either a plan or single options.")
    if plan is not None:
        return plan
    kind = training.TrainingPlan
    if options.get("method") == canonical.METHOD:
        kind, options = canonical.CanonicalPlan, {key: value for key, value in options.items() if key != "method"}
    try:
        return kind(**options)
    except TypeError as error:
        raise ArgumentError("options", str(error), f"See {kind.__module__}.{kind.__name__}.") from error


@dataclass(frozen=True, eq=False)
class _Library:
    """Images to train on, how they were made, and when and by which variable each was seen."""

    images: np.ndarray
    recipe: Recipe
    times: np.ndarray
    source: np.ndarray

    @property
    def names(self) -> list[str]:
        """Of the variables."""
        return list(dict.fromkeys(self.source.tolist()))


def _partners(library: _Library, lag: np.timedelta64 | None, siblings: bool) -> np.ndarray | None:
    """Rows of each image's partners, (n, k), or None where none are asked for."""
    from ..encoder.positives import next_in_time, same_time

    found = [] if lag is None else [next_in_time(library.times, library.source, lag)]
    if siblings:
        if len(library.names) < 2:
            raise ArgumentError("siblings", f"only {library.names[0]} is given", "Give two variables or more.")
        step = max(cadence(library.times[library.source == name]) for name in library.names)
        found.append(same_time(library.times, library.source, step))
    return np.hstack(found) if found else None


def _stretches(times: np.ndarray) -> np.ndarray:
    """Number of the stretch of time that each sample lies in: neighbors in time are not to be judged by each other."""
    edges = np.quantile(times.astype(np.int64), np.linspace(0, 1, _STRETCHES + 1)[1:-1])
    return np.searchsorted(edges, times.astype(np.int64), side="right")


def _library(names: Any, trange: Any, probe: Any, keywords: dict[str, Any], choices: Choices) -> _Library:
    segments = open_segments(names, trange, choices.instrument, probe, keywords)
    if segments is not None:
        prepared = prepared_segments(segments, choices)
    else:
        loaded = load_variables(names, trange, choices.instrument, probe, keywords)
        plan = make_plan(loaded, choices) if loaded else None
        prepared = ((plan, part) for part in within([prepare(one, plan) for one in loaded], trange))
    blocks: list[np.ndarray] = []
    times, source = [], []
    for plan, samples in prepared:
        blocks += images(samples, plan)
        times.append(samples.times)
        source.append(np.full(len(samples.times), samples.name))
        del samples
    if not blocks:
        raise VariableError(str(choices.instrument), f"there are no data in {trange}", "Give another time range.")
    return _Library(np.concatenate(blocks), plan.recipe, np.concatenate(times), np.concatenate(source))


@dataclass(frozen=True)
class _Result:
    series: tplot_output.Product
    bars: tplot_output.Product | None
    note: str


@dataclass(frozen=True)
class _Examples:
    """What is looked for and what is not, as the caller gave them."""

    like: Any
    unlike: Any

    def read(self, reader: Callable[[Any], list[Query]]) -> tuple[list[Query], list[Query]]:
        """The queries that both stand for."""
        return reader(self.like), [] if self.unlike is None else reader(self.unlike)


@dataclass(frozen=True)
class _Scored:
    """One variable with a score for each sample, all scores of the search in order, and how they came to be."""

    source: Variable
    scores: np.ndarray
    ranked: np.ndarray
    queries: list[Query]
    provenance: dict[str, Any]
    gate: FrameQuality | None = None
    usable_only: bool = False
    active_only: bool = False


def _scored_samples(opened: Opened, examples: _Examples) -> Iterator[_Scored]:
    """Scores of what was loaded, one variable after another."""
    plan = opened.plan
    queries, others = examples.read(
        lambda one: read_queries(one, opened.samples, opened.templates, lambda name: prepare(tplot.read(name), plan))
    )
    likes, unlikes = (
        [embed_query(query, plan, opened.embedded or ()) for query in group] for group in (queries, others)
    )
    for one in opened.embed():
        scores = similarity(one.embeddings, likes, unlikes)
        if not np.isfinite(scores).any():
            remedy = "Look at it with tplot: it may hold fill values only."
            raise VariableError(one.source.name, "none of its samples can be encoded", remedy)
        usable_only = one.gate is not None and plan.choices.leaves_out(one.source)
        if usable_only:
            scores = np.where(one.gate.usable, scores, np.nan)
        provenance = provenance_of(one.source, plan) | query_records(queries, others)
        ranked = np.sort(scores[np.isfinite(scores)])
        yield _Scored(one.source, scores, ranked, queries, provenance, one.gate, usable_only, plan.choices.active_only)


def _scored_archive(kept: Kept, examples: _Examples) -> Iterator[_Scored]:
    """Scores of what was kept, one series after another."""
    queries, others = examples.read(kept.queries)
    likes, unlikes = ([kept.embedded(query) for query in group] for group in (queries, others))
    found = kept.scores(likes, unlikes)
    ranked = np.concatenate(found)
    ranked = np.sort(ranked[np.isfinite(ranked)])
    for variable, scores in zip(kept.variables, found, strict=True):
        if np.isfinite(scores).any():
            yield _Scored(
                variable, scores, ranked, queries, kept.provenance_of(variable) | query_records(queries, others)
            )
        else:
            raise VariableError(variable.name, "all of its rows are damaged", "Repair the archive, or name others.")


def _search(scored: _Scored, rules: _Rules, title: tuple[str, str]) -> _Result:
    """Find the intervals of one variable."""
    variable, scores, gate = scored.source, scored.scores, scored.gate
    step = cadence(variable.times)
    exclude = rules.exclude if rules.exclude is not None else 2 * coherence_lag(scores) * step
    spans = [query.span for query in scored.queries if query.span is not None and query.samples.name == variable.name]
    candidates = np.where(outside(variable.times, spans, exclude), scores, np.nan)
    if gate is not None and scored.active_only:
        candidates = np.where(gate.active, candidates, np.nan)
    threshold = rules.threshold if rules.threshold is not None else default_threshold(scores)
    background = None
    if rules.fdr is not None:
        background = fit_background(candidates, max(2 * coherence_lag(scores), int(exclude // step)))
        threshold = background.threshold(rules.fdr)
    if rules.k is not None and rules.threshold is None and background is None:
        found, threshold = best_events(variable.times, candidates, threshold, exclude, rules.k)
    else:
        found = find_events(variable.times, candidates, threshold, exclude).best(rules.k)
    seconds = exclude / np.timedelta64(1, "s")
    logger.info("%s: threshold %.3f, exclude %g s, %d intervals", variable.name, threshold, seconds, len(found))
    chosen: dict[str, Any] = {"threshold": float(threshold), "exclude_s": float(seconds), "k": rules.k}
    if gate is not None:
        only = {"usable_only": scored.usable_only, "active_only": scored.active_only}
        chosen["gate"] = {**only, "frames": str(gate), "active": int(gate.active.sum())}
    beside = None
    if background is not None:
        chosen["fdr"] = {"fdr": rules.fdr, "stretch": background.block, "n_stretches": len(background.maxima)}
        chosen["fdr"] |= {"distance": background.distance, "shape": background.shape}
        higher = 1 - np.searchsorted(scored.ranked, found.score, side="right") / len(scored.ranked)
        beside = {"p_value": background.p_value(found.score).tolist(), "share_higher": higher.tolist()}
    provenance = scored.provenance | chosen
    series = tplot_output.similarity_series(variable, title[0], scores, provenance)
    bars = tplot_output.event_bars(variable, title[1], found, provenance, beside) if len(found) else None
    if bars is not None and scored.usable_only:
        _tell_left_out(variable, gate)
    return _Result(series, bars, _shortfall(scored, candidates, threshold, title[0]))


def _tell_left_out(variable: Variable, gate: FrameQuality) -> None:
    """How many frames have no score: a warning where it is most of them."""
    lost = int((~gate.usable).sum())
    if lost:
        level = logging.WARNING if lost > len(gate.usable) / 2 else logging.INFO
        told = "%s: %d of %d frames have no score (%s); usable_only=False searches all."
        logger.log(level, told, variable.name, lost, len(gate.usable), gate)


def _shortfall(scored: _Scored, candidates: np.ndarray, threshold: float, series: str) -> str:
    variable, gate = scored.source, scored.gate
    if not np.isfinite(candidates).any():
        judged = f", or is not usable or active ({gate})" if gate is not None else ""
        return f"every sample of {variable.name} lies within the exclusion around the queries{judged}"
    judged = f"; of its frames {gate}" if gate is not None and not gate.usable.all() else ""
    best = int(np.nanargmax(candidates))
    wanted = f"reaches the threshold {threshold:.3f}" if np.isfinite(threshold) else "stands out of the background"
    at = f"{candidates[best]:.3f} at {variable.times[best]}"
    return f"no sample of {variable.name} {wanted}; the best is {at}{judged}; see {series}"


def _store_results(results: list[_Result]) -> list[str]:
    """Store what was found; similarity series also where nothing was, to show how near it came.

    Once something is found, all series are named: what was searched in vain belongs to the result, too.
    """
    names = []
    for result in results:
        names.append(tplot.write(result.series.variable, result.series.options))
        if result.bars is not None:
            names.append(tplot.write(result.bars.variable, result.bars.options))
    if all(result.bars is None for result in results):
        return nothing_found("; ".join(result.note for result in results))
    return names
