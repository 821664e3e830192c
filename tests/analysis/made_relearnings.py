"""Relearnings made by hand, as frames."""

import pandas as pd
from made_sweeps import frames, row

from sweep.store.columns import RELEARNED
from sweep.store.relearning import Relearning

RETAIN = Relearning("retain", 2, 0.01, 64)
FORGET = Relearning("forget", 1, 0.01, 64)


def path(trial, recipe, values, column="forget_accuracy", status="ok"):
    """A row of `relearned` for each value, steps counted from 0."""
    shared = {"trial_id": trial["trial_id"], "relearning_id": recipe.id, "recipe": recipe.text, "status": status}
    blank = dict.fromkeys(RELEARNED.names)
    return [blank | shared | {"epoch": 0, "step": step, column: value} for step, value in enumerate(values)]


def relearned(paths):
    """Frames of trials with their paths: (method, seed, recipe, values of the forget accuracy)."""
    trials, points = {}, []
    for method, seed, recipe, values in paths:
        trial = row(method, seed, (100.0, values[0], 90.0, 40.0))
        trials[trial["trial_id"]] = trial
        points += path(trial, recipe, values)
    made = frames([*trials.values()])
    table = pd.DataFrame(points, columns=RELEARNED.names)
    table["forget_accuracy"] = table["forget_accuracy"].astype(float)
    return type(made)(made.trials, made.traces, [], relearned=table)


THREE_SEEDS = [
    *[("original", seed, RETAIN, (95.0, 94.0, 93.0 + seed)) for seed in range(3)],
    *[("retrain", seed, RETAIN, (80.0, 79.0, 78.0 + seed)) for seed in range(3)],
    *[("finetune", seed, RETAIN, (60.0, 80.0, 90.0 + 1.1 * seed)) for seed in range(3)],
    *[("neggrad", seed, RETAIN, (70.0, 75.0, 79.0 + (1, -2, 2)[seed])) for seed in range(3)],
]
"""Less Retrain's after: original 15, 15, 15; finetune 12, 12.1, 12.2; neggrad 2, -2, 1."""
