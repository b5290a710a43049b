"""The page of model cards, made from the cards of the shipped encoders."""

from pathlib import Path
from typing import Any

from pyspedas_similarity.encoder.cards import CARD, Card
from pyspedas_similarity.encoder.shipped import FOLDER, available

HEAD = """Model cards
===========

Look up what each encoder of the package was trained on, how well it finds similar samples, and where it is known to
fail. The page is made from the ``card.json`` of each encoder when the documentation is built.

Each number is followed by its 95 % interval, from a bootstrap over whole events, nights or passes; ``-`` where a task
has no such number. *AP*: average precision; *first*, *first ten*: share of right results among the first and the first
ten; *groups*: number of independent events, nights or passes. :doc:`benchmarks/retrieval` describes the tasks and gives
the results of simple methods. An encoder that you train has the same card: :doc:`howto/train`.

"""


def write_page(path: Path) -> None:
    """Write the page, unless it is up to date."""
    text = page()
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def page() -> str:
    """Return the page, one section for each encoder."""
    cards = [Card.from_json((FOLDER / name / CARD).read_text(encoding="utf-8"), name) for name in available()]
    return "\n".join([HEAD, *(_section(card) for card in cards)])


def _section(card: Card) -> str:
    facts = {
        "Takes": f"images of a {card.kind}, {card.channels} of {card.pixels} x {card.pixels} px",
        "Recipe": f"``{card.recipe_hash}``" if card.recipe_hash else "any of that shape",
        "Gives": f"{card.dimension} numbers",
        "Method": card.method,
        "Trained on": "; ".join(card.training.get("data", ["not stated"])),
        "Samples": f"{card.training.get('n_samples', 'not stated')}",
        "License": card.license or "not stated",
        "Weights": f"sha256 ``{card.weights_sha256[:16]}...``",
        "Hash": f"``{card.hash}``",
    }
    lines = [card.name, "-" * len(card.name), "", _plain(card.description), ""]
    lines += [f":{key}: {value}" for key, value in facts.items()]
    lines += ["", "**Known failures**", "", *(f"* {_plain(one)}" for one in card.known_failures), ""]
    return "\n".join([*lines, *_table(card.metrics), ""])


def _table(metrics: dict[str, Any]) -> list[str]:
    rows = [("task", "data", "AP", "first", "first ten", "groups")]
    for task, measured in sorted(metrics.items()):
        data = "simulated" if measured["simulated"] else "measured"
        numbers = (_interval(measured.get(key)) for key in ("ap", "p@1", "p@10"))
        rows.append((task, data, *numbers, str(measured["groups"])))
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in rows:
        lines += [f"   {'*' if i == 0 else ' '} - {cell}" for i, cell in enumerate(row)]
    return lines


def _interval(measured: list[float] | None) -> str:
    return "-" if measured is None else "{:.2f} ({:.2f} to {:.2f})".format(*measured)


def _plain(text: str) -> str:
    """Text of a card with markup escaped."""
    return text.replace("\\", "\\\\").replace("*", "\\*").replace("`", "\\`").replace("_", "\\_")
