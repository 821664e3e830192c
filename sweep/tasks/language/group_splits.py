"""Splits of texts: groups (people, books) are forgotten as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from methods.task import derived_seed
from sweep.errors import InputError, nearest
from sweep.tasks.language.texts import Texts
from sweep.tasks.splits import FOLDS, Integers, Split, Splits, fixed_words, fold_of

NONE: Integers = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class GroupSplits(Splits):
    """Splits of training rows by group. No training row is held out: what a search judges on is test rows.

    Attributes:
        rows, total: as in `Splits`; there is no limit, so all rows are here.
        names: of the groups.
        groups: the place of each row's group in `names`, int64 [N].
        eligible: which groups may be forgotten at random, bool [number of groups].
        tested, outsiders: numbers of test rows and of rows of outsiders.
        plain: whether what is asked of the forget set has no other candidates than the right one.
        validation: the share of both that is held out for validation.
    """

    rows: Integers
    total: int
    names: tuple[str, ...]
    groups: Integers
    eligible: NDArray[np.bool_]
    tested: int
    outsiders: int
    plain: bool
    validation: float

    @cached_property
    def order(self) -> Integers:
        """Rows group by group: first of the groups that may be forgotten, in the order of folds, then the others."""
        first = self._order_of_groups
        groups = np.concatenate([first, np.setdiff1d(np.arange(len(self.names)), first)])
        return np.argsort(np.argsort(groups)[self.groups], kind="stable")

    @cached_property
    def _order_of_groups(self) -> Integers:
        return np.random.default_rng(derived_seed(0, FOLDS)).permutation(np.flatnonzero(self.eligible))

    def fixed(self, forget: dict[str, Any]) -> NDArray[np.bool_] | None:
        if "fold" in forget:  # of groups
            return np.isin(self.groups, fold_of(self._order_of_groups, forget["ratio"], forget["fold"]))
        return super().fixed(forget)

    def split(self, seed: int, forget: dict[str, Any]) -> Split:
        if (fixed := self.fixed(forget)) is not None:
            return self._split_off(fixed, fixed_words(forget))
        if forget["scenario"] == "random":
            order = np.random.default_rng(derived_seed(seed, "forget")).permutation(np.flatnonzero(self.eligible))
            chosen = order[: round(forget["ratio"] * len(order))]
            words = f"ratio {forget['ratio']} of {len(order)} groups"
        elif forget["scenario"] == "group":
            if forget["group"] not in self.names:
                raise InputError(f"forget: no group '{forget['group']}'; {nearest(forget['group'], self.names)}")
            chosen, words = np.array([self.names.index(forget["group"])]), f"group '{forget['group']}'"
        else:
            chosen, words = np.flatnonzero(self.eligible), "the dataset's own forget set"
        return self._split_off(np.isin(self.groups, chosen), words)

    def _split_off(self, forgotten: NDArray[np.bool_], words: str) -> Split:
        if not forgotten.any() or forgotten.all():
            left = "retain" if forgotten.all() else "forget"
            raise InputError(f"forget: {words} leaves no row to {left} of {len(self.rows)}")
        return Split(self.rows[~forgotten], self.rows[forgotten], NONE, NONE)

    def require_judges(self, parts: Split, forget: dict[str, Any], searched: bool) -> None:
        if searched and not self.outsiders and self.plain:
            raise InputError("dataset.outsiders: a search needs them where training rows have no other answers")
        for name, count in (("test rows", self.tested), ("outsiders", self.outsiders)):
            held = round(self.validation * count)
            if not count and name == "outsiders":
                continue
            if searched and not held:
                raise InputError(f"dataset.validation: none of {count} {name}, and a search judges on them")
            if held == count:
                raise InputError(f"dataset.validation: all of {count} {name}, which leaves none to judge on")

    def judges(self, seed: int) -> tuple[dict[str, Integers], dict[str, Integers]]:
        """The rows of `test` and of `outsiders` that a seed judges on, and those that it holds out for validation."""
        kept, held = {}, {}
        for name, count in (("test", self.tested), ("outsiders", self.outsiders)):
            order = np.random.default_rng(derived_seed(seed, f"validation {name}")).permutation(count)
            first = round(self.validation * count)
            held[name], kept[name] = np.sort(order[:first]), np.sort(order[first:])
        return kept, held


def group_splits(texts: Texts, options: Mapping[str, Any]) -> GroupSplits:
    """The splits of a data set of texts; `options` has `validation`, as in `TextSpec`."""
    names = texts.groups
    return GroupSplits(
        np.arange(len(texts.train)),
        len(texts.train),
        names,
        texts.group_numbers,
        np.array([name in texts.eligible for name in names]),
        len(texts.test),
        len(texts.outsiders),
        len(texts.asked.get("forget", texts.train)[0].choices) == 1,
        options["validation"],
    )
