"""The templates of pages: Jinja that escapes every text, and how pages write numbers."""

from __future__ import annotations

import math

import jinja2

from analysis.methods_table import LARGE
from analysis.statistics.intervals import Interval
from sweep.words import counted


def environment() -> jinja2.Environment:
    """Jinja for the templates of this package; `pages/` holds those of single pages."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("analysis", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["interval"] = interval
    made.filters["figure"] = figure
    made.filters["counted"] = counted
    return made


def interval(interval: Interval, digits: int = 1) -> str:
    """[low, high], or nothing where there is no interval."""
    return f"[{figure(interval.low, digits)}, {figure(interval.high, digits)}]" if interval.known else ""


def figure(value: float, digits: int = 1) -> str:
    """A number; a large one with an exponent."""
    return f"{value:.1e}" if LARGE <= abs(value) < math.inf else f"{value:.{digits}f}"
