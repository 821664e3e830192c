"""Writes trials to TensorBoard, MLflow and Weights & Biases, with the library of each: whole, or while they run."""

from __future__ import annotations

import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from sweep.errors import InputError, first_line
from sweep.store.results import Results
from sweep.track.runs import Ending, Point, TrialRun


class OpenRun(Protocol):
    """A tracker's run of one trial that has not ended. Methods raise whatever the tracker's library raises."""

    def add(self, points: Sequence[Point]) -> None:
        """Store points of its curves, of epochs that do not fall."""

    def end(self, points: Sequence[Point], ending: Ending) -> None:
        """Store the last points, and how the trial ended. The run takes nothing more."""


Tracker = Callable[[TrialRun], OpenRun]
"""Begins a run. Raises whatever its library raises."""


def open_tracker(name: str, results: Results, option: str) -> Tracker:
    """The tracker of this name, for trials of a results directory.

    Args:
        option: the command line's option that named it, for messages.

    Raises:
        InputError: its library is not installed, nobody is logged in there, or it does not open.
    """
    try:
        return TRACKERS[name](results)
    except ModuleNotFoundError as error:
        raise InputError(f"{option} {name}: needs the extra {name} (pip install 'unlearn-sweep[{name}]')") from error
    except Exception as error:  # of whatever class its library has
        raise InputError(f"{option} {name}: {first_line(error)}") from error


def to_tensorboard(results: Results) -> Tracker:
    """Event files in `DIR/tensorboard`, written with tensorboardX, which Ray Tune needs anyway.

    TensorBoard reads the files of a run in the order of their names, so each one continues those before.
    """
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.summary_pb2 import Summary
    from tensorboardX.record_writer import RecordWriter
    from tensorboardX.summary import hparams

    def scalar(name: str, value: float) -> Any:
        return Summary(value=[Summary.Value(tag=name, simple_value=value)])

    class TensorBoardRun:
        def __init__(self, run: TrialRun) -> None:
            method = re.sub(r"[^\w.:-]", "_", run.method)
            self._run, self._files = run, 0
            self._folder = f"tensorboard/{method}/seed-{run.seed}/{run.key}"
            for name in results.names(self._folder):  # of a run that was killed while it sent this one
                results.remove(f"{self._folder}/{name}")

        def add(self, points: Sequence[Point]) -> None:
            self._write(self._values(points))

        def end(self, points: Sequence[Point], ending: Ending) -> None:
            finished = ending.finished.timestamp()
            told = hparams(self._run.params | {"status": ending.status}, ending.metrics)
            events = [Event(wall_time=self._run.started.timestamp(), summary=summary) for summary in told]
            events += self._values(points)
            events += [Event(wall_time=finished, summary=scalar(*item)) for item in ending.metrics.items()]
            self._write(events)

        def _values(self, points: Sequence[Point]) -> Iterator[Any]:
            started = self._run.started.timestamp()
            for point in points:
                summary = scalar(point.name, point.value)
                yield Event(wall_time=started + point.seconds, step=point.epoch, summary=summary)

        def _write(self, events: Iterable[Any]) -> None:
            with tempfile.TemporaryDirectory(prefix="unlearn-sweep-") as folder:
                path = Path(folder) / "events"
                writer = RecordWriter(str(path))
                version = Event(wall_time=self._run.started.timestamp(), file_version="brain.Event:2")
                for event in (version, *events):
                    writer.write(event.SerializeToString())
                writer.close()
                results.write(f"{self._folder}/events.out.tfevents.{self._files:06}", path.read_bytes())
            self._files += 1

    return TensorBoardRun


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

    class MlflowRun:
        def __init__(self, run: TrialRun) -> None:
            self._started = int(1000 * run.started.timestamp())
            self._id = client.create_run(experiment(run.sweep), self._started, run_name=run.name).info.run_id
            client.log_batch(self._id, params=[Param(name, str(value)) for name, value in run.params.items()])

        def add(self, points: Sequence[Point]) -> None:
            started = self._started
            self._log(
                [Metric(each.name, each.value, started + int(1000 * each.seconds), each.epoch) for each in points]
            )

        def end(self, points: Sequence[Point], ending: Ending) -> None:
            self.add(points)
            finished = int(1000 * ending.finished.timestamp())
            self._log([Metric(name, value, finished, 0) for name, value in ending.metrics.items()])
            client.log_batch(self._id, params=[Param("status", ending.status)])
            client.set_terminated(self._id, "FAILED" if ending.status == "failed" else "FINISHED", finished)

        def _log(self, metrics: Sequence[Metric]) -> None:
            for position in range(0, len(metrics), MLFLOW_BATCH):
                client.log_batch(self._id, metrics=metrics[position : position + MLFLOW_BATCH])

    return MlflowRun


MLFLOW_BATCH = 1000
"""How many metrics MLflow takes in one request."""


def to_wandb(results: Results) -> Tracker:
    """Runs in the project of the sweep's name. The command, its environment and its code are not sent.

    Raises:
        InputError: nobody is logged in, and WANDB_MODE is not offline.
    """
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    os.environ.setdefault("WANDB_FINISH_TIMEOUT", str(WANDB_SECONDS))
    os.environ.setdefault("WANDB_FINISH_TIMEOUT_RAISES", "true")
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

    class WandbRun:
        def __init__(self, run: TrialRun) -> None:
            self._made = library.init(
                project=run.sweep,
                id=run.key,
                name=run.name,
                config=run.params,
                resume=None if offline else "allow",
                reinit="create_new",
                settings=settings,
            )

        def add(self, points: Sequence[Point]) -> None:
            epochs: dict[int, dict[str, float]] = {}
            for point in points:
                epochs.setdefault(point.epoch, {})[point.name] = point.value
            for epoch, values in epochs.items():  # which W&B shows once a later epoch comes, or the run ends
                self._made.log(values, step=epoch)

        def end(self, points: Sequence[Point], ending: Ending) -> None:
            self.add(points)
            self._made.config.update({"status": ending.status})
            self._made.summary.update(ending.metrics)
            self._made.finish(exit_code=1 if ending.status == "failed" else 0)

    return WandbRun


WANDB_SECONDS = 60
"""For so long a run that ends, or the end of this process, waits for what a server does not take."""


TRACKERS = {"tensorboard": to_tensorboard, "mlflow": to_mlflow, "wandb": to_wandb}
