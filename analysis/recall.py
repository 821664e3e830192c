"""What language models repeat of what was forgotten: python -m analysis.recall DIR [--out DIR]."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import typer

from analysis.prediction_tables import PredictionTable, averaged_over_seeds, beside_retrain, run_table
from analysis.wording.names import unit_words
from sweep.store.metrics import FURTHER, Metric, distance

LIKE_RETRAIN = tuple(
    metric
    for metric in FURTHER["language"]
    if metric.unit == "percent" and not metric.column.startswith(("test_", "retain_"))
)
"""What tells of the forget set and is comparable in size."""


def recall(directory: str, trials: pd.DataFrame) -> PredictionTable | None:
    """Verbatim recall, perplexity and attacks on tokens, as stored with the trials. See `prediction_tables.Make`."""
    ok = beside_retrain(trials, "language", needs="other")
    if ok.empty:
        return None
    numbers = pd.DataFrame([json.loads(text) for text in ok["other"]], index=ok["trial_id"], dtype=float)
    measured = {*numbers.dropna(axis=1, how="all")}
    shown = [metric for metric in FURTHER["language"] if metric.column in measured]
    if not shown:
        return None
    ok = ok.assign(**{metric.label: numbers[metric.column].to_numpy() for metric in shown})
    ok["gap"] = _gaps(numbers, ok["reference"], [metric.column for metric in LIKE_RETRAIN if metric in shown])
    labels = (*(metric.label for metric in shown), "gap")
    return PredictionTable("recall", "Verbatim recall", meaning(shown), labels, averaged_over_seeds(ok, labels, "gap"))


def _gaps(numbers: pd.DataFrame, references: pd.Series, columns: list[str]) -> list[float]:
    """For each row the mean distance of these columns to those of the row that `references` names."""
    rows = zip(numbers[columns].to_numpy(), numbers.loc[references, columns].to_numpy(), strict=True)
    return [float(np.mean([distance(*pair) for pair in zip(*row, strict=True)])) for row in rows]


def meaning(shown: list[Metric]) -> str:
    """What the columns are."""
    words = "; ".join(f"{metric.label}: {metric.words}" for metric in shown)
    judged = ", ".join(metric.label for metric in LIKE_RETRAIN if metric in shown)
    return (
        f"{words}. In {unit_words(shown)}. An AUC is 50 where an attack can only guess, 100 where every forgotten row "
        "looks remembered, 0 where each looks less known than what was never seen. Retrain never saw the forget set: "
        "best is what comes closest to its numbers, not what is lowest. gap: mean distance to the numbers of the same "
        f"seed's Retrain, over {judged}. Mean ± standard deviation over n seeds."
    )


def main(directory: str, out: Path | None = None) -> None:
    """Print what is repeated of what was forgotten, and write it where --out says."""
    run_table(recall, directory, out)


if __name__ == "__main__":
    typer.run(main)
