"""What is measured of a model, for each kind of task: columns of `trials`, their names, and how they are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sweep.errors import InputError


@dataclass(frozen=True)
class Metric:
    """A number that says how a model does on a part of the data: between 0 and 100, or nearly so, if it has a side.

    Attributes:
        column: of `trials`.
        label: the field's abbreviation.
        words: what it is, without abbreviation.
        side: what its distance to Retrain tells of: whether the rest was kept, or whether the forget set was forgotten.
            None: it is no part of the average gap.
        twin: the column with the same on validation data, which a search reads in its place; None where it looks at no
            test data.
        unit: in words.
        hidden: whether tables leave it out; it is in `trials`.
        ideal: what it would be if the forget set were forgotten and nothing else lost: a number, or the column that has
            it. None: what it is of the original.
    """

    column: str
    label: str
    words: str
    side: Literal["retain", "forget"] | None = None
    twin: str | None = None
    unit: str = "percent"
    hidden: bool = False
    ideal: float | str | None = None


NON_MEMBERS = "share of the forget data that a membership attack calls non-member"

DEVIATION = "percent of the targets' standard deviation"

OF_WEIGHTS: tuple[Metric, ...] = (
    Metric(
        "forget_information",
        "ι",
        "mean squared length of a forget sample's loss gradient (Becker and Liebig 2022); where the spec asks for it",
        unit="squared loss per unit of weight",
        hidden=True,
    ),
    Metric(
        "weight_distance",
        "WD",
        "length of the weights' change from the original, relative to the original's; none of what trains anew",
        unit="share",
        hidden=True,
    ),
)
"""What is measured of a model's weights, whatever the kind of task."""

KINDS: dict[str, tuple[Metric, ...]] = {
    "classification": (
        Metric("retain_accuracy", "RA", "accuracy on the retain data", "retain"),
        Metric("forget_accuracy", "FA", "accuracy on the forget data", "forget"),
        Metric("test_accuracy", "TA", "accuracy on the test data", "retain", "validation_accuracy"),
        Metric("forgotten_test_accuracy", "TA-F", "accuracy on test data of the forgotten class"),
        Metric("validation_accuracy", "VA", "accuracy on the validation data"),
        Metric("mia", "MIA", NON_MEMBERS, "forget", "validation_mia"),
        Metric("validation_mia", "MIA-V", f"{NON_MEMBERS}, from validation data"),
        *OF_WEIGHTS,
    ),
    "regression": (
        Metric("retain_error", "RE", "mean absolute error on the retain data", "retain", unit=DEVIATION),
        Metric("forget_error", "FE", "mean absolute error on the forget data", "forget", unit=DEVIATION),
        Metric("test_error", "TE", "mean absolute error on the test data", "retain", "validation_error", DEVIATION),
        Metric(
            "forgotten_test_error", "TE-F", "mean absolute error on test data in the forgotten range", unit=DEVIATION
        ),
        Metric("validation_error", "VE", "mean absolute error on the validation data", unit=DEVIATION),
        Metric("mia", "MIA", NON_MEMBERS, "forget", "validation_mia"),
        Metric("validation_mia", "MIA-V", f"{NON_MEMBERS}, from validation data"),
        *OF_WEIGHTS,
    ),
    "language": (
        Metric("retain_accuracy", "RA", "accuracy on the retain data", "retain"),
        Metric("forget_accuracy", "FA", "accuracy on the forget data", "forget", ideal="chance"),
        Metric("test_accuracy", "TA", "accuracy on the test data", "retain", "validation_accuracy"),
        Metric("validation_accuracy", "VA", "accuracy on the validation data"),
        Metric(
            "attack_auc",
            "AUC",
            "how well scores tell forget from unseen data",
            "forget",
            "validation_attack_auc",
            ideal=50.0,
        ),
        Metric("validation_attack_auc", "AUC-V", "the same, from validation data", ideal=50.0),
        Metric("forget_likelihood", "P-F", "mean probability of the forget data's answers"),
        Metric("retain_likelihood", "P-R", "mean probability of the retain data's answers", hidden=True),
        Metric("test_likelihood", "P-T", "mean probability of the test data's answers", hidden=True),
        Metric("mia", "MIA", NON_MEMBERS, hidden=True),
        Metric("chance", "chance", "accuracy of guesses on the forget data", hidden=True),
        *OF_WEIGHTS,
    ),
}
"""What the built-in kinds of task measure. The average gap over RA, FA, TA and MIA is that of Fan et al., ICLR 2024."""

REPEATED = "a greedy continuation of a prompt repeats"
ATTACKED = "how well an attack tells forget from unseen data, by"

FURTHER: dict[str, tuple[Metric, ...]] = {
    "language": (
        Metric("forget_perplexity", "PPL-F", "perplexity of the forget data's answers", unit="equally likely tokens"),
        Metric("test_perplexity", "PPL-T", "perplexity of the test data's answers", unit="equally likely tokens"),
        Metric(
            "forget_extraction_strength",
            "ES-F",
            "mean share of a forget answer, from its end, that follows greedily from the shortest part before it",
        ),
        Metric("test_extraction_strength", "ES-T", "the same of test answers"),
        Metric("min_k_auc", "AUC-K", f"{ATTACKED} each answer's 20 % least likely tokens (Min-K%)"),
        Metric("min_k_plus_plus_auc", "AUC-K++", f"{ATTACKED} the same, standardised over the vocabulary (Min-K%++)"),
        Metric("zlib_auc", "AUC-Z", f"{ATTACKED} the loss over the answer's size as zlib compresses it"),
        Metric("forget_exact_match", "EM-F", f"share of forget answers that {REPEATED} exactly"),
        Metric("retain_exact_match", "EM-R", f"share of retain answers that {REPEATED} exactly"),
        Metric("forget_rouge_l_recall", "ROUGE-F", f"mean share of a forget answer's words that {REPEATED} in order"),
        Metric("retain_rouge_l_recall", "ROUGE-R", f"mean share of a retain answer's words that {REPEATED} in order"),
    ),
}
"""What built-in kinds measure besides, in the column `other`; those of continuations only where `dataset.generate` asks
for them. The AUCs are in the direction of `attack_auc`: 100 where every forget row looks remembered."""

CLASSIFICATION = "classification"
"""The kind of task of rows whose column `kind` is null: it was there before all others."""

GAPS = ("average_gap", "forget_gap", "retain_gap")
"""Means of distances to Retrain: of all metrics with a side, and of those of one side."""

FARTHEST = 100.0
"""Percentage points that count as the distance of whatever is farther away."""

_learnt: dict[str, tuple[Metric, ...]] = {}
_read: dict[str, tuple[str, tuple[Metric, ...]]] = {}
"""In which directory a kind of task was read, and its metrics there."""


def learn(kind: str, metrics: Sequence[Metric], directory: str | None = None) -> None:
    """Make the metrics of a plugin's kind of task known to this process.

    Args:
        directory: the results directory that they were read from; None: they are those of the plugin itself.

    Raises:
        InputError: another directory's kind of that name has other metrics. Rows of both would be read by one of them.
    """
    if directory is not None:
        other, known = _read.get(kind, (directory, ()))
        if other != directory and known != tuple(metrics):
            raise InputError(
                f"{directory}: its kind of task {kind} measures something else than that of {other}, which this "
                "process has read; read them in two processes"
            )
        _read[kind] = directory, tuple(metrics)
    _learnt[kind] = tuple(metrics)


def metrics_of(kind: str | None) -> tuple[Metric, ...]:
    """The metrics of the kind of task in a row's column `kind`; none if it is not known here."""
    return (_learnt | KINDS).get(kind or CLASSIFICATION, ())


def columns() -> dict[str, Metric]:
    """Every known metric by its column, or by its name in the column `other`."""
    return {metric.column: metric for metrics in (_learnt | KINDS).values() for metric in metrics}


def shown(metrics: Sequence[Metric]) -> tuple[Metric, ...]:
    """The metrics that tables show: none on validation data, and none that is hidden."""
    twins = {metric.twin for metric in metrics}
    return tuple(metric for metric in metrics if metric.column not in twins and not metric.hidden)


def averaged(metrics: Sequence[Metric], gap: str) -> tuple[Metric, ...]:
    """The metrics whose distances to Retrain one of `GAPS` averages."""
    sides = {"forget_gap": ("forget",), "retain_gap": ("retain",)}.get(gap, ("retain", "forget"))
    return tuple(metric for metric in metrics if metric.side in sides)


def distance(value: float, reference: float) -> float:
    """|value - Retrain's| in percentage points, at most `FARTHEST`."""
    return min(abs(value - reference), FARTHEST)


def gap_between(
    values: Mapping[str, float | None], reference: Mapping[str, float | None], kind: str, validation: bool
) -> float | None:
    """The average gap of a trial's metrics to those of Retrain, over those that both have; None where there is none.

    With `validation` it is over the metrics that a search reads.
    """
    names = [(validation and each.twin) or each.column for each in averaged(metrics_of(kind), "average_gap")]
    both = [(values.get(name), reference.get(name)) for name in names]
    gaps = [distance(value, other) for value, other in both if value is not None and other is not None]
    return sum(gaps) / len(gaps) if gaps else None
