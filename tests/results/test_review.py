"""Judging matches and searching again; lists saved, changed by hand and taken up again; buttons and the shell."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import sys

import numpy as np
import pytest
from astropy.table import Table

import pyspedas_similarity as sim
from pyspedas_similarity import cli, tplot
from pyspedas_similarity.encoder.fixed import fixed_encoder
from pyspedas_similarity.errors import ArgumentError, QueryError, SimilarityError
from pyspedas_similarity.results.judged_lists import Judged, read_list
from pyspedas_similarity.simulate import allsky, fpi
from pyspedas_similarity.tplot import Variable

PASS = ["2020-01-01/00:00:00", "2020-01-01/00:02:00"]
SEED = "2020-01-01/00:01:00"
NAME = "simulated1_dis_dist_brst"
NIGHT, FRAME = ["2020-01-02/06:00", "2020-01-02/06:04"], "2020-01-02/06:01:00"


@pytest.fixture(scope="module")
def searched() -> tuple[list[str], list[Variable]]:
    """A search in simulated ions, made once, and all variables it needs and makes."""
    with tplot.preserved():
        names = fpi.load(PASS)
        found = sim.find_similar(NAME, like=SEED, k=8, errors="raise")
        return found, [tplot.read(name) for name in (*names, *found)]


@pytest.fixture
def found(searched) -> list[str]:
    for one in searched[1]:
        tplot.write(one)
    return searched[0]


@pytest.fixture
def frames() -> list[str]:
    name = allsky.load(NIGHT)[0]
    return sim.find_similar(name, like=FRAME, encoder="pixels", k=4, exclude=6, errors="raise")


def test_pages_have_the_matches_best_first(found):
    review = sim.review(found)
    table = sim.intervals(found)
    page = [*review.next(3), *review.next(100)]
    assert [one.score for one in page] == table["score"].tolist()
    assert [one.number for one in page] == list(range(1, 9))
    assert [str(one.peak) for one in page] == table["peak"].isot.tolist() and review.next() == []
    assert repr(review) == "<Review: 0 yes, 0 no, 8 waiting, 0 times searched again>"


@pytest.mark.parametrize("together", [False, True])
def test_panels_are_reviewed_like_images(together, tmp_path):
    times = np.datetime64("2020-01-01", "ns") + np.arange(2000) * np.timedelta64(1, "s")
    for name, seed in (("b", 0), ("n", 1)):
        values = np.random.default_rng(seed).standard_normal(2000)
        for at, size in ((300, 8), (900, 7), (1500, 6)):
            values[at : at + 64] += size * np.hanning(64)
        tplot.write(Variable(name, times, values))
    names = ["b", "n"] if together else ["b"]
    found = sim.find_similar(names, [times[300], times[364]], together=together, k=4, errors="raise")
    review = sim.review(found)
    first, second, third = review.next(3)
    offsets = sorted(float((one.peak - times[0]) / np.timedelta64(1, "s")) for one in (first, second))
    assert offsets == pytest.approx([932, 1532], abs=4)
    review.judge(first.number, "yes")
    review.judge(third.number, "no")
    (best, *_) = review.again()
    assert best.peak == second.peak and best.number == second.number
    key = f"{found[-1]}_review"
    assert review.names[-1] == key and len(tplot.read(key).times) == len(tplot.read(found[-1]).times)
    again = sim.resume_review(review.save(tmp_path / "b.ecsv"))
    assert [one.peak for one in again.next(1)] == [second.peak] and [len(again.likes), len(again.unlikes)] == [2, 1]
    assert again.again()[0].score == pytest.approx(best.score, abs=1e-6)


def test_answers_are_likes_and_unlikes_of_the_next_search(found):
    review = sim.review(found)
    one, two, three = review.next(3)
    review.judge(one.number, "yes")
    review.judge(two.number, "no")
    review.judge(three.number, "yes")
    page = review.again()
    seed = (NAME, SEED)
    likes, unlikes = [seed, (NAME, one.peak), (NAME, three.peak)], [(NAME, two.peak)]
    exclude = tplot.read(found[0]).attributes["similarity"]["exclude_s"]
    keywords = {"like": likes, "unlike": unlikes, "exclude": exclude, "suffix": "_by_hand"}
    by_hand = sim.find_similar(NAME, **keywords, errors="raise")
    np.testing.assert_array_equal(tplot.read(review.names[-1]).values, tplot.read(by_hand[-1]).values)
    # What was answered does not come again.
    for match in page:
        for old in (one, two, three):
            gap = np.timedelta64(round(exclude * 1e9), "ns")
            assert not old.start - gap <= match.peak <= old.end + gap
    assert page and review.rounds == 1 and all(match.round == 1 and match.number > 3 for match in page)
    assert [match.score for match in page] == sorted((match.score for match in page), reverse=True)


def test_the_first_results_stay_as_they_were(found):
    before = {name: tplot.read(name).values.copy() for name in found}
    review = sim.review(found)
    review.judge(review.next(1)[0].number, "yes")
    review.again()
    assert set(review.names).isdisjoint(found) and all(name.endswith("_review") for name in review.names)
    for name, values in before.items():
        np.testing.assert_array_equal(tplot.read(name).values, values)


def test_minds_can_be_changed_and_pages_skip_nothing(found):
    review = sim.review(found)
    first, second = review.next(2)
    review.judge(first.number, "yes")
    assert review.next(1)[0].number == 3  # the second was offered, and is not offered anew by an answer
    review.judge(first.number, "no")
    assert review.likes == [(NAME, ["2020-01-01T00:01:00.000000000"] * 2)] and review.unlikes == [(NAME, first.peak)]
    assert [one.number for one in review.waiting] == [2, 3, 4, 5, 6, 7, 8] and second.answer == ""


@pytest.mark.parametrize(("number", "answer", "says"), [(1, "maybe", "'yes' or 'no'"), (99, "yes", "that was offered")])
def test_what_is_no_answer_is_refused(found, number, answer, says):
    review = sim.review(found)
    with pytest.raises(ArgumentError, match=says):
        review.judge(number, answer)
    assert review.judged == [] and len(review.waiting) == 8


def test_nothing_to_judge_is_refused(found):
    with pytest.raises(ArgumentError, match="no match to judge"):
        sim.review([])
    with pytest.raises(SimilarityError, match="not the result of a search"):
        sim.review(NAME)


def test_a_saved_list_is_taken_up_again_exactly(found, tmp_path):
    review = sim.review(found)
    for match, answer in zip(review.next(3), ("yes", "no", "yes"), strict=True):
        review.judge(match.number, answer)
    path = review.save(tmp_path / "mine.ecsv")
    again = sim.resume_review(path)
    assert again.judged == review.judged and again.waiting == review.waiting and again.rounds == 0
    assert again.likes == review.likes and again.unlikes == review.unlikes
    assert [(one.peak, one.score) for one in again.again()] == [(one.peak, one.score) for one in review.again()]
    meta = Table.read(path, format="ascii.ecsv").meta["similarity_review"]
    assert meta["search"][0]["encoder"]["hash"] == tplot.read(found[0]).attributes["similarity"]["encoder"]["hash"]
    assert meta["times"] == "UTC" and meta["search"][0]["versions"]["numpy"] == np.__version__


def test_a_half_judged_list_keeps_its_numbers_in_the_next_rounds(found, tmp_path):
    review = sim.review(found)
    review.judge(2, "yes")
    review.again()
    review.save(tmp_path / "mine.ecsv")
    again = sim.resume_review(tmp_path / "mine.ecsv")
    numbers = [one.number for one in [*again.judged, *again.waiting]]
    assert len(set(numbers)) == len(numbers) and again.rounds == 1
    again.judge(again.next(1)[0].number, "no")
    fresh = again.again()
    assert {one.number for one in fresh}.isdisjoint(one.number for one in again.judged)
    again.save()
    assert len(sim.resume_review(tmp_path / "mine.ecsv").judged) == 2


def rewritten(path, change) -> None:
    table = Table.read(path, format="ascii.ecsv")
    change(table)
    table.write(path, format="ascii.ecsv", delimiter=",", overwrite=True)


@pytest.fixture
def saved(frames, tmp_path):
    review = sim.review(frames)
    review.judge(1, "yes")
    return review.save(tmp_path / "mine.ecsv")


def test_columns_of_the_users_own_are_kept(saved):
    def remark(table):
        table["remark"] = ['see "Fig. 3", <b>', *[""] * (len(table) - 1)]

    rewritten(saved, remark)
    review = sim.resume_review(saved)
    review.judge(2, "no")
    review.save()
    assert Table.read(saved, format="ascii.ecsv")["remark"][0] == 'see "Fig. 3", <b>'
    review.again()
    review.save()
    assert Table.read(saved, format="ascii.ecsv")["remark"][0] == 'see "Fig. 3", <b>'


def test_times_with_an_offset_are_moved_to_utc(saved):
    before = sim.resume_review(saved).judged[0]

    def move(table):
        for name in ("start", "end", "peak"):
            moved = np.datetime64(table[name][0], "ns") + np.timedelta64(9, "h")
            table[name] = [f"{moved}+09:00", *table[name][1:]]

    rewritten(saved, move)
    assert sim.resume_review(saved).judged[0] == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.remove_column("peak"), "lacks the columns peak"),
        (lambda t: t.__setitem__("answer", ["perhaps", *t["answer"][1:]]), "row 1: found the answer 'perhaps'"),
        (lambda t: t.__setitem__("peak", [*t["peak"][:-1], "yesterday noon"]), r"row \d: .*this is not a time"),
        (lambda t: t.__setitem__("peak", ["2020-01-02T06:00+99:00", *t["peak"][1:]]), "row 1: "),
        (lambda t: t.__setitem__("end", [*t["end"][:-1], "2001-01-01"]), r"row \d: .*not in this order"),
        (lambda t: t.__setitem__("score", ["high", *t["score"][1:].astype(str)]), "row 1: found score 'high'"),
        (lambda t: t.__setitem__("number", np.ones(len(t), int)), "the number 1 stands in more than one row"),
        (lambda t: t.__setitem__("source", ["", *t["source"][1:]]), "row 1: it names no source"),
        (lambda t: t.meta.clear(), "no record of a review"),
        (lambda t: t.meta["similarity_review"].__setitem__("version", 9), "no record of a review"),
    ],
)
def test_lists_that_cannot_be_read_say_why(saved, change, says):
    rewritten(saved, change)
    with pytest.raises(ArgumentError, match=says):
        sim.resume_review(saved)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"a,b\n1,2\n", b"# %ECSV 1.0\n# ---\n# [\n", b"\x00" * 50])
def test_what_is_no_list_is_refused(tmp_path, content):
    path = tmp_path / "mine.ecsv"
    path.write_bytes(content)
    with pytest.raises(ArgumentError, match="mine.ecsv"):
        sim.resume_review(path)
    with pytest.raises(ArgumentError, match="cannot be read"):
        sim.resume_review(tmp_path / "nowhere.ecsv")


def test_a_list_cut_short_is_refused_or_has_fewer_rows_never_others(saved):
    content, rows = saved.read_bytes(), read_list(saved).rows
    for length in range(0, len(content), 97):
        saved.write_bytes(content[:length])
        try:
            found = read_list(saved).rows
        except ArgumentError:
            continue
        assert found == rows[: len(found)]


def test_nothing_of_the_users_is_written_over(frames, saved):
    other = sim.review(frames)
    with pytest.raises(ArgumentError, match="it is there already"):
        other.save(saved)
    with pytest.raises(ArgumentError, match="none is given"):
        other.save()
    mine = sim.resume_review(saved)
    saved.write_text(saved.read_text() + "\n")
    with pytest.raises(ArgumentError, match="it was changed since it was read"):
        mine.save()
    with pytest.raises(ArgumentError, match=".ecsv"):
        mine.save(saved.with_suffix(".csv"))
    mine.save(overwrite=True)
    mine.save()


def test_an_interrupted_save_keeps_the_older_answers(frames, saved, monkeypatch):
    review = sim.resume_review(saved)
    review.judge(2, "no")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        review.save()
    assert len(sim.resume_review(saved).judged) == 1 and [one.name for one in saved.parent.iterdir()] == ["mine.ecsv"]
    assert [one.answer for one in review.judged] == ["yes", "no"]


def test_other_embeddings_are_not_mixed_in(frames, saved):
    review = sim.resume_review(saved, encoder="hog")
    with pytest.raises(ArgumentError, match="encoder: searched again with the hash"):
        review.again()
    assert len(review.judged) == 1


def test_data_that_are_gone_are_told_and_answers_stay(frames, saved):
    import pyspedas

    pyspedas.del_data("simulated_asf")
    review = sim.resume_review(saved)
    with pytest.raises(SimilarityError, match="simulated_asf"):
        review.again()
    assert len(review.judged) == 1
    review = sim.resume_review(saved, instrument="simulated_asi", names=None, trange=NIGHT)
    assert review.again() or review.rounds == 1


def test_what_a_loader_brought_is_searched_again():
    keywords = {"instrument": "simulated_asi", "trange": NIGHT}
    found = sim.find_similar(**keywords, like=FRAME, encoder="pixels", k=3, exclude=6, errors="raise")
    review = sim.review(found, **keywords)
    review.judge(1, "yes")
    assert review.pictures(review.waiting)[2][0][0].png.startswith(b"\x89PNG")
    review.again()
    assert review.rounds == 1


def test_an_archive_is_reviewed_without_its_data(tmp_path):
    archive = sim.open_archive(tmp_path / "kept")
    trange = ["2020-01-01 00:00:00", "2020-01-01 00:02:00"]
    sim.add(archive, instrument="simulated_dis", trange=trange)
    found = sim.find_similar(archive=archive, like="2020-01-01 00:01:00", k=4, errors="raise")
    review = sim.review(found)
    first = review.next(1)[0]
    review.judge(first.number, "no")
    page = review.again()
    assert review.unlikes == [(NAME, first.peak)] and page
    path = review.save(tmp_path / "mine.ecsv")
    assert [one.peak for one in sim.resume_review(path).again()] == [one.peak for one in page]


def test_several_variables_are_one_list():
    names = fpi.load_electrons(["2020-01-03/00:00:00", "2020-01-03/00:00:03"], probe=["1", "2"])[:2]
    found = sim.find_similar(names, like=[(names[0], "2020-01-03/00:00:01.5")], k=3, errors="raise")
    review = sim.review(found)
    page = review.next()
    assert {one.source for one in page} == set(names)
    review.judge(next(one.number for one in page if one.source == names[1]), "yes")
    review.again()
    assert [name for name, _ in review.likes] == names


def test_an_unnamed_encoder_and_an_array_have_to_be_given(frames, tmp_path):
    name = "simulated_asf"
    pixels = fixed_encoder("pixels", "frame")
    encoder = dataclasses.replace(pixels, card=dataclasses.replace(pixels.card, name="mine"))
    found = sim.find_similar(name, like=FRAME, encoder=encoder, k=2, exclude=6, errors="raise")
    with pytest.raises(ArgumentError, match="does not identify the encoder"):
        sim.review(found)
    review = sim.review(found, encoder=encoder)
    review.judge(1, "yes")
    review.again()
    path = review.save(tmp_path / "mine.ecsv")
    with pytest.raises(ArgumentError, match="could not keep encoder"):
        sim.resume_review(path)
    assert sim.resume_review(path, encoder=encoder).again()
    array = sim.find_similar(name, like=tplot.read(name).values[3], encoder="pixels", k=2, errors="raise")
    with pytest.raises(QueryError, match="it was an array"):
        sim.review(array)
    sim.review(array, like=FRAME).again()


def test_hostile_names_are_kept(frames, tmp_path):
    name = "a, \"b\" 'c' #d: {e} <f>"
    one = tplot.read("simulated_asf")
    tplot.write(Variable(name, one.times, one.values, {}, one.attributes))
    found = sim.find_similar([name], like=FRAME, encoder="pixels", k=2, exclude=6, usable_only=False, errors="raise")
    review = sim.review(found)
    review.judge(1, "yes")
    again = sim.resume_review(review.save(tmp_path / "mine.ecsv"))
    assert again.judged == review.judged and again.judged[0].source == name


def test_times_are_kept_to_the_nanosecond(tmp_path, frames):
    review = sim.review(frames)
    odd = np.datetime64("2020-01-02T06:00:00.123456789", "ns")
    review.judged = [Judged(99, "yes", 0, "x", odd, odd, odd, 0.1 + 0.2, 1)]  # of no length
    kept = sim.resume_review(review.save(tmp_path / "mine.ecsv")).judged[0]
    assert kept.peak == odd and kept.score == 0.1 + 0.2


# Buttons


@pytest.fixture
def widget(frames):
    pytest.importorskip("ipywidgets")
    from pyspedas_similarity.results.review_widget import ReviewWidget

    review = sim.review(frames)
    return review, ReviewWidget(review)


def cards(widget) -> tuple:
    return widget.box.children[1].children


def button(widget, text: str):
    return next(one for one in widget.box.children[2].children if getattr(one, "description", "") == text)


def test_buttons_judge_search_again_and_save(widget, tmp_path):
    review, shown = widget
    assert len(cards(shown)) == len(review.waiting) == 2
    title, when, pictures, answers = cards(shown)[0].children
    assert title.value == f"1: {review.waiting[0].score:.3f}" and when.value.startswith("2020-01-02 06:0")
    assert bytes(pictures.children[0].value).startswith(b"\x89PNG")
    answers.value = "no"
    assert [one.answer for one in review.judged] == ["no"] and len(review.waiting) == 1
    answers.value = "yes"
    assert [one.answer for one in review.judged] == ["yes"]
    button(shown, "search again").click()
    assert review.rounds == 1 and len(cards(shown)) == len(review.waiting)
    path = shown.box.children[2].children[3]
    path.value = str(tmp_path / "mine.ecsv")
    button(shown, "save").click()
    assert "Saved in" in shown.box.children[3].value and len(sim.resume_review(path.value).judged) == 1
    path.value = str(tmp_path / "mine.txt")
    button(shown, "save").click()
    assert "found the ending" in shown.box.children[3].value
    button(shown, "more").click()
    assert cards(shown) == () and "no more matches" in shown.box.children[3].value


def test_errors_in_a_notebook_are_text_not_markup(widget):
    _, shown = widget
    shown._show("<img src=x onerror=alert(1)>")
    assert shown.box.children[3].value == "&lt;img src=x onerror=alert(1)&gt;"


def test_without_ipywidgets_a_notebook_shows_the_text(frames, monkeypatch):
    review = sim.review(frames)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ipywidgets" else find(name))
    with pytest.raises(NotImplementedError):
        review._ipython_display_()


# Shell

SEARCH = ["--instrument", "simulated_asi", "--trange", *NIGHT]
REVIEW = ["review", *SEARCH, "--like", FRAME, "--encoder", "pixels", "--exclude", "6"]


@pytest.fixture
def answer(monkeypatch):
    """Give answers at a terminal; after the last one the user presses Ctrl-D, or what else is said."""

    def give(*texts, then=EOFError):
        waiting = iter(texts)

        def ask(_prompt=""):
            try:
                return next(waiting)
            except StopIteration:
                raise then from None

        monkeypatch.setattr("builtins.input", ask)
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)

    return give


def test_nobody_at_a_terminal_is_refused_at_once(tmp_path, capsys):
    assert cli.main([*REVIEW, "--out", str(tmp_path / "mine.ecsv")]) == cli.BAD_INPUT
    assert "this is no terminal" in capsys.readouterr().err and list(tmp_path.iterdir()) == []


def test_answers_are_asked_for_and_saved_one_by_one(tmp_path, capsys, answer):
    path, picture = tmp_path / "mine.ecsv", tmp_path / "page.png"
    answer("what?", "y", "no", "no", "q")
    assert cli.main([*REVIEW, "-k", "4", "--out", str(path), "--pictures", str(picture)]) == cli.FOUND
    printed = capsys.readouterr().out
    assert "please answer with one of these words" in printed and "searching again" in printed
    assert [one.answer for one in sim.resume_review(path).judged] == ["yes", "no"]
    assert picture.read_bytes().startswith(b"\x89PNG") and "1 yes, 1 no" in printed and f"saved in {path}" in printed


def test_a_list_is_gone_on_with(tmp_path, capsys, answer):
    path = tmp_path / "mine.ecsv"
    answer("y")
    assert cli.main([*REVIEW, "-k", "4", "--out", str(path)]) == cli.FOUND
    answer("n", "q")
    assert cli.main(["review", *SEARCH, "--resume", str(path)]) == cli.FOUND
    assert "[2]" in capsys.readouterr().out
    assert [one.answer for one in sim.resume_review(path).judged] == ["yes", "no"]


def test_an_interrupt_keeps_the_answers(tmp_path, capsys, answer):
    path = tmp_path / "mine.ecsv"
    answer("y", then=KeyboardInterrupt)
    assert cli.main([*REVIEW, "-k", "4", "--out", str(path)]) == cli.INTERRUPTED
    assert [one.answer for one in sim.resume_review(path).judged] == ["yes"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["review", *SEARCH, "--like", FRAME], "--out is missing"),
        (["review", "--resume", "nowhere.ecsv"], "cannot be read"),
        ([*REVIEW, "--out", "list.txt"], ".ecsv"),
        ([*REVIEW, "--out", "list.ecsv", "--page", "0"], "1 or more"),
    ],
)
def test_bad_input_is_one_line_and_status_two(arguments, says, answer, capsys):
    answer("y")
    assert cli.main(arguments) == cli.BAD_INPUT
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1
