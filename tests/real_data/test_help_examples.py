"""The examples that `pyspedas-similarity --help` prints run as printed, on the real file of moments."""

from __future__ import annotations

import shlex
import shutil

from pyspedas_similarity import cli

ANSWERS = "review"  # asks at a terminal
NEEDS_TORCH = "train"


def printed_examples(capsys) -> list[list[str]]:
    """Return the arguments of each example of the main help."""
    try:
        cli.main(["--help"])
    except SystemExit as end:
        assert end.code == 0
    text = capsys.readouterr().out.split("examples:\n")[1].split("\n\n")[0].replace("\\\n", " ")
    return [shlex.split(line)[1:] for line in text.splitlines() if line.strip().startswith("pyspedas-similarity")]


def test_examples_of_the_help_run_as_printed(real_data, tmp_path, monkeypatch, capsys):
    examples = printed_examples(capsys)
    assert len(examples) == 15
    monkeypatch.chdir(tmp_path)
    shutil.copy(real_data("mms/mms1_fpi_brst_l2_dis-moms_20151016130524_v3.3.0.cdf"), "MOMENTS.cdf")
    shutil.copy(real_data("mms/sitl_selections.csv"), "sitl_selections.csv")
    runs = [one for one in examples if "MOMENTS.cdf" in one and one[0] not in (ANSWERS, NEEDS_TORCH)]
    runs += [one for one in examples if one[0] in ("export", "join")]
    assert sorted(one[0] for one in runs) == ["export", "find", "join", "report"]
    for one in runs:
        assert cli.main(one) == cli.FOUND, one
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".cdf") == [
        *("found.ecsv", "found.xml", "page.html", "sitl_selections.csv")
    ]
    printed = capsys.readouterr().out
    assert "own event of the query: 2015-10-16T13:06:" in printed and "searched" in printed
