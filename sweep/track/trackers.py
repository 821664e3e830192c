"""Writes stored trials to TensorBoard, MLflow and Weights & Biases, with the library of each."""

from __future__ import annotations

import json
import logging
import math
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sweep.errors import InputError
from sweep.store.columns import MEASURED
from sweep.store.results import Results
from sweep.store.status import Row

FORGET = ("scenario", "forget_ratio", "forget_fold", "forget_class", "forget_class_name", "forget_rows")
SETTING = ("dataset", "model", "method", "seed", *FORGET)
"""Columns that, beside the hyperparameters, say what was run."""

CIRCUMSTANCES = ("status", "trial_id", "study", "code_version", "device", "threads", "host")
"""Columns that say how a trial ended, and where it ran."""

NOT_CURVES = ("trial_id", "epoch", "step", "seconds", "samples", "other")
"""Columns of `traces` that are not drawn as curves."""


@dataclass(frozen=True)
class Point:
    """A value of a curve: its name, epoch, and seconds since unlearning began."""

    name: str
    epoch: int
    seconds: float
    value: float


@dataclass(frozen=True)
class TrialRun:
    """A trial as a tracker's run.

    Attributes:
        key: the trial's id and when it ended, so that a trial that is run again is another run.
        sweep, method, seed, status: as in its row.
        started, finished: as `started_at` and `finished_at` in its row.
        params: what was run (hyperparameters as `param.<name>`) and how it ended; only columns with a value.
        metrics: metrics and cost; only those that are finite.
        curves: the values of its traces; only those that are finite.
    """

    key: str
    sweep: str
    method: str
    seed: int
    status: str
    started: datetime
    finished: datetime
    params: dict[str, Any]
    metrics: dict[str, float]
    curves: list[Point]

    @property
    def name(self) -> str:
        """The run's name, which need not be unique."""
        return f"{self.method} seed {self.seed}"


Tracker = Callable[[TrialRun], None]
"""Stores one trial as a run. Raises whatever its library raises."""


def key_of(row: Row) -> str:
    """The key of the run that a row of `trials` becomes."""
    return f"{row['trial_id']}-{row['finished_at']:%Y%m%dT%H%M%S}"


def trial_run(row: Row, traces: Sequence[Row]) -> TrialRun:
    """The run made of a row of `trials` and its rows of `traces`."""
    params = {name: row[name] for name in (*SETTING, *CIRCUMSTANCES) if row[name] is not None}
    hyperparameters = {f"param.{name}": value for name, value in json.loads(row["params"]).items()}
    return TrialRun(
        key=key_of(row),
        sweep=row["sweep"],
        method=row["method"],
        seed=row["seed"],
        status=row["status"],
        started=row["started_at"],
        finished=row["finished_at"],
        params=params | {name: "null" if value is None else value for name, value in hyperparameters.items()},
        metrics={name: float(row[name]) for name in MEASURED if _finite(row[name])},
        curves=list(_curves(traces)),
    )


def _curves(traces: Sequence[Row]) -> Iterator[Point]:
    for row in traces:
        values = {name: value for name, value in row.items() if name not in NOT_CURVES}
        for name, value in (values | json.loads(row["other"] or "{}")).items():
            if _finite(value):
                yield Point("trace/" + re.sub(r"\W", "_", name), row["epoch"], row["seconds"], float(value))


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def open_tracker(name: str, results: Results, option: str) -> Tracker:
    """The tracker of this name, for trials of a results directory.

    Args:
        option: the command line's option that named it, for messages.

    Raises:
        InputError: its library is not installed, or nobody is logged in there.
    """
    try:
        return TRACKERS[name](results)
    except ModuleNotFoundError as error:
        raise InputError(f"{option} {name}: needs the extra {name} (pip install 'unlearn-sweep[{name}]')") from error
    except InputError as error:
        raise InputError(f"{option} {name}: {error}") from error


def to_tensorboard(results: Results) -> Tracker:
    """Event files in `DIR/tensorboard`, written with tensorboardX, which Ray Tune needs anyway."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.summary_pb2 import Summary
    from tensorboardX.record_writer import RecordWriter
    from tensorboardX.summary import hparams

    def scalar(name: str, value: float) -> Any:
        return Summary(value=[Summary.Value(tag=name, simple_value=value)])

    def events(run: TrialRun) -> Iterator[Any]:
        started, finished = run.started.timestamp(), run.finished.timestamp()
        yield Event(wall_time=started, file_version="brain.Event:2")
        for summary in hparams(run.params, run.metrics):
            yield Event(wall_time=started, summary=summary)
        for point in run.curves:
            summary = scalar(point.name, point.value)
            yield Event(wall_time=started + point.seconds, step=point.epoch, summary=summary)
        for name, value in run.metrics.items():
            yield Event(wall_time=finished, summary=scalar(name, value))

    def store(run: TrialRun) -> None:
        method = re.sub(r"[^\w.:-]", "_", run.method)
        with tempfile.TemporaryDirectory(prefix="unlearn-sweep-") as folder:
            path = Path(folder) / "events.out.tfevents"
            writer = RecordWriter(str(path))
            for event in events(run):
                writer.write(event.SerializeToString())
            writer.close()
            results.write(f"tensorboard/{method}/seed-{run.seed}/{run.key}/{path.name}", path.read_bytes())

    return store


def to_mlflow(results: Results) -> Tracker:
    """Runs in the experiment of the sweep's name, where MLFLOW_TRACKING_URI says.

    A run that a kill cut off stays RUNNING; its trial is sent again as another.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)  # they report every table that they create
    client = MlflowClient()

    def experiment(name: str) -> str:
        found = client.get_experiment_by_name(name)
        return str(client.create_experiment(name) if found is None else found.experiment_id)

    def store(run: TrialRun) -> None:
        started, finished = (int(1000 * moment.timestamp()) for moment in (run.started, run.finished))
        run_id = client.create_run(experiment(run.sweep), started, run_name=run.name).info.run_id
        metrics = [Metric(name, value, finished, 0) for name, value in run.metrics.items()]
        for point in run.curves:
            metrics.append(Metric(point.name, point.value, started + int(1000 * point.seconds), point.epoch))
        client.log_batch(run_id, params=[Param(name, str(value)) for name, value in run.params.items()])
        for position in range(0, len(metrics), MLFLOW_BATCH):
            client.log_batch(run_id, metrics=metrics[position : position + MLFLOW_BATCH])
        client.set_terminated(run_id, "FAILED" if run.status == "failed" else "FINISHED", finished)

    return store


MLFLOW_BATCH = 1000
"""How many metrics MLflow takes in one request."""


def to_wandb(results: Results) -> Tracker:
    """Runs in the project of the sweep's name. The command, its environment and its code are not sent.

    Raises:
        InputError: nobody is logged in, and WANDB_MODE is not offline.
    """
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb as library

    settings = library.Settings(
        silent=True,
        console="off",
        disable_git=True,
        save_code=False,
        x_disable_meta=True,
        x_disable_stats=True,
        x_save_requirements=False,
    )
    os.environ.setdefault("WANDB_SILENT", "true")
    offline = library.setup().settings.mode != "online"
    if not offline and not library.login(prompt=False):
        raise InputError("nobody is logged in (`wandb login`, WANDB_API_KEY); WANDB_MODE=offline keeps runs here")

    def store(run: TrialRun) -> None:
        made = library.init(
            project=run.sweep,
            id=run.key,
            name=run.name,
            config=run.params,
            resume=None if offline else "allow",
            reinit="create_new",
            settings=settings,
        )
        epochs: dict[int, dict[str, float]] = {}
        for point in run.curves:
            epochs.setdefault(point.epoch, {})[point.name] = point.value
        for epoch, values in epochs.items():
            made.log(values, step=epoch)
        made.summary.update(run.metrics)
        made.finish(exit_code=1 if run.status == "failed" else 0)

    return store


TRACKERS = {"tensorboard": to_tensorboard, "mlflow": to_mlflow, "wandb": to_wandb}
