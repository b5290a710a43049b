"""Which encoder is taken where none is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pyspedas_similarity.imaging.recipes import WindowRecipe
from pyspedas_similarity.instruments.registry import ELECTRONS
from pyspedas_similarity.library.plan import EncodingOptions, make_plan
from pyspedas_similarity.tplot import Variable

TIMES = np.datetime64("2020-01-01", "ns") + np.arange(4) * np.timedelta64(1, "s")
ELECTRON, ION = (Variable(f"mms1_{sensor}_dist_brst", TIMES, np.zeros((4, 32, 16, 32))) for sensor in ("des", "dis"))
FRAMES = Variable("thg_asf_fsmi", TIMES, np.zeros((4, 256, 256)))
SPECTROGRAM = Variable("spectrogram", TIMES, np.zeros((4, 32)), {"v": np.geomspace(10, 1e4, 32)})
WINDOW = WindowRecipe(length_s=2, stride_s=1)


@pytest.mark.parametrize(
    ("variable", "choices", "has_field", "name"),
    [
        (ELECTRON, EncodingOptions(), True, "structure+mms_electrons"),
        (ELECTRON, EncodingOptions(encoder="structure"), True, "structure"),
        (ELECTRON, EncodingOptions(recipe=replace(ELECTRONS, blur=2.0)), True, "structure"),
        (ELECTRON, EncodingOptions(encoder="hog"), True, "hog"),
        (ION, EncodingOptions(), True, "structure"),
        (SPECTROGRAM, EncodingOptions(recipe=WINDOW), False, "structure"),
        (SPECTROGRAM, EncodingOptions(recipe=replace(WINDOW, pixels=16)), False, "structure"),
        (FRAMES, EncodingOptions(), False, "structure"),
    ],
)
def test_the_default_is_structure_and_a_network_where_the_package_has_one(variable, choices, has_field, name):
    assert make_plan([variable], choices, has_field).encoder.card.name == name


def test_without_a_field_electrons_fall_back_to_the_axes_of_the_instrument(caplog):
    plan = make_plan([ELECTRON], EncodingOptions(), False)
    assert plan.encoder.card.name == "structure" and not plan.recipe.field_aligned
    assert "no magnetic field is loaded" in caplog.text
