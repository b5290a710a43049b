"""Which encoder is taken where none is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pyspedas_similarity.errors import EncoderError
from pyspedas_similarity.imaging.recipes import WindowRecipe
from pyspedas_similarity.instruments.registry import ELECTRONS
from pyspedas_similarity.library.options import EncodingOptions
from pyspedas_similarity.library.plan import make_plan
from pyspedas_similarity.tplot import Variable

TIMES = np.datetime64("2020-01-01", "ns") + np.arange(4) * np.timedelta64(1, "s")
ELECTRON, ION = (Variable(f"mms1_{sensor}_dist_brst", TIMES, np.zeros((4, 32, 16, 32))) for sensor in ("des", "dis"))
FRAMES = Variable("thg_asf_fsmi", TIMES, np.zeros((4, 256, 256)))
SPECTROGRAM = Variable("spectrogram", TIMES, np.zeros((4, 32)), {"v": np.geomspace(10, 1e4, 32)})
WINDOW = WindowRecipe(length_s=2, stride_s=1)


@pytest.mark.parametrize(
    ("variable", "choices", "has_field", "name"),
    [
        (ELECTRON, EncodingOptions(), True, "mms_electrons"),
        (ELECTRON, EncodingOptions(recipe=replace(ELECTRONS, blur=2.0)), True, "pixels"),
        (ELECTRON, EncodingOptions(encoder="hog"), True, "hog"),
        (ION, EncodingOptions(), True, "pixels"),
        (SPECTROGRAM, EncodingOptions(recipe=WINDOW), False, "windows"),
        (SPECTROGRAM, EncodingOptions(recipe=replace(WINDOW, pixels=16)), False, "pixels"),
        # 'sky' sees other images than the instrument's recipe makes: only if asked for.
        (FRAMES, EncodingOptions(), False, "hybrid"),
        (FRAMES, EncodingOptions(encoder="shipped"), False, "sky"),
    ],
)
def test_the_default_is_the_shipped_encoder_for_the_very_images(variable, choices, has_field, name):
    plan = make_plan([variable], choices, has_field)
    assert plan.encoder.card.name == name
    assert plan.recipe.pixels == (64 if name == "sky" else plan.recipe.pixels)
    if plan.encoder.card.recipe_hash:
        assert plan.recipe.hash == plan.encoder.card.recipe_hash


def test_without_a_field_electrons_fall_back_to_the_axes_of_the_instrument(caplog):
    plan = make_plan([ELECTRON], EncodingOptions(), False)
    assert plan.encoder.card.name == "pixels" and not plan.recipe.field_aligned
    assert "no magnetic field is loaded" in caplog.text


def test_none_is_shipped_for_ions():
    with pytest.raises(EncoderError, match="none that came with the package"):
        make_plan([ION], EncodingOptions(encoder="shipped"), True)
