"""Rows of `trials` written by hand."""

import json


def row(method, seed=0, *, params=None, metrics=(), seconds=None, samples=None, status="ok", task="task", **columns):
    """A row of `trials`; `metrics` are RA, FA, TA and MIA."""
    names = ("retain_accuracy", "forget_accuracy", "test_accuracy", "mia")
    return {
        "trial_id": f"{task}-{method}-{json.dumps(params)}-{seed}".replace("/", "_"),
        "task_id": task,
        "sweep": "made",
        "status": status,
        "dataset": "digits",
        "model": "small-cnn",
        "seed": seed,
        "scenario": "random",
        "forget_ratio": 0.1,
        "method": method,
        "params": json.dumps(params or {}),
        "config": "{}",
        "code_version": "1",
        "unlearn_seconds": seconds,
        "samples_processed": samples,
        "validation_mia": None,
        "validation_accuracy": None,
        "forgotten_test_accuracy": None,
        **dict.fromkeys(names),
        **dict(zip(names, metrics, strict=False)),
        **columns,
    }


def versioned(row, version):
    """The same trial by another version of its method."""
    config = {"method": {"name": row["method"], "version": version}}
    return row | {"config": json.dumps(config), "trial_id": f"{row['trial_id']}-{version}"}


OF_A_CLASS = [
    row(method, seed, metrics=metrics, task="class", scenario="class", forget_ratio=None, forget_class=3, **columns)
    for seed in (0, 1, 2)
    for method, metrics, columns in (
        ("retrain", (100.0, 0.0, 99.4, 100.0), {"forgotten_test_accuracy": 0.0}),
        ("randomlabel", (100.0, 1.0, 98.4, 98.0 + seed), {"forgotten_test_accuracy": 8.0 + seed}),
    )
]
"""Class 3 forgotten; gaps of randomlabel: FA and TA 1, MIA 2, 1 and 0; on the class's test samples 8, 9 and 10."""

TWO_SEEDS = [
    row("retrain", 0, metrics=(100.0, 90.0, 92.0, 50.0), seconds=10.0, samples=1000),
    row("retrain", 1, metrics=(98.0, 86.0, 90.0, 40.0), seconds=20.0, samples=1000),
    row("finetune", 0, params={"lr": 0.1}, metrics=(99.0, 96.0, 91.0, 30.0), seconds=5.0, samples=100),
    row("finetune", 1, params={"lr": 0.1}, metrics=(99.0, 96.0, 91.0, 30.0), seconds=5.0, samples=100),
]
"""Gaps of finetune: seed 0: 1, 6, 1, 20 (mean 7); seed 1: 1, 10, 1, 10 (mean 5.5)."""

CERTIFIED = row(
    "head",
    0,
    params={"l2": 0.1},
    metrics=(99.0, 90.0, 91.0, 50.0),
    notes=json.dumps({"epsilon": 1.0, "delta": 1e-5, "certificate": "As if <retrained>"}),
)
CLAIM = "epsilon = 1, delta = 1e-05. As if <retrained>."
"""A trial with a certificate, and its words."""
