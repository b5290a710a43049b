"""The project keeps its promises: CI runs what README says, metadata agrees, the repository holds no data."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
PACKAGE = PROJECT / "pyspedas_similarity"
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text())
COMMANDS = {
    "demo": "python -m pip install . && pyspedas-similarity demo",
    "tests": 'python -m pip install ".[tests,docs]" && python -m pytest',
}
IMPORT_NAMES = {  # modules whose name differs from that of the distribution
    "pillow": "PIL",
    "protobuf": "google",
    "pylance": "lance",
    "scikit-learn": "sklearn",
}
EXTRA = {  # modules that the package imports from an extra only
    "completion": {"shtab"},
    "images": {"av"},
    "objects": {"obstore"},
    "scale": {"dask", "distributed"},
    "train": {"lightly", "torch", "torchvision"},
}
NOT_IMPORTED = {
    "onnxscript",  # torch.onnx.export imports it
}


def read_project_file(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


def repository_files() -> list[Path]:
    """Give every file that git has or would take."""
    git = ["git", "-C", str(PROJECT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if not (PROJECT / ".git").exists():
        pytest.skip("not a git checkout: the list of the repository's files is not known")
    names = subprocess.run(git, check=True, capture_output=True, text=True).stdout.split("\0")
    return [PROJECT / name for name in names if name and (PROJECT / name).is_file()]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_readme_states_the_command_below_its_marker(name):
    blocks = re.findall(rf"^<!-- command: {name} -->\n```sh\n(.*?)\n```$", read_project_file("README.md"), re.M | re.S)
    assert blocks == [COMMANDS[name]]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_ci_reads_the_command_from_readme(name):
    script = read_project_file(".ci/run")
    assert f"$(readme_command {name})" in script
    assert COMMANDS[name] not in script


@pytest.mark.parametrize(
    ("readme", "complaint"),
    [
        ("```sh\necho hello\n```\n", "no sh block"),
        ("<!-- command: demo -->\n\n```sh\necho hello\n```\n", "no sh block"),
        ("<!-- command: demo -->\n```sh\necho hello\n", "no sh block"),
        ("<!-- command: demo -->\n```sh\n```\n", "no sh block"),
    ],
    ids=["no marker", "marker not directly above", "fence not closed", "empty"],
)
def test_ci_fails_on_a_readme_without_the_command(tmp_path, readme, complaint):
    (tmp_path / "README.md").write_text(readme)
    (tmp_path / ".ci").mkdir()
    shutil.copy(PROJECT / ".ci" / "run", tmp_path / ".ci" / "run")
    outcome = subprocess.run(["bash", ".ci/run"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert outcome.returncode != 0
    assert complaint in outcome.stderr
    assert "virtual environment" not in outcome.stdout


def test_repository_holds_no_large_file():
    sizes = {path: path.stat().st_size for path in repository_files()}
    networks = {path for path in sizes if path.parent.parent.name == "networks"}
    assert [str(path) for path, size in sizes.items() if size > 2**20 and path not in networks] == []
    assert 0 < sum(sizes[path] for path in networks) < 15 * 2**20


def test_repository_holds_no_observations():
    observations = [str(path) for path in repository_files() if path.name.endswith((".cdf", ".sav", ".pgm.gz"))]
    assert observations == []


def test_citation_states_the_version_of_the_metadata():
    version = re.search(r"^version: (\S+)$", read_project_file("CITATION.cff"), re.M)
    assert version is not None
    assert version[1] == PYPROJECT["project"]["version"]


def requirements(entries: list[str]) -> dict[str, str]:
    """Return the version specifiers of requirements by the names of their distributions, extras cut off."""
    parsed = (re.fullmatch(r"([\w.-]+)(?:\[[\w,-]+\])?(.*)", entry) for entry in entries)
    return {match[1]: match[2] for match in parsed}


def test_base_dependencies_are_the_imports_that_no_extra_provides():
    declared = requirements(PYPROJECT["project"]["dependencies"])
    third_party = imported_modules() - sys.stdlib_module_names - {PACKAGE.name}
    assert {IMPORT_NAMES.get(name, name) for name in declared} == third_party - set().union(*EXTRA.values())


def test_extras_provide_the_modules_imported_from_them():
    for extra, modules in EXTRA.items():
        entries = PYPROJECT["project"]["optional-dependencies"][extra]
        # dask[distributed] provides two modules, the second named like the extra of dask.
        provided = {name for entry in entries for name in re.findall(r"[\w.-]+", entry.partition(">")[0])}
        assert provided - NOT_IMPORTED == modules, extra
    assert set().union(*EXTRA.values()) <= imported_modules()


def test_modules_of_extras_are_imported_inside_functions():
    assert imported_modules(inside_functions=False) & set().union(*EXTRA.values()) == set()


def test_tests_install_every_extra_that_the_package_imports_from():
    entries = PYPROJECT["project"]["optional-dependencies"]["tests"]
    (own,) = (entry for entry in entries if entry.startswith(PYPROJECT["project"]["name"]))
    assert set(EXTRA) <= set(own.partition("[")[2].rstrip("]").split(","))


def test_no_dependency_has_an_upper_bound():
    lists = [PYPROJECT["project"]["dependencies"], *PYPROJECT["project"]["optional-dependencies"].values()]
    specifiers = [specifier for entries in lists for specifier in requirements(entries).values()]
    assert [one for one in specifiers if one and not re.fullmatch(r">=[\d.]+", one)] == []


def test_oldest_versions_are_the_lower_bounds():
    installed = dict(line.split("==") for line in read_project_file("docs/oldest.txt").splitlines() if "==" in line)
    bounds = requirements(PYPROJECT["project"]["dependencies"])
    for name, specifier in bounds.items():
        bound, version = specifier.removeprefix(">=").split("."), installed[name].split(".")
        assert version[: len(bound)] == bound, name


def imported_modules(*, inside_functions: bool = True) -> set[str]:
    """Return the top-level names of all absolute imports in the package; type-checking blocks count as functions."""
    names: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
        while waiting:
            node = waiting.pop()
            if isinstance(node, ast.Import):
                names.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(node.module.partition(".")[0])
            delayed = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or (
                isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            )
            if inside_functions or not delayed:
                waiting.extend(ast.iter_child_nodes(node))
    return names


@pytest.mark.parametrize(
    ("require", "outcome", "status"), [("0", "1 skipped", 0), ("1", "1 failed", 1)], ids=["may skip", "required"]
)
def test_missing_real_data_skips_or_fails(tmp_path, require, outcome, status):
    shutil.copy(PROJECT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = real_data\n")
    (tmp_path / "test_it.py").write_text("def test_it(real_data):\n    real_data('mms/absent.cdf')\n")
    environment = os.environ | {
        "PYSPEDAS_SIMILARITY_DATA": str(tmp_path),
        "PYSPEDAS_SIMILARITY_REQUIRE_DATA": require,
    }
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-ra"]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == status, run.stdout
    assert outcome in run.stdout
    assert str(tmp_path / "mms" / "absent.cdf") in run.stdout


def test_tplot_store_is_taken_back_after_a_test(tmp_path):
    shutil.copy(PROJECT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = real_data\n")
    (tmp_path / "test_it.py").write_text(
        "import pyspedas\n"
        "def test_first():\n"
        "    pyspedas.store_data('a', data={'x': [1.0, 2.0], 'y': [3.0, 4.0]})\n"
        "    pyspedas.tplot_rename('a', 'b')\n"
        "    assert pyspedas.tnames() == ['b']\n"
        "def test_second():\n"
        "    assert pyspedas.tnames() == []\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    assert "2 passed" in run.stdout


def run_page(page: str) -> dict[str, object]:
    """Run the Python blocks of a page of the docs one after another and give the names they leave."""
    text = read_project_file(f"docs/{page}.rst")
    names: dict[str, object] = {}
    for block in re.findall(r"^\.\. code-block:: python\n\n((?:   .*\n|\n)+)", text, re.M):
        exec(textwrap.dedent(block), names)
    return names


def test_page_on_recipes_runs():
    names = run_page("recipes")
    assert names["found"] == ["simulated1_des_dist_brst_similar", "simulated1_des_dist_brst_similarity"]
    assert names["encoder"].card.recipe["pixels"] == 64


def test_page_on_allsky_frames_runs():
    names = run_page("allsky")
    assert names["found"][:2] == ["simulated_asf_fsmi_similar", "simulated_asf_fsmi_similarity"]
    assert names["keogram"] == ["simulated_asf_fsmi_keogram"] and 0 < names["usable"].mean() < 1


def test_page_on_pictures_runs():
    names = run_page("pictures")
    written = {path.name for path in names["folder"].glob("*.png")}
    assert written == {"matches.png", "score.png", "keogram.png", "map.png", "drove.png"}
    assert names["epochs"].epochs[0].n_events.max() == 7 and names["drove"].score > 0.8


def test_page_on_archives_runs():
    names = run_page("archive")
    assert names["added"].added > 1000 and names["again"].added == 0
    assert names["again"].skipped + names["again"].left_out == names["added"].added + names["added"].left_out
    assert len(names["table"]) == 3 and len(names["archive"].versions()) == 3


def test_page_on_results_runs():
    names = run_page("results")
    assert {"found.ecsv", "found.xml", "found.txt"} == {path.name for path in names["folder"].iterdir()}
    assert names["joined"]["status"].tolist()[-1] == "missed" and "known" in names["joined"]["status"]
    assert names["enrichment"]["value"] > 1 and len(names["ranges"]) == len(names["pairs"]) > 1


def test_page_on_reports_and_reviews_runs():
    names = run_page("report")
    assert Path(names["written"][0]).stat().st_size > 100_000
    assert names["better"] and [one.answer for one in names["review"].judged] == ["yes", "yes", "no", "no"]


def test_tour_runs_and_finds_what_it_says(capsys):
    names = run_page("tour")
    assert len(names["shares"]) == len(names["table"]) and sorted(names["shares"])[-7] > 0.2
    assert names["table"]["score"][0] > names["table"]["score"][-1]
    assert "jet" in capsys.readouterr().out


def test_connections_to_other_machines_are_refused():
    import socket

    with pytest.raises(ConnectionRefusedError, match="offline"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)  # an address reserved for documentation (RFC 5737)
