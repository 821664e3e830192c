"""Builders shared by the tests of `sweep`."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import settings
from PIL import Image

from methods.task import Samples
from sweep.plan.trials import Trial, plan_trials
from sweep.spec.sweep_spec import Spec, parse_spec
from sweep.store.columns import METRICS
from sweep.store.results import Results
from sweep.trial.job import Context
from sweep.trial.worker import Worker

sys.path.insert(0, str(Path(__file__).parent))  # for plugin_examples

settings.register_profile("quick", deadline=None, max_examples=50, database=None)
settings.load_profile("quick")


@pytest.fixture(scope="session")
def make_spec() -> Callable[..., Spec]:
    """A checked spec of one method on the smallest settings; keyword arguments replace its keys."""

    def make(**changes: Any) -> Spec:
        tiny = {
            "name": "tiny",
            "dataset": {"name": "digits", "limit": 200},
            "model": {"name": "small-cnn", "width": 4},
            "training": {"epochs": 1, "lr": 0.05},
            "seeds": [0],
            "methods": [{"name": "finetune", "epochs": 1}],
        }
        return parse_spec(tiny | changes)

    return make


@pytest.fixture(scope="session")
def make_trial(make_spec: Callable[..., Spec]) -> Callable[..., Trial]:
    """The only trial of a tiny spec with one method, given by its name and hyperparameters."""

    def make(method: str = "finetune", params: dict[str, Any] | None = None, **changes: Any) -> Trial:
        [trial] = plan_trials(make_spec(methods=[{"name": method} | (params or {})], **changes))
        return trial

    return make


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """An empty results directory; `make_worker` writes to it."""
    return Results(str(tmp_path / "results"))


@pytest.fixture
def make_worker(results: Results) -> Callable[..., Worker]:
    """A worker in this process; keyword arguments replace what its context says."""

    def make(**changes: Any) -> Worker:
        context = {
            "sweep": "tiny",
            "out": results.location,
            "location": {},
            "threads": 1,
            "gpu": False,
            "max_retries": 0,
            "predictions": True,
        }
        return Worker(Context(**(context | changes)))

    return make


@pytest.fixture(scope="session")
def make_samples() -> Callable[..., Samples]:
    """All rows of plain float inputs, not prepared and not augmented."""

    def make(inputs: torch.Tensor, targets: torch.Tensor) -> Samples:
        return Samples(inputs, targets, torch.arange(len(targets)), prepare=lambda raw, _: raw)

    return make


@pytest.fixture(scope="session")
def make_row() -> Callable[..., dict[str, Any]]:
    """A trial's row with a value in every column."""

    def make(trial_id: str = "t", **changes: Any) -> dict[str, Any]:
        now = datetime(2030, 1, 1, tzinfo=UTC)
        row = {
            **dict.fromkeys(("task_id", "original_id", "sweep", "study", "error", "dataset", "model"), "text"),
            **dict.fromkeys(("scenario", "forget_class_name", "method", "device", "host"), "text"),
            **dict.fromkeys(("code_version", "original_version", "original_sha256", "precision"), "text"),
            **dict.fromkeys(("forget_rows", "kept_predictions", "model_sha256"), "text"),
            **dict.fromkeys(("seed", "n_retain", "n_forget", "threads", "forget_fold"), 1),
            "forget_class": 3_000_000_000,
            **dict.fromkeys(METRICS, 50.0),
            **dict.fromkeys(("mia", "validation_mia", "forget_ratio", "unlearn_seconds", "eval_seconds"), 0.5),
            "kind": "classification",
            **dict.fromkeys(("params", "config", "notes", "other"), "{}"),
            **dict.fromkeys(("samples_processed", "peak_memory_bytes"), 2**40),
            **dict.fromkeys(("n_traces", "n_predictions"), 0),  # as `write_trial` counts them
            "trial_id": trial_id,
            "status": "ok",
            "started_at": now,
            "finished_at": now,
        }
        return row | changes

    return make


def png(pixels: np.ndarray) -> bytes:
    """uint8 [H, W] or [H, W, 3] as a PNG file, which keeps every pixel."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()


@pytest.fixture(scope="session")
def write_images() -> Callable[..., None]:
    """Write a Parquet file in the hubs' layout: a struct of bytes and path, and a label. Pixels are encoded as PNG."""

    def write(path: Path, images: Sequence[np.ndarray | bytes | None], labels: Any, **more: Sequence[Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        encoded = pa.array(
            [
                {"bytes": png(image) if isinstance(image, np.ndarray) else image, "path": f"{number}.png"}
                for number, image in enumerate(images)
            ],
            pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
        )
        labels = labels if isinstance(labels, pa.Array) else pa.array(labels, None if len(labels) else pa.int64())
        columns = {"image": encoded, "label": labels}
        pq.write_table(pa.table(columns | {name: pa.array(values) for name, values in more.items()}), path)

    return write
