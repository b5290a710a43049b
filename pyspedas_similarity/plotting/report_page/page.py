"""A report as the text of one HTML file.

No content can become markup or script: the template escapes everything, what the script reads is JSON in
which no tag can begin, and the page's own policy (Content-Security-Policy) lets only the one style sheet and the one
script of the template work, known by their hashes, and lets nothing ask the network.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from ...times import to_text
from .content import LABELS, NUMBERS, Map, Report, Table, citation, count

if TYPE_CHECKING:
    from jinja2 import Environment

MAP_WIDTH, MAP_HEIGHT = 720, 460
_MARGIN = 16
_DOI = re.compile(r"doi (10\.\S+)")
# C0 and C1 controls, and characters that reverse text: invisible, they make one name look like another.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
# With these a spreadsheet takes the text of a cell for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def render(report: Report) -> str:
    """The text of the page."""
    # Parts of this package, and JSON made here, go into the page as they are: the rest is escaped.
    style, script = _part("report.css"), _part("report.js")
    return _template().render(
        report=report,
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script),
        data=Markup(_json(_data(report))),
        labels=LABELS,
        numbers=NUMBERS,
        short=_short,
        picture=_data_address,
        points=_points(report.map) if report.map else (),
        map_size=(MAP_WIDTH, MAP_HEIGHT),
        citations=[(text, _doi_of(text)) for text in citation(report.versions)],
        records=[(one.source, json.dumps(_plain(one.record), indent=2, ensure_ascii=False)) for one in report.results],
        table_hash=table_hash(report.table),
        count=count,
    )


def table_csv(table: Table) -> str:
    """Return the table as comma-separated values, the text that the page's button exports while all rows are shown."""
    file = StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(table.columns)
    for row in table.rows:
        writer.writerow([_cell(name, seen(value)) for name, value in zip(table.columns, row, strict=True)])
    return file.getvalue()


def table_hash(table: Table) -> str:
    """SHA-256 of that text."""
    return hashlib.sha256(table_csv(table).encode()).hexdigest()


def seen(value: Any) -> str:
    """Text without what cannot be seen or cannot be written."""
    return _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", str(value)).encode("utf-8", "replace").decode()


def _cell(name: str, value: str) -> str:
    return f"'{value}" if name not in NUMBERS and value.startswith(_FORMULA) else value


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment: Environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_finalize
    )
    return environment.from_string(_part("report.html"))


def _finalize(value: Any) -> Any:
    """Insert text into the page, escaped unless this module made it."""
    return value if hasattr(value, "__html__") else seen(value)


@cache
def _part(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _json(value: Any) -> str:
    """JSON in which no tag, comment or entity can begin."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _data(report: Report) -> dict[str, Any]:
    """Return the data of the script, and for its exports."""
    numbers = [name in NUMBERS for name in report.table.columns]
    return {
        "title": seen(report.title),
        "columns": report.table.columns,
        "numbers": numbers,
        "rows": [[seen(value) for value in row] for row in report.table.rows],
        "records": [_plain(result.record) for result in report.results],
        "methods": [seen(text) for text in report.methods],
        "versions": dict(report.versions),
        "citation": citation(report.versions),
        "points": [[seen(text), row] for text, row in zip(report.map.text, report.map.row, strict=True)]
        if report.map
        else [],
    }


def _plain(value: Any) -> Any:
    """Provenance as JSON can hold it: infinite numbers as text."""
    if isinstance(value, Mapping):
        return {seen(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if np.isfinite(value) else str(value)
    return value if value is None or isinstance(value, (bool, int)) else seen(value)


def _short(name: str, value: str) -> str:
    """A value as it is read: times to the millisecond, numbers to some digits. The whole value is in its title."""
    if name in ("start", "end", "peak"):
        return to_text(value)
    if name == "n_samples" or name not in NUMBERS or not value:
        return value
    number = float(value)
    return f"{number:.4f}" if name == "score" else f"{number:.4g}"


def _data_address(png: bytes) -> Markup:
    return Markup(f"data:image/png;base64,{base64.b64encode(png).decode()}")


def _doi_of(text: str) -> str:
    found = _DOI.search(text)
    return f"https://doi.org/{found[1]}" if found else ""


def _points(drawn: Map) -> list[tuple[int, str, str, str]]:
    """Number, kind and place of each point, what lies behind first: queries are drawn last."""
    low, high = drawn.places.min(axis=0), drawn.places.max(axis=0)
    size = np.array([MAP_WIDTH, MAP_HEIGHT]) - 2 * _MARGIN
    at = _MARGIN + (drawn.places - low) / np.where(high > low, high - low, 1) * size
    order = sorted(range(len(at)), key=lambda i: ("other", "match", "query").index(drawn.kind[i]))
    return [(i, drawn.kind[i], f"{at[i, 0]:.1f}", f"{MAP_HEIGHT - at[i, 1]:.1f}") for i in order]
