"""The page of a trial: what was run, its metrics beside Retrain's, its path, and what its model says of samples."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.audit.outputs import Model
from analysis.pages.charts import chart
from analysis.pages.configuration import parameters
from analysis.pages.pictures import Pictures, source
from analysis.pages.predictions import Difference, by_class, confusions, differences
from analysis.reading.frames import kinds_of
from analysis.reruns import allowed, spec_fragment
from analysis.wording.certificates import certificate_words
from analysis.wording.ideal import reference_words
from analysis.wording.names import method_name
from sweep.errors import InputError
from sweep.store.metrics import metrics_of
from sweep.store.results import Results

Models = Callable[[str], Model | None]
"""A trial's id -> what its model says; None if nothing is stored that can be read."""

MIB = 1 << 20
COSTS = {
    "unlearn_seconds": ("Seconds", "of unlearning", 1.0),
    "eval_seconds": ("Evaluation", "seconds of judging the model", 1.0),
    "samples_processed": ("Samples", "that the method processed", 1.0),
    "peak_memory_bytes": ("Memory", "peak, MiB", 1.0 / MIB),
}
"""Columns that say what a trial cost: what each is called, what it is, and by what its numbers are multiplied."""

ANGLE, RIGHT_ANGLE = "Angle between retain and forget gradients, degrees", 90.0
CHARTS: list[tuple[str, dict[str, str], float | None]] = [
    ("Loss of the method's batches", {"retain_loss": "retain", "forget_loss": "forget"}, None),
    ("Loss of the probe", {"probe_retain_loss": "retain", "probe_forget_loss": "forget"}, None),
    ("Accuracy of the probe, percent", {"probe_retain_accuracy": "retain", "probe_forget_accuracy": "forget"}, None),
    (ANGLE, {"gradient_degrees": "of the method's steps", "probe_degrees": "of the probe"}, RIGHT_ANGLE),
    ("Hessian term relative to the gradient", {"hessian_ratio": "ratio"}, None),
    ("Residual of the linear system", {"residual": "residual"}, None),
]
"""Figures of a path: the title, the columns of `traces` with their names, and a value that is marked."""


@dataclass(frozen=True)
class Measured:
    """A number of a trial, of the references of the same seed, and its distance to Retrain's; NaN: there is none."""

    label: str
    words: str
    own: float
    retrain: float
    gap: float
    original: float


def trial_values(
    row: pd.Series,
    retrain: pd.Series | None,
    original: pd.Series | None,
    results: Results,
    model: Models,
    pictures: Pictures | str,
    stored: Mapping[str, object],
) -> Mapping[str, object]:
    """What the template of a trial shows.

    Args:
        row: of `Site.trials`.
        retrain, original: those rows of the same task and seed that ended ok; None: there is none.
        model: what is stored of what a trial's model says.
        pictures: of the trial's data set, or why there are none.
        stored: the sections of the directory's spec.yaml.

    Raises:
        OSError: the results cannot be read.
    """
    points = _trace(results, row["trial_id"])
    charts = [chart(title, points, columns, level) for title, columns, level in CHARTS]
    return {
        "trial": row,
        "what": f"{row['name']}{', ' + row['setting'] if row['setting'] else ''}",
        "certificate": certificate_words(row["notes"]) if isinstance(row["notes"], str) else "",
        "error": row["error"].strip() if isinstance(row["error"], str) else "",
        "facts": _facts(row),
        "params": parameters(row["params"]),
        "command": shlex.join(["unlearn-sweep", "rerun", results.location, row["trial_id"], *allowed(row)]),
        "spec": spec_fragment(row["config"], stored, results.location),
        "measured": _measured(row, retrain, original),
        "costs": _costs(row, retrain, original),
        "retrain": None if retrain is None else retrain["trial_page"],
        "original": None if original is None else original["trial_page"],
        "is_retrain": row["method"] == "retrain",
        "is_original": row["method"] == "original",
        "to": reference_words(row.to_frame().T),
        "charts": [each for each in charts if each is not None],
        **_outputs(row, retrain, original, model, pictures),
    }


def _trace(results: Results, trial_id: str) -> list[dict[str, Any]]:
    try:
        return results.trace(trial_id)
    except InputError:  # the id, which is not one of ours, names no file
        return []


def _facts(row: pd.Series) -> list[tuple[str, str]]:
    """What was run, and where, in words."""
    training = json.loads(row["config"]).get("training", {})
    recipe = ", ".join(f"{name} {value}" for name, value in training.items() if value is not None)
    sizes = [f"{row[name]:.0f} {name.removeprefix('n_')}" for name in ("n_retain", "n_forget") if pd.notna(row[name])]
    found = {
        "Task": row["task"],
        "Seed": row["seed"],
        "Samples": ", ".join(sizes),
        "Original trained with": recipe,
        "Device": row["device"],
        "Precision": row["precision"],
        "Threads": row["threads"],
        "Code version": row["code_version"],
        "Original's code version": row["original_version"],
        "Finished": f"{row['finished_at']:%Y-%m-%d %H:%M:%S} UTC" if pd.notna(row["finished_at"]) else "",
        "Sweep": row["sweep"],
        "Study": row["study"],
        "Trial": row["trial_id"],
    }
    return [
        (name, _plain(value)) for name, value in found.items() if value is not None and value == value and value != ""
    ]


def _plain(value: object) -> str:
    return f"{value:.0f}" if isinstance(value, float) else str(value)


def _measured(row: pd.Series, retrain: pd.Series | None, original: pd.Series | None) -> list[Measured]:
    nan = float("nan")
    found = []
    for metric in metrics_of(str(kinds_of(row.to_frame().T).iloc[0])):
        column = metric.column
        if column not in row.index:
            continue
        values = [nan if each is None else float(each[column]) for each in (row, retrain, original)]
        if not all(map(pd.isna, values)):
            gap = nan if row["method"] == "retrain" else float(row[f"gap.{column}"])
            found.append(Measured(metric.label, f"{metric.words}, {metric.unit}", values[0], values[1], gap, values[2]))
    gaps = [nan if each is None else float(each["average_gap"]) for each in (row, original)]
    if not all(map(pd.isna, gaps)):
        found.append(
            Measured(
                "Average gap", f"to {reference_words(row.to_frame().T)}, percentage points", gaps[0], nan, nan, gaps[1]
            )
        )
    return found


def _costs(row: pd.Series, retrain: pd.Series | None, original: pd.Series | None) -> list[Measured]:
    nan = float("nan")
    found = []
    for column, (label, words, factor) in COSTS.items():
        values = [
            nan if each is None or pd.isna(each[column]) else factor * float(each[column])
            for each in (row, retrain, original)
        ]
        if not all(map(pd.isna, values)):
            found.append(Measured(label, words, values[0], values[1], nan, values[2]))
    return found


def _outputs(
    row: pd.Series,
    retrain: pd.Series | None,
    original: pd.Series | None,
    read: Models,
    pictures: Pictures | str,
) -> dict[str, object]:
    """What the model says sample by sample; beside Retrain, or, if it is Retrain itself, beside Original."""
    model = read(row["trial_id"]) if row["status"] == "ok" else None
    if model is None:
        return {"confusions": [], "by_class": None, "differences": [], "no_pictures": "", "beside": "", "kept": False}
    first, last = (original, None) if row["method"] == "retrain" else (retrain, original)
    reference = None if first is None else read(first["trial_id"])
    names = () if isinstance(pictures, str) else pictures.classes
    others = {}
    if last is not None and last["trial_id"] != row["trial_id"] and (beyond := read(last["trial_id"])) is not None:
        others[method_name("original")] = beyond
    beside = "" if first is None else str(first["name"])
    found = []
    if reference is not None and first is not None and first["trial_id"] != row["trial_id"]:
        found = differences(model, reference, others, (row["name"], beside), names)
    classes = any(part.choices for part in model.values()) and pd.isna(row["kind"])
    return {
        "confusions": confusions(model, reference, names) if classes else [],
        "by_class": by_class(model, reference, names) if classes else None,
        "differences": [(each, _sources(each, pictures)) for each in found],
        "no_pictures": pictures if isinstance(pictures, str) else "",
        "beside": beside if reference is not None else "",
        "kept": True,
    }


def _sources(found: Difference, pictures: Pictures | str) -> list[str]:
    """For each row the image as a data URI; none at all where there are no images."""
    images = [source(pictures, found.part, each.sample) for each in found.rows]
    return images if any(images) else []
