"""Splits of a classification set: strata are classes, and classes may be forgotten."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any

import numpy as np

from sweep.errors import InputError
from sweep.tasks.images import Called, class_number
from sweep.tasks.splits import Drawing, Integers, Split, Splits, fixed_words, held_out, limited, noisy, order_of_folds


@dataclass(frozen=True, eq=False)
class ClassSplits(Splits):
    """Splits of a training set with classes.

    Attributes:
        rows, total: as in `Splits`.
        trained: the labels trained on, with their noise, int64 [N].
        true: the labels without noise, int64 [N].
        test_labels: int64 [M].
        called: what the dataset's source calls the classes, as in `Images`.
        validation, reference: shares of the samples that are held out.
        drawing: seed -> what it decides; keeps the last result, which other trials share.
    """

    rows: Integers
    total: int
    trained: Integers
    true: Integers
    test_labels: Integers
    called: Called | None
    validation: float
    reference: float
    drawing: Callable[[int], Drawing]

    @cached_property
    def order(self) -> Integers:
        return order_of_folds(self.trained)

    def split(self, seed: int, forget: dict[str, Any]) -> Split:
        drawing = self.drawing(seed)
        if (chosen := self.fixed(forget)) is not None:
            return drawing.split_off(chosen, fixed_words(forget))
        if (label := self.forgotten_class(forget)) is not None:
            return drawing.split_off(self.true == label, f"class {label}")
        return drawing.split(forget["ratio"])

    def forgotten_class(self, forget: dict[str, Any]) -> int | None:
        """The class that is forgotten; None if no class is. Raises InputError as `class_number` does."""
        return class_number(forget["class"], self.called) if "class" in forget else None

    def may_run_short(self, forget: dict[str, Any], fewest: int) -> bool:
        if self.fixed(forget) is not None:
            return bool(self.validation or self.reference)
        label = self.forgotten_class(forget)
        return label is not None and class_may_run_short(
            self.trained, self.true, self.validation, label, fewest, self.reference
        )

    def require_judges(self, parts: Split, forget: dict[str, Any], searched: bool) -> None:
        label = self.forgotten_class(forget)
        if label is not None and (self.test_labels == label).all():
            raise InputError(f"forget: every test sample is of class {forget['class']}, and accuracy is of the others")
        if searched and not (self.true[parts.validation] != label).any():
            lacks = "is none" if label is None else f"has none of a class other than {forget['class']}"
            share = f"{self.validation:g} of {len(self.true)} samples {lacks}"
            raise InputError(f"dataset.validation: {share}, and a search judges on them")


def class_splits(
    labels: Integers, test_labels: Integers, classes: int, called: Called | None, options: Mapping[str, Any]
) -> ClassSplits:
    """The splits of a set with these labels, int64 [N] and [M].

    Args:
        options: `limit`, `label_noise`, `validation` and, if it is there, `reference`, as in `ImageSpec`.
    """
    rows = limited(labels, options["limit"])
    true = labels[rows]
    trained = noisy(true, options["label_noise"], classes)
    validation, reference = options["validation"], options.get("reference", 0.0)
    drawing = partial(Drawing, trained, validation=validation, reference=reference)
    kept = lru_cache(maxsize=1)(drawing)
    return ClassSplits(rows, len(labels), trained, true, test_labels, called, validation, reference, kept)


def class_may_run_short(
    trained: Integers, true: Integers, validation: float, forget_class: int, fewest: int, reference: float = 0.0
) -> bool:
    """Whether some seed might leave fewer than `fewest` samples to forget, to retain, or of other classes to validate.

    Only where a class is forgotten and some samples are held out do sizes depend on the seed: of the samples trained on
    as one label, the parts held out have that label's share to within one sample. Computed without drawing.
    """
    validated = held_out(len(trained), validation)
    count = validated + held_out(len(trained), reference)
    if not count:
        return False
    every = np.bincount(trained)
    of_class = np.bincount(trained[true == forget_class], minlength=len(every))
    least, most = every * count // len(trained), -(-every * count // len(trained))
    most_held_out = np.minimum(of_class, most).sum()
    least_held_out = np.maximum(of_class - (every - least), 0).sum()
    forget = of_class.sum() - most_held_out
    retain = len(trained) - of_class.sum() - (count - least_held_out)
    judged = validated - np.minimum(of_class, -(-every * validated // len(trained))).sum()
    return bool(min(forget, retain, judged if validated else fewest) < fewest)
