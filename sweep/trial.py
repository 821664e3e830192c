"""Running one job in this process: train an original, or unlearn, evaluate and store a trial."""

from __future__ import annotations

import json
import math
import platform
import resource
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import torch
from torch import nn

from methods import Diverged, Method, Recorder, Samples, Task
from methods.task import derived_seed
from sweep.device_data import DeviceData, to_device
from sweep.evaluation import Predictions, membership_inference, predict
from sweep.identity import code_version
from sweep.models import initialised
from sweep.originals import State, load_original, store_original
from sweep.plan import Trial
from sweep.registry import find_dataset, find_method, find_model
from sweep.results import PREDICTIONS, TRACES, Results
from sweep.spec import DatasetSpec, TrainingSpec
from sweep.training import autocast_context, train

Status = Literal["ok", "diverged", "failed", "pruned"]


@dataclass(frozen=True)
class Context:
    """What all jobs of a run share; plain data, so that it reaches any process.

    Attributes:
        sweep: the sweep's name.
        out: the results directory.
        location: the dataset's options that say where it lies.
        threads: torch threads.
        gpu: whether to compute on a GPU.
        max_retries: times that a trial that raised is run again.
        predictions: whether to keep logits per sample.
    """

    sweep: str
    out: str
    location: dict[str, Any]
    threads: int
    gpu: bool
    max_retries: int
    predictions: bool


@dataclass(frozen=True)
class Outcome:
    """How a job ended."""

    status: Status
    error: str | None = None


@dataclass(frozen=True)
class Job:
    """A unit of scheduling: run `trial`, or, if `original_only`, train the original it starts from."""

    trial: Trial
    original_only: bool = False


@dataclass
class Worker:
    """Runs jobs in this process, one after another, and keeps dataset and original between them."""

    context: Context
    _data: tuple[str, DeviceData] | None = field(default=None, init=False)
    _original: tuple[str, State] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._results = Results(self.context.out)
        self._device = torch.device("cuda" if self.context.gpu else "cpu")

    def run(self, job: Job) -> Outcome:
        """Run a job; what it computes raising is an outcome, not an exception.

        Raises:
            OSError: results cannot be stored.
        """
        torch.set_num_threads(self.context.threads)
        torch.backends.cudnn.deterministic = True
        if job.original_only:
            return self._attempts(lambda: self._train_original(job.trial))[1]
        started = datetime.now(UTC)
        ended, outcome = self._attempts(lambda: self._unlearn(job.trial))
        row = trial_row(job.trial, self.context, outcome, started) | ended.columns
        self._results.write_trial(row, ended.traces, ended.predictions)
        return outcome

    def _attempts(self, attempt: Callable[[], tuple[Ended, Outcome]]) -> tuple[Ended, Outcome]:
        for _ in range(1 + self.context.max_retries):
            try:
                return attempt()
            except StorageError as error:
                raise error.cause from error
            except Exception:
                failure = traceback.format_exc()
        return Ended(), Outcome("failed", failure)

    def _train_original(self, trial: Trial) -> tuple[Ended, Outcome]:
        try:
            self._original = (str(trial.original_id), self._new_original(trial))
        except Diverged as error:
            return Ended(), Outcome("diverged", f"the original diverged: {error}")
        return Ended(), Outcome("ok")

    def _unlearn(self, trial: Trial) -> tuple[Ended, Outcome]:
        config = json.loads(trial.config)
        method = find_method(config["method"]["name"])(**config["method"]["params"])
        try:
            model = self._original_model(trial, config, method)
        except Diverged as error:
            return Ended(), Outcome("diverged", f"the original diverged: {error}")
        data = self._load_data(config)
        split = data.split(config["seed"], config["forget"], config["dataset"]["validation"])
        retain, forget = data.train(split.retain), data.train(split.forget)
        autocast = autocast_context(config["training"]["precision"], self._device)
        recorder = Recorder()
        unlearned: nn.Module | None
        task = Task(
            model=model,
            retain=retain,
            forget=forget,
            classes=data.classes,
            seed=config["seed"],
            build=self._builder(config),
            fit=self._fit(config, recorder),
            autocast=autocast,
            recorder=recorder,
        )
        torch.manual_seed(derived_seed(config["seed"], "method"))
        reset_peak_memory(self._device)
        outcome = Outcome("ok")
        started = time.perf_counter()
        try:
            unlearned = method.unlearn(task)
            synchronise(self._device)
            require_finite(unlearned)
        except Diverged as error:
            unlearned, outcome = None, Outcome("diverged", str(error))
        seconds = time.perf_counter() - started
        columns: dict[str, Any] = {
            "n_retain": len(retain),
            "n_forget": len(forget),
            "unlearn_seconds": seconds,
            "samples_processed": recorder.samples_processed,
            "peak_memory_bytes": peak_memory(self._device),
        }
        ended = Ended(columns, [_trace(trial.id, row) for row in recorder.rows])
        if unlearned is not None:
            started = time.perf_counter()
            validation = data.train(split.validation) if len(split.validation) else None
            try:
                self._evaluate(trial, unlearned, data, retain, forget, validation, ended, autocast)
            except Diverged as error:
                outcome = Outcome("diverged", outcome.error or str(error))
            columns["eval_seconds"] = time.perf_counter() - started
        return ended, outcome

    def _evaluate(
        self,
        trial: Trial,
        model: nn.Module,
        data: DeviceData,
        retain: Samples,
        forget: Samples,
        validation: Samples | None,
        ended: Ended,
        autocast: Callable[[], Any],
    ) -> None:
        on_retain, on_forget = predict(model, retain, autocast), predict(model, forget, autocast)
        on_test = predict(model, data.test(), autocast)
        if not all(bool(part.logits.isfinite().all()) for part in (on_retain, on_forget, on_test)):
            raise Diverged("outputs are not finite")
        members, non_members = _equally_many(on_retain, on_test, trial.seed)
        ended.columns |= {
            "retain_accuracy": on_retain.accuracy,
            "forget_accuracy": on_forget.accuracy,
            "test_accuracy": on_test.accuracy,
            "validation_accuracy": None if validation is None else predict(model, validation, autocast).accuracy,
            "mia": membership_inference(members.confidence, non_members.confidence, on_forget.confidence),
        }
        if self.context.predictions:
            rows = torch.from_numpy(data.train_rows)
            parts = [
                _prediction_rows(trial.id, "retain", members, rows),
                _prediction_rows(trial.id, "forget", on_forget, rows),
                _prediction_rows(trial.id, "test", on_test, torch.arange(len(data.test_targets))),
            ]
            ended.predictions = pa.concat_tables(parts)

    def _original_model(self, trial: Trial, config: dict[str, Any], method: Method) -> nn.Module:
        build = self._builder(config)
        if trial.original_id is None:
            return build()
        model = build() if method.shapes_training is None else method.build_original(build).to(self._device)
        model.load_state_dict(self._original_state(trial))
        return model.eval()

    def _original_state(self, trial: Trial) -> State:
        """The original's weights: kept from the last trial, else read, else trained and stored."""
        assert trial.original_id is not None
        if self._original is None or self._original[0] != trial.original_id:
            state = load_original(self._results, trial.original_id)
            if state is None:
                state = self._new_original(trial)
            self._original = (trial.original_id, state)
        return self._original[1]

    def _new_original(self, trial: Trial) -> State:
        config = json.loads(trial.config)
        data = self._load_data(config)
        whole = data.split(config["seed"], config["forget"], config["dataset"]["validation"]).training
        torch.manual_seed(derived_seed(config["seed"], "original"))
        method = find_method(config["method"]["name"])(**config["method"]["params"])
        build, fit = self._builder(config), self._fit(config, Recorder())
        if method.shapes_training is None:
            model = fit(build(), data.train(whole))
        else:
            model = method.train_original(method.build_original(build).to(self._device), data.train(whole), fit)
        require_finite(model)
        state = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
        try:
            store_original(self._results, str(trial.original_id), state)
        except OSError as error:
            raise StorageError(error) from error
        return state

    def _load_data(self, config: dict[str, Any]) -> DeviceData:
        """The dataset on the device, kept from the last trial if it is the same."""
        options = config["dataset"]
        key = json.dumps(options, sort_keys=True)
        if self._data is None or self._data[0] != key:
            self._data = None
            shared = set(DatasetSpec.model_fields) | {"fingerprint"}
            own = {name: value for name, value in options.items() if name not in shared} | self.context.location
            images = find_dataset(options["name"])(**own).load()
            self._data = (key, to_device(images, options, self._device))
        return self._data[1]

    def _builder(self, config: dict[str, Any]) -> Callable[[], nn.Module]:
        data = self._load_data(config)
        options = dict(config["model"])
        builder = find_model(options.pop("name"))
        return initialised(builder, data.classes, data.channels, options, config["seed"], self._device)

    def _fit(self, config: dict[str, Any], recorder: Recorder) -> Callable[[nn.Module, Samples], nn.Module]:
        recipe = TrainingSpec(**config["training"])
        return partial(
            train,
            recipe=recipe,
            seed=config["seed"],
            criterion=nn.functional.cross_entropy,
            autocast=autocast_context(recipe.precision, self._device),
            recorder=recorder,
        )


@dataclass
class Ended:
    """What a trial measured: columns of its row, its traces, its predictions."""

    columns: dict[str, Any] = field(default_factory=dict)
    traces: list[dict[str, Any]] = field(default_factory=list)
    predictions: pa.Table | None = None


class StorageError(Exception):
    """Results cannot be stored: no failure of the trial, so not to be recorded as one."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def trial_row(trial: Trial, context: Context, outcome: Outcome, started: datetime) -> dict[str, Any]:
    """The columns of a trial's row that hold however it ended."""
    config = json.loads(trial.config)
    forget = config["forget"]
    return {
        "trial_id": trial.id,
        "task_id": trial.task_id,
        "original_id": trial.original_id,
        "sweep": context.sweep,
        "status": outcome.status,
        "error": outcome.error,
        "dataset": config["dataset"]["name"],
        "model": config["model"]["name"],
        "seed": trial.seed,
        "scenario": forget["scenario"],
        "forget_ratio": forget.get("ratio"),
        "forget_class": forget.get("class"),
        "method": trial.method,
        "params": json.dumps(config["method"]["params"], sort_keys=True),
        "config": trial.config,
        "device": torch.cuda.get_device_name() if context.gpu else "cpu",
        "threads": context.threads,
        "host": platform.node(),
        "code_version": code_version(),
        "started_at": started,
        "finished_at": datetime.now(UTC),
    }


def _equally_many(retain: Predictions, test: Predictions, seed: int) -> tuple[Predictions, Predictions]:
    """As many retain as test samples, the same ones for every method of a seed."""
    count = min(len(retain.labels), len(test.labels))

    def chosen(part: Predictions, name: str) -> Predictions:
        generator = torch.Generator().manual_seed(derived_seed(seed, name))
        return part.subset(torch.randperm(len(part.labels), generator=generator)[:count].sort().values)

    return chosen(retain, "retain subset"), chosen(test, "test subset")


def _prediction_rows(trial_id: str, split: str, part: Predictions, rows: torch.Tensor) -> pa.Table:
    count, classes = part.logits.shape
    values = pa.array(part.logits.to(torch.float16).numpy().reshape(-1))
    offsets = pa.array(range(0, (count + 1) * classes, classes), pa.int32())
    columns = [
        pa.repeat(trial_id, count),
        pa.array(rows[part.index].numpy()),
        pa.repeat(split, count),
        pa.array(part.labels.numpy()),
        pa.ListArray.from_arrays(offsets, values),
    ]
    return pa.Table.from_arrays(columns, schema=PREDICTIONS)


def _trace(trial_id: str, row: dict[str, float]) -> dict[str, Any]:
    """A recorder's row in the columns of `traces`."""
    known = {key: value for key, value in row.items() if key in TRACES.names}
    if math.isfinite(row.get("gradient_cosine", math.nan)):
        known["gradient_degrees"] = math.degrees(math.acos(max(-1.0, min(1.0, row["gradient_cosine"]))))
    other = {key: value for key, value in row.items() if key not in TRACES.names}
    return {"trial_id": trial_id, "other": json.dumps(other) if other else None} | known


def require_finite(model: nn.Module) -> None:
    """Raise Diverged if a weight or buffer is not finite."""
    if not all(bool(tensor.isfinite().all()) for tensor in model.state_dict().values()):
        raise Diverged("weights are not finite")


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def reset_peak_memory(device: torch.device) -> None:
    """Start measuring the peak anew: of the GPU, or of this process where the operating system allows it (Linux)."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        warnings.warn("peak memory is that of the whole process", stacklevel=2)


def peak_memory(device: torch.device) -> int:
    """Bytes at the peak since `reset_peak_memory`: allocated on the GPU, or resident in this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage if sys.platform == "darwin" else usage * 1024
