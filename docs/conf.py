# ruff: noqa: INP001  # Sphinx wants this file here, and these names in it
"""How the pages become a site: `make docs`. No outside asset, every warning an error."""

project = "starship"
author = "the starship authors"
project_copyright = author

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown"}
nitpicky = True

myst_enable_extensions = ["deflist", "fieldlist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "starship"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
