"""Options of encoding, as a caller of the public functions gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..encoder.runtime import Encoder
from ..errors import ArgumentError
from ..imaging.recipes import Recipe
from ..instruments.registry import instrument_named, is_all_sky
from ..tplot import Variable


@dataclass(frozen=True)
class EncodingOptions:
    """Options of encoding; None or empty means the default.

    Attributes
    ----------
    instrument : str or None
        Registered instrument whose recipe is used, where the name of a variable does not identify it.
    encoder : str, Path, Encoder or None
    recipe : Recipe or None
    companions : mapping of str to str
        Names of tplot variables under 'field' and 'velocity'.
    progress : bool
        Show progress bars.
    scalars : bool
        Also compute the scalars that the recipe removes from the images.
    usable_only : bool or None
        Give only usable camera frames a score. None: for registered all-sky cameras only.
    active_only : bool
        Report only active camera frames.
    thumbnails : bool
        Store a small picture of each sample in an archive.
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
