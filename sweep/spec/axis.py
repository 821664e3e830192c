"""Grid axes: a list of values, a single value written bare, or a range."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import product
from typing import Annotated, Any, TypeGuard

from pydantic import BeforeValidator, Field

NUMBER = r" *[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,2})? *"
RANGE_TEXT = rf"^range\({NUMBER}(?:,{NUMBER}){{0,2}}\)$"
"""What a range looks like: range(STOP), range(START, STOP) or range(START, STOP, STEP)."""

LONGEST = 100_000
"""Numbers that a range may have."""


def axis(item: Any) -> Any:
    """The type of a grid axis: a non-empty list; a single value may be written bare, and numbers as a range."""
    listed = Annotated[list[item], Field(min_length=1)]
    written = item | listed | Annotated[str, Field(pattern=RANGE_TEXT)]
    return Annotated[listed, BeforeValidator(_as_list, json_schema_input_type=written)]


def combinations(grid: Mapping[str, Iterable[Any]]) -> Iterator[dict[str, Any]]:
    """Every combination of values of a grid's axes, the last axis fastest."""
    return (dict(zip(grid, values, strict=True)) for values in product(*grid.values()))


def _as_list(value: object) -> object:
    if not isinstance(value, list):
        return numbers_of(value) if _begins_a_range(value) else [value]
    if any(map(_begins_a_range, value)):
        raise ValueError("a range stands alone, without [ ]")
    return value


def _begins_a_range(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value.startswith("range(")


def numbers_of(text: str) -> list[int] | list[float]:
    """The numbers of a range: START, or 0, and on by STEP, or 1, as long as they do not reach STOP.

    They are integers where all three are written as integers, else the floats that one would write in a list.

    Raises:
        ValueError: the text is no range, or one of no numbers or of too many.
    """
    if not re.fullmatch(RANGE_TEXT, text):
        hint = "" if ")" in text else ' (between { } in quotes: "range(0.5, 4, 0.5)")'
        raise ValueError(f"{text!r} is no range; write range(START, STOP) or range(START, STOP, STEP){hint}")
    words = [word.strip() for word in text.removeprefix("range(").removesuffix(")").split(",")]
    start, stop, step = map(Fraction, [*(["0"] if len(words) == 1 else []), *words, "1"][:3])
    if not step:
        raise ValueError(f"{text}: the step is 0")
    count = math.ceil((stop - start) / step)
    if count < 1:
        raise ValueError(f"{text} holds no number")
    if count > LONGEST:
        raise ValueError(f"{text} holds {count} numbers; at most {LONGEST} are allowed")
    numbers = [start + place * step for place in range(count)]
    if all(re.fullmatch(r"[-+]?[0-9]+", word) for word in words):
        return [int(number) for number in numbers]
    return [float(number) for number in numbers]
