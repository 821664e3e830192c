"""What methods, their configurations, tasks and metrics are called."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.reading.tuning import untuned_name

METHODS = {
    "original": "Original",
    "retrain": "Retrain",
    "finetune": "FineTune",
    "neggrad": "NegGrad",
    "randomlabel": "RandomLabel",
    "fisher": "Fisher",
    "influence": "Influence",
    "uam": "UAM",
    "cf-k": "CF-k",
    "eu-k": "EU-k",
    "l1-sparse": "L1-sparse",
    "ct": "CT",
    "msg": "MSG",
    "salun": "SalUn",
    "sfron": "SFR-on",
    "rum": "RUM",
    "scrub": "SCRUB",
    "bad-teacher": "BadTeacher",
    "lotus": "LoTUS",
    "amun": "AMUN",
    "boundary-shrink": "BoundaryShrink",
    "boundary-expand": "BoundaryExpand",
    "unsir": "UNSIR",
    "ssd": "SSD",
    "lfssd": "LFSSD",
    "mu-mis": "MU-Mis",
    "negmerge": "NegMerge",
    "sisa": "SISA",
    "amnesiac": "Amnesiac",
    "certified-head": "CertifiedHead",
    "noisy-finetune": "NoisyFineTune",
    "npo": "NPO",
    "simnpo": "SimNPO",
    "rmu": "RMU",
    "undial": "UNDIAL",
    "task-vector": "TaskVector",
}


LABELS = {
    "retain_accuracy": "RA",
    "forget_accuracy": "FA",
    "test_accuracy": "TA",
    "forgotten_test_accuracy": "TA-F",
    "validation_accuracy": "VA",
    "mia": "MIA",
    "validation_mia": "MIA-V",
}
"""The field's abbreviations; TA-F is of the forgotten class's test samples."""


@dataclass(frozen=True)
class Hyperparameter:
    """A hyperparameter of UAM and its symbol."""

    name: str
    symbol: str


RHO = Hyperparameter("rho", "ρ")


GAMMA = Hyperparameter("gamma", "γ")


def method_name(name: str) -> str:
    """A method as the field writes it, and whether it was tuned; one that is not built in by its whole name."""
    own = untuned_name(name)
    return METHODS.get(own, own) + name[len(own) :]


def method_words(name: str) -> str:
    """`method_name`, but of one that is not built in only the last part."""
    return method_name(name).rpartition(":")[2]


def configuration_labels(trials: pd.DataFrame) -> pd.Series:
    """A name for each trial's method and hyperparameters: only those that vary within the method are spelled out."""
    settings = varying_settings(trials)
    return trials["method"] + (" (" + settings + ")").where(settings != "", "")


def varying_settings(trials: pd.DataFrame) -> pd.Series:
    """For each trial the hyperparameters that vary within its method, as a=1, b=2; empty where none does."""
    spelled: dict[tuple[str, str], str] = {}
    for method, texts in trials[["method", "params"]].drop_duplicates().groupby("method")["params"]:
        records: list[dict[str, Any]] = [json.loads(text) for text in texts]
        seen: dict[str, set[str]] = {}
        for record in records:
            for name, value in record.items():
                seen.setdefault(name, set()).add(json.dumps(value))
        varying = [name for name in seen if len(seen[name]) > 1 or any(name not in record for record in records)]
        for text, record in zip(texts, records, strict=True):
            spelled[str(method), text] = ", ".join(f"{name}={record[name]}" for name in varying if name in record)
    pairs = zip(trials["method"], trials["params"], strict=True)
    return pd.Series([spelled[pair] for pair in pairs], index=trials.index, dtype=object)


def task_words(trials: pd.DataFrame, task_id: str) -> str:
    """A task in words, with the number of tasks among these trials if it is not the only one."""
    row = trials[trials["task_id"] == task_id].iloc[0]
    if row["scenario"] == "class":
        forgotten = f"{class_words(row)} forgotten"
    else:
        forgotten = f"forget ratio {100 * row['forget_ratio']:.3g} %"
    tasks = trials["task_id"].nunique()
    others = f" (one of {tasks} tasks here)" if tasks > 1 else ""
    return f"{row['dataset']}, {row['model']}, {forgotten}{others}"


def class_words(row: pd.Series) -> str:
    """Name a trial's forgotten class by its label in the dataset's source.

    A row of the former rule, which told the class by the labels trained on and tested on all classes, is marked so.
    """
    text, forget = row.get("forget_class_name"), json.loads(row.get("config") or "{}").get("forget", {})
    former = " (by trained labels, TA on all classes)" if "class" in forget and "version" not in forget else ""
    return (f"class {text}" if isinstance(text, str) else f"class {row['forget_class']:.0f}") + former


def task_labels(trials: pd.DataFrame) -> pd.Series:
    """For each trial its dataset, model and forget set in words; with the task's id where that is ambiguous."""

    def words(task: pd.Series) -> str:
        what = class_words(task) if task["scenario"] == "class" else f"{100 * task['forget_ratio']:.3g} % at random"
        return f"{task['dataset']}, {task['model']}, forget {what}"

    tasks = trials.drop_duplicates("task_id").set_index("task_id")
    labels = tasks.apply(words, axis=1)
    labels = labels.where(~labels.duplicated(keep=False), labels + " [" + labels.index + "]")
    return trials["task_id"].map(labels)


def uam_words(chosen: pd.DataFrame) -> str:
    """UAM, and where its rule is not the default one, in trials of one setting (`uam_where_gamma_acts`)."""
    rule = chosen["rule"].iloc[0]
    return f"UAM ({rule})" if rule else "UAM"
