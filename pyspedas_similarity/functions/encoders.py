"""Public functions that make encoders, by training, importing and loading, and that embed variables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..conventions import check_keywords, check_result_names, nothing_found, pyspedas_convention, result_names
from ..encoder.cards import KINDS
from ..encoder.runtime import Encoder
from ..encoder.weights import load_encoder, save_encoder
from ..errors import ArgumentError, VariableError
from ..imaging.recipes import Recipe
from ..instruments import sample_images
from ..instruments.registry import instrument_named
from ..library.plan import EncodingOptions, resolve_encoder
from ..library.samples import Request, prepared_parts
from ..library.series import open_loaded
from ..results import tplot_output
from ..times import cadence, longest_step, to_timedelta64

if TYPE_CHECKING:
    from ..encoder.training import TrainingPlan

__all__ = ["adapt", "encode", "import_encoder", "load_encoder", "save_encoder", "train"]

_Plan = TypeVar("_Plan")

# A fifth of these parts of the time covered is held out in training.
_PARTS = 10


def train(
    names: str | int | Iterable[str | int] | None = None,
    *,
    trange: Any = None,
    instrument: str | None = None,
    probe: Any = None,
    plan: TrainingPlan | None = None,
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
    """Train an encoder on your own data, by self-supervision.

    Parameters
    ----------
    names, trange, instrument, probe, recipe, field, velocity
        As in `find_similar`; at least 16 samples that can be encoded, all of one kind.
    plan : TrainingPlan, optional
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
        Folder for the state of the training; called again with the same data and options, it continues from there.
    load_keywords : mapping, optional
        Keywords of the instrument's loader.
    **options
        Single choices of `TrainingPlan` instead of `plan`: ``method`` ('simsiam', 'simclr', 'byol', 'vicreg' or
        'barlow_twins'), ``backbone`` ('compact' or 'resnet18'), ``epochs``, ``batch_size``, ``seed``,
        ``learning_rate``, ``views`` and others.

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
    but with views that physics allows: no mirror images by default, since orientation is meaning. With `lag` or
    `siblings` a fifth of the time covered is held out in whole stretches, and the epoch is kept whose embeddings find
    their partners there best; without, only the number of epochs and collapse end the training.
    """
    from ..encoder import training

    plan = plan_of(training.TrainingPlan, plan, options)
    # Any encoder without a recipe of its own: images are to be those of the instrument.
    encoding = EncodingOptions(instrument, "pixels", recipe, {"field": field, "velocity": velocity}, progress)
    library = _library(Request(names, trange, instrument, probe, load_keywords or {}), encoding)
    positives = _partners(library, None if lag is None else to_timedelta64(lag, "lag"), siblings)
    groups = None if positives is None else _stretches(library.times)
    recipe = library.recipe
    return training.train(
        library.images,
        kind=recipe.kind,
        recipe=recipe.to_dict(),
        recipe_hash=recipe.hash,
        data=library.names,
        plan=plan,
        name=name or f"{plan.method}_{library.names[0]}",
        progress=progress,
        positives=positives,
        groups=groups,
        checkpoint=checkpoint,
    )


def adapt(
    encoder: Encoder | str | Path,
    names: str | int | Iterable[str | int] | None = None,
    *,
    trange: Any = None,
    instrument: str | None = None,
    probe: Any = None,
    lag: Any = None,
    field: str | None = None,
    velocity: str | None = None,
    load_keywords: Mapping[str, Any] | None = None,
    **options: Any,
) -> Encoder:
    """Adapt the last layers of a trained network to the data to be searched, without labels.

    Parameters
    ----------
    encoder : Encoder, str or Path
        Trained by this package: from `train`, a saved one, or ``"mms_electrons"``. It stays as it is.
    names, trange, instrument, probe, field, velocity
        Data to be searched, as in `find_similar`; all images are in memory at once, at least 16.
    lag : seconds, timedelta or Quantity, optional
        A sample and the next one of the same variable are made similar if they are no further apart. Default: 1.5
        cadences.
    load_keywords : mapping, optional
        Keywords of the instrument's loader.
    **options
        Single choices of `TrainingPlan` in place of ``method='vicreg'``, ``epochs=4``, ``learning_rate=3e-4``.

    Returns
    -------
    Encoder
        For ``find_similar(encoder=...)`` and `save_encoder`.

    Raises
    ------
    SimilarityError
        For bad input, such as an encoder that has no network of this package, or data of another kind.

    Notes
    -----
    Thousands of samples take about half a minute. The adapted network is searched with alone; what that brings and
    costs is measured in docs/benchmarks/networks. It is made for one library: archives and other months need the
    network as it was.
    """
    from ..encoder import backbone, finetune, training
    from ..encoder.training_images import next_in_time

    backbone.require_training()
    trained = encoder if isinstance(encoder, Encoder) else load_encoder(encoder)
    finetune.check_tunable(trained)
    plan = plan_of(training.TrainingPlan, None, asdict(finetune.ADAPTATION_PLAN) | options)
    encoding = EncodingOptions(instrument, trained, None, {"field": field, "velocity": velocity})
    library = _library(Request(names, trange, instrument, probe, load_keywords or {}), encoding)
    steps = [longest_step(library.times[library.source == one]) for one in library.names]
    longest = max(steps) if lag is None else to_timedelta64(lag, "lag")
    partners = next_in_time(library.times, library.source, longest)
    return finetune.adapt(trained, library.images, partners, plan, library.names)


def import_encoder(
    path: str | Path,
    recipe: Recipe | str,
    *,
    pixels: int = 0,
    channels: int = 0,
    mean: float | Sequence[float] = 0.0,
    std: float | Sequence[float] = 1.0,
    layout: str = "NCHW",
    output: str = "",
    name: str = "",
    license: str = "",
) -> Encoder:
    """Make an encoder from a network of others, an ONNX file with one image as input.

    Parameters
    ----------
    path : str or Path
        Self-contained file: one input (n, channels, rows, columns) of float32 with a dynamic first axis, standard
        operators only. Nothing in it is unpickled.
    recipe : Recipe or str
        Recipe for the images that the network is given, or the name of an instrument for its recipe.
    pixels, channels : int
        Side and channels of the input; 0: as stated in the file, else those of the recipe. Larger images are averaged,
        smaller ones interpolated linearly. Images with another number of channels are processed one channel at a time,
        repeated to this number, and their features are concatenated.
    mean, std : float or sequence of float
        Subtracted from the image and divided by, for all channels or each, in units of the recipe's images, which
        mostly range from 0 to 1.
    layout : {'NCHW', 'NHWC'}
        Order of the axes of the input.
    output : str
        Name of the tensor to use, output or inner; '': the only output. Maps are averaged over the image.
    name : str
        What to call the encoder; default the name of the file.
    license : str
        License of the weights, for the card.

    Returns
    -------
    Encoder
        For ``find_similar(encoder=...)``, `encode`, `add` and `save_encoder`. What is not measured in an image, such as
        pixels outside the mask of a frame, is 0 before the mean is subtracted.

    Raises
    ------
    ArgumentError
        An argument is out of its range, or the recipe is that of panels.
    EncoderError
        The file is not a readable network, refers to other files, has custom operators or weights that are not finite,
        takes another input, or its features of an image depend on the other images of a batch.
    """
    from ..encoder.foreign import ForeignInput, import_onnx

    recipe = instrument_named(recipe).recipe if isinstance(recipe, str) else recipe
    if not isinstance(recipe, Recipe) or recipe.kind not in KINDS:
        found = f"found {type(recipe).__name__}"
        raise ArgumentError("recipe", found, f"Give a recipe of one of the kinds {', '.join(KINDS)}.")
    takes = ForeignInput(pixels, channels, _numbers("mean", mean), _numbers("std", std), layout, output)
    encoder = import_onnx(path, recipe, takes, name)
    return replace(encoder, card=replace(encoder.card, license=license))


def _numbers(name: str, values: float | Sequence[float]) -> tuple[float, ...]:
    """Return one number or several as a tuple."""
    try:
        return tuple(np.atleast_1d(np.asarray(values, float)).tolist())
    except (TypeError, ValueError) as error:
        raise ArgumentError(name, f"found {values!r:.60}", "Give a number, or one for each channel.") from error


def plan_of(kind: type[_Plan], plan: _Plan | None, options: Mapping[str, Any]) -> _Plan:
    """Return the plan that was given, or one made of single options; ArgumentError for both or an unknown option."""
    if plan is not None and options:
        raise ArgumentError("plan", f"given with {', '.join(options)}", "Give either a plan or single options.")
    check_keywords(options, [one.name for one in fields(kind)], kind.__name__)
    try:
        return kind(**options) if plan is None else plan
    except TypeError as error:  # a value of a type that is compared with a number
        raise ArgumentError(", ".join(options), str(error), f"See help({kind.__name__}).") from error


@dataclass(frozen=True, eq=False)
class _Library:
    """Images to train on, how they were made, and when and by which variable each was seen."""

    images: np.ndarray
    recipe: Recipe
    times: np.ndarray
    source: np.ndarray

    @property
    def names(self) -> list[str]:
        """Names of the variables."""
        return list(dict.fromkeys(self.source.tolist()))


def _partners(library: _Library, lag: np.timedelta64 | None, siblings: bool) -> np.ndarray | None:
    """Return the rows of each image's partners, (n, k), or None if none are requested."""
    from ..encoder.training_images import next_in_time, same_time

    found = [] if lag is None else [next_in_time(library.times, library.source, lag)]
    if siblings:
        if len(library.names) < 2:
            raise ArgumentError("siblings", f"only {library.names[0]} is given", "Give two variables or more.")
        step = max(cadence(library.times[library.source == name]) for name in library.names)
        found.append(same_time(library.times, library.source, step))
    return np.hstack(found) if found else None


def _stretches(times: np.ndarray) -> np.ndarray:
    """Number of the stretch of time that each sample lies in: neighbors in time are not to be judged by each other."""
    edges = np.quantile(times.astype(np.int64), np.linspace(0, 1, _PARTS + 1)[1:-1])
    return np.searchsorted(edges, times.astype(np.int64), side="right")


def _library(request: Request, options: EncodingOptions) -> _Library:
    blocks: list[np.ndarray] = []
    times, source, plan = [], [], None
    for plan, samples in prepared_parts(request, options):
        blocks += sample_images.images(samples, plan.recipe)
        times.append(samples.times)
        source.append(np.full(len(samples.times), samples.name))
        del samples
    if not blocks:
        raise VariableError(str(request.instrument), f"no data in {request.trange}", "Give another time range.")
    return _Library(np.concatenate(blocks), plan.recipe, np.concatenate(times), np.concatenate(source))


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
