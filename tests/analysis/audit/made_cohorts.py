"""Cohorts made by hand, of margins that a test chooses or draws."""

import json
from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from analysis.audit.cohort import Beside, Cohort
from analysis.audit.outputs import Part
from sweep.store.columns import PREDICTIONS


def part(margins, targets=None, classes=2, first=0):
    """A part whose samples have these margins, [n]: its rows are first, first + 1, ....

    Every class but a sample's own has the same logit, 0.

    Args:
        targets: [n]; the classes in turn, if none are given.
    """
    margins = np.asarray(margins, dtype=float)
    rows = np.arange(len(margins))
    targets = rows % classes if targets is None else np.asarray(targets, dtype=np.int64)
    logits = np.zeros((len(rows), classes), dtype=np.float32)
    logits[rows, targets] = margins + np.log(classes - 1)
    return Part(first + rows, targets, logits)


def models(margins, targets=None, classes=2, first=0):
    """K models, of the margins on the forget part, [K, n], or of those on each part by its name."""
    parts = margins if isinstance(margins, Mapping) else {"forget": margins}
    count = len(next(iter(parts.values())))
    return tuple(
        {name: part(values[place], targets, classes, first) for name, values in parts.items()} for place in range(count)
    )


def cohort(unlearned, retrain, original=None, *, folds=1, targets=None, classes=2, **facts):
    """A cohort of K seeds.

    Args:
        unlearned, retrain, original: as `models` takes them. Samples of every part are cut into equal folds, one after
            the other.
        targets: [n], of every part; only with one fold.
        facts: `method`, `params`, `task`, `task_id`, where they matter.
    """
    given = [
        each if isinstance(each, Mapping) or each is None else {"forget": each}
        for each in (unlearned, retrain, original)
    ]
    sets = []
    for fold in range(folds):
        cut = [
            each and {name: np.split(np.asarray(values), folds, axis=1)[fold] for name, values in each.items()}
            for each in given
        ]
        first = fold * next(iter(cut[0].values())).shape[1]
        sets.append(Beside(*(each and models(each, targets, classes, first) for each in cut)))
    known = {"task": "task", "method": "finetune", "params": "{}"} | facts
    task = known.pop("task_id", "task")
    known["task_ids"] = tuple(f"{task}-{fold}" for fold in range(folds)) if folds > 1 else (task,)
    return Cohort(seeds=tuple(range(len(sets[0].unlearned))), sets=tuple(sets), **known)


def drawn(seed, originals, samples, shift=0.0, *, ceiling=None, deviation=1.0, **more):
    """A cohort of independent normal margins: Retrain's of mean 0, the unlearned ones' of mean shift * deviation.

    Args:
        shift: a number, or one for each sample; in deviations.
        ceiling: the originals' shift; None: there are no originals.
        deviation: a number, or one for each sample.
        more: as `cohort` takes it.
    """
    rng = np.random.default_rng(seed)
    retrain, unlearned, original = (rng.normal(size=(originals, samples)) for _ in range(3))
    above = None if ceiling is None else (original + ceiling) * deviation
    return cohort((unlearned + shift) * deviation, retrain * deviation, above, **more)


def split_rows(made, trial, place, who, fold=0):
    """What `predictions` holds of one of a made cohort's models."""
    parts = getattr(made.sets[fold], who)[place]
    count = sum(len(each.samples) for each in parts.values())
    columns = {
        "trial_id": [trial] * count,
        "sample_id": np.concatenate([each.samples for each in parts.values()]),
        "split": [name for name, each in parts.items() for _ in each.samples],
        "label": np.concatenate([each.targets for each in parts.values()]),
        "target": [None] * count,
        "logits": [row for each in parts.values() for row in each.outputs.astype(np.float16)],
        "outputs": [None] * count,
    }
    return pa.table(columns, schema=PREDICTIONS)


def stored(results, made, row):
    """Write the trials of a made cohort, of its Retrains and of its originals, with their predictions.

    Args:
        results: a `Results`.
        row: makes a row of `trials`: tests/analysis/made_results.py.
    """
    for fold, (task, beside) in enumerate(zip(made.task_ids, made.sets, strict=True)):
        forget = {"scenario": "random", "ratio": 0.2} | ({"fold": fold} if len(made.sets) > 1 else {})
        facts = {"config": json.dumps({"dataset": {"name": "made"}, "forget": forget}), "task": task}
        facts |= {"forget_fold": fold} if len(made.sets) > 1 else {}
        for who, method, params in (
            ("unlearned", made.method, json.loads(made.params)),
            ("retrain", "retrain", {}),
            ("original", "original", {}),
        ):
            for place, seed in enumerate(made.seeds if getattr(beside, who) else ()):
                one = row(method, seed, params=params, metrics=(90.0,) * 4, **facts)
                results.write_trial(one, predictions=split_rows(made, one["trial_id"], place, who, fold))
