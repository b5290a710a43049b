"""Cards: the same text gives the same card and hash anywhere, and a wrong text is refused by name."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from pyspedas_similarity.encoder.cards import Card
from pyspedas_similarity.errors import EncoderError


@pytest.fixture
def card() -> Card:
    return Card(
        name="crescents",
        kind="distribution",
        method="simsiam",
        dimension=128,
        channels=2,
        pixels=64,
        recipe={"planes": ("perp", "par"), "floor": -28.5},
        recipe_hash="0123456789abcdef",
        training={"seed": 1, "final_loss": -0.5, "data": ["mms1_des"]},
        metrics={"recall": 0.5},
        known_failures=["cold beams"],
    )


def test_round_trip_gives_an_equal_card(card):
    assert Card.from_json(card.to_json()) == card
    assert Card.from_json(card.to_json()).recipe["planes"] == ["perp", "par"]


def test_hash_is_the_same_in_another_process_and_order(card):
    turned = Card(**dict(reversed(json.loads(card.to_json()).items())))
    assert turned.hash == card.hash
    assert len(card.hash) == 16 and int(card.hash, 16) >= 0
    code = (
        "import sys\nfrom pyspedas_similarity.encoder.cards import Card\nprint(Card.from_json(sys.stdin.read()).hash)"
    )
    command = [sys.executable, "-c", code]
    other = subprocess.run(command, input=card.to_json(), capture_output=True, text=True, check=True)
    assert other.stdout.strip() == card.hash


def test_hash_follows_what_changes_embeddings_and_not_the_words(card):
    assert replace(card, weights_sha256="ab").hash != card.hash
    assert replace(card, recipe=card.recipe | {"floor": -28.0}).hash != card.hash
    assert replace(card, metrics={"recall": 0.6}, known_failures=[], license="MIT", description="x").hash == card.hash


def test_a_card_does_not_share_its_makers_dict():
    recipe = {"floor": 1}
    card = Card("a", "frame", "simsiam", recipe=recipe)
    recipe["floor"] = 2
    assert card.recipe == {"floor": 1}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", 3),
        ("kind", "sound"),
        ("dimension", 1.5),
        ("dimension", True),
        ("pixels", -1),
        ("recipe", []),
        ("known_failures", [1]),
        ("format_version", 2),
        ("format_version", "1"),
    ],
)
def test_a_wrong_field_is_named_with_its_file(card, field, value):
    found = json.loads(card.to_json()) | {field: value}
    with pytest.raises(EncoderError) as caught:
        Card.from_json(json.dumps(found), "folder/card.json")
    assert caught.value.subject == f"folder/card.json: {field}"


def test_missing_and_unknown_fields_are_named(card):
    found = json.loads(card.to_json())
    with pytest.raises(EncoderError, match="card.json: extra: an unknown field"):
        Card.from_json(json.dumps(found | {"extra": 1}))
    del found["training"]
    with pytest.raises(EncoderError, match="card.json: training: the field is missing"):
        Card.from_json(json.dumps(found))


def test_a_newer_layout_is_named_as_such(card):
    found = json.loads(card.to_json()) | {"format_version": 2, "new_field": 1}
    del found["training"]
    with pytest.raises(EncoderError, match="card.json: format_version: 2"):
        Card.from_json(json.dumps(found))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "[" * 100_000, '{"metrics": NaN}', "\x80\x04K\x01."])
def test_what_is_no_card_is_refused(text):
    with pytest.raises(EncoderError, match="card.json"):
        Card.from_json(text)


def test_numbers_that_json_cannot_hold_are_refused(card):
    for value in (np.nan, np.inf, np.float32(1), {1, 2}):
        with pytest.raises(EncoderError, match="metrics"):
            replace(card, metrics={"recall": value})
    overflowing = card.to_json().replace('"recall": 0.5', '"recall": 1e999')
    with pytest.raises(EncoderError, match="metrics"):
        Card.from_json(overflowing)
