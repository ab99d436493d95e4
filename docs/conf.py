"""Sphinx configuration: MyST pages, the furo theme."""

from __future__ import annotations

import tomllib
from pathlib import Path

_pyproject = Path(__file__).resolve().parents[1] / "pyproject.toml"

project = "convexwgan"
author = "The convexwgan contributors"
project_copyright = author
release = tomllib.loads(_pyproject.read_text(encoding="utf-8"))["project"]["version"]
version = release

extensions = ["myst_parser", "sphinx.ext.mathjax"]
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
language = "en"
nitpicky = True

html_theme = "furo"
html_title = f"convexwgan {release}"
