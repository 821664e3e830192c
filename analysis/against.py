"""Two results directories beside each other: what both measured, by how much it differs, and what only one has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.reading.frames import Frames, metrics_in
from analysis.reading.selection import ended_ok, references_first
from analysis.reading.tuning import CONFIGURATION
from analysis.statistics.intervals import CONFIDENCE, ROUNDING, Interval, mean_interval, paired_difference
from analysis.statistics.ranking import verdicts
from analysis.wording.escaping import in_csv, in_markdown, markdown_table
from analysis.wording.names import display_labels, label, task_labels
from analysis.wording.words import joined
from sweep.store.metrics import shown
from sweep.words import counted

GAP = "average gap"

MOST_ROWS = 500
"""Rows on a page; against.csv has all."""

HIGHER, LOWER, UNTOLD, UNJUDGED = "higher here", "lower here", "not distinguishable", "not judged"
EQUAL = "equal in every seed"
ONLY_HERE, ONLY_THERE = "only here", "only there"


@dataclass(frozen=True)
class Side:
    """What computed the trials of one directory that are compared."""

    place: str
    versions: list[str]
    devices: list[str]

    @property
    def words(self) -> str:
        """The directory, its code versions and its devices, as a sentence."""
        versions = "code version" if len(self.versions) == 1 else "code versions"
        device = joined(self.devices) if self.devices else "an unknown device"
        return f"{self.place}: {versions} {joined(self.versions)}, on {device}."


@dataclass(frozen=True)
class Row:
    """A quantity of one configuration. `paired` counts the seeds that both directories have."""

    task: str
    method: str
    quantity: str
    here: Interval
    there: Interval
    difference: Interval
    paired: int
    verdict: str


@dataclass(frozen=True)
class Against:
    """A comparison of two directories.

    Attributes:
        sides: this directory and the other.
        rows: of every configuration in either, by task, references first.
    """

    sides: tuple[Side, Side]
    rows: list[Row]

    @property
    def both(self) -> list[Row]:
        """The rows of configurations that both directories have."""
        return [row for row in self.rows if row.verdict not in (ONLY_HERE, ONLY_THERE)]

    def only(self, verdict: str) -> list[str]:
        """The configurations that only one directory has, each with its task."""
        return [*dict.fromkeys(f"{row.method} ({row.task})" for row in self.rows if row.verdict == verdict)]

    @property
    def answer(self) -> str:
        """How many differences are more than noise, and which, as a sentence."""
        judged = [row for row in self.both if row.verdict != UNJUDGED]
        if not judged:
            reason = "too few seeds" if self.both else "no task and configuration is in both"
            return f"Nothing can be judged: {reason}."
        clear = [row for row in judged if row.verdict in (HIGHER, LOWER)]
        if all(row.verdict == EQUAL for row in judged):
            return f"Of {counted(len(judged), 'mean')} that both have, each is equal in every seed."
        if not clear:
            return f"None of {counted(len(judged), 'difference')} is beyond noise."
        named = [f"{row.quantity} of {row.method} ({row.verdict})" for row in clear[:5]]
        more = f", and {len(clear) - 5} more" if len(clear) > 5 else ""
        are = "is" if len(clear) == 1 else "are"
        return f"{len(clear)} of {counted(len(judged), 'difference')} {are} beyond noise: {', '.join(named)}{more}."

    def frame(self) -> pd.DataFrame:
        """The rows with every number unrounded: for each of here, there and difference its mean, low, high and n."""
        records = []
        for row in self.rows:
            record: dict[str, object] = {"task": row.task, "method": row.method, "quantity": row.quantity}
            for name in ("here", "there", "difference"):
                interval: Interval = getattr(row, name)
                record |= {f"{name}.{key}": getattr(interval, key) for key in ("mean", "low", "high", "n")}
            records.append(record | {"paired": row.paired, "verdict": row.verdict})
        return pd.DataFrame(records)


HOW = (
    "Means over seeds with 95 % intervals. The difference is here minus there: paired by seed where both have two "
    "seeds or more in common, else between the means (Welch). Beyond noise is what a t test finds, adjusted for all "
    "differences in this table (Bonferroni)."
)


def against(here: Frames, there: Frames) -> Against:
    """Compare two directories, on the trials that ended ok.

    Args:
        here: as `read_frames` gives them.
        there: the other directory's.
    """
    parts = [frames.trials.assign(side=side) for side, frames in ((0, here), (1, there))]
    trials = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    ok = ended_ok(trials)
    if ok.empty:
        return Against((_side(here, ok), _side(there, ok)), [])
    ok = ok.assign(task=task_labels(ok), name=display_labels(ok), rank=references_first(ok["method"]))
    ok = ok.sort_values(["task", "rank", "name"], kind="stable")
    common = [set(map(tuple, ok.loc[ok["side"] == side, CONFIGURATION].to_numpy())) for side in (0, 1)]
    compared = ok[[key in common[0] & common[1] for key in map(tuple, ok[CONFIGURATION].to_numpy())]]
    rows = [row for _, rows in ok.groupby(CONFIGURATION, sort=False) for row in _rows(rows)]
    tests = sum(row.verdict == UNTOLD for row in rows)
    judged = [row if row.verdict != UNTOLD else _judged(row, *_values(ok, row), tests) for row in rows]
    shown = ok if compared.empty else compared
    sides = [_side(frames, shown[shown["side"] == side]) for side, frames in ((0, here), (1, there))]
    return Against((sides[0], sides[1]), judged)


def _side(frames: Frames, trials: pd.DataFrame) -> Side:
    versions, devices = (sorted(trials[name].dropna().unique()) for name in ("code_version", "device"))
    return Side(frames.directory or "here", versions or ["unknown"], devices)


def _columns(trials: pd.DataFrame) -> dict[str, str]:
    """The quantities of one configuration, with their columns. Retrain's gap is 0 by definition."""
    found = {label(metric.column): metric.column for metric in shown(metrics_in(trials))}
    if (trials["method"] != "retrain").all():
        found[GAP] = "average_gap"
    return {name: column for name, column in found.items() if trials[column].notna().any()}


def _rows(trials: pd.DataFrame) -> list[Row]:
    """The rows of one configuration; those that can be tested have the verdict `UNTOLD`."""
    rows = []
    for quantity, column in _columns(trials).items():
        here, there = (_by_seed(trials, side, column) for side in (0, 1))
        paired = len(here.index.intersection(there.index))
        if here.empty or there.empty:
            difference, verdict = mean_interval([]), ONLY_HERE if there.empty else ONLY_THERE
        else:
            difference = _difference(here, there)
            verdict = UNTOLD if paired > 1 or difference.known else UNJUDGED
        first = trials.iloc[0]
        means = mean_interval(here, column), mean_interval(there, column)
        rows.append(Row(first["task"], first["name"], quantity, *means, difference, paired, verdict))
    return rows


def _by_seed(trials: pd.DataFrame, side: int, column: str) -> pd.Series:
    values = trials.loc[trials["side"] == side].set_index("seed")[column].dropna()
    return values[~values.index.duplicated()]


def _difference(here: pd.Series, there: pd.Series) -> Interval:
    """Here minus there, paired by seed if they share two, else between means; of fewer than two seeds no interval."""
    shared = here.index.intersection(there.index)
    if len(shared) > 1:
        return paired_difference(here, there)
    mean = float(here.mean() - there.mean())
    if min(len(here), len(there)) < 2 or not (mean_interval(here).known or mean_interval(there).known):
        return Interval(mean, np.nan, np.nan, 0)
    from scipy import stats

    interval = stats.ttest_ind(here, there, equal_var=False).confidence_interval(CONFIDENCE)
    return Interval(mean, float(interval.low), float(interval.high), min(len(here), len(there)))


def _values(trials: pd.DataFrame, row: Row) -> tuple[pd.Series, pd.Series]:
    own = trials[(trials["task"] == row.task) & (trials["name"] == row.method)]
    column = _columns(own)[row.quantity]
    return _by_seed(own, 0, column), _by_seed(own, 1, column)


def _judged(row: Row, here: pd.Series, there: pd.Series, tests: int) -> Row:
    """The row with its verdict, where the whole table makes so many tests."""
    if row.paired > 1:
        found = float(verdicts(here - there, tests))
    else:
        from scipy import stats

        p = float(stats.ttest_ind(here, there, equal_var=False).pvalue)
        found = float(np.sign(row.difference.mean)) if p * tests < 1 - CONFIDENCE else 0.0
    words = UNJUDGED if np.isnan(found) else {1.0: HIGHER, -1.0: LOWER}.get(found, UNTOLD)
    if row.paired > 1 and (here - there).dropna().abs().le(ROUNDING).all():
        words = EQUAL
    return replace(row, verdict=words)


def to_markdown(found: Against) -> str:
    """The comparison as Markdown: a table per task, then what only one directory has."""
    parts = [
        in_markdown(f"# {found.sides[0].place} against {found.sides[1].place}\n"),
        in_markdown(f"{found.answer}\n"),
    ]
    tasks = dict.fromkeys(row.task for row in found.both)
    for task in tasks:
        headers = ["method", "quantity", "here", "there", "difference", "seeds in both", "verdict"]
        cells = []
        for row in found.both:
            if row.task == task:
                numbers = [str(row.here), str(row.there), row.difference.signed, str(row.paired)]
                cells.append([row.method, row.quantity, *numbers, row.verdict])
        parts.append(f"## {in_markdown(task)}\n\n{markdown_table(headers, cells, texts=(0, 1, 6))}\n")
    for verdict, side in zip((ONLY_HERE, ONLY_THERE), found.sides, strict=True):
        if names := found.only(verdict):
            parts.append(in_markdown(f"Only in {side.place}: {', '.join(names)}.\n"))
    parts += [in_markdown(f"{side.words}\n") for side in found.sides]
    return "\n".join([*parts, f"{HOW}\n"])


def write_against(found: Against, out: Path) -> list[Path]:
    """Write against.md and against.csv; return the files.

    Raises:
        OSError: a file cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / "against.md").write_text(to_markdown(found), encoding="utf-8")
    (out / "against.csv").write_text(in_csv(found.frame()), encoding="utf-8")
    return [out / "against.md", out / "against.csv"]
