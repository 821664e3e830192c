"""How `make docs` builds the site: Sphinx, MyST for Markdown, furo for looks. Nothing is loaded from elsewhere."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from generated import GENERATED  # noqa: E402

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "unlearn-sweep"
author = "The unlearn-sweep authors"
html_title = project
html_theme = "furo"
html_show_sphinx = False
html_show_copyright = False
html_use_index = html_domain_indices = False
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # it would fetch pages, which a browser refuses where the site is read from a disk
html_extra_path = ["start"]  # index.html, which leads to the README
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**.md", "benchmarks/results/*.md"]
exclude_patterns = [".*", "results", "site"]  # not even looked into

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3
myst_enable_extensions = ["deflist"]
default_role = "literal"  # docstrings have single backticks
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_use_ivar = True


MARK = "*`make docs` puts it here, from the code.*"
"""What stands in a page of `reference/` where there is no site."""


def fill(app: "Sphinx", name: str, source: list[str]) -> None:
    """Put what is generated in the place of the mark."""
    source[0] = source[0].replace(MARK, GENERATED[name]() if name in GENERATED else "")


ATTRIBUTES: dict[str, list[str]] = {}
"""Docstrings of attributes that napoleon has yet to pass over."""


def before_napoleon(app: "Sphinx", what: str, name: str, member: object, options: object, lines: list[str]) -> None:
    """Asterisks in docstrings emphasise nothing; and napoleon would take what an attribute's says before a colon for a
    type.
    """
    lines[:] = [line.replace("*", r"\*") for line in lines]
    if what in ("attribute", "data", "property"):
        ATTRIBUTES[name] = lines.copy()
        lines.clear()


def after_napoleon(app: "Sphinx", what: str, name: str, member: object, options: object, lines: list[str]) -> None:
    """Give an attribute its docstring back."""
    lines[:] = ATTRIBUTES.pop(name, lines)


def setup(app: "Sphinx") -> None:
    """Sphinx calls this."""
    app.connect("source-read", fill)
    app.connect("autodoc-process-docstring", before_napoleon, priority=400)
    app.connect("autodoc-process-docstring", after_napoleon, priority=600)
