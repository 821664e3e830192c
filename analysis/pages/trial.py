"""The page of a trial: what was run, its metrics beside Retrain's, its path, and what its model says of samples."""

from __future__ import annotations

import base64
import json
import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.audit.outputs import Model
from analysis.methods_table import LARGE
from analysis.pages.charts import Chart, chart
from analysis.pages.configuration import parameters
from analysis.pages.predictions import Difference, by_class, confusions, differences
from analysis.pages.samples import Samples
from analysis.reading.frames import kinds_of
from analysis.reruns import allowed, spec_fragment
from analysis.wording.certificates import certificate_words
from analysis.wording.ideal import reference_words
from analysis.wording.names import meanings_words, method_name
from sweep.errors import InputError
from sweep.store.metrics import Metric, metrics_of
from sweep.store.results import Results

Models = Callable[[str], Model | None]
"""A trial's id -> what its model says; None if nothing is stored that can be read."""

NAN = float("nan")
MIB = 1 << 20
COSTS = {
    "unlearn_seconds": ("Seconds of unlearning", 2, 1.0),
    "eval_seconds": ("Seconds of evaluation", 2, 1.0),
    "samples_processed": ("Samples processed", 0, 1.0),
    "peak_memory_bytes": ("Peak memory, MiB", 0, 1.0 / MIB),
}
"""Columns that say what a trial cost: what each is called, its decimals, and by what it is multiplied."""

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
    """A number of a trial, of the references of the same seed, and its distance to Retrain's, as they are shown."""

    label: str
    own: str
    retrain: str
    gap: str
    original: str


def trial_values(
    row: pd.Series,
    retrain: pd.Series | None,
    original: pd.Series | None,
    results: Results,
    model: Models,
    samples: Samples,
    stored: Mapping[str, object],
) -> Mapping[str, object]:
    """What the template of a trial shows.

    Args:
        row: of `Site.trials`.
        retrain, original: those rows of the same task and seed that ended ok; None: there is none.
        model: what is stored of what a trial's model says.
        samples: of the trial's data set.
        stored: the sections of the directory's spec.yaml.

    Raises:
        OSError: the results cannot be read.
    """
    points = _trace(results, row["trial_id"])
    metrics = metrics_of(str(kinds_of(row.to_frame().T).iloc[0]))
    measured = _measured(row, retrain, original, metrics)
    known = [metric for metric in metrics if metric.label in {each.label for each in measured}]
    return {
        "trial": row,
        "what": words(row),
        "certificate": certificate_words(row["notes"]) if isinstance(row["notes"], str) else "",
        "error": row["error"].strip() if isinstance(row["error"], str) else "",
        "facts": facts(row),
        "params": parameters(row["params"]),
        "command": shlex.join(["unlearn-sweep", "rerun", results.location, row["trial_id"], *allowed(row)]),
        "spec": spec_fragment(row["config"], stored, results.location),
        "measured": measured,
        "meanings": meanings_words(known),
        "retrain": None if retrain is None else retrain["trial_page"],
        "original": None if original is None else original["trial_page"],
        "is_retrain": row["method"] == "retrain",
        "is_original": row["method"] == "original",
        "to": reference_words(row.to_frame().T),
        "charts": path_charts(points),
        **_outputs(row, retrain, original, model, samples),
    }


def words(row: pd.Series) -> str:
    """A trial's method and what varies of it."""
    return f"{row['name']}{', ' + row['setting'] if row['setting'] else ''}"


def path_charts(points: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """Those of `CHARTS` that there are values of.

    Args:
        points: rows of `traces` of one trial, in their order.
    """
    charts = [chart(title, points, columns, level) for title, columns, level in CHARTS]
    return [each for each in charts if each is not None]


def _trace(results: Results, trial_id: str) -> list[dict[str, Any]]:
    try:
        return results.trace(trial_id)
    except InputError:  # the id, which is not one of ours, names no file
        return []


def facts(row: pd.Series) -> list[tuple[str, str]]:
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


def _measured(
    row: pd.Series, retrain: pd.Series | None, original: pd.Series | None, metrics: Sequence[Metric]
) -> list[Measured]:
    """Its metrics that one of the three has, its average gap, and its costs."""
    three = (row, retrain, original)
    found = []
    for metric in metrics:
        if metric.column in row.index:
            form = ".1f" if metric.unit.startswith("percent") else ".4g"
            gap = NAN if row["method"] == "retrain" else float(row[f"gap.{metric.column}"])
            values = [NAN if each is None else float(each[metric.column]) for each in three]
            found.append((metric.label, form, values, gap))
    gaps = [float(row["average_gap"]), NAN, NAN if original is None else float(original["average_gap"])]
    found.append(("Average gap", ".1f", gaps, NAN))
    for column, (label, digits, factor) in COSTS.items():
        values = [NAN if each is None else factor * float(each[column]) for each in three]
        found.append((label, f",.{digits}f", values, NAN))
    return [
        Measured(label, *(_number(value, form) for value in (*values[:2], gap, values[2])))
        for label, form, values, gap in found
        if not all(map(math.isnan, values))
    ]


def _number(value: float, form: str) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:.1e}" if "," not in form and abs(value) >= LARGE else f"{value:{form}}"


def _outputs(
    row: pd.Series,
    retrain: pd.Series | None,
    original: pd.Series | None,
    read: Models,
    samples: Samples,
) -> dict[str, object]:
    """What the model says sample by sample; beside Retrain, or, if it is Retrain itself, beside Original."""
    model = read(row["trial_id"]) if row["status"] == "ok" else None
    if model is None:
        return {"confusions": [], "by_class": None, "differences": [], "unknown": "", "beside": "", "kept": False}
    first, last = (original, None) if row["method"] == "retrain" else (retrain, original)
    reference = None if first is None else read(first["trial_id"])
    others = {}
    if last is not None and last["trial_id"] != row["trial_id"] and (beyond := read(last["trial_id"])) is not None:
        others[method_name("original")] = beyond
    beside = "" if first is None else str(first["name"])
    found = []
    if reference is not None and first is not None and first["trial_id"] != row["trial_id"]:
        found = differences(model, reference, others, (row["name"], beside), samples)
    classes = any(part.choices for part in model.values()) and pd.isna(row["kind"])
    return {
        "confusions": confusions(model, reference, samples.classes) if classes else [],
        "by_class": by_class(model, reference, samples.classes) if classes else None,
        "differences": [(each, _images(each, samples), _texts(each, samples)) for each in found],
        "choices": any(part.choices for part in model.values()),
        "numbers": any(part.numbers for part in model.values()),
        "unknown": samples.unknown,
        "beside": beside if reference is not None else "",
        "kept": True,
    }


def _images(found: Difference, samples: Samples) -> list[str]:
    """For each row the image as a data URI; none at all where there are no images."""
    contents = [base64.b64encode(samples.png(found.part, each.sample)).decode() for each in found.rows]
    return [content and f"data:image/png;base64,{content}" for content in contents] if any(contents) else []


def _texts(found: Difference, samples: Samples) -> list[str]:
    """For each row its question or text; none at all where there are no texts."""
    texts = [samples.text(found.part, each.sample) for each in found.rows]
    return texts if any(texts) else []
