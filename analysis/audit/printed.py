"""An audit for people: a summary of each task and a table for each score, in Markdown and in a terminal."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from rich.console import Console
from rich.text import Text

from analysis.audit.memorisation import STRATA
from analysis.audit.score import Score
from analysis.audit.summary import HEADERS, summary
from analysis.audit.table import NO_POWER, audit_table
from analysis.audit.tasks import whole_labels
from analysis.drawing.terminal import fitted
from analysis.reading.selection import references_first
from analysis.statistics.intervals import CONFIDENCE
from analysis.wording.escaping import in_csv, in_markdown, markdown_table
from analysis.wording.names import configuration_labels
from analysis.wording.words import joined

ENDS = (
    "Retrain: its models against one another, the floor; original: without unlearning, the ceiling. In brackets the "
    "95 % interval over n originals. A method is told from Retrain where a t test over originals says so at 5 %, "
    "adjusted for the number of configurations (Bonferroni); one that is not told may differ all the same."
)
BY_MEMORISATION = (
    "low, mid and high: samples that the originals had memorised little, half and much. Half of the originals say "
    "which these are, the other half is scored."
)


@dataclass(frozen=True)
class ScoreTable:
    """One score of one task.

    Attributes:
        score: whose numbers it has.
        headers: method, n, all, and the strata in which any method has a number.
        rows: a cell for each header; what is to be remarked of the method last.
        remark: what holds for the whole table; empty if there is nothing.
    """

    score: Score
    headers: list[str]
    rows: list[list[str]]
    remark: str


@dataclass(frozen=True)
class TaskTables:
    """What an audit found of one task.

    Attributes:
        summary: a line for each score; its cells are those of `summary.HEADERS`.
        absent: why other scores have no number.
        strata: whether scores are by memorisation too.
    """

    task: str
    summary: list[list[str]]
    tables: list[ScoreTable]
    absent: list[str]
    strata: bool

    @property
    def captions(self) -> list[str]:
        """What a reader of the tables must know."""
        return [ENDS, *([BY_MEMORISATION] if self.strata else [])] if self.tables else []


def task_tables(frame: pd.DataFrame, trials: pd.DataFrame, scores: Sequence[Score]) -> list[TaskTables]:
    """What `table.audit` found, for people.

    Args:
        trials: as `table.audit` was given them.
    """
    rows = frame.assign(label=configuration_labels(frame), note=frame["note"].fillna(""))
    names = whole_labels(trials)
    found = []
    for task, own in rows.groupby("task_id", sort=False):
        tables: list[ScoreTable] = []
        absent: dict[str, list[str]] = {}
        for score in scores:
            here = own[own["metric"] == score.name]
            if here["value"].notna().any():
                tables.append(_score_table(here, score))
            elif len(here):
                absent.setdefault(str(here["note"].iloc[0]), []).append(score.label)
        lines = [lacking_words(labels, why) for why, labels in absent.items()]
        found.append(TaskTables(names[task], summary(own, scores), tables, lines, bool(own["stratum"].notna().any())))
    return found


def lacking_words(names: Sequence[str], why: str) -> str:
    """Why these have no number: the reason of one of them, for all."""
    return f"{joined(names)}: {why if len(names) == 1 else re.sub('^needs ', 'need ', why)}"


def _score_table(rows: pd.DataFrame, score: Score) -> ScoreTable:
    every = rows[rows["stratum"].isna()]
    notes = every["note"][every["method"] != "retrain"].unique()
    shared = str(notes[0]) if len(notes) == 1 and NO_POWER not in notes[0] else ""
    order = ordered(every)
    strata = [name for name in STRATA if rows.loc[rows["stratum"] == name, "value"].notna().any()]
    cells = {
        (row["method"], row["params"], row["stratum"]): cell(row["value"], row["low"], row["high"], score.unit)
        for row in rows.assign(stratum=rows["stratum"].fillna("")).to_dict("records")
    }
    tested = int(every["p"].notna().sum())
    lines = [
        [
            row["label"],
            str(row["originals"]),
            *(cells.get((row["method"], row["params"], name), "–") for name in ("", *strata)),
            _remark(row, shared, tested),
        ]
        for row in order.to_dict("records")
    ]
    powerless = rows["stratum"][rows["note"].str.contains(NO_POWER)].fillna("all").unique()
    remarks = [f"{', '.join(powerless)}: {NO_POWER}, the original is not told from Retrain."] if len(powerless) else []
    remarks += [f"{shared[0].upper()}{shared[1:]}."] if shared else []
    lacking: dict[str, list[str]] = {}
    for name, here in rows[rows["stratum"].notna() & ~rows["stratum"].isin(strata)].groupby("stratum", sort=False):
        lacking.setdefault(str(here["note"].iloc[0]), []).append(str(name))
    remarks += [f"{lacking_words(names, why)}." for why, names in lacking.items()]
    return ScoreTable(score, ["method", "n", "all", *strata], lines, " ".join(remarks))


def ordered(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of `table.audit` of one score, with a column `label`: references first, then what is nearest to perfect."""
    rank, distance = references_first(rows["method"]), (rows["value"] - rows["expected"]).abs()
    return rows.assign(rank=rank, distance=distance).sort_values(["rank", "distance", "label"])


def cell(value: float, low: float, high: float, unit: str) -> str:
    """A number in a score's unit with its interval."""
    if pd.isna(value):
        return "–"
    form = ".1f" if unit == "percent" else ".3f"
    return f"{value:{form}}" if pd.isna(low) else f"{value:{form}} [{low:{form}}, {high:{form}}]"


def _remark(row: Mapping[Hashable, Any], shared: str, tested: int) -> str:
    """How a method compares to Retrain, and its note, unless all have that."""
    note = "" if row["note"] == shared else str(row["note"])
    return "; ".join(filter(None, ["" if NO_POWER in note else verdict(row, tested), note]))


def verdict(row: Mapping[Hashable, Any], tested: int) -> str:
    """Whether a row of `table.audit` is told from Retrain, one of so many tested; empty where it was not tested."""
    if pd.isna(row["p"]):
        return ""
    if row["p"] * tested >= 1 - CONFIDENCE:
        return "not told from Retrain"
    if pd.isna(row["expected"]):
        return "told from Retrain"
    return "above Retrain" if row["value"] > row["expected"] else "below Retrain"


def to_markdown(found: Sequence[TaskTables]) -> str:
    """A heading and a summary for each task, and a table for each score."""
    parts = []
    for each in found:
        parts.append(f"## {in_markdown(each.task)}")
        parts += [markdown_table(HEADERS, each.summary, (0, len(HEADERS) - 1))] if each.summary else []
        parts += map(in_markdown, each.captions)
        for table in each.tables:
            body = markdown_table([*table.headers, "remark"], table.rows, (0, len(table.headers)))
            words = _words(table.score)
            parts += [f"### {table.score.label}", f"{words[0].upper()}{words[1:]}.", body]
            parts += [in_markdown(table.remark)] if table.remark else []
        if each.absent:
            parts += ["### Missing", "\n".join(f"- {in_markdown(line)}" for line in each.absent)]
    return "\n\n".join(parts) + "\n"


def _words(score: Score) -> str:
    return f"{score.words}; {score.unit}" if score.unit else score.words


def render_rich(found: Sequence[TaskTables], console: Console, whole: bool = True) -> None:
    """Print each task 80 columns wide: its summary, or every method by every score, with remarks below its name."""
    for each in found:
        console.print(Text(each.task, style="bold"))
        if not whole and each.summary:
            console.print(fitted(HEADERS, each.summary, " ", console))
        for table in each.tables if whole else ():
            console.print(f"{table.score.label}: {_words(table.score)}", markup=False, highlight=False)
            rows = [
                ["\n".join(filter(None, [method, remark])), *(cell.replace(" [", "\n[") for cell in cells)]
                for method, *cells, remark in table.rows
            ]
            console.print(fitted(table.headers, rows, " ", console))
            if table.remark:
                console.print(table.remark, markup=False, highlight=False)
        for line in (*each.absent, *(each.captions if whole else each.captions[:1])):
            console.print(line, markup=False, highlight=False)


def write_audit(frame: pd.DataFrame, found: Sequence[TaskTables], out: Path) -> list[Path]:
    """Write audit.parquet, audit.csv (every number, unrounded) and audit.md; returns the files.

    Raises:
        OSError: a file cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / f"audit.{suffix}" for suffix in ("parquet", "csv", "md")]
    pq.write_table(audit_table(frame), paths[0])
    paths[1].write_text(in_csv(frame), encoding="utf-8")
    paths[2].write_text(to_markdown(found), encoding="utf-8")
    return paths
