"""What a model says sample by sample, beside another: confusion, accuracy by class, and where the two differ most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from analysis.audit.divergence import jensen_shannon
from analysis.audit.outputs import Floats, Integers, Model, Part, read_model
from analysis.pages.samples import Samples
from sweep.errors import InputError
from sweep.store.results import Results

MOST_CLASSES = 20
"""Of more classes a page shows no matrix, but the most frequent confusions."""
MOST_ROWS = 100
"""Classes that a table lists; of more, those whose forget accuracy is farthest from the reference."""
MOST_CONFUSED = 20
MOST_SAMPLES = {"forget": 20, "test": 10, "retain": 10}
"""How many samples of each part are shown that differ most."""
PARTS = {"retain": "Retain set", "forget": "Forget set", "test": "Test set"}


@dataclass(frozen=True)
class Cell:
    """How many samples of a class were taken for another, and which share of the class that is."""

    count: int
    share: float


@dataclass(frozen=True)
class Confusion:
    """What samples of each class were taken for.

    Attributes:
        part: in words.
        classes: that occur, as the page calls them.
        rows: for each true class a cell for each predicted one; empty where there are too many classes.
        pairs: the most frequent confusions: the true class, the predicted one, how often, and how often in the
            reference (None: there is none); empty where there are `rows`.
        samples: in all.
    """

    part: str
    classes: list[str]
    rows: list[list[Cell]]
    pairs: list[tuple[str, str, int, int | None]]
    samples: int


@dataclass(frozen=True)
class ByClass:
    """Accuracy (percent) by class: for each of `parts` how many samples, this model's, and the reference's."""

    parts: list[str]
    rows: list[tuple[str, list[tuple[int, float | None, float | None]]]]
    classes: int


@dataclass(frozen=True)
class Said:
    """What one model says of a sample, in words, and whether that is right (None: cannot be said)."""

    words: str
    right: bool | None


@dataclass(frozen=True)
class Differing:
    """A sample, its target in words (empty: it has none), what each model says of it, and how far the two are apart."""

    sample: int
    target: str
    said: list[Said]
    distance: float


@dataclass(frozen=True)
class Difference:
    """The samples of one part on which two models differ most.

    Attributes:
        part: its name in the column `split`.
        words: the part in words.
        measure: the distance in words.
        mean: of the distance over `samples`, which both models have.
        models: whose words stand in `Differing.said`.
        rows: the largest distance first.
    """

    part: str
    words: str
    measure: str
    mean: float
    samples: int
    models: list[str]
    rows: list[Differing]


def model_of(results: Results, trial_id: str) -> Model | None:
    """What a trial's model says; None if nothing is stored that can be read and makes sense."""
    try:
        model = read_model(results, trial_id)
    except (InputError, OSError, ValueError, pa.ArrowException):
        return None
    if model is None or not all(_sound(part) for part in model.values()):
        return None
    return model


def _sound(part: Part) -> bool:
    if not part.outputs.shape[1]:
        return False
    return not part.choices or bool((part.targets >= 0).all() and (part.targets < part.outputs.shape[1]).all())


def confusions(model: Model, reference: Model | None, names: Sequence[str]) -> list[Confusion]:
    """The confusion of test and forget samples; none where targets are no classes.

    Args:
        reference: the model to count the same of, where there are too many classes for a matrix.
        names: of the classes; those beyond go by their numbers.
    """
    found = []
    for name in ("test", "forget"):
        part = model.get(name)
        if part is None or not part.choices:
            continue
        counts, other = _counts(part), _counts(reference[name]) if reference and _alike(reference, name, part) else None
        there = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
        classes = [_called(place, names) for place in there]
        rows, pairs = [], []
        if len(there) <= MOST_CLASSES:
            totals = counts.sum(axis=1)
            rows = [
                [Cell(int(counts[true, said]), counts[true, said] / max(totals[true], 1)) for said in there]
                for true in there
            ]
        else:
            wrong = counts * ~np.eye(len(counts), dtype=bool)
            for place in np.argsort(-wrong, axis=None, kind="stable")[:MOST_CONFUSED]:
                true, said = np.unravel_index(place, wrong.shape)
                if wrong[true, said]:
                    again = None if other is None else int(other[true, said])
                    pairs.append((_called(true, names), _called(said, names), int(wrong[true, said]), again))
        found.append(Confusion(PARTS[name], classes, rows, pairs, len(part.targets)))
    return found


def _alike(model: Model, name: str, part: Part) -> bool:
    return name in model and model[name].choices and model[name].outputs.shape[1] == part.outputs.shape[1]


def _counts(part: Part) -> Integers:
    counts = np.zeros((part.outputs.shape[1],) * 2, dtype=np.int64)
    np.add.at(counts, (part.targets.astype(np.int64), part.outputs.argmax(axis=1)), 1)
    return counts


def _called(place: int | np.intp, names: Sequence[str]) -> str:
    return names[int(place)] if place < len(names) else str(place)


def by_class(model: Model, reference: Model | None, names: Sequence[str]) -> ByClass | None:
    """Accuracy by class of each of `PARTS`; None where targets are no classes."""
    parts = [name for name in PARTS if name in model and model[name].choices]
    if not parts:
        return None
    width = max(model[name].outputs.shape[1] for name in parts)
    mine = [_accuracies(model[name], width) for name in parts]
    theirs = [
        _accuracies(reference[name], width) if reference and _alike(reference, name, model[name]) else None
        for name in parts
    ]
    rows = []
    for place in range(width):
        cells = []
        for (count, accuracy), other in zip(mine, theirs, strict=True):
            beside = None if other is None or not other[0][place] else float(other[1][place])
            cells.append((int(count[place]), float(accuracy[place]) if count[place] else None, beside))
        if any(count for count, _, _ in cells):
            rows.append((_called(place, names), cells))
    at = parts.index("forget") if "forget" in parts else 0

    def apart(row: tuple[str, list[tuple[int, float | None, float | None]]]) -> float:
        _, own, other = row[1][at]
        return -abs(own - other) if own is not None and other is not None else 0.0

    shown = rows if len(rows) <= MOST_ROWS else sorted(rows, key=apart)[:MOST_ROWS]
    return ByClass([PARTS[name] for name in parts], shown, len(rows))


def _accuracies(part: Part, width: int) -> tuple[Integers, Floats]:
    targets = part.targets.astype(np.int64)
    counts = np.bincount(targets, minlength=width)
    right = np.bincount(targets, weights=part.right, minlength=width)
    return counts, 100 * right / np.maximum(counts, 1)


def differences(
    model: Model, reference: Model, others: Mapping[str, Model], who: tuple[str, str], known: Samples
) -> list[Difference]:
    """Where two models differ most, in each of the parts of `MOST_SAMPLES` that both have.

    Args:
        others: further models, by name, whose words stand beside them where they know the sample.
        who: what model and reference are called.
        known: the data set.
    """
    found = []
    for name, most in MOST_SAMPLES.items():
        if name not in model or name not in reference:
            continue
        samples, places, there = np.intersect1d(model[name].samples, reference[name].samples, return_indices=True)
        own, other = _take(model[name], places), _take(reference[name], there)
        if not len(samples) or own.outputs.shape != other.outputs.shape or own.numbers != other.numbers:
            continue
        distances, measure = _distances(own, other)
        beside = {label: each[name] for label, each in others.items() if name in each}
        order = np.argsort(-distances, kind="stable")[:most]
        rows = []
        for at in order:
            sample = int(samples[at])
            names = known.answers(name, sample)
            said = [_said_of(part, sample, names) for part in beside.values()]
            said += [_said(other, at, names), _said(own, at, names)]
            rows.append(Differing(sample, _target(own, at, names), said, float(distances[at])))
        models = [*beside, who[1], who[0]]
        found.append(Difference(name, PARTS[name], measure, float(distances.mean()), len(samples), models, rows))
    return found


def _take(part: Part, places: Integers) -> Part:
    return Part(part.samples[places], part.targets[places], part.outputs[places])


def _distances(one: Part, other: Part) -> tuple[Floats, str]:
    """The distance of each sample, and what it is in words."""
    if one.choices:
        words = "Jensen-Shannon divergence of the softmaxes, nats"
        return jensen_shannon(one.probabilities, other.probabilities), words
    apart: Floats = np.abs(one.outputs[:, 0].astype(np.float64) - other.outputs[:, 0])
    return apart, "absolute difference of the outputs" if one.numbers else "absolute difference of the log-likelihoods"


def _target(part: Part, at: int, names: Sequence[str]) -> str:
    if part.numbers:
        return f"{part.targets[at]:.4g}"
    if not part.choices and not names:
        return ""
    return _called(int(part.targets[at]), names)


def _said(part: Part, at: int, names: Sequence[str]) -> Said:
    if not part.choices:
        return Said(f"{part.outputs[at, 0]:.4g}", None)
    preferred = int(part.outputs[at].argmax())
    share = f"{100 * part.probabilities[at, preferred]:.0f}\N{NO-BREAK SPACE}%"
    return Said(f"{_called(preferred, names)} ({share})", bool(part.right[at]))


def _said_of(part: Part, sample: int, names: Sequence[str]) -> Said:
    at = int(np.searchsorted(part.samples, sample))
    there = at < len(part.samples) and part.samples[at] == sample
    return _said(part, at, names) if there else Said("–", None)
