"""What relearning brought back, as tables: python -m analysis.relearning_tables DIR [--out DIR]."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import typer

from analysis.prediction_tables import PredictionTable, averaged_over_seeds
from analysis.reading.frames import Frames
from analysis.reading.relearned import lower_is_known, relearned_trials
from analysis.reading.script import bad_input_in_one_line, frames_of
from analysis.reading.selection import ended_ok
from analysis.statistics.intervals import paired_difference
from analysis.wording.names import configuration_labels, task_labels
from sweep.store.metrics import columns

MARGINS = {0.05: "5 %", 0.1: "10 %"}
"""alpha of the Anamnesis Index, and its name."""

RETAIN_LABELS = ("before", "after", "Retrain before", "Retrain after", "difference")
FORGET_LABELS = ("before", "after", "steps 5 %", "AIN 5 %", "AIN 10 %", "not reached")

Row = Mapping[Hashable, Any]


def relearning(frames: Frames) -> PredictionTable | None:
    """What is known of the forget set before and after fine-tuning on the retain set (Siddiqui et al. 2025)."""
    trials = _beside_retrain(relearned_trials(frames, "retain"))
    if trials.empty:
        return None
    retrain = {"Retrain before": trials["retrain_before"], "Retrain after": trials["retrain_after"]}
    trials = trials.assign(**retrain, difference=trials["after"] - trials["retrain_after"])
    table = _with_intervals(averaged_over_seeds(trials, RETAIN_LABELS, "difference"), trials)
    meaning = (
        f"{_quality_words(trials)} before and after a copy of the model was fine-tuned on the retain set, which shows "
        "no label of the forget set. What comes back beyond Retrain's was still in the weights (Siddiqui et al. 2025). "
        "Difference: after, less Retrain's after at the same seed, with [the 95 % interval of its mean (Student's t)]; "
        "the rest is mean ± standard deviation over n seeds."
    )
    return PredictionTable("relearning", "Relearned on the retain set", meaning, RETAIN_LABELS, table)


def relearn_time(frames: Frames) -> PredictionTable | None:
    """How many steps on the forget set bring it back: the Anamnesis Index.

    See Chundawat et al., IEEE TIFS 2023, of accuracies, and Tarun et al., ICML 2023, of errors.
    """
    trials = _beside_retrain(relearned_trials(frames, "forget"))
    if trials.empty:
        return None
    goals = _originals(frames.trials)
    for margin, name in MARGINS.items():
        steps = pd.Series([_steps(row, goals, margin) for row in trials.to_dict("records")], index=trials.index)
        trials[f"steps {name}"], trials[f"AIN {name}"] = steps, steps / _of_retrain(trials, steps)
    never = np.isinf(trials["steps 5 %"])
    trials["not reached"] = (100.0 * never).where(trials["steps 5 %"].notna())
    numbers = ["steps 5 %", *(f"AIN {name}" for name in MARGINS.values())]
    trials[numbers] = trials[numbers].where(np.isfinite(trials[numbers]))
    table = averaged_over_seeds(trials, FORGET_LABELS, "AIN 5 %", ascending=False)
    most = ", ".join(str(step) for step in sorted({path.index[-1] for path in trials["path"]}))
    meaning = (
        f"{_quality_words(trials)} before and after a copy of the model was fine-tuned on the forget set itself. "
        "Steps: after how many it is again within 5 % of the original's, that is, accuracies and likelihoods at least "
        "0.95 of it, errors at most 1.05. AIN: the Anamnesis Index, these steps divided by Retrain's at the same seed, "
        "for 5 % and for 10 %; 1 is Retrain's, near 0 is quick to remember. Not reached: percent of the seeds in which "
        f"the last step ({most}) was not enough for 5 %; what was not reached is in no mean of steps and of AIN, nor "
        "is the AIN of a seed in which Retrain does not reach it or needs no step. Mean ± standard deviation over n "
        "seeds."
    )
    return PredictionTable("relearn_time", "Relearn time on the forget set", meaning, FORGET_LABELS, table)


def steps_to(path: pd.Series, goal: float, margin: float, lower: bool) -> float:
    """The first step at which values are within a share `margin` of `goal`; infinity if none is.

    Args:
        path: values by step.
        lower: whether values fall towards the goal, as errors do.
    """
    near = path <= (1 + margin) * goal if lower else path >= (1 - margin) * goal
    return float(path.index[near][0]) if near.any() else math.inf


def _steps(trial: Row, originals: Mapping[tuple[str, int], Row], margin: float) -> float:
    """After how many steps a relearned model is near the original; infinity: never, NaN: there is no original."""
    original, quality = originals.get((trial["task_id"], trial["seed"])), trial["quality"]
    if original is None:
        return math.nan
    return steps_to(trial["path"], original[quality], margin, lower_is_known(quality))


def _originals(trials: pd.DataFrame) -> dict[tuple[str, int], Row]:
    """The rows of the Originals that ended ok, by task and seed."""
    found = ended_ok(trials[trials["method"] == "original"])
    return {(row["task_id"], row["seed"]): row for row in found.to_dict("records")}


def _of_retrain(trials: pd.DataFrame, steps: pd.Series) -> pd.Series:
    """For each trial the steps that the Retrain of its task, seed and recipe needs; NaN where none are enough."""
    keys = [*zip(trials["task_id"], trials["seed"], trials["relearning_id"], strict=True)]
    every = zip(keys, steps, trials["method"], strict=True)
    known = {key: count for key, count, method in every if method == "retrain"}
    found = pd.Series([known[key] for key in keys], index=trials.index)
    return found.where(np.isfinite(found))


def _beside_retrain(trials: pd.DataFrame) -> pd.DataFrame:
    """Those with a Retrain, with `task` (and the recipe) and `label` in words."""
    trials = trials.dropna(subset=["retrain_after"]) if len(trials) else trials
    if trials.empty:
        return trials
    words = task_labels(trials) + ", " + trials["recipe"].map(lambda recipe: recipe.words)
    return trials.assign(task=words, label=configuration_labels(trials))


def _with_intervals(table: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """The table with the 95 % interval of each mean difference, paired by seed."""
    groups = {key: rows.set_index("seed") for key, rows in trials.groupby(["task", "label"])}
    keys = zip(table["task"], table["method"], strict=True)
    found = [paired_difference(groups[key]["after"], groups[key]["retrain_after"]) for key in keys]
    return table.assign(**{f"difference.{end}": [getattr(each, end) for each in found] for end in ("low", "high")})


def _quality_words(trials: pd.DataFrame) -> str:
    """Which numbers say how well the forget set is known, and their units."""
    metrics = [columns()[name] for name in trials["quality"].unique()]
    return "; ".join(f"{metric.label} ({metric.words}, {metric.unit})" for metric in metrics)


def main(directory: str, out: Path | None = None) -> None:
    """Print what relearning brought back, and write it where --out says."""
    with bad_input_in_one_line():
        frames = frames_of(directory)
    made = [table for table in (relearning(frames), relearn_time(frames)) if table is not None]
    print("\n".join(table.markdown for table in made) or "nothing was relearned beside a Retrain of the same seed")
    for table in made if out is not None else ():
        for path in table.write(out or Path()):
            print(path)


if __name__ == "__main__":
    typer.run(main)
