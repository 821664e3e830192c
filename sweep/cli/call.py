"""What a call from Python gives, checked: no types were checked before."""

from __future__ import annotations

import math
import os
import reprlib
from collections.abc import Mapping, Sequence
from numbers import Real

from sweep.cli.arguments import TrackerName, named, seconds_of
from sweep.errors import InputError
from sweep.spec.source import Source


def require(name: str, value: object, right: bool, words: str) -> None:
    """Raise InputError, in one line, unless the argument `name` is `right`; `words` are what it should be."""
    if not right:
        raise InputError(f"{name}: should be {words}, not {' '.join(reprlib.repr(value).split())}")


def path_of(name: str, value: object, words: str = "a path or URI") -> str:
    """The text of a path or URI."""
    path = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(path, str):
        raise InputError(f"{name}: should be {words}, not {' '.join(reprlib.repr(value).split())}")
    return path


def spec_of(spec: object) -> Source:
    """A spec as commands take it."""
    return spec if isinstance(spec, Mapping) else path_of("spec", spec, "a path, the name of a preset, or a mapping")


def budget_of(time_budget: object) -> float | None:
    """Seconds of a time budget; None: any."""
    if time_budget is None or isinstance(time_budget, str):
        return seconds_of(time_budget)
    if isinstance(time_budget, bool) or not isinstance(time_budget, Real) or math.isnan(time_budget):
        raise InputError(f"time_budget: should be seconds or a text such as '1h30m', not {reprlib.repr(time_budget)}")
    return float(time_budget)


def trackers_of(track: object) -> list[TrackerName]:
    """The trackers that a list names."""
    if isinstance(track, str | bytes) or not isinstance(track, Sequence):
        raise InputError(f"track: should be a list of names, as in ['tensorboard'], not {reprlib.repr(track)}")
    return [named("--track", name, TrackerName) for name in track]
