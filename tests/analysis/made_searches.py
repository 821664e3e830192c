"""Rows of a made-up search: every method tuned on two seeds and confirmed on three, beside the untuned methods."""

import json
import math
import random
from datetime import UTC, datetime, timedelta

import pandas as pd
from made_results import row

from analysis.reading.frames import Frames, flatten_params, with_gaps
from analysis.reading.tuning import set_apart
from sweep.store.columns import METRICS, SUGGESTIONS, TRACES, TRIALS

START = datetime(2026, 1, 1, tzinfo=UTC)
RETRAIN = (100.0, 75.0, 91.0, 42.0)
SEARCH_SEEDS, CONFIRM_SEEDS = (10, 11), (0, 1, 2)

LR = {"type": "float", "low": 1e-4, "high": 0.1, "log": True}
EPOCHS = {"type": "int", "low": 1, "high": 20, "log": True}
SPACES = {
    "uam": {
        "rho": {"type": "float", "low": 0.1, "high": 8.0, "log": True},
        "gamma": {"type": "float", "low": 0.0, "high": 4.0, "log": False, "when": {"hessian": ["scalar"]}},
        "hessian": {"choices": ["none", "scalar", "exact"]},
        "lr": LR,
        "epochs": EPOCHS,
    },
    "neggrad": {
        "retain_weight": {"type": "float", "low": 0.0, "high": 1.0, "log": False},
        "lr": LR,
        "epochs": EPOCHS,
    },
    "finetune": {"lr": LR, "epochs": EPOCHS},
}
DEFAULTS = {
    "uam": {"rho": 1.0, "gamma": 1.7, "hessian": "scalar", "lr": 0.01, "epochs": 10},
    "neggrad": {"retain_weight": 0.3, "lr": 0.01, "epochs": 5},
    "finetune": {"lr": 0.01, "epochs": 10},
}


def gap(method, params):
    """The average gap that a configuration is made to have."""
    off = 4 * abs(math.log10(params["lr"] / 0.02)) ** 1.5
    if method == "uam":
        off += 3 * abs(math.log2(params["rho"] / 3)) + (0 if params["hessian"] == "scalar" else 2.5)
        off += 0.8 * abs(params["gamma"] - 2) if params["hessian"] == "scalar" else 0
        return 1.5 + off
    if method == "neggrad":
        return 4 + 2 * off + 12 * abs(params["retain_weight"] - 0.8)
    return 9 + off + 6 / params["epochs"]


def trial(method, seed, params, *, study=None, status="ok", at=0.0, off=None):
    """A row of `trials` whose every gap to `RETRAIN` is about `gap`; FA and MIA are off by more."""
    draw = random.Random(f"{method} {seed} {params}")
    seconds = 10.0 if method == "retrain" else 0.3 + 0.4 * params["epochs"] * draw.uniform(0.9, 1.1)
    tilt = 1 + 0.8 * math.tanh(math.log(params["lr"] / 0.01)) if "lr" in params and off is None else 1.0
    off = (gap(method, params) * draw.uniform(0.85, 1.15) if off is None else off) if method != "retrain" else 0.0
    ra, fa, ta, mia = RETRAIN
    measured = (ra - 0.3 * tilt * off, fa + 2 * off / tilt, ta - 0.2 * tilt * off, mia - 1.5 * off / tilt)
    ok = status == "ok"
    return row(
        method,
        seed,
        params=params,
        metrics=measured if ok else (),
        status=status,
        seconds=seconds if status != "pruned" else None,
        samples=1000,
        study=study,
        validation_accuracy=measured[2] if ok else None,
        validation_mia=measured[3] if ok else None,
        started_at=START + timedelta(seconds=at),
        finished_at=START + timedelta(seconds=at + (0.0 if status == "pruned" else seconds + 0.2)),
    )


def drawn(space, draw):
    """A random configuration of a space."""
    params = {}
    for name, one in space.items():
        if "choices" in one:
            params[name] = draw.choice(one["choices"])
        elif one["log"]:
            params[name] = math.exp(draw.uniform(math.log(one["low"]), math.log(one["high"])))
        else:
            params[name] = draw.uniform(one["low"], one["high"])
        if one.get("type") == "int":
            params[name] = round(params[name])
    return params


def suggestion(method, number, params, trials, *, confirm=(), objectives=("average_gap",), study=None):
    """A row of `suggestions`."""
    return {
        "study": study or f"{method}-12345678",
        "sweep": "made",
        "method": method,
        "task_id": "task",
        "number": number,
        "params": json.dumps(params),
        "space": json.dumps(SPACES[method]),
        "sampler": "tpe",
        "objectives": list(objectives),
        "trial_ids": [one["trial_id"] for one in trials],
        "confirm_trial_ids": [one["trial_id"] for one in confirm],
        "suggested_at": START,
    }


def references(seeds=(*SEARCH_SEEDS, *CONFIRM_SEEDS)):
    """Retrain on every seed."""
    return [trial("retrain", seed, {}) for seed in seeds]


def search(method, count=30, objectives=("average_gap",), seeds=SEARCH_SEEDS, confirm_seeds=CONFIRM_SEEDS):
    """Rows of `trials` and of `suggestions`: a random search that prunes what is hopeless and confirms its best."""
    draw, study = random.Random(method), f"{method}-12345678"
    rows, suggestions, values = [], [], {}
    for number in range(count):
        params = drawn(SPACES[method], draw)
        if SPACES[method].get("gamma") and params["hessian"] != "scalar":
            params["gamma"] = DEFAULTS["uam"]["gamma"]
        pruned = number > 5 and gap(method, params) > 14
        status = "diverged" if params["lr"] > 0.085 else "ok"
        ended = [status] * len(seeds) if not pruned or len(seeds) < 2 else [status, "pruned"]
        trials = [
            trial(method, seed, params, study=study, status=how, at=60 * number)
            for seed, how in zip(seeds, ended, strict=True)
        ]
        rows += trials
        suggestions.append(suggestion(method, number, params, trials, objectives=objectives))
        if ended[-1] == "ok":
            values[number] = gap(method, params)
    best = min(values, key=lambda number: values[number])
    params = json.loads(suggestions[best]["params"])
    confirm = [trial(method, seed, params, study=study) for seed in confirm_seeds]
    suggestions[best]["confirm_trial_ids"] = [one["trial_id"] for one in confirm]
    return rows + confirm, suggestions


def untuned(method, seeds=CONFIRM_SEEDS):
    """A method's defaults."""
    return [trial(method, seed, DEFAULTS[method]) for seed in seeds]


def everything(objectives=("average_gap",), methods=("uam", "neggrad", "finetune"), count=30):
    """All rows: `trials` and `suggestions`."""
    rows, suggestions = references(), []
    rows += [trial("original", seed, {"epochs": 0}, off=12.0) for seed in CONFIRM_SEEDS]
    for method in methods:
        found, suggested = search(method, count, objectives)
        rows += found + untuned(method)
        suggestions += suggested
    return rows, suggestions


def frames(rows, suggestions):
    """As `read_frames` gives them."""
    trials = pd.DataFrame(rows, columns=TRIALS.names)
    trials[list(METRICS)] = trials[list(METRICS)].astype(float)
    trials = with_gaps(flatten_params(trials.drop_duplicates("trial_id", ignore_index=True)))
    suggested = pd.DataFrame(suggestions, columns=SUGGESTIONS.names)
    compared, searched = set_apart(trials, suggested)
    return Frames(compared, pd.DataFrame(columns=TRACES.names), [], suggested, searched)
