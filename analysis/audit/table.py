"""An audit as a table: a row for each task, method, configuration, score and stratum of the forgotten samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from analysis.audit.cohort import Cohort, cohorts
from analysis.audit.memorisation import strata
from analysis.audit.score import Estimate, Score, ScoreFailed
from analysis.audit.scores import SCORES
from analysis.statistics.intervals import CONFIDENCE, p_values
from sweep.store.columns import REFERENCES

AUDIT = pa.schema(
    [
        *(pa.field(name, pa.string(), nullable=False) for name in ("task_id", "method", "params", "metric")),
        pa.field("stratum", pa.string()),
        *(pa.field(name, pa.float64()) for name in ("value", "low", "high", "floor", "ceiling", "expected", "p")),
        pa.field("originals", pa.int32(), nullable=False),
        pa.field("samples", pa.int32(), nullable=False),
        pa.field("negatives", pa.int64(), nullable=False),
        pa.field("note", pa.string()),
    ]
)
"""Columns of `audit.parquet`. `task_id` is of the first fold, where there are folds. `stratum` is one of
`memorisation.STRATA`, null for all forgotten samples. `low` and `high` are the 95 % interval over originals; `floor` is
the value of Retrain against Retrain, `ceiling` that of the original. Retrain's own row is its floor, the original's its
ceiling, with their intervals. `expected` is what a method is compared with: what perfect unlearning has on average
where that is known (U-LiRA, AUC per sample), else the floor. `p` is the probability, by Student's t over originals, of
a value at least as far from it, if the method had it; it is not adjusted for the number of methods. `originals` is how
many seeds there are, `samples` how many samples of each are scored, `negatives` how many pairs of a Retrain and such a
sample; `note` says why something is missing, and where the score cannot tell the original from Retrain: `NO_POWER`."""

NO_POWER = "no power"


def audit(
    directory: str,
    trials: pd.DataFrame,
    scores: Sequence[Score] = SCORES,
    by_memorisation: bool = True,
    unread: Callable[[str], None] = lambda trial_id: None,
) -> pd.DataFrame:
    """Score every method and configuration whose predictions are stored; the columns of `AUDIT`.

    Args:
        directory: a results directory, a path or URI.
        trials: its trials, as `read_frames` gives them.
        by_memorisation: whether strata have rows too.
        unread: as `cohorts` takes it.

    Raises:
        ScoreFailed: a score raised.
    """
    references = _References()
    found = cohorts(directory, trials, unread)
    rows = [row for cohort in found for row in _rows(cohort, scores, references, by_memorisation)]
    frame = pd.DataFrame(rows, columns=AUDIT.names)
    return frame.astype({"originals": "int32", "samples": "int32", "negatives": "int64"})


def audit_table(frame: pd.DataFrame) -> pa.Table:
    """What `audit` found, as it is stored: numbers that there are not are null."""
    return pa.Table.from_pandas(frame, schema=AUDIT, preserve_index=False)


@dataclass(frozen=True)
class _Part:
    """A cohort, or its samples of one stratum."""

    stratum: str | None
    cohort: Cohort


def _rows(
    cohort: Cohort, scores: Sequence[Score], references: _References, by_memorisation: bool
) -> Iterator[dict[str, object]]:
    """The rows of one method; scores that compare sample by sample are of the common samples, and by stratum too."""
    whole, parts = [_Part(None, cohort)], []
    if any(score.crossed for score in scores):
        common = cohort.common()
        parts = [_Part(None, common), *(_Part(*each) for each in (strata(common) if by_memorisation else ()))]
    for score in scores:
        for part in parts if score.crossed else whole:
            try:
                row = _row(part, score, references.of(cohort, part, score))
            except (Exception, SystemExit) as error:
                raise ScoreFailed(score.name) from error
            yield row


@dataclass(frozen=True)
class _Range:
    floor: Estimate
    ceiling: Estimate

    @property
    def powerless(self) -> bool:
        """Whether the original cannot be told from Retrain, by the test that methods get; where there is none, by
        whether its interval has the floor in it.
        """
        p = _p(self.ceiling, self.floor)
        if not math.isnan(p):
            return p >= 1 - CONFIDENCE
        return self.ceiling.low <= self.floor.value <= self.ceiling.high


def _row(part: _Part, score: Score, between: _Range) -> dict[str, object]:
    cohort = part.cohort
    known = {"retrain": between.floor, "original": between.ceiling}
    found = known.get(cohort.method) or score.estimate(cohort)
    forgotten = [len(model["forget"].samples) for each in cohort.sets for model in each.retrain]
    notes = [score.missing(cohort) or found.note or ("not a number" if math.isnan(found.value) else "")]
    if not notes[0]:
        ends = {"floor": between.floor, "ceiling": between.ceiling}
        notes += [f"no {name}: {end.note or 'not a number'}" for name, end in ends.items() if math.isnan(end.value)]
    notes.append(NO_POWER if between.powerless else "")
    return {
        "task_id": cohort.task_id,
        "method": cohort.method,
        "params": cohort.params,
        "metric": score.name,
        "stratum": part.stratum,
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "floor": between.floor.value,
        "ceiling": between.ceiling.value,
        "expected": between.floor.value if math.isnan(score.expected) else score.expected,
        "p": math.nan if cohort.method in REFERENCES else _p(found, between.floor),
        "originals": len(cohort.seeds),
        "samples": round(sum(forgotten) / len(cohort.seeds)),
        "negatives": sum(forgotten),
        "note": "; ".join(filter(None, notes)) or None,
    }


def _p(found: Estimate, floor: Estimate) -> float:
    """`Estimate.p`; of means by the differences to the floor, seed by seed."""
    if found.per_seed is None or floor.per_seed is None or len(found.per_seed) != len(floor.per_seed):
        return found.p
    p, _ = p_values(found.per_seed - floor.per_seed)
    return float(p)


class _References:
    """Floors and ceilings of a task, which methods of the same seeds and folds share."""

    def __init__(self) -> None:
        self._task = ""
        self._found: dict[tuple[object, ...], _Range] = {}

    def of(self, cohort: Cohort, part: _Part, score: Score) -> _Range:
        if cohort.task != self._task:
            self._task, self._found = cohort.task, {}
        key = (cohort.task_ids, cohort.seeds, part.stratum, score)
        if key not in self._found:
            absent = Estimate(float("nan"))
            there = not score.missing(part.cohort)
            self._found[key] = _Range(
                *(make(part.cohort) if there else absent for make in (score.floor, score.ceiling))
            )
        return self._found[key]
