"""Which samples are validation, reference, retain and forget, and which labels are noisy.

Label noise and `limit` belong to the dataset, everything else to a trial's seed. Everything is drawn with numpy from
`derived_seed`, so it is the same on every device and for every method. Noise changes only labels that are trained on:
validation and reference samples have their true labels, as test data has, and a forgotten class is all samples that
truly belong to it.
"""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from methods.task import derived_seed
from sweep.errors import InputError

Integers = NDArray[np.int64]
"""Rows of a training set, counted from 0, or its labels: int64 [n]."""

LISTED: Final = "listed"
"""The key of a forget set, beside those of a trial's config, with a list of rows of the dataset's own training data."""


@dataclass(frozen=True)
class Split:
    """Rows of the (limited) training set, counted from 0; each part is sorted."""

    retain: Integers
    forget: Integers
    validation: Integers
    reference: Integers

    @property
    def training(self) -> Integers:
        """The rows that the original is trained on: retain and forget together, sorted."""
        return np.sort(np.concatenate([self.retain, self.forget]))


def stratified_order(labels: Integers, generator: np.random.Generator) -> Integers:
    """A random order of all rows in which every prefix is stratified: each class's share is kept to within a sample.

    Put a class of n among N samples in random order. The share is kept if the place of its j-th sample (both counted
    from 0) is at least floor(j N / n) and below ceil((j + 1) N / n). A place goes to the sample that is
    allowed there and has the lowest upper bound, which meets every bound (Baruah et al., Proportionate progress,
    Algorithmica 1996).
    """
    total = len(labels)
    windows: list[tuple[int, int, float, int]] = []
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        rank = np.arange(len(rows) + 1) * total
        first, last = rank[:-1] // len(rows), -(-rank[1:] // len(rows))
        windows.extend(zip(*(part.tolist() for part in (first, last, generator.random(len(rows)), rows)), strict=True))
    windows.sort(reverse=True)
    admitted: list[tuple[int, float, int]] = []
    order = np.empty(total, dtype=np.int64)
    for place in range(total):
        while windows and windows[-1][0] <= place:
            heapq.heappush(admitted, windows.pop()[1:])
        order[place] = heapq.heappop(admitted)[-1]
    return order


def limited(labels: Integers, limit: int | None) -> Integers:
    """The rows of a stratified training set of at most `limit` samples, sorted; all rows if `limit` is None."""
    if limit is None or limit >= len(labels):
        return np.arange(len(labels))
    return np.sort(stratified_order(labels, np.random.default_rng(derived_seed(0, "limit")))[:limit])


def noisy(labels: Integers, share: float, classes: int) -> Integers:
    """The labels with round(share * n) of them drawn anew, uniformly over all classes (symmetric label noise)."""
    generator = np.random.default_rng(derived_seed(0, "label noise"))
    rows = generator.permutation(len(labels))[: round(share * len(labels))]
    result = labels.copy()
    result[rows] = generator.integers(classes, size=len(rows))
    return result


class Splits(ABC):
    """How a (limited) training set can be split, for every seed and forget set of a sweep.

    Attributes:
        rows: rows of the dataset's own training data that `limit` kept, ascending, int64 [N].
        total: how many rows the dataset's own training data has.
    """

    rows: Integers
    total: int

    @abstractmethod
    def split(self, seed: int, forget: dict[str, Any]) -> Split:
        """The parts of the training set for one seed and forget set.

        Args:
            forget: as in a trial's config; where it is a list of rows, with the list under `LISTED`.

        Raises:
            InputError: no sample would be forgotten, or none retained; or the data has no such samples.
        """

    @cached_property
    def order(self) -> Integers:
        """An order of all N samples that is the same for every seed. Folds are consecutive places of it."""
        return order_of_folds(np.zeros_like(self.rows))

    def fixed(self, forget: dict[str, Any]) -> NDArray[np.bool_] | None:
        """The samples, a mask [N], of a fold or a list of rows, which no seed changes; None of other forget sets.

        Raises:
            InputError: a row of the list is no training row.
        """
        if "fold" in forget:
            return np.isin(np.arange(len(self.rows)), fold_of(self.order, forget["ratio"], forget["fold"]))
        if LISTED not in forget:
            return None
        listed: Integers = forget[LISTED]
        outside = listed[(listed < 0) | (listed >= self.total)]
        if len(outside):
            more = f" and {len(outside) - 1} more" if len(outside) > 1 else ""
            raise InputError(f"forget: the list has row {outside[0]}{more}; training rows are 0 to {self.total - 1}")
        return np.isin(self.rows, listed)

    def may_run_short(self, forget: dict[str, Any], fewest: int) -> bool:
        """Whether some seed might leave fewer than `fewest` samples to forget, to retain or to validate on."""
        return False

    def require_judges(self, parts: Split, forget: dict[str, Any], searched: bool) -> None:
        """Check that there are samples to judge an unlearned model on.

        Raises:
            InputError: there are no test samples, or, where hyperparameters are `searched`, no validation samples.
        """
        if searched and not len(parts.validation):
            raise InputError(f"dataset.validation: none of {len(self.rows)} samples, and a search judges on them")


@dataclass(frozen=True, eq=False)
class Drawing:
    """What a seed decides of a training set. All splits of the seed come from one drawing.

    Attributes:
        strata: int64 [N], as the labels trained on. They stratify the parts held out and a share that is forgotten.
        seed: a trial's seed.
        validation: the share of the samples that is held out for validation.
        reference: the share held out for methods that compare with samples never trained on.
    """

    strata: Integers
    seed: int
    validation: float
    reference: float = 0.0

    def split(self, ratio: float) -> Split:
        """Split the samples; forget round(`ratio` * n) of the n that are not held out.

        The forget sets of larger ratios contain those of smaller ones.

        Raises:
            InputError: no sample would be forgotten, or none retained.
        """
        rest = self._parts[2]
        chosen = np.zeros(len(self.strata), dtype=bool)
        chosen[rest[self._ranked[: round(ratio * len(rest))]]] = True
        return self.split_off(chosen, f"ratio {ratio}")

    def split_off(self, chosen: NDArray[np.bool_], words: str) -> Split:
        """Forget the samples of a mask [N] that are not held out.

        Raises:
            InputError: no sample would be forgotten, or none retained; `words` say what was wanted.
        """
        validation, reference, rest = self._parts
        forgotten = chosen[rest]
        if not forgotten.any() or forgotten.all():
            left = "retain" if forgotten.all() else "forget"
            raise InputError(f"forget: {words} leaves no sample to {left} of {len(rest)}")
        return Split(rest[~forgotten], rest[forgotten], validation, reference)

    @cached_property
    def _parts(self) -> tuple[Integers, Integers, Integers]:
        """The rows of the validation part, of the reference part, and the other rows."""
        first = held_out(len(self.strata), self.validation)
        both = first + held_out(len(self.strata), self.reference)
        order = np.arange(len(self.strata))
        if both:
            order = stratified_order(self.strata, np.random.default_rng(derived_seed(self.seed, "validation")))
        return np.sort(order[:first]), np.sort(order[first:both]), np.sort(order[both:])

    @cached_property
    def _ranked(self) -> Integers:
        """Positions in the other rows, in the order in which samples are forgotten."""
        generator = np.random.default_rng(derived_seed(self.seed, "forget"))
        return stratified_order(self.strata[self._parts[2]], generator)


def fixed_words(forget: dict[str, Any]) -> str:
    """A fold or a list of rows, for messages."""
    return f"fold {forget['fold']} of ratio {forget['ratio']}" if "fold" in forget else "the list of rows"


FOLDS = "folds"
"""What the order of folds is drawn for, as `derived_seed` has it; its seed is 0 for every trial."""


def order_of_folds(strata: Integers) -> Integers:
    """The order of all samples, with these strata [N], whose consecutive places are folds."""
    return stratified_order(strata, np.random.default_rng(derived_seed(0, FOLDS)))


def fold_count(ratio: float) -> int:
    """How many folds of this ratio there are: the whole part of 1 / ratio, of the ratio as it is written."""
    return int(1 / Fraction(str(ratio)))


def fold_of(order: Integers, ratio: float, fold: int) -> Integers:
    """A fold, counted from 0: as many entries of an order [n] as the whole part of ratio * n.

    Folds are disjoint shares of a data set, the same for every seed, that are forgotten in turn.
    """
    size = int(Fraction(str(ratio)) * len(order))
    return order[fold * size : (fold + 1) * size]


def held_out(count: int, share: float) -> int:
    """The size of a part of `count` samples that is held out."""
    return round(share * count)
