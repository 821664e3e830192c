"""Sweeps made by hand, as the frames that figures draw."""

import json
import re

import pandas as pd

from analysis.reading.frames import Frames, flatten_params, with_gaps
from sweep.store.columns import METRICS, TRACES, TRIALS

UAM = {"epochs": 10, "gamma": 1.7, "hessian": "projection", "lr": 0.01, "rho": 2}
RETRAIN = (100.0, 80.0, 90.0, 40.0)


def row(method, seed, values=RETRAIN, params=None, ratio=0.1, status="ok", seconds=5.0, dataset="digits"):
    """A row of `trials`; `values` are RA, FA, TA and MIA."""
    config = {"dataset": {"name": dataset}, "model": {"name": "small-cnn"}, "forget": {"ratio": ratio}}
    text = json.dumps(params or {})
    known = {
        "trial_id": f"{method}-{seed}-{ratio}-{dataset}-{re.sub('[^0-9a-z.]', '', text)}",
        "task_id": f"{dataset}-{ratio}",
        "sweep": "test",
        "status": status,
        "dataset": dataset,
        "model": "small-cnn",
        "seed": seed,
        "scenario": "random",
        "forget_ratio": ratio,
        "method": method,
        "params": text,
        "config": json.dumps(config),
        "unlearn_seconds": seconds,
        "samples_processed": 1000,
        "code_version": "1",
    }
    measured = dict(zip(("retain_accuracy", "forget_accuracy", "test_accuracy", "mia"), values, strict=True))
    return dict.fromkeys(TRIALS.names) | known | (measured if status == "ok" else {})


def uam(seed, gap, **changed):
    """A trial of UAM whose average gap to `RETRAIN` is `gap`: FA and MIA are off by twice as much."""
    given = {key: changed.pop(key) for key in ("ratio", "status", "seconds", "dataset") if key in changed}
    return row("uam", seed, (100.0, 80.0 + 2 * gap, 90.0, 40.0 - 2 * gap), UAM | changed, **given)


def retrains(count=3, **given):
    return [row("retrain", seed, seconds=10.0, **given) for seed in range(count)]


def frames(rows, traces=()):
    trials = pd.DataFrame(rows, columns=TRIALS.names)
    trials[list(METRICS)] = trials[list(METRICS)].astype(float)
    return Frames(with_gaps(flatten_params(trials)), pd.DataFrame(traces, columns=TRACES.names), [])


def path(trial, degrees):
    """Traces of a trial: an angle for each epoch."""
    return [
        {"trial_id": trial["trial_id"], "epoch": epoch, "probe_degrees": angle, "probe_forget_accuracy": 90.0}
        for epoch, angle in enumerate(degrees)
    ]


def methods():
    rows = retrains()
    for seed in range(3):
        rows.append(row("original", seed, (100.0, 100.0, 90.0, 0.0), seconds=0.0))
        rows.append(row("finetune", seed, (100.0, 90.0 + seed, 90.0, 20.0), {"lr": 0.1}))
        rows.append(row("neggrad", seed, (90.0, 80.0, 84.0, 40.0), {"lr": 0.1}, seconds=1.0))
        rows.append(uam(seed, 1.0 + seed))
    return rows


def with_paths(rows):
    return frames(rows, [p for one in rows if one["method"] != "original" for p in path(one, (60.0, 80.0, 89.0))])


def full_rows():
    rows = methods()
    for seed in range(3):
        rows += [uam(seed, abs(r - 2) + abs(g - 1.7) + seed + 0.5, rho=r, gamma=g) for r in (1, 4) for g in (0.0, 1.7)]
        rows += [uam(seed, 3.0 + seed, gamma=0.0)]
        rows += [uam(seed, 20 / e + seed, hessian=h, epochs=e) for h in ("none", "exact") for e in (5, 10)]
        rows += [uam(seed, 4.0 + seed, ratio=0.5), row("retrain", seed, ratio=0.5, seconds=10.0)]
    return rows
