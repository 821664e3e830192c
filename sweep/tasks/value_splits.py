"""Splits of a regression set: strata are tenths of the targets, and ranges of targets may be forgotten."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.errors import InputError
from sweep.tasks.splits import Drawing, Integers, Split, Splits, fixed_words, limited, order_of_folds

STRATA = 10


@dataclass(frozen=True, eq=False)
class ValueSplits(Splits):
    """Splits of a training set with numeric targets.

    Attributes:
        rows, total: as in `Splits`.
        targets: before noise, in their own unit, float64 [N].
        test_targets: float64 [M].
        held_out: whether samples are held out.
        drawing: seed -> what it decides; keeps the last result, which other trials share.
    """

    rows: Integers
    total: int
    targets: NDArray[np.float64]
    test_targets: NDArray[np.float64]
    held_out: bool
    drawing: Callable[[int], Drawing]

    @cached_property
    def order(self) -> Integers:
        return order_of_folds(strata(self.targets))

    def split(self, seed: int, forget: dict[str, Any]) -> Split:
        drawing = self.drawing(seed)
        if (chosen := self.fixed(forget)) is not None:
            return drawing.split_off(chosen, fixed_words(forget))
        if forget["scenario"] == "random":
            return drawing.split(forget["ratio"])
        return drawing.split_off(in_range(self.targets, forget), f"targets {range_words(forget)}")

    def may_run_short(self, forget: dict[str, Any], fewest: int) -> bool:
        if self.fixed(forget) is not None:
            return self.held_out
        return bool(forget["scenario"] == "range")  # what is held out of the range depends on the seed

    def require_judges(self, parts: Split, forget: dict[str, Any], searched: bool) -> None:
        words = f"targets {range_words(forget)}" if forget["scenario"] == "range" else ""
        if words and in_range(self.test_targets, forget).all():
            raise InputError(f"forget: every test sample has {words}, and the error is of the others")
        if searched and not (~in_range(self.targets[parts.validation], forget)).any():
            lacks = f"none without {words}" if words else "none"
            raise InputError(f"dataset.validation: {lacks} of {len(self.rows)} samples, and a search judges on them")


def value_splits(
    targets: NDArray[np.float64], test_targets: NDArray[np.float64], options: Mapping[str, Any]
) -> ValueSplits:
    """The splits of a set with these targets, float64 [N] and [M].

    Args:
        options: `limit`, `validation` and `reference`, as in `DatasetSpec`.
    """
    rows = limited(strata(targets), options["limit"])
    kept = targets[rows]
    shares = {"validation": options["validation"], "reference": options.get("reference", 0.0)}
    drawing = partial(Drawing, strata(kept), **shares)
    return ValueSplits(rows, len(targets), kept, test_targets, any(shares.values()), lru_cache(maxsize=1)(drawing))


def strata(targets: NDArray[np.float64]) -> Integers:
    """The tenth of the targets that each belongs to, int64 [N] from 0: equal targets are in the same."""
    ends = np.quantile(targets, np.arange(1, STRATA) / STRATA)
    found: Integers = np.searchsorted(ends, targets, side="left").astype(np.int64)
    return found


def in_range(targets: NDArray[np.float64], forget: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Which targets, in their own unit, are in the range that is forgotten; none if no range is."""
    if "below" in forget:
        return targets < float(forget["below"])
    if "above" in forget:
        return targets > float(forget["above"])
    return np.zeros(len(targets), dtype=bool)


def range_words(forget: Mapping[str, Any]) -> str:
    """The forgotten range in words."""
    side = "below" if "below" in forget else "above"
    return f"{side} {forget[side]:g}"
