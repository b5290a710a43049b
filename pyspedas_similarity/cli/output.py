"""Output of the commands: exit statuses, tables, JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

FOUND, NOTHING_FOUND, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def print_table(table: Any, as_json: bool, columns: Sequence[str] = ()) -> None:
    """A table of intervals for people, some columns of it, or all of it as JSON for programs."""
    if as_json:
        from ..results.exports import json_text
        from ..results.tplot_output import result_table

        print(json_text(result_table(table)), end="")
        return
    if "score" in table.colnames:
        table["score"].info.format = ".3f"
    shown = table[list(columns)] if columns else table
    print("\n".join(shown.pformat(max_lines=-1, max_width=-1, show_unit=False)))


def print_json(record: Any) -> None:
    """A record as JSON; what JSON has no form of, as its text."""
    import json

    print(json.dumps(record, indent=1, default=str))
