"""Which samples are validation, retain and forget; which labels are noisy.

Label noise and `limit` belong to the dataset; everything else to a trial's seed. All of it is drawn with numpy from
`derived_seed`, so it is the same on every device and for every method. Noise touches only what is trained on: a
validation part is judged by true labels, as test data is, and a forgotten class is all that truly belong to it.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from methods.task import derived_seed
from sweep.errors import InputError

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Rows of the (limited) training set, each part sorted."""

    retain: Rows
    forget: Rows
    validation: Rows

    @property
    def training(self) -> Rows:
        """What the original is trained on: retain and forget together, sorted."""
        return np.sort(np.concatenate([self.retain, self.forget]))


def stratified_order(labels: NDArray[np.int64], generator: np.random.Generator) -> Rows:
    """A random order of all rows in which every prefix is stratified: each class's share is kept to within a sample.

    Of N samples, the j-th (from 0) of a class of n, in random order, keeps to the share if its place, counted from 0,
    is at least floor(j N / n) and below ceil((j + 1) N / n). Each place goes to the sample admitted there whose bound
    ends first, which meets every bound (Baruah et al., Proportionate progress, Algorithmica 1996).
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


def limited(labels: NDArray[np.int64], limit: int | None) -> Rows:
    """The rows kept of a training set limited to `limit` samples, stratified, sorted; all if None or not fewer."""
    if limit is None or limit >= len(labels):
        return np.arange(len(labels))
    return np.sort(stratified_order(labels, np.random.default_rng(derived_seed(0, "limit")))[:limit])


def noisy(labels: NDArray[np.int64], share: float, classes: int) -> NDArray[np.int64]:
    """The labels with round(share * n) of them drawn anew, uniformly over all classes (symmetric label noise)."""
    generator = np.random.default_rng(derived_seed(0, "label noise"))
    rows = generator.permutation(len(labels))[: round(share * len(labels))]
    result = labels.copy()
    result[rows] = generator.integers(classes, size=len(rows))
    return result


def split(
    trained: NDArray[np.int64],
    true: NDArray[np.int64],
    *,
    seed: int,
    validation: float,
    ratio: float | None = None,
    forget_class: int | None = None,
) -> Split:
    """Divide a training set.

    The validation part is held out first. Then either round(`ratio` * rest) of the rest are forgotten, nested in the
    ratio, or all samples of `forget_class`.

    Args:
        trained: the labels trained on, with their noise, int64 [N]. The validation part and a share that is forgotten
            are stratified by them.
        true: the labels without noise, int64 [N]. `forget_class` is a class of theirs: every sample of it is
            forgotten, whatever label is trained on, and no other.

    Raises:
        InputError: nothing would be forgotten, or nothing retained.
    """
    order = stratified_order(trained, np.random.default_rng(derived_seed(seed, "validation")))
    held_out = round(validation * len(trained))
    rest = np.sort(order[held_out:])
    if forget_class is not None:
        chosen = true[rest] == forget_class
    else:
        assert ratio is not None
        ranked = stratified_order(trained[rest], np.random.default_rng(derived_seed(seed, "forget")))
        chosen = np.zeros(len(rest), dtype=bool)
        chosen[ranked[: round(ratio * len(rest))]] = True
    if not chosen.any() or chosen.all():
        wanted = f"class {forget_class}" if forget_class is not None else f"ratio {ratio}"
        raise InputError(
            f"forget: {wanted} leaves no sample to {'retain' if chosen.all() else 'forget'} of {len(rest)}"
        )
    return Split(rest[~chosen], rest[chosen], np.sort(order[:held_out]))
