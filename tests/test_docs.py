"""The documentation holds together: its how-tos run, its links lead somewhere, its reference is complete."""

from __future__ import annotations

import dataclasses
import inspect
import re
import textwrap
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pyspedas
import pytest
from PIL import Image

import pyspedas_similarity as sim
from pyspedas_similarity import tplot
from pyspedas_similarity.imaging.frames import frame_images
from pyspedas_similarity.imaging.recipes import FrameRecipe
from pyspedas_similarity.instruments.registry import INSTRUMENTS
from pyspedas_similarity.simulate import panels as simulated_panels
from pyspedas_similarity.simulate.oath import write_oath

PROJECT = Path(__file__).resolve().parents[1]
DOCS = PROJECT / "docs"
# Pages that the build makes.
MADE = {"case_studies/index", *(f"case_studies/{one.stem}" for one in (DOCS / "examples").glob("*.py"))}
PAGES = sorted([*DOCS.rglob("*.rst"), *(DOCS / "examples").glob("*.*")])
PAGES = [page for page in PAGES if not {"case_studies", "_build"} & set(page.relative_to(DOCS).parts)]
PAGES = [page for page in PAGES if page.suffix in (".rst", ".py", ".txt") and page.stem not in MADE]


def ids(page: Path) -> str:
    return str(page.relative_to(DOCS))


def run_page(page: str) -> dict[str, object]:
    """Run the Python blocks of a page one after another and give the names they leave."""
    names: dict[str, object] = {}
    text = (DOCS / f"{page}.rst").read_text(encoding="utf-8")
    for block in re.findall(r"^\.\. code-block:: python\n\n((?:   .*\n|\n)+)", text, re.M):
        exec(textwrap.dedent(block), names)
    return names


def test_howto_train():
    names = run_page("howto/train")
    assert names["encoder"].card.method == "simsiam" and names["encoder"].card.training["n_with_partners"] > 700
    assert set(names["first"]) == {"trained", "pixels"} and min(names["first"].values()) >= 0.8
    assert {"weights.safetensors", "encoder.onnx", "card.json"} <= {one.name for one in Path(names["folder"]).iterdir()}
    assert names["found"][-1].endswith("_similarity") and len(names["found"]) == 4


def test_howto_images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 60, (40, 64, 64)).astype(np.uint8)
    frames[[7, 20, 30], 20:30] += 150
    times = np.datetime64("2013-12-04T05:12:00", "ns") + np.arange(40) * np.timedelta64(1, "s")
    Path("pictures").mkdir()
    for frame, time in zip(frames, times, strict=True):
        stamp = str(time)[:19].translate(str.maketrans({"-": "", ":": "", "T": "_"}))
        Image.fromarray(frame).save(f"pictures/cam_{stamp}.png")
    Image.fromarray(frames[7]).save("frame.png")
    tplot.write(tplot.Variable("thg_asf_fsmi", times, frames))
    write_oath("oath", 40, sites=("gako",), size=32)
    names = run_page("howto/images")
    assert names["name"] == "images_pictures"
    (row, *_) = sim.intervals(names["found"])
    assert row["source"] == "oath_gako" and len(names["table"]) == 40
    first, *_ = sim.intervals("images_pictures_similar")
    assert first["peak"].datetime64 in times[[20, 30]]


def checkpoint_like_theirs(path: Path) -> object:
    """Write random weights as THEMISim's checkpoint has them; return the ResNet-18 in evaluation mode."""
    import torch
    import torchvision

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = torchvision.models.resnet18(weights=None)
    network.fc = torch.nn.Identity()
    weights = {f"encoder.{name}": one for name, one in network.state_dict().items()}
    torch.save(weights | {"projector.0.weight": torch.zeros(512, 512)}, path)
    return network.eval()


def prepared_like_theirs(frame: np.ndarray) -> np.ndarray:
    """Return a frame, 256 x 256, as THEMISim 0.2 gives it to its network: (3, 224, 224)."""
    from PIL import Image

    light = frame.astype(np.float32) - np.percentile(frame, 1)
    light = np.clip(light / np.percentile(light, 99), 0, 1)
    row, column = np.indices(frame.shape) - 128
    light[np.hypot(row, column) > int(0.85 * 128)] = 0
    image = Image.fromarray((light * 255).astype(np.uint8)).resize((224, 224), Image.Resampling.BILINEAR)
    green = np.asarray(image, np.float32) / 255
    return np.stack([np.zeros_like(green), green, np.zeros_like(green)])


# torch's exporter and onnxscript call what they deprecate themselves.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_howto_networks(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    network = checkpoint_like_theirs(tmp_path / "aurora-fm-no-finetune.tar")
    names = run_page("howto/networks")
    encoder = names["encoder"]
    assert (encoder.card.dimension, encoder.card.license) == (512, "CC-BY-4.0")
    frames = tplot.read(INSTRUMENTS["simulated_asi"].load(names["where"]["trange"])[0]).values[::20]
    assert frames.shape == (4, 256, 256)

    def features(images):
        with torch.no_grad():
            raw = network(torch.from_numpy(images)).numpy()
        return raw / np.linalg.norm(raw, axis=1, keepdims=True)

    expected = features(np.stack([prepared_like_theirs(one) for one in frames]))
    found = encoder.encode(frame_images(frames, names["recipe"]))
    np.testing.assert_allclose(found, expected, atol=2e-4)
    assert same_direction(found, expected).min() > 0.99
    # The circle before the percentiles, and areas instead of Pillow's resizing, are another preparation.
    plain = np.nan_to_num(frame_images(frames, FrameRecipe(pixels=224, contrast_pixels=0)))
    dark = np.zeros_like(plain)
    assert same_direction(features(np.concatenate([dark, plain, dark], axis=1)), expected).min() < 0.5
    assert 1 <= len(sim.intervals(names["found"])) <= 3


def same_direction(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return the cosine of each row and the expected one, after the mean of the expected ones is subtracted."""
    one, other = found - expected.mean(axis=0), expected - expected.mean(axis=0)
    return (one * other).sum(axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


def test_howto_instrument(monkeypatch):
    monkeypatch.setattr("pyspedas_similarity.instruments.registry.INSTRUMENTS", INSTRUMENTS)
    try:
        names = run_page("howto/instrument")
    finally:
        INSTRUMENTS.pop("example", None)
    # Twelve beams of 150 s begin every ten minutes; the first is the seed's own.
    assert names["found"] == ["examplea_flux_similar", "examplea_flux_similarity"]
    starts = sorted(names["table"]["start"].isot)
    assert [one[11:16] for one in starts] == [f"{m // 60:02d}:{m % 60:02d}" for m in range(10, 120, 10)]
    assert set(names["table"]["probe"]) == {"examplea"}


def test_howto_spacecraft():
    names = run_page("howto/spacecraft")
    assert sorted(names["table"]["probe"]) == ["simulated1", "simulated3", "simulated4"]
    assert len(names["events"]) == 1 and names["table"]["score"].min() > 0.95


def test_howto_slices():
    names = run_page("howto/slices")
    assert names["slices"]["perp1-perp2"].shape == (2, 64, 64) and names["slices"].attrs["frame"] == "plasma"
    assert names["cut"].attrs["thickness_km_s"] == 0 and names["cut"].attrs["frame"] == "spacecraft"
    assert names["names"] == [f"{names['name']}_slice_par_perp1"]


def test_howto_structures():
    names = run_page("howto/structures")
    assert names["found"] == ["my_ions_similar", "my_ions_similarity"]
    assert names["slices"]["xy"].shape == (1, 64, 64) and names["slices"].attrs["species"] == "ion"
    text = (DOCS / "howto" / "structures.rst").read_text(encoding="utf-8")
    registered = [name for name, one in INSTRUMENTS.items() if not one.is_for_panels]
    new = [name for name in registered if name.startswith(("mms_hpca", "erg_", "cluster_"))]
    assert all(name in text or f"_{name.rpartition('_')[2]}``" in text for name in new)


def test_page_of_panels():
    names = run_page("panels")
    made = simulated_panels.simulate_panels(np.datetime64("2020-01-01"), 86400.0)
    sheets, found = made.of_kind("current_sheet"), names["sheets"]
    ends = zip(found.start, found.end, strict=True)
    assert [bool(((sheets[:, 0] < end) & (sheets[:, 1] > start)).any()) for start, end in ends] == [True] * 10


def test_examples_of_the_readme_for_panels(tmp_path, monkeypatch):
    """The code as printed, on simulated variables under the names of the real ones."""
    made = simulated_panels.simulate_panels(np.datetime64("2015-09-08T10:00"), 5400.0, seed=2, kinds=["current_sheet"])
    real = {
        "mms1_fgm_b_gse_srvy_l2": "simulated1_fgm_b_gse",
        "mms1_dis_numberdensity_fast": "simulated1_dis_numberdensity",
        "mms1_dis_bulkv_gse_fast": "simulated1_dis_bulkv_gse",
        "mms1_dis_energyspectr_omni_fast": "simulated1_dis_energyspectr",
    }

    def load(trange, **keywords):
        for name, source in real.items():
            tplot.write(dataclasses.replace(made.variables[source], name=name))
        return list(real)

    monkeypatch.setattr(pyspedas.projects.mms, "fgm", load)
    monkeypatch.setattr(pyspedas.projects.mms, "fpi", load)
    monkeypatch.chdir(tmp_path)
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^<!-- example: panels[^\n]* -->\n```python\n(.*?)^```", text, re.M | re.S)
    assert len(blocks) == 2
    names: dict[str, object] = {}
    exec(blocks[0], names)
    assert names["found"] == [f"mms1_fgm_b_gse_srvy_l2_together_{one}" for one in ("similar", "similarity")]
    exec(blocks[1], names)
    assert (tmp_path / "matches.png").is_file() and (tmp_path / "page.html").is_file()
    assert len(names["found"]) == 10


def test_howto_archives():
    names = run_page("howto/archives")
    assert names["added"].added == 534  # two spacecraft, 267 samples each
    assert sorted({one[:10] for one in names["table"]["start"].isot}) == ["2020-01-01", "2020-01-02", "2020-01-03"]


def test_howto_idl():
    names = run_page("howto/idl")
    assert re.fullmatch(r"2020-01-01/00:\d\d:\d\d\.\d{9}", names["rows"][0][0])
    status = names["joined"]["status"].tolist()
    # The list of two events covers the time between them.
    assert set(status) <= {"known", "missed", "new", "not covered"} and len(status) == 6
    assert status.count("known") == 1 and status[-1] == "missed" and "not covered" in status


def test_simulated_electrons_are_searched_with_their_field(caplog):
    where = {"instrument": "simulated_des", "probe": 2, "trange": ["2020-01-01/00:00:00", "2020-01-01/00:00:03"]}
    found = sim.find_similar(like="2020-01-01/00:00:01.5", errors="raise", **where)
    assert not [one for one in caplog.records if "no magnetic field" in one.getMessage()]
    assert sim.intervals(found).meta["similarity"][0]["encoder"]["name"] == "structure+mms_electrons"


def test_every_public_name_is_in_the_reference():
    text = (DOCS / "reference" / "index.rst").read_text(encoding="utf-8")
    whole = re.search(r"^\.\. automodule:: pyspedas_similarity\n((?:   :.*\n)+)", text, re.M)
    assert whole is not None and ":members:" in whole[1]
    left_out = re.findall(r"\w+", whole[1].partition(":exclude-members:")[2])
    assert set(left_out) <= set(sim.__all__)
    errors = re.search(r"^\.\. automodule:: pyspedas_similarity\.errors\n((?:   :.*\n)+)", text, re.M)
    assert errors is not None and ":members:" in errors[1]  # SimilarityError is there
    for name in set(left_out) - {"SimilarityError"}:
        listed = getattr(sim, name)
        is_class = inspect.isclass(listed)
        directive, path = ("autoclass", f"pyspedas_similarity.{name}") if is_class else ("automodule", listed.__name__)
        assert f".. {directive}:: {path}\n" in text, name
    assert all(getattr(sim, name).__doc__ for name in sim.__all__)


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_of_a_page_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r":doc:`(?:[^`<]*<)?([^`>]+)>?`", text):
        base = DOCS if target.startswith("/") or page.parent.name == "examples" else page.parent
        path = (base / target.lstrip("/")).resolve()
        assert path.with_suffix(".rst").is_file() or str(path.relative_to(DOCS)) in MADE, target
    for target in re.findall(r"^\.\. (?:image|figure|literalinclude):: (\S+)", text, re.M):
        assert (page.parent / target).resolve().is_file(), target
    for target in re.findall(r"`[^`]*<([^`>]+)>`_", text):
        check_target(target, page, {"../diffusion_region.html", "../streamer.html"})


def test_links_of_the_readme_lead_somewhere():
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    assert len(targets) >= 2
    for target in targets:
        check_target(target, PROJECT / "README.md", set())
    for target in re.findall(r"`(docs/[\w/.-]+\w|CITATION\.cff)`", text):
        assert (PROJECT / target).exists(), target
    for url in re.findall(r"<(https?://[^>]+)>", text):
        check_target(url, PROJECT / "README.md", set())


def check_target(target: str, page: Path, made: set[str]) -> None:
    """Relative targets exist; of others only the form is looked at, for tests run offline."""
    parts = urlsplit(target)
    if parts.scheme:
        assert parts.scheme == "https" and re.fullmatch(r"[\w.-]+\.[a-z]{2,}", parts.netloc), target
        assert not re.search(r"\s", target), target
    elif target not in made:
        assert (page.parent / parts.path).exists(), target


@pytest.mark.parametrize("name", ["diffusion_region", "streamer"])
def test_pages_that_case_studies_link_are_those_they_write(name):
    text = (DOCS / "examples" / f"case_{name}.py").read_text(encoding="utf-8")
    assert f"<../{name}.html>" in text and f'folder / "{name}.html"' in text


def test_files_named_as_evidence_exist():
    text = (DOCS / "pyhc.rst").read_text(encoding="utf-8")
    named = re.findall(r"``([\w./-]+)``", text)
    files = [
        name for name in named if "/" in name or name.endswith((".md", ".toml", ".cfg")) or name in ("LICENSE", "tests")
    ]
    assert len(files) > 15
    assert [name for name in files if not (PROJECT / name).exists()] == []
    numbers = [int(one) for one in re.findall(r"^   \* - (\d+) ", text, re.M)]
    assert numbers == list(range(1, 17))
