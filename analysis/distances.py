"""How far predicted numbers for the forget set are from Retrain's: python -m analysis.distances DIR [--out DIR]."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import typer
from numpy.typing import NDArray

from analysis.methods_table import spread
from analysis.reading.frames import read_frames
from analysis.reading.selection import ended_ok, references_first
from analysis.wording.names import configuration_labels, task_labels
from sweep.store.results import Results

MEANING = (
    "Distance of the predictions for the forget set to Retrain's of the same seed, in percent of the targets' standard "
    "deviation, mean ± standard deviation over n seeds. W: Wasserstein distance, which compares the numbers as a whole "
    "and does not see which sample has which; rms: the root of the mean squared difference per sample."
)


def distances(directory: str, trials: pd.DataFrame) -> pd.DataFrame:
    """Compare what methods predict for the forget set with what Retrain does, where predictions are numbers.

    Args:
        directory: where the predictions are: a path or URI.
        trials: as `read_frames` gives them.

    Returns:
        One row per task, method and configuration, Original and Retrain first, then those nearest per sample: `task`,
        `method`, `seeds`, and of `W` (the Wasserstein distance of order 1, which Tarun et al., ICML 2023, judge by) and
        of `rms` the `.mean` and the `.std` (missing for one seed). Empty without a Retrain with such predictions.
    """
    ok = ended_ok(trials)
    ok = ok[ok["kind"].notna() & (ok["n_predictions"] > 0)] if "kind" in ok else ok.iloc[:0]
    if ok.empty:
        return pd.DataFrame()
    results = Results(directory)
    read = {trial_id: _numbers(results, trial_id) for trial_id in ok["trial_id"].unique()}
    said = {trial_id: numbers for trial_id, numbers in read.items() if numbers is not None}
    ok = ok[ok["trial_id"].isin(said)]
    retrain = ok[ok["method"] == "retrain"].set_index(["task_id", "seed"])["trial_id"].to_dict()
    ok = ok.assign(reference=[retrain.get(key, "") for key in zip(ok["task_id"], ok["seed"], strict=True)])
    ok = ok[ok["reference"] != ""]
    if ok.empty:
        return pd.DataFrame()
    found = [between(said[one], said[other]) for one, other in zip(ok["trial_id"], ok["reference"], strict=True)]
    ok = ok.assign(task=task_labels(ok), label=configuration_labels(ok))
    ok[["W", "rms"]] = 100 * np.array(found)
    groups = ok.groupby(["task", "method", "label"], sort=False)
    table = groups.agg(
        seeds=("seed", "size"),
        **{f"{name}.{how}": (name, how) for name in ("W", "rms") for how in ("mean", "std")},
    ).reset_index()
    order = table.assign(rank=references_first(table["method"])).sort_values(["task", "rank", "rms.mean", "label"])
    table = table.loc[order.index].drop(columns="method").rename(columns={"label": "method"})
    return table.reset_index(drop=True)


def between(one: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[float, float]:
    """The Wasserstein distance between two sets of numbers [n], and the root of their mean squared difference."""
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(one, other)), float(np.sqrt(np.mean((one - other) ** 2)))


def _numbers(results: Results, trial_id: str) -> NDArray[np.float64] | None:
    """A trial's predictions for its forget set, in the order of the samples; None where they are no numbers."""
    table = results.predictions(trial_id)
    rows = [] if table is None else table.select(["split", "sample_id", "target", "outputs"]).to_pylist()
    rows = sorted((row for row in rows if row["split"] == "forget"), key=lambda row: int(row["sample_id"]))
    if not rows or any(row["target"] is None or len(row["outputs"]) != 1 for row in rows):
        return None
    return np.array([row["outputs"][0] for row in rows])


def cells(table: pd.DataFrame) -> list[tuple[str, list[list[str]]]]:
    """For each task its rows for people: method, n, W, rms."""
    found: dict[str, list[list[str]]] = {}
    for row in table.to_dict("records"):
        numbers = [spread(row[f"{name}.mean"], row[f"{name}.std"]) for name in ("W", "rms")]
        found.setdefault(row["task"], []).append([row["method"], str(row["seeds"]), *numbers])
    return [*found.items()]


def to_markdown(table: pd.DataFrame) -> str:
    """One Markdown table per task."""
    parts = []
    for task, rows in cells(table):
        lines = ["| method | n | W | rms |", "|:--|--:|--:|--:|", *(f"| {' | '.join(row)} |" for row in rows)]
        parts.append(f"## {task}\n\n" + "\n".join(lines) + f"\n\n{MEANING}\n")
    return "\n".join(parts)


def write_distances(table: pd.DataFrame, out: Path) -> list[Path]:
    """Write the table as Markdown and CSV, if it has a row; returns the files.

    Raises:
        OSError: a file cannot be written.
    """
    if table.empty:
        return []
    out.mkdir(parents=True, exist_ok=True)
    files = {"distances.md": to_markdown(table), "distances.csv": table.to_csv(index=False)}
    for name, text in files.items():
        (out / name).write_text(text, encoding="utf-8")
    return [out / name for name in files]


def main(directory: str, out: Path | None = None) -> None:
    """Print how far predictions for the forget set are from Retrain's, and write it where --out says."""
    frames = read_frames(directory)
    for problem in frames.damaged:
        print(f"warning: {problem}", file=sys.stderr)
    table = distances(directory, frames.trials)
    print(to_markdown(table) or "no predicted numbers beside a Retrain of the same task and seed")
    for path in write_distances(table, out) if out is not None else ():
        print(path)


if __name__ == "__main__":
    typer.run(main)
