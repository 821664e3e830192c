"""Published numbers beside those of a results directory, where data, network and forget set are the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import pandas as pd
import yaml

from analysis.reading.selection import ended_ok, representatives
from analysis.statistics.intervals import Interval, mean_interval
from analysis.wording.names import METHODS, method_words, task_labels
from sweep.store.metrics import columns

COLUMNS = {"RA": "retain_accuracy", "FA": "forget_accuracy", "TA": "test_accuracy", "MIA": "mia", "gap": "average_gap"}
"""What published.yaml calls a column of the trials."""

CHANGED_DATA = ("limit", "label_noise", "validation", "grayscale", "image_size")
"""Options of a data set that make another task of it."""


@dataclass(frozen=True)
class Cell:
    """One number.

    Attributes:
        published: in percent.
        here: the mean over seeds; of none where the method was not run here.
        published_gap, here_gap: distance to Retrain; None where none was published.
    """

    published: float
    here: Interval
    published_gap: float | None = None
    here_gap: Interval | None = None

    @property
    def difference(self) -> float:
        """Ours minus the published one."""
        return self.here.mean - self.published


@dataclass(frozen=True)
class Row:
    """A method: its name in words, how many configurations of it ran here (the best is shown), a cell per column."""

    method: str
    reference: bool
    configurations: int
    cells: dict[str, Cell]


@dataclass(frozen=True)
class Beside:
    """What one source published on one task of the results.

    Attributes:
        source, task: in words.
        published_recipe, recipe: how models were trained there and here, as far as that is known.
        columns: of `rows`, those of which the source has any number.
        rows: in the source's order.
    """

    source: str
    task: str
    published_recipe: str
    recipe: str
    columns: list[str]
    rows: list[Row]


def beside_published(trials: pd.DataFrame) -> list[Beside]:
    """Set each source beside each task here that it has numbers of, if one of its methods ended ok on the task.

    Args:
        trials: as `read_frames` gives them.
    """
    if trials.empty:
        return []
    found = []
    labelled = trials.assign(task=task_labels(trials))
    for task, rows in labelled.groupby("task"):
        config = json.loads(rows["config"].iloc[0])
        ok = ended_ok(rows)
        found += [
            _beside(result, str(task), config, ok)
            for result in published()["results"]
            if _same_task(result, config) and ok["method"].isin(list(result["methods"])).any()
        ]
    return found


@cache
def published() -> dict[str, Any]:
    """What published.yaml holds."""
    text = resources.files("analysis").joinpath("published.yaml").read_text("utf-8")
    return dict(yaml.safe_load(text))


def _same_task(result: dict[str, Any], config: dict[str, Any]) -> bool:
    """Whether a source's numbers are about a trial's data, network and forget set."""
    dataset, forget = config.get("dataset", {}), config.get("forget", {})
    name = (_copy(dataset) or {"dataset": dataset.get("name")})["dataset"]
    return (
        name == result["dataset"]
        and not any(dataset.get(option) for option in CHANGED_DATA)
        and result["model"] is not None
        and config.get("model") == result["model"]
        and all(forget.get(key) == value for key, value in result["forget"].items())
    )


def _copy(dataset: dict[str, Any]) -> dict[str, Any] | None:
    """What published.yaml knows of these files."""
    return next((copy for copy in published()["copies"] if copy["fingerprint"] == dataset.get("fingerprint")), None)


def _beside(result: dict[str, Any], task: str, config: dict[str, Any], ok: pd.DataFrame) -> Beside:
    chosen = representatives(ok)
    configurations = ok.groupby("method")["params"].nunique()
    there = result["methods"]
    rows = []
    for method, numbers in there.items():
        ours = chosen[chosen["method"] == method]
        cells = {label: _cell(label, number, there.get("retrain", {}), ours) for label, number in numbers.items()}
        name = method_words(method) if method in METHODS else method
        rows.append(Row(name, method == "retrain", int(configurations.get(method, 0)), cells))
    columns = [label for label in COLUMNS if any(label in row.cells for row in rows)]
    return Beside(result["source"], task, result["recipe"], _recipe(config), columns, rows)


def _cell(label: str, number: float, retrain: dict[str, float], ours: pd.DataFrame) -> Cell:
    column = COLUMNS[label]
    here = mean_interval(ours[column], column)
    if column not in columns() or label not in retrain:
        return Cell(number, here)
    gap = f"gap.{column}"
    return Cell(number, here, abs(number - retrain[label]), mean_interval(ours[gap], gap))


def _recipe(config: dict[str, Any]) -> str:
    """How originals and Retrain were trained here, and how the data differs from what its name says, in words."""
    training, dataset = config["training"], config["dataset"]
    words = [
        f"{training['epochs']} epochs",
        f"batches of {training['batch_size']}",
        f"learning rate {training['lr']:g} ({training['schedule']})",
        f"weight decay {training['weight_decay']:g}",
    ]
    augmented = [f"{word}s" for word in ("crop", "flip") if dataset.get(word)]
    words.append(f"random {' and '.join(augmented)}" if augmented else "no augmentation")
    if copy := _copy(dataset):
        words.append(copy["differs"])
    return ", ".join(words)
