"""Tables made of predictions per sample, beside the table of methods: one row per task, method and configuration."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.reading.script import bad_input_in_one_line, frames_of
from analysis.reading.selection import ended_ok, references_first
from analysis.wording.escaping import in_csv, in_markdown, markdown_table
from analysis.wording.names import configuration_labels, task_labels


@dataclass(frozen=True)
class PredictionTable:
    """One such table.

    Attributes:
        name: of its files.
        title: in words.
        meaning: what the columns are.
        labels: of the columns with numbers.
        table: `task`, `method`, `seeds`, and of each label the `.mean` and the `.std` (missing for one seed), or, too,
            `.low` and `.high`, the ends of an interval (missing where there is none).
    """

    name: str
    title: str
    meaning: str
    labels: tuple[str, ...]
    table: pd.DataFrame

    @property
    def tasks(self) -> list[tuple[str, list[list[str]]]]:
        """For each task its rows for people: method, n, and a cell for each label."""
        found: dict[str, list[list[str]]] = {}
        for row in self.table.to_dict("records"):
            numbers = [_cell(row, label) for label in self.labels]
            found.setdefault(str(row["task"]), []).append([str(row["method"]), str(row["seeds"]), *numbers])
        return [*found.items()]

    @property
    def markdown(self) -> str:
        """One Markdown table per task."""
        parts = []
        for task, rows in self.tasks:
            parts.append(f"## {in_markdown(task)}\n\n{markdown_table(['method', 'n', *self.labels], rows)}\n")
        return "\n".join(parts) + f"\n{self.meaning}\n"

    def write(self, out: Path) -> list[Path]:
        """Write the table as Markdown and CSV; returns the files.

        Raises:
            OSError: a file cannot be written.
        """
        out.mkdir(parents=True, exist_ok=True)
        files = {f"{self.name}.md": self.markdown, f"{self.name}.csv": in_csv(self.table)}
        for name, text in files.items():
            (out / name).write_text(text, encoding="utf-8")
        return [out / name for name in files]


def _cell(row: Mapping[Hashable, Any], label: str) -> str:
    mean = row[f"{label}.mean"]
    if f"{label}.low" not in row:
        return _spread(mean, row[f"{label}.std"])
    low, high = row[f"{label}.low"], row[f"{label}.high"]
    return _spread(mean, float("nan")) + ("" if pd.isna(low) else f" [{low:.3g}, {high:.3g}]")


def _spread(mean: float, std: float) -> str:
    if pd.isna(mean):
        return "–"
    return f"{mean:.3g}" if pd.isna(std) else f"{mean:.3g} ± {std:.2g}"


Make = Callable[[str, pd.DataFrame], PredictionTable | None]
"""(results directory, its trials as `read_frames` gives them) -> a table; None where there is nothing for it."""


def beside_retrain(trials: pd.DataFrame, kind: str | None = None, needs: str = "predictions") -> pd.DataFrame:
    """The trials that ended ok with what is needed, and with a Retrain that did of the same task and seed.

    Args:
        kind: only trials of this kind of task, by the column `kind`; None: of any but classification.
        needs: "predictions", or "other": numbers in that column.

    Returns:
        The trials with the further columns `reference` (that Retrain's id), `task` and `label` (in words).
    """
    ok = ended_ok(trials)
    if "kind" not in ok:
        return ok.iloc[:0]
    there = ok["n_predictions"] > 0 if needs == "predictions" else ok["other"].notna()
    ok = ok[(ok["kind"].notna() if kind is None else ok["kind"] == kind) & there]
    retrain = ok[ok["method"] == "retrain"].set_index(["task_id", "seed"])["trial_id"].to_dict()
    ok = ok.assign(reference=[retrain.get(key, "") for key in zip(ok["task_id"], ok["seed"], strict=True)])
    ok = ok[ok["reference"] != ""]
    return ok if ok.empty else ok.assign(task=task_labels(ok), label=configuration_labels(ok))


def averaged_over_seeds(trials: pd.DataFrame, labels: tuple[str, ...], by: str, ascending: bool = True) -> pd.DataFrame:
    """The means and deviations of the columns `labels`; in each task Original and Retrain first, then by the mean of
    the column `by`.
    """
    groups = trials.groupby(["task", "method", "label"], sort=False)
    parts = {f"{label}.{how}": (label, how) for label in labels for how in ("mean", "std")}
    table = groups.agg(seeds=("seed", "size"), **parts).reset_index()
    table = table.assign(rank=references_first(table["method"]))
    order = table.sort_values(["task", "rank", f"{by}.mean", "label"], ascending=[True, True, ascending, True])
    return order[["task", "label", "seeds", *parts]].rename(columns={"label": "method"}).reset_index(drop=True)


def run_table(make: Make, directory: str, out: Path | None) -> None:
    """Print a table of a results directory, and write it to the folder `out`, if that is given."""
    with bad_input_in_one_line():
        frames = frames_of(directory)
    made = make(directory, frames.trials)
    print("nothing of the kind beside a Retrain of the same task and seed" if made is None else made.markdown)
    for path in made.write(out) if made is not None and out is not None else ():
        print(path)
