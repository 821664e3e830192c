"""Rows of the results' tables, made from what a trial measured."""

from __future__ import annotations

import json
import platform
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import torch

from sweep.plan.trials import Trial
from sweep.plan.versions import trial_version
from sweep.store.columns import PREDICTIONS, TRACES
from sweep.store.redaction import redacted
from sweep.trial.evaluation import Predictions
from sweep.trial.probe import degrees

if TYPE_CHECKING:
    from sweep.trial.job import Context, Outcome


def trial_row(trial: Trial, context: Context, outcome: Outcome, started: datetime) -> dict[str, Any]:
    """The columns of a trial's row that have a value however the trial ended.

    `device` is null where a driver writes the row of a trial on a GPU: it does not know on which one the worker was.
    """
    config = json.loads(trial.config)
    forget = config["forget"]
    label = forget.get("class")
    return {
        "trial_id": trial.id,
        "task_id": trial.task_id,
        "original_id": trial.original_id,
        "sweep": context.sweep,
        "study": trial.study,
        "status": outcome.status,
        "error": redacted(outcome.error) if outcome.error else None,
        "dataset": config["dataset"]["name"],
        "model": config["model"]["name"],
        "seed": trial.seed,
        "scenario": forget["scenario"],
        "forget_ratio": forget.get("ratio"),
        "forget_class": label if isinstance(label, int) else None,
        "forget_class_name": label if isinstance(label, str) else None,
        "method": trial.method,
        "params": json.dumps(config["method"]["params"], sort_keys=True),
        "config": trial.config,
        "device": outcome.device or (None if context.gpu else "cpu"),
        "threads": context.threads,
        "host": platform.node(),
        "code_version": trial_version(config),
        "started_at": started,
        "finished_at": datetime.now(UTC),
    }


def prediction_rows(trial_id: str, split: str, part: Predictions, rows: torch.Tensor) -> pa.Table:
    """Rows of `predictions` for one part of the data; `rows` maps its positions to the dataset's own.

    Where a logit is too large for float16, the sample's largest logit is subtracted from all of its logits, which
    changes no confidence; logits that are then too small become the smallest number of float16.
    """
    count, classes = part.logits.shape
    logits, most = part.logits, torch.finfo(torch.float16).max
    too_large = logits.abs().amax(dim=1, keepdim=True) > most
    logits = torch.where(too_large, logits - logits.amax(dim=1, keepdim=True), logits).clamp(min=-most)
    values = pa.array(logits.to(torch.float16).numpy().reshape(-1))
    offsets = pa.array(range(0, (count + 1) * classes, classes), pa.int32())
    columns = [
        pa.repeat(trial_id, count),
        pa.array(rows[part.index].numpy()),
        pa.repeat(split, count),
        pa.array(part.labels.numpy()),
        pa.ListArray.from_arrays(offsets, values),
    ]
    return pa.Table.from_arrays(columns, schema=PREDICTIONS)


def trace_row(trial_id: str, row: dict[str, float]) -> dict[str, Any]:
    """A recorder's row as a row of `traces`."""
    known = {key: value for key, value in row.items() if key in TRACES.names}
    if "gradient_cosine" in row:
        known["gradient_degrees"] = degrees(row["gradient_cosine"])
    other = {key: value for key, value in row.items() if key not in TRACES.names}
    return {"trial_id": trial_id, "other": json.dumps(other) if other else None} | known
