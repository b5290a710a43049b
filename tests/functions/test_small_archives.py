"""Archives of 1 to 20 rows in every verb."""

import itertools

import numpy as np
import pyspedas
import pytest

import pyspedas_similarity as sim
from pyspedas_similarity.errors import ArchiveError, SimilarityError
from pyspedas_similarity.imaging.recipes import SpectrumRecipe

ANGLE, ENERGY = np.linspace(5, 175, 18), np.geomspace(10, 40000, 32)
RAISE = {"errors": "raise"}


def times(n):
    return 1.6e9 + 3.0 * np.arange(n)


@pytest.fixture(params=[1, 2, 3, 4, 5, 7, 10, 11, 20])
def archive(request, tmp_path):
    n = request.param
    flux = np.random.default_rng(0).lognormal(0, 1, (n, 18, 32)) * 1e4 / ENERGY
    if n > 4:
        flux[3] = flux[1]
        flux[4] = np.nan
    pyspedas.store_data("s", data={"x": times(n), "y": flux, "v1": ANGLE, "v2": ENERGY})
    sim.add(tmp_path / "a", "s", recipe=SpectrumRecipe(), progress=False, **RAISE)
    return tmp_path / "a", n


def test_searches(archive):
    path, n = archive
    query = {"like": times(n)[n // 3], **RAISE}
    for exclude, k in itertools.product((0, "auto"), (1, 3, None)):
        sim.find_similar(archive=path, exclude=exclude, k=k, progress=False, **query)
        scores = pyspedas.get_data("s_similarity").y
        assert len(scores) == n - (n > 4)  # without the sample that has no embedding
        assert np.isfinite(scores).all() and scores[n // 3 - (n // 3 > 4)] == pytest.approx(1, abs=1e-5)
    found = sim.search(archive=path, like=times(n)[n // 3], exclude=0, k=1, progress=False)
    assert len(found.events) <= 1
    for exclude in (0, "auto"):
        sim.find_nearest(path, k=3, exclude=exclude, **query)
    if n > 1:
        sim.find_nearest(path, unlike=times(n)[0], k=3, exclude=0, like=times(n)[-1], **RAISE)
        assert len(sim.review(found, progress=False).next()) >= 1


def test_comparisons_within_the_archive(archive):
    path, n = archive
    rows = n - (n > 4)
    for exclude in (0, 60.0):
        sim.novelty(path, exclude=exclude, **RAISE)
        assert np.isfinite(pyspedas.get_data("s_novelty").y).sum() == (rows if exclude == 0 and n > 1 else 0)
    pairs = sim.duplicates(path, exclude=0, threshold=-1.0, **RAISE)
    assert rows > 11 or len(pairs) == rows * (rows - 1) // 2  # of more rows, the nearest ones of each
    near = sim.duplicates(path, exclude=0, threshold=0.9999, **RAISE)
    assert len(near) == (n > 4)
    for fewest in (1, 2, 10):
        sim.clusters(path, fewest=fewest, **RAISE)
        groups = pyspedas.get_data("s_cluster").y
        assert len(groups) == rows
        if rows < fewest:
            assert np.isnan(groups).all()


def test_pictures_and_classes(archive):
    path, n = archive
    if n > 3:
        assert sim.plot_archive_map(path, method="pca", **RAISE).axes
    else:
        with pytest.raises(SimilarityError, match="4 or more"):
            sim.plot_archive_map(path, method="pca", **RAISE)
    try:
        names = sim.classify("s", {"a": [[times(n)[0]]], "b": [[times(n)[-1]]]}, progress=False, **RAISE)
        assert len(names) == 3
    except SimilarityError as error:
        assert n < 3 or "s" in str(error)


def test_a_graph_of_few_rows_is_refused(archive):
    path, n = archive
    if n < 20:
        with pytest.raises(ArchiveError, match=f"holds {n - (n > 4)} rows. A graph needs 11 rows"):
            sim.open_archive(path).prepare()


def test_an_index_and_one_more_row(archive):
    path, n = archive
    opened = sim.open_archive(path)
    try:
        opened.build_index()
    except SimilarityError as error:
        assert "a" in str(error)
    flux = np.random.default_rng(9).lognormal(0, 1, (1, 18, 32)) * 1e4 / ENERGY
    pyspedas.store_data("s", data={"x": times(n)[-1:] + 3, "y": flux, "v1": ANGLE, "v2": ENERGY})
    sim.add(path, "s", recipe=SpectrumRecipe(), progress=False, **RAISE)
    sim.find_similar(archive=path, like=times(n)[0], exclude=0, k=1, progress=False, **RAISE)
    assert len(pyspedas.get_data("s_similarity").y) == n - (n > 4) + 1
