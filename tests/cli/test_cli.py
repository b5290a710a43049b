"""The same verbs from a shell: output, files, exit status."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from astropy.table import QTable
from cdflib.cdfwrite import CDF

from pyspedas_similarity import cli, demo
from pyspedas_similarity.archive.lance_index import MIN_ROWS
from pyspedas_similarity.encoder.cards import KINDS
from pyspedas_similarity.encoder.fixed import fixed_encoder

TRANGE = ["2020-01-02/06:00", "2020-01-02/06:04"]
FIND = ["find", "--instrument", "simulated_asi", "--trange", *TRANGE, "--like", "2020-01-02/06:01:00"]


def test_find_prints_and_writes_the_table(tmp_path, capsys):
    path = tmp_path / "found.ecsv"
    assert cli.main([*FIND, "-k", "2", "--exclude", "6", "--out", str(path)]) == cli.FOUND
    printed = capsys.readouterr().out
    table = QTable.read(path, format="ascii.ecsv")
    assert 1 <= len(table) <= 2 and table["start"].scale == "utc"
    for peak in table["peak"].isot:
        assert peak in printed
    assert printed.startswith("own event of the query: ") and max(map(len, printed.splitlines()[1:])) <= 80
    assert table.meta["similarity"][0]["queries"][0]["start"] == "2020-01-02T06:01:00.000000000"


def test_a_table_that_is_there_stays_unless_asked(tmp_path, capsys):
    path = tmp_path / "found.csv"
    path.write_text("mine")
    assert cli.main([*FIND, "-k", "1", "--out", str(path)]) == cli.BAD_INPUT
    assert "--overwrite" in capsys.readouterr().err and path.read_text() == "mine"
    assert cli.main([*FIND, "-k", "1", "--out", str(path), "--overwrite"]) == cli.FOUND
    assert path.read_text().startswith("start")


def test_an_interval_may_be_the_seed():
    assert cli.main([*FIND, "2020-01-02/06:01:30", "-k", "1"]) == cli.FOUND


def test_nothing_found_is_status_one():
    assert cli.main([*FIND, "--threshold", "1"]) == cli.NOTHING_FOUND


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([*FIND[:-1], "tomorrow"], "this is not a time"),
        ([*FIND, "-k", "0"], "1 or more"),
        ([*FIND, "--out", "table.xyz"], ".ecsv"),
        ([*FIND, "--reference", "/nowhere"], "no archive"),
        ([*FIND, "--out", "/nowhere/at/all/table.csv"], "there is no folder /nowhere/at/all"),
        (["find", "--like", "2020-01-01"], "nothing to search"),
        (["find", "--cdf", "missing.cdf", "--variable", "x", "--like", "2020-01-01"], "there is no file"),
        (["find", "--cdf", "missing.cdf", "--like", "2020-01-01"], "--variable"),
        (["find", "--cdf", __file__, "--variable", "x", "--like", "2020-01-01"], "not a whole CDF"),
        (["demo", "--data", "/nowhere"], "there is no file"),
        (["demo", "--out", "/dev/null/x"], "cannot be written"),
        (["info", "/nowhere"], "/nowhere"),
        (["info", "nope"], "encoder nope: it is neither a name nor a folder"),
        ([*FIND, "--encoder", "nope"], "'nope' is neither a name nor a folder"),
        (["find", "--instrument", "simulated_asi", "--like", "2020-01-01"], "trange: it is missing"),
        ([*FIND[:4], TRANGE[0], TRANGE[0], *FIND[6:]], "it is empty"),
    ],
)
def test_bad_input_is_one_line_and_status_two(arguments, says, capsys):
    assert cli.main(arguments) == cli.BAD_INPUT
    error = capsys.readouterr().err
    assert says in error and error.startswith("pyspedas-similarity: ") and error.count("\n") == 1


def test_variables_of_a_file_are_listed_where_the_name_is_wrong(tmp_path, capsys):
    file = tmp_path / "two.cdf"
    with CDF(file, cdf_spec={"Compressed": 0}) as cdf:
        for number, name in enumerate(("Epoch", "flux")):
            spec = {"Variable": name, "Data_Type": CDF.CDF_DOUBLE, "Num_Elements": 1, "Rec_Vary": True, "Dim_Sizes": []}
            kind = "data" if number else "support_data"
            cdf.write_var(spec, var_attrs={"VAR_TYPE": kind}, var_data=np.arange(5.0))
    assert cli.main(["find", "--cdf", str(file), "--variable", "unlike", "--like", "2020-01-01"]) == cli.BAD_INPUT
    assert capsys.readouterr().err == (
        "pyspedas-similarity: --variable unlike: the files have no variable of this name. Give flux.\n"
    )


def test_what_is_no_threshold_is_told(capsys):
    with pytest.raises(SystemExit):
        cli.main([*FIND, "--threshold", "high"])
    assert "give a cosine from -1 to 1, or 'auto'" in capsys.readouterr().err


def test_an_archive_is_filled_searched_and_moved(tmp_path, capsys):
    folder, file = str(tmp_path / "kept"), str(tmp_path / "all.parquet")

    def run(*arguments):
        status = cli.main([str(one) for one in arguments])
        return status, capsys.readouterr().out

    data = ["--instrument", "simulated_asi", "--trange", *TRANGE]
    assert run("archive", "add", folder, *data) == (cli.FOUND, "version 2: 80 added, 0 there already, 0 left out\n")
    assert run("archive", "add", folder, *data)[1] == "version 2: 0 added, 80 there already, 0 left out\n"
    like = ["--like", "2020-01-02/06:01:00", "--exclude", "6", "-k", "2"]
    plain = ["--reference", "none"]
    whole = run("find", "--archive", folder, *plain, *like)
    nearest = run("find", "--archive", folder, "--nearest", *like)
    assert whole[0] == nearest[0] == cli.FOUND
    assert run("find", "--archive", folder, "--looking-for", "event", *like)[0] == cli.FOUND
    assert cli.main(["find", "--archive", folder, "--nearest", *plain, *like]) == cli.BAD_INPUT
    assert "--reference" in capsys.readouterr().err
    best = [next(row.split()[:2] for row in text.splitlines() if row[0].isdigit()) for _, text in (whole, nearest)]
    assert best[0] == best[1]  # peak and score of the best interval
    assert cli.main(["archive", "index", folder]) == cli.BAD_INPUT
    assert "80 rows" in capsys.readouterr().err
    assert run("archive", "verify", folder) == (cli.FOUND, "version 2: 80 samples intact, 0 damaged\n")
    assert "80 samples" in run("archive", "info", folder, "--versions")[1]
    assert run("archive", "compact", folder, "--keep", "1")[0] == cli.FOUND
    assert run("archive", "export", folder, file)[0] == cli.FOUND
    assert run("archive", "import", tmp_path / "other", file)[1] == "version 2: 80 added, 0 there already\n"


@pytest.mark.parametrize("wrong", [["--threshold", "0.5", "--archive", "x"], []])
def test_the_nearest_are_of_an_archive(wrong, capsys):
    assert cli.main(["find", "--nearest", "--like", "2020-01-02/06:01:00", *wrong]) == cli.BAD_INPUT
    assert "--nearest: given with" in capsys.readouterr().err


def test_results_are_printed_for_programs(tmp_path, capsys):
    assert cli.main([*FIND, "-k", "2", "--exclude", "6", "--json"]) == cli.FOUND
    found = json.loads(capsys.readouterr().out)
    assert len(found["data"]) == 2 and {"start", "end", "peak", "score"} <= set(found["data"][0])
    assert found["provenance"]["similarity"][0]["queries"][0]["start"] == "2020-01-02T06:01:00.000000000"
    assert cli.main([*FIND, "--threshold", "1", "--json", "-q"]) == cli.NOTHING_FOUND
    printed = capsys.readouterr()
    assert json.loads(printed.out)["data"] == [] and printed.err == ""


def test_an_archive_is_told_for_programs(tmp_path, capsys):
    folder = str(tmp_path / "kept")
    cli.main(["archive", "add", folder, "--instrument", "simulated_asi", "--trange", *TRANGE, "-q"])
    capsys.readouterr()
    assert cli.main(["archive", "info", folder, "--versions", "--json"]) == cli.FOUND
    told = json.loads(capsys.readouterr().out)
    assert told["samples"] == 80 and told["version"] == 2 and told["identity"]["metric"] == "cosine"
    assert [one["what"] for one in told["versions"]] == ["create", "append"]
    assert told["sources"][0]["start"] == "2020-01-02T06:00:00.000000000"
    assert cli.main(["archive", "verify", folder, "--json"]) == cli.FOUND
    assert json.loads(capsys.readouterr().out) == {
        "version": 2,
        "rows": 80,
        "damaged": 0,
        "problems": [],
        "sound": True,
    }


def test_quiet_leaves_warnings_out(caplog, capsys):
    for more, warned in (([], True), (["-q"], False)):
        caplog.clear()
        assert cli.main([*FIND, "--threshold", "1", *more]) == cli.NOTHING_FOUND
        assert ("Nothing found" in caplog.text) == warned
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_commands_and_files(shell, capsys):
    assert cli.main(["completion", shell]) == cli.FOUND
    script = capsys.readouterr().out
    assert all(word in script for word in ("archive", "nearest", "thumbnails", "overwrite"))
    program = shutil.which(shell)
    if program is not None:
        assert subprocess.run([program, "-n"], input=script, text=True, capture_output=True).returncode == 0


def test_who_reads_no_further_is_no_error(tmp_path):
    command = [sys.executable, "-m", "pyspedas_similarity", "completion", "bash"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        running.stdout.close()  # as head does
        error = running.stderr.read()
        assert running.wait(60) == cli.FOUND
    assert error == ""


def test_an_interrupt_ends_quietly(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "run", interrupted)
    assert cli.main(["demo"]) == cli.INTERRUPTED
    assert capsys.readouterr().err == "pyspedas-similarity: interrupted\n"


def test_train_then_info_then_find(tmp_path, capsys):
    folder = str(tmp_path / "mine")
    data = ["--instrument", "simulated_asi", "--trange", "2020-01-02/06:00", "2020-01-02/06:01"]
    assert cli.main(["train", *data, "--out", folder, "--epochs", "1"]) == cli.FOUND
    assert "effective_rank" in capsys.readouterr().out
    assert cli.main(["info", folder]) == cli.FOUND
    printed = capsys.readouterr().out
    assert "method     simsiam" in printed and "trained on 20 images" in printed
    assert cli.main(["info", folder, "--json"]) == cli.FOUND
    assert json.loads(capsys.readouterr().out)[0]["method"] == "simsiam"
    assert cli.main(["train", *data, "--out", folder, "--epochs", "1"]) == cli.BAD_INPUT
    assert cli.main([*FIND, "-k", "1", "--encoder", folder]) == cli.FOUND


def test_help_names_every_command_and_the_fewest_samples_of_an_index(capsys):
    for arguments, words in (
        (["--help"], ["archive", "info", "completion"]),
        (["archive", "--help"], [f"{MIN_ROWS:,} samples or more", "index | restore | export | import"]),
    ):
        with pytest.raises(SystemExit):
            cli.main(arguments)
        printed = " ".join(capsys.readouterr().out.split())
        assert all(word in printed for word in words)


def test_info_names_instruments_and_encoders(capsys):
    assert cli.main(["info", "structure"]) == cli.FOUND
    printed = capsys.readouterr().out
    for kind in KINDS:
        encoder = fixed_encoder("structure", kind)
        blocks = ", ".join(f"{name} {number}" for name, number in encoder.card.blocks.items())
        assert f"structure, for images of the kind {kind}\n  hash       {encoder.hash}\n" in printed
        assert f"  dimension  {sum(encoder.card.blocks.values())} for each channel of an image\n" in printed
        assert f"  blocks     {blocks}\n" in printed
    assert "{" not in printed
    assert cli.main(["info"]) == cli.FOUND
    printed = capsys.readouterr().out
    for name in ("mms_dis", "themis_asi", "structure", "pixels", "torch", "pyspedas"):
        assert name in printed


def test_demo_finds_every_kind_and_draws_it(tmp_path, capsys):
    assert cli.main(["demo", "--out", str(tmp_path)]) == cli.FOUND
    printed = capsys.readouterr().out
    slugs = ["simulated_jet", "simulated_magnetosphere", "simulated_arc", "simulated_streamer"]
    for slug in slugs:
        table = QTable.read(tmp_path / f"{slug}_events.ecsv", format="ascii.ecsv")
        kind = slug.removeprefix("simulated_")
        assert table["truth"][0] == kind, slug
        assert np.isfinite(table["score"]).all()
        for picture in (f"{slug}_score.png", f"{slug}_matches.png"):
            assert (tmp_path / picture).stat().st_size > 10_000
    assert "Memory at peak" in printed and printed.count("[search:") == len(slugs)
    assert {p.name for p in tmp_path.iterdir()} == {
        f"{slug}_{end}" for slug in slugs for end in ("events.ecsv", "score.png", "matches.png")
    }


def test_demo_on_real_data(tmp_path, real_data, capsys):
    shock = real_data(demo._SHOCK_FILE)
    real_data(demo._MOVIE_FILE)
    assert cli.main(["demo", "--data", str(shock.parents[1]), "--out", str(tmp_path)]) == cli.FOUND
    assert "Traceback" not in capsys.readouterr().out
    for slug in ("shock_upstream", "shock_ramp", "shock_downstream", "fsmi_arc", "fsmi_streamer"):
        assert len(QTable.read(tmp_path / f"{slug}_events.ecsv", format="ascii.ecsv")) >= 1, slug
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("command", ["find", "report", "review"])
def test_the_address_of_an_archive_is_taken_as_it_is(command, monkeypatch, tmp_path):
    from pyspedas_similarity.functions import search
    from pyspedas_similarity.results.search_result import SearchResult

    asked = {}

    def searched(data=None, like=None, **given):
        asked.update(given)
        return SearchResult.empty("there is nothing")

    monkeypatch.setattr(search, "find_similar", lambda **given: asked.update(given) or [])
    monkeypatch.setattr(search, "search", searched)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    out = tmp_path / {"find": "found.ecsv", "report": "page.html", "review": "list.ecsv"}[command]
    words = [command, "--archive", "s3://bucket/kept", "--like", "2020-01-01", "--out", str(out)]
    assert cli.main(words) == cli.NOTHING_FOUND
    assert asked["archive"] == "s3://bucket/kept"
