"""What methods, their configurations, tasks and metrics are called."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import pandas as pd

from analysis.reading.selection import ANOTHER_SEED
from analysis.reading.tuning import untuned_name
from analysis.wording.words import joined
from sweep.store.labels import dataset_key, label_of
from sweep.store.metrics import Metric, averaged, columns

METHODS = {
    "original": "Original",
    "retrain": "Retrain",
    "untrained": "Untrained",
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
    "gaussian-amnesiac": "GaussianAmnesiac",
    "blindspot": "Blindspot",
    "certified-ridge": "CertifiedRidge",
    "npo": "NPO",
    "simnpo": "SimNPO",
    "rmu": "RMU",
    "undial": "UNDIAL",
    "task-vector": "TaskVector",
}


def label(metric: str) -> str:
    """A metric's abbreviation, by its column."""
    return columns()[metric].label


def metric_words(metrics: Sequence[Metric]) -> str:
    """What metrics mean, in what unit, and which of them make up the average gap, as sentences; empty of none."""
    labels = [metric.label for metric in averaged(metrics, "average_gap")]
    meanings = meanings_words(metrics)
    return f"{meanings.removesuffix('.')}; the average gap is over {joined(labels)}." if labels else meanings


def meanings_words(metrics: Sequence[Metric]) -> str:
    """What metrics mean, and in what unit, as sentences; empty where there is none."""
    meanings = "; ".join(f"{metric.label}: {metric.words}" for metric in metrics)
    return f"{meanings}. In {unit_words(metrics)}." if metrics else ""


def distinct_metrics(shown: Iterable[tuple[Metric, ...]]) -> list[tuple[Metric, ...]]:
    """The metrics of several tables, without those of a table that another one shows too."""
    every = [*dict.fromkeys(shown)]
    return [metrics for metrics in every if not any(set(metrics) < set(other) for other in every)]


def unit_words(metrics: Sequence[Metric]) -> str:
    """The unit of metrics; which has which, where they have several."""
    units: dict[str, list[str]] = {}
    for metric in metrics:
        units.setdefault(metric.unit, []).append(metric.label)
    if len(units) == 1:
        return next(iter(units))
    return ", ".join(f"{unit} ({', '.join(labels)})" for unit, labels in units.items())


def gap_words(metrics: Sequence[Metric], gap: str, validation: bool = False) -> str:
    """Say of which metrics one of `GAPS` is the mean gap; with `validation`, of those on validation data."""
    parts = [(validation and metric.twin) or metric.column for metric in averaged(metrics, gap)]
    return f"mean of {joined([*map(label, parts)])} gaps"


@dataclass(frozen=True)
class Hyperparameter:
    """A hyperparameter of UAM and its symbol."""

    name: str
    symbol: str


RHO = Hyperparameter("rho", "ρ")


GAMMA = Hyperparameter("gamma", "γ")


def method_name(name: str) -> str:
    """A method's label, or the name as the field writes it, and whether it was tuned; a plugin by its whole name."""
    own = untuned_name(name)
    words = label_of(own) or METHODS.get(own, own)
    return "Retrain, another seed" if name == ANOTHER_SEED else words + name[len(own) :]


def method_words(name: str) -> str:
    """`method_name`, but of a plugin without a label only the last part."""
    return method_name(name) if label_of(untuned_name(name)) else method_name(name).rpartition(":")[2]


def labelled(name: str) -> str:
    """A method as a spec names it, unless it has a label."""
    own = untuned_name(name)
    return (label_of(own) or own) + name[len(own) :]


def dataset_words(row: pd.Series) -> str:
    """A trial's data set."""
    fingerprint = json.loads(row.get("config") or "{}").get("dataset", {}).get("fingerprint")
    return label_of(dataset_key(row["dataset"], fingerprint)) or str(row["dataset"])


def model_words(row: pd.Series) -> str:
    """A trial's network."""
    return label_of(row["model"]) or str(row["model"])


DIGITS, EVERY_DIGIT = 4, 17
"""Significant digits of a number in a name: so many where they tell it from the others, at most so many."""


def configuration_labels(trials: pd.DataFrame) -> pd.Series:
    """A name for each trial's method and hyperparameters: only those that vary within the method are spelled out."""
    return configurations(trials, labelled)


def display_labels(trials: pd.DataFrame) -> pd.Series:
    """`configuration_labels`, with methods as the field writes them."""
    return configurations(trials, method_name)


def configurations(trials: pd.DataFrame, named: Callable[[str], str]) -> pd.Series:
    """`configuration_labels`, with the words that `named` has for a method."""
    settings = varying_settings(trials)
    return trials["method"].map(named).astype(object) + (" (" + settings + ")").where(settings != "", "")


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
        words = {name: shortened([record[name] for record in records if name in record]) for name in varying}
        for text, record in zip(texts, records, strict=True):
            told = [f"{name}={words[name][json.dumps(record[name])]}" for name in varying if name in record]
            spelled[str(method), text] = ", ".join(told)
    pairs = zip(trials["method"], trials["params"], strict=True)
    return pd.Series([spelled[pair] for pair in pairs], index=trials.index, dtype=object)


def shortened(values: Sequence[Any]) -> dict[str, str]:
    """Each value in words, by its JSON: a number with few digits, so long as it differs from the others."""
    exact = {json.dumps(value): value for value in values}
    for digits in range(DIGITS, EVERY_DIGIT):
        short = {text: _short(value, digits) for text, value in exact.items()}
        if len(set(short.values())) == len(exact):
            return short
    return {text: str(value) for text, value in exact.items()}


def _short(value: Any, digits: int) -> str:
    rounded = f"{value:.{digits}g}" if isinstance(value, float) else ""
    return rounded if rounded and float(rounded) != value else str(value)


def task_words(trials: pd.DataFrame, task_id: str) -> str:
    """A task in words, with the number of tasks among these trials if it is not the only one."""
    row = trials[trials["task_id"] == task_id].iloc[0]
    ratio = row["scenario"] == "random" and _fold(row) is None
    forgotten = f"forget ratio {100 * row['forget_ratio']:.3g} %" if ratio else f"{forget_words(row)} forgotten"
    tasks = trials["task_id"].nunique()
    others = f" (one of {tasks} tasks here)" if tasks > 1 else ""
    return f"{dataset_words(row)}, {model_words(row)}, {forgotten}{others}"


def forget_words(row: pd.Series) -> str:
    """A trial's forget set."""
    if row["scenario"] == "random":
        share, fold = f"{100 * row['forget_ratio']:.3g} %", _fold(row)
        return f"{share} at random" if fold is None else f"{share}, fold {fold}"
    if row["scenario"] == "class":
        return class_words(row)
    if row["scenario"] == "rows":
        count = "" if pd.isna(row["n_forget"]) else f"{row['n_forget']:.0f} "
        return f"{count}listed rows ({row['forget_rows'][:8]})"
    forget = {key: value for key, value in json.loads(row["config"])["forget"].items() if key != "scenario"}
    words = [f"{key} {value:g}" if isinstance(value, int | float) else str(value) for key, value in forget.items()]
    known = {"range": "targets", "group": "group", "given": "the dataset's own forget set"}
    return " ".join([known.get(row["scenario"], row["scenario"]), *words])  # a later version may know others


def _fold(row: pd.Series) -> int | None:
    fold = row.get("forget_fold")
    return None if pd.isna(fold) else int(fold)


def class_words(row: pd.Series) -> str:
    """Name a trial's forgotten class by its label in the dataset's source.

    A row of the former rule, which told the class by the labels trained on and tested on all classes, is marked so.
    """
    text, forget = row.get("forget_class_name"), json.loads(row.get("config") or "{}").get("forget", {})
    former = " (by trained labels, TA on all classes)" if "class" in forget and "version" not in forget else ""
    return (f"class {text}" if isinstance(text, str) else f"class {row['forget_class']:.0f}") + former


OF_A_TRIAL = ("method", "seed")
"""The keys of a config that are not of its task."""
LONGEST_VALUE = 24
"""Characters of a value that may stand in a task's name: a data set's fingerprint is longer."""


def task_labels(trials: pd.DataFrame) -> pd.Series:
    """For each trial its dataset, model and forget set in words.

    Tasks that these do not tell apart have what differs in their configs after them (training.epochs=6), and those that
    not even that tells apart their ids.
    """

    def words(task: pd.Series) -> str:
        return f"{dataset_words(task)}, {model_words(task)}, forget {forget_words(task)}"

    tasks = trials.drop_duplicates("task_id").set_index("task_id")
    labels = tasks.apply(words, axis=1)
    for _, alike in tasks[labels.duplicated(keep=False)].groupby(labels):
        differences = _differences([json.loads(text or "{}") for text in alike["config"]])
        labels[alike.index] += [f", {each}" if each else "" for each in differences]
    labels = labels.where(~labels.duplicated(keep=False), labels + " [" + labels.index + "]")
    return trials["task_id"].map(labels)


def _differences(configs: list[dict[str, Any]]) -> list[str]:
    """What differs among the configs of tasks, for each of them, as a.b=1, c=2; long values are left out."""
    of_tasks = [{key: value for key, value in each.items() if key not in OF_A_TRIAL} for each in configs]
    rows = [pd.json_normalize(each).to_dict("records") for each in of_tasks]
    flat = [row[0] if row else {} for row in rows]  # pandas 3.0 makes no row of a config without keys
    texts = {str(name): [str(each.get(name, "")) for each in flat] for name in dict.fromkeys(chain(*flat))}
    told = [name for name, of in texts.items() if len(set(of)) > 1 and max(map(len, of)) <= LONGEST_VALUE]
    return [
        ", ".join(f"{name}={texts[name][place]}" for name in told if texts[name][place]) for place in range(len(flat))
    ]


def uam_words(chosen: pd.DataFrame) -> str:
    """UAM, and where its rule is not the default one, in trials of one setting (`uam_where_gamma_acts`)."""
    rule = chosen["rule"].iloc[0]
    return f"UAM ({rule})" if rule else "UAM"
