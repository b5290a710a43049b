"""Settings of Sphinx. The build reads nothing from the network."""

import os
from importlib.metadata import version as installed_version
from pathlib import Path

DOCS = Path(__file__).parent

project = "pyspedas-similarity"
author = "pyspedas-similarity developers"
copyright = f"2026, {author}"
version = release = installed_version("pyspedas-similarity")

extensions = ["sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon", "sphinx_gallery.gen_gallery"]
exclude_patterns = ["_build", "examples"]

# The case studies run while they are built; what they write lies beside their pages.
os.environ["PYSPEDAS_GLOBAL_DISPLAY"] = "false"
os.environ["PYSPEDAS_LOGGING_LEVEL"] = "warning"
os.environ["CASE_STUDY_FOLDER"] = str(DOCS / "case_studies" / "reports")
Path(os.environ["CASE_STUDY_FOLDER"]).mkdir(parents=True, exist_ok=True)
html_extra_path = ["case_studies/reports"]
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "case_studies",
    "reset_modules": (),  # a reset of matplotlib would take back how pyspedas writes times
    "filename_pattern": "/(case|study)_",
    "within_subsection_order": "FileNameSortKey",
    "capture_repr": (),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
}

napoleon_google_docstring = False
napoleon_use_rtype = False  # what comes back reads as it does in the docstring
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings state types with shapes and units

html_theme = "pydata_sphinx_theme"
html_title = project
html_show_sourcelink = False
