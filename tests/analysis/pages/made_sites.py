"""Small results directories made by hand, with predictions and traces, and their sites."""

import json

import made_results
import numpy as np
import pyarrow as pa

from analysis.pages.site import Site
from analysis.reading.frames import read_frames
from sweep.store.columns import PREDICTIONS
from sweep.store.results import Results

VALUES = {
    "original": (100.0, 100.0, 92.0, 1.0),
    "retrain": (100.0, 76.0, 93.0, 43.0),
    "uam": (95.0, 80.0, 91.0, 30.0),
}
"""RA, FA, TA and MIA of made-up trials."""
HOSTILE = '</code></script><script>alert(1)</script> <img src=x onerror=alert(1)> {{ 7 * 7 }} & "quoted"'


def row(method, seed=0, *, params=None, values=None, task="task", status="ok", **columns):
    found = values or (VALUES.get(method, VALUES["uam"]) if status == "ok" else (None,) * 4)
    config = {"dataset": {"name": "digits"}, "seed": seed, "method": {"name": method, "params": params or {}}}
    trial_id = f"{task}-{method}-{'-'.join(map(str, (params or {}).values()))}-{seed}".replace(".", "_")
    own = {"trial_id": trial_id, "config": json.dumps(config)}
    seconds = 2.0 if status == "ok" else None
    given = {"params": params, "metrics": found, "seconds": seconds, "status": status, "task": task}
    return made_results.row(method, seed, **given, **(own | columns))


def trace(trial_id, epochs=3):
    """A path whose retain loss falls and whose angle nears 90 degrees."""
    return [
        {"trial_id": trial_id, "epoch": at, "step": at, "seconds": 0.1, "samples": 10, "retain_loss": 3.0 / (at + 1)}
        | {"gradient_degrees": 60.0 + 10 * at}
        for at in range(epochs)
    ]


def predictions(trial_id, parts, numbers=False):
    """Rows of `predictions`; `parts`: by split the samples' targets and outputs, [n] and [n, C]."""
    rows = []
    for split, (targets, outputs) in parts.items():
        for sample, (target, output) in enumerate(zip(targets, np.asarray(outputs).tolist(), strict=True)):
            values = (
                {"target": float(target), "outputs": output} if numbers else {"label": int(target), "logits": output}
            )
            rows.append({"trial_id": trial_id, "sample_id": sample, "split": split} | values)
    return pa.Table.from_pylist(rows, schema=PREDICTIONS)


def one_hot(classes, count, height=5.0):
    """Logits that say these classes, [n, count]."""
    return height * np.eye(count)[np.asarray(classes)]


def classified(said, classes=3):
    """Targets 0, 1, 2, 0, 1, 2 in every part, and what a model says of the forget samples."""
    targets = [0, 1, 2, 0, 1, 2]
    right = (targets, one_hot(targets, classes))
    return {"retain": right, "forget": (targets, one_hot(said, classes)), "test": right}


def stored(folder, trials):
    """A results directory with these rows; each may come with its predictions."""
    results = Results(str(folder))
    for one, table in trials:
        results.write_trial(one, trace(one["trial_id"]) if one["status"] == "ok" else (), table)
    return results


def compared(folder):
    """Original, Retrain and UAM on two seeds; of forget sample 1 Retrain says 2, UAM of sample 0 says 1."""
    said = {"original": [0, 1, 2, 0, 1, 2], "retrain": [0, 2, 2, 0, 1, 2], "uam": [1, 2, 2, 0, 1, 2]}
    rows = [row(method, seed) for method in VALUES for seed in (0, 1)]
    return stored(folder, [(one, predictions(one["trial_id"], classified(said[one["method"]]))) for one in rows])


def site_of(results, **options):
    return Site(read_frames(results.location, paths=False), results, **options)
