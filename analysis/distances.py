"""How far predicted numbers for the forget set are from Retrain's: python -m analysis.distances DIR [--out DIR]."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import typer
from numpy.typing import NDArray

from analysis.prediction_tables import PredictionTable, averaged_over_seeds, beside_retrain, run_table
from sweep.store.results import Results

LABELS = ("W", "rms")
MEANING = (
    "Distance of the predictions for the forget set to Retrain's of the same seed, in percent of the targets' standard "
    "deviation, mean ± standard deviation over n seeds. W: Wasserstein distance, which compares the numbers as a whole "
    "and does not see which sample has which; rms: the root of the mean squared difference per sample."
)


def distances(directory: str, trials: pd.DataFrame) -> PredictionTable | None:
    """Compare what methods predict for the forget set with what Retrain does, where predictions are numbers.

    `W` is the Wasserstein distance of order 1, which Tarun et al., ICML 2023, judge by. See `prediction_tables.Make`.
    """
    ok = beside_retrain(trials)
    results = Results(directory)
    read = {trial_id: _numbers(results, trial_id) for trial_id in {*ok["trial_id"], *ok.get("reference", ())}}
    said = {trial_id: numbers for trial_id, numbers in read.items() if numbers is not None}
    ok = ok[ok["trial_id"].isin(said)] if len(ok) else ok
    if ok.empty:
        return None
    found = [between(said[one], said[other]) for one, other in zip(ok["trial_id"], ok["reference"], strict=True)]
    table = averaged_over_seeds(ok.assign(**dict(zip(LABELS, 100 * np.array(found).T, strict=True))), LABELS, "rms")
    return PredictionTable("distances", "Distance of predictions to Retrain's", MEANING, LABELS, table)


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


def main(directory: str, out: Path | None = None) -> None:
    """Print how far predictions for the forget set are from Retrain's, and write it where --out says."""
    run_table(distances, directory, out)


if __name__ == "__main__":
    typer.run(main)
