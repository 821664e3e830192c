"""Rows of the results' tables, made from what a trial measured."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor

from sweep.plan.trials import Trial
from sweep.plan.versions import trial_version
from sweep.spec.plugins import find_kind
from sweep.store.columns import METRICS, PREDICTIONS, TRACES
from sweep.store.redaction import redacted
from sweep.tasks.evaluation import Predictions
from sweep.trial.job import Context, Outcome
from sweep.trial.probe import degrees


def trial_row(trial: Trial, context: Context, outcome: Outcome, started: datetime) -> dict[str, Any]:
    """The columns of a trial's row that have a value however the trial ended.

    `device` is null where a driver writes the row of a trial on a GPU: it does not know on which one the worker was.
    """
    ended = {"status": outcome.status, "error": redacted(outcome.error) if outcome.error else None}
    return started_row(trial, context, outcome.device, started) | ended | {"finished_at": datetime.now(UTC)}


def started_row(trial: Trial, context: Context, device: str | None, started: datetime) -> dict[str, Any]:
    """The columns of a trial's row that are known when it starts."""
    config = json.loads(trial.config)
    forget = config["forget"]
    label = forget.get("class")
    return {
        "trial_id": trial.id,
        "task_id": trial.task_id,
        "original_id": trial.original_id,
        "sweep": context.sweep,
        "study": trial.study,
        "kind": find_kind(config["dataset"]["name"]).column,
        "dataset": config["dataset"]["name"],
        "model": config["model"]["name"],
        "seed": trial.seed,
        "scenario": forget["scenario"],
        "forget_ratio": forget.get("ratio"),
        "forget_fold": forget.get("fold"),
        "forget_rows": forget.get("rows"),
        "forget_class": label if isinstance(label, int) else None,
        "forget_class_name": label if isinstance(label, str) else None,
        "method": trial.method,
        "params": json.dumps(config["method"]["params"], sort_keys=True),
        "config": trial.config,
        "device": device or (None if context.gpu else "cpu"),
        "threads": context.threads,
        "host": platform.node(),
        "code_version": trial_version(config),
        "started_at": started,
    }


def measured(metrics: Mapping[str, float | None]) -> dict[str, Any]:
    """The columns that hold what a kind's `evaluate` measured."""
    other = {name: value for name, value in metrics.items() if name not in METRICS}
    columns: dict[str, Any] = {name: value for name, value in metrics.items() if name in METRICS}
    return columns | ({"other": json.dumps(other, sort_keys=True)} if other else {})


def prediction_rows(trial_id: str, parts: Iterable[tuple[str, Predictions, Tensor]]) -> pa.Table | None:
    """Rows of `predictions` for the parts that `Evaluation.wanted` gives; None if there are none."""
    tables = [_part_rows(trial_id, *part) for part in parts]
    return pa.concat_tables(tables) if tables else None


def _part_rows(trial_id: str, split: str, part: Predictions, rows: Tensor) -> pa.Table:
    count = len(part)
    classes = not part.targets.is_floating_point()
    nothing = pa.nulls(count)
    return pa.table(
        {
            "trial_id": pa.repeat(trial_id, count),
            "sample_id": pa.array(rows[part.index].numpy()),
            "split": pa.repeat(split, count),
            "label": pa.array(part.targets.numpy()) if classes else nothing,
            "target": nothing if classes else pa.array(part.targets[:, 0].double().numpy()),
            "logits": _listed(_halved(part.outputs)) if classes else nothing,
            "outputs": nothing if classes else _listed(part.outputs),
        }
    ).cast(PREDICTIONS)


def _halved(logits: Tensor) -> Tensor:
    """Logits [n, C] as float16.

    Where one is too large, the sample's largest logit is subtracted from all of its logits, which changes no
    confidence; logits that are then too small become the smallest number of float16.
    """
    most = torch.finfo(torch.float16).max
    too_large = logits.abs().amax(dim=1, keepdim=True) > most
    shifted = torch.where(too_large, logits - logits.amax(dim=1, keepdim=True), logits).clamp(min=-most)
    return shifted.to(torch.float16)


def _listed(values: Tensor) -> pa.ListArray:
    """The rows of values [n, K] as lists."""
    count, width = values.shape
    offsets = pa.array(range(0, (count + 1) * width, width), pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.array(values.numpy().reshape(-1)))


def trace_row(trial_id: str, row: dict[str, float]) -> dict[str, Any]:
    """A recorder's row as a row of `traces`."""
    known = {key: value for key, value in row.items() if key in TRACES.names}
    if "gradient_cosine" in row:
        known["gradient_degrees"] = degrees(row["gradient_cosine"])
    other = {key: value for key, value in row.items() if key not in TRACES.names}
    return {"trial_id": trial_id, "other": json.dumps(other) if other else None} | known
