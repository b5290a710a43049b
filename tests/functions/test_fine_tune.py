"""Fine-tuning by the public verb, on a simulated night and on simulated electrons that come segment by segment."""

from __future__ import annotations

import numpy as np
import pytest

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.encoder.fitted import fit_random
from pyspedas_similarity.errors import ArgumentError, EncoderError, QueryError, VariableError
from pyspedas_similarity.functions import classification
from pyspedas_similarity.imaging.frames import frame_images
from pyspedas_similarity.imaging.recipes import FrameRecipe
from pyspedas_similarity.instruments.registry import ELECTRONS
from pyspedas_similarity.instruments.sample_images import select
from pyspedas_similarity.instruments.segments import Segment
from pyspedas_similarity.library.plan import EncodingOptions
from pyspedas_similarity.library.samples import Request
from pyspedas_similarity.search.query import parse_examples
from pyspedas_similarity.simulate.allsky import simulate_nights
from pyspedas_similarity.simulate.fpi import simulate_event, store
from pyspedas_similarity.simulate.stations import NightOptions
from pyspedas_similarity.tplot import Variable

pytest.importorskip("torch")

START = np.datetime64("2020-01-02T06:00:00", "ns")
RECIPE = FrameRecipe(pixels=32)
KINDS = ("quiet", "arc", "patches")


@pytest.fixture(scope="module")
def night():
    options = NightOptions(KINDS, conditions=("clear",), heights_km=(110.0,), height_weights=(1.0,))
    return simulate_nights(START, 1800.0, 3, ("fsmi",), cadence_s=10.0, size=64, options=options)["fsmi"]


@pytest.fixture(scope="module")
def encoder(night):
    return fit_random(frame_images(night.frames, RECIPE, night.view), "frame", "random_compact")


@pytest.fixture
def name(night):
    return tplot.write(Variable("simulated_asf_fsmi", night.times, night.frames, attributes={"skymap": night.view}))


def examples(night, count: int) -> dict[str, list[np.datetime64]]:
    """Frames evenly among those of their kind."""
    of_kind = {kind: np.flatnonzero(night.kind == kind) for kind in KINDS}
    return {kind: list(night.times[rows[:: len(rows) // count][:count]]) for kind, rows in of_kind.items()}


def test_labels_become_an_encoder(name, night, encoder):
    given = examples(night, 12)
    tuned = sim.fine_tune(name, examples=given, encoder=encoder, recipe=RECIPE, epochs=2, progress=False)
    record = tuned.card.training["fine_tuning"]
    assert record["labels"] == dict.fromkeys(sorted(KINDS), 12) and record["from"]["hash"] == encoder.hash
    assert tuned.card.training["data"] == [name] and record["plan"]["epochs"] == 2 and record["n_held_out"] > 0
    found = sim.classify(name, examples=given, encoder=tuned, recipe=RECIPE, usable_only=False, errors="raise")
    probability = tplot.read(found[-1])
    assert probability.values.shape == (len(night.times), 3)
    assert probability.attributes["similarity"]["encoder"]["hash"] == tuned.hash != encoder.hash


def test_intervals_count_by_their_samples_and_events_by_their_gap(name, night, encoder):
    begins = np.flatnonzero(np.append(True, night.kind[1:] != night.kind[:-1]))
    spans: dict[str, list] = {kind: [] for kind in KINDS}
    for i in begins[:-1]:
        spans[str(night.kind[i])].append([night.times[i + 1], night.times[i + 6]])
    keywords = {"examples": spans, "encoder": encoder, "recipe": RECIPE, "epochs": 1, "progress": False}
    record = sim.fine_tune(name, event_gap=15, **keywords).card.training["fine_tuning"]
    assert record["labels"] == {kind: 6 * len(spans[kind]) for kind in sorted(KINDS)}
    assert record["n_groups"] == sum(map(len, spans.values()))
    with pytest.raises(ArgumentError, match="from 1 event.*from 2 events or more"):
        sim.fine_tune(name, event_gap=3600, **keywords)


def test_segments_are_searched_for_the_examples_and_let_go(monkeypatch):
    event = simulate_event(3, duration_s=6.0)
    stored = store(event)
    electrons, field = tplot.read(stored[0]), tplot.read("simulated1_fgm_b_dmpa_brst_l2")
    rows = np.array_split(np.arange(len(event.times)), 4)
    parts = [Segment(select(electrons, each), {"field": field}) for each in rows]
    monkeypatch.setattr(Request, "segments", lambda request: iter(parts))
    noise = np.random.default_rng(0).random((20, *ELECTRONS.shape), np.float32)
    encoder = fit_random(noise, "distribution", "random_compact")
    given = {"early": list(event.times[2:70:6]), "late": list(event.times[102:170:6])}
    asked = {"instrument": "mms_des", "trange": [event.times[0], event.times[-1]], "probe": "1", "encoder": encoder}
    examples = {name: parse_examples(like) for name, like in given.items()}
    request = Request(None, asked["trange"], "mms_des", "1")
    kept = classification._library_of_examples(examples, request, EncodingOptions("mms_des", encoder)).series
    held = sum(len(part.times) for part in kept)
    assert kept[0].plan.recipe == ELECTRONS and 2 * 12 <= held < len(event.times)
    assert all(np.isin(each, np.concatenate([part.times for part in kept])).all() for each in given.values())
    tuned = sim.fine_tune(examples=given, event_gap=0.1, epochs=1, progress=False, **asked)
    record = tuned.card.training["fine_tuning"]
    assert record["labels"] == {"early": 12, "late": 12} and record["n_groups"] == 24
    with pytest.raises(VariableError, match="no example lies in"):
        sim.fine_tune(examples={"a": ["2021-01-01"], "b": ["2021-01-02"]}, **asked)


def test_bad_input_is_refused(name, night, encoder):
    given = examples(night, 3)
    with pytest.raises(ArgumentError, match="3 labels of 'arc'.*10 labels or more of each class"):
        sim.fine_tune(name, examples=given, encoder=encoder, recipe=RECIPE)
    with pytest.raises(EncoderError, match="pixels: it has no weights"):
        sim.fine_tune(name, examples=given, encoder="pixels")
    with pytest.raises(ArgumentError, match="encoder: none is given"):
        sim.fine_tune(name, examples=given)
    with pytest.raises(ArgumentError, match="two classes or more"):
        sim.fine_tune(name, examples={"arc": given["arc"]}, encoder=encoder)
    with pytest.raises(ArgumentError, match="speed: LabelPlan has no such keyword"):
        sim.fine_tune(name, examples=given, encoder=encoder, speed=3)
    with pytest.raises(QueryError, match="1999"):
        sim.fine_tune(name, examples={"a": "1999-01-01", "b": given["arc"]}, encoder=encoder, recipe=RECIPE)
