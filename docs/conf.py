"""Settings of Sphinx. The build reads nothing from the network."""

from importlib.metadata import version as installed_version

project = "pyspedas-similarity"
author = "pyspedas-similarity developers"
copyright = f"2026, {author}"
version = release = installed_version("pyspedas-similarity")

extensions = ["sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

napoleon_google_docstring = False
napoleon_use_rtype = False  # what comes back reads as it does in the docstring
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings state types with shapes and units

html_theme = "pydata_sphinx_theme"
html_title = f"{project} {release}"
html_show_sourcelink = False
