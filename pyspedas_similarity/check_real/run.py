"""The check from download to report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from ..errors import ArgumentError
from ..files import check_place, write_whole
from ..instruments.segments import local_folders
from ..provenance import versions
from .files import CHANGED, CheckedFile, checked_files, fetch_aurora, fetch_electrons
from .plans import AuroraPlan, ElectronPlan
from .studies import Verdict, check_aurora, check_electrons

REPORT = "check.md"


def run(
    out: Path,
    folder: Path | None = None,
    electrons: ElectronPlan | None = None,
    aurora: AuroraPlan | None = None,
    no_update: bool = False,
    say: Callable[[str], None] = print,
) -> bool:
    """Download the pinned files, compare them with the record, run the studies and write a report.

    Parameters
    ----------
    out : Path
        Folder for ``check.md``, figures and pages; made if it is not there.
    folder : Path, optional
        Where the data are, or go; default the folders of pyspedas.
    electrons, aurora : ElectronPlan, AuroraPlan, optional
        The studies to run; both as pinned if none is given.
    no_update : bool
        Use local files only.
    say : callable
        Takes the lines to print.

    Returns
    -------
    bool
        True if every question has the answer that is expected.

    Raises
    ------
    LoadError
        If a file cannot be had.
    ArgumentError
        If `out` or the record of the files cannot be written.
    """
    if electrons is None and aurora is None:
        electrons, aurora = ElectronPlan(), AuroraPlan()
    studies = [name for name, plan in (("electrons", electrons), ("aurora", aurora)) if plan is not None]
    _make(out, studies)
    place = check_place(out / REPORT, (".md",), overwrite=True)
    files: list[CheckedFile] = []
    verdicts: list[Verdict] = []
    with local_folders(folder) as (mms, themis):
        # All files first: a server that does not answer is known before anything is computed.
        if electrons is not None:
            say("files of MMS ...")
            files += checked_files(mms, fetch_electrons(electrons, no_update))
        if aurora is not None:
            say("files of THEMIS ...")
            files += checked_files(themis, fetch_aurora(aurora, no_update))
        verdicts.append(_files_verdict(files))
        if electrons is not None:
            say("search among electron distributions ...")
            verdicts += check_electrons(electrons, out)
        if aurora is not None:
            say("search among all-sky frames ...")
            verdicts += check_aurora(aurora, out)
    figures = [name for name in studies if (out / f"{name}.png").exists()]
    write_whole(place, _report(verdicts, files, figures).encode(), overwrite=True)
    for one in verdicts:
        say(f"{_word(one)}: {one.question}: {one.found}")
    say(f"The report is {place}.")
    return all(one.passed for one in verdicts)


def _make(out: Path, studies: Iterable[str]) -> None:
    """Make the folder, without figures of these studies from an earlier check."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in studies:
            (out / f"{name}.png").unlink(missing_ok=True)
    except OSError as error:
        raise ArgumentError(f"folder {out}", f"it cannot be written ({error})", "Give another --out.") from error


def _files_verdict(files: Iterable[CheckedFile]) -> Verdict:
    """Judge whether the files are those of the first check."""
    files = list(files)
    changed = [one.name for one in files if one.state == CHANGED]
    found = f"changed: {', '.join(changed)}" if changed else f"{len(files)} files"
    return Verdict("The files are those that were recorded at first use", not changed, found)


def _word(verdict: Verdict) -> str:
    return "passed" if verdict.passed else "FAILED"


def _report(verdicts: list[Verdict], files: list[CheckedFile], figures: list[str]) -> str:
    """Return the report in Markdown."""
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    about = ", ".join(f"{name} {version}" for name, version in versions().items())
    lines = ["# Check on measured data", "", f"{made}; {about}.", ""]
    lines += ["| result | question | found |", "|---|---|---|"]
    lines += [f"| {_word(one)} | {one.question} | {one.found} |" for one in verdicts]
    for name in figures:
        lines += [
            "",
            f"## {name}",
            "",
            f"![query and matches]({name}.png)",
            "",
            f"[the page of this search]({name}.html)",
        ]
    lines += ["", "## Files", "", "| file | MB | SHA-256 | state |", "|---|---|---|---|"]
    lines += [f"| {one.name} | {one.megabytes:.1f} | {one.sha256} | {one.state} |" for one in files]
    return "\n".join(lines) + "\n"
