"""A worker runs one job after another in its process: trains an original, or unlearns, evaluates and stores a trial."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, NoReturn

import pyarrow as pa
import torch
from torch import nn

from methods import Diverged, Method, Recorder, Samples, Task, Unsuitable
from methods.task import Build, Fit, Tell, derived_seed
from sweep.errors import Unsuccessful, first_line
from sweep.plan.trials import Trial, describe
from sweep.plan.versions import original_version
from sweep.spec.plugins import find_dataset, find_kind, find_method, find_model
from sweep.store.columns import MEASURED
from sweep.store.originals import Original, State, checksum, load_original, store_original
from sweep.store.results import Relearned, Results
from sweep.store.row_lists import stored_row_list
from sweep.tasks.dataset import kind_of
from sweep.tasks.device_data import DeviceData
from sweep.tasks.models import initialised, load_state, stored_state, tensors_of
from sweep.tasks.splits import LISTED
from sweep.trial.device import (
    busy,
    device_name,
    full_float32,
    lost,
    out_of_memory,
    peak_memory,
    reset_peak_memory,
    set_arithmetic,
    synchronise,
)
from sweep.trial.job import Context, Job, Outcome
from sweep.trial.probe import make_probe, remembered
from sweep.trial.relearning import relearn
from sweep.trial.rows import measured, prediction_rows, started_row, trace_row, trial_row
from sweep.trial.so_far import told
from sweep.trial.timeout import OutOfTime, time_limit
from sweep.trial.training import autocast_context, computed_in, rehearse, train
from sweep.trial.weights import of_weights


@dataclass
class Worker:
    """Runs jobs in this process, and keeps the dataset, the last original and its probe between them."""

    context: Context
    _data: tuple[str, DeviceData] | None = field(default=None, init=False)
    _original: tuple[str, Original] | None = field(default=None, init=False)
    _probed: tuple[tuple[str, str], dict[str, float]] | None = field(default=None, init=False)
    busy: int | None = field(default=None, init=False)
    """For what percentage of the last second of training or unlearning the GPU computed; None if that is unknown."""

    def __post_init__(self) -> None:
        self._results = Results(self.context.out)
        self._device = torch.device("cuda" if self.context.gpu else "cpu")

    def run(self, job: Job) -> Outcome:
        """Run a job and store its results. An exception in what it computes becomes an outcome.

        Raises:
            OSError: results cannot be stored.
        """
        started, device = datetime.now(UTC), device_name(self._device)
        if job.original_only:
            return replace(self.measure(job)[1], device=device)
        with told(self._results, started_row(job.trial, self.context, device, started)) as tell:
            ended, outcome = self.measure(job, tell)
            outcome = replace(outcome, device=device)
            row = trial_row(job.trial, self.context, outcome, started) | ended.columns
            self._results.write_trial(row, ended.traces, ended.predictions, ended.relearned)
        return replace(outcome, metrics={name: row.get(name) for name in MEASURED})

    def measure(self, job: Job, tell: Tell | None = None) -> tuple[Measurements, Outcome]:
        """Run a job; store nothing but its original, if that is missing. `tell` hears how far a trial is.

        Raises:
            OSError: the original cannot be read or stored.
        """
        warnings.filterwarnings("ignore", message=".*torch.jit.script.* is deprecated")  # torch.func itself causes it
        torch.set_num_threads(self.context.threads)
        set_arithmetic(json.loads(job.trial.config)["training"]["precision"])
        self.busy = None
        action = self._train_original if job.original_only else partial(self._unlearn, tell=tell)
        ended = self._attempts(lambda: action(job.trial))
        if self.context.gpu:
            torch.cuda.empty_cache()  # other processes on the same GPU may need the memory
        return ended

    def _attempts(self, attempt: Callable[[], tuple[Measurements, Outcome]]) -> tuple[Measurements, Outcome]:
        for _ in range(1 + self.context.max_retries):
            try:
                with time_limit(self.context.trial_timeout, self.context.expendable), chdir(os.curdir):
                    warm_up(self._device)
                    return attempt()
            except StorageError as error:
                raise error.cause from error
            except Unsuitable as error:
                return Measurements(), Outcome("failed", str(error))
            except OutOfTime:
                failure, short = f"took longer than trial_timeout: {self.context.trial_timeout:g} s", False
            except BaseException as error:  # of a plugin, which may call sys.exit
                if isinstance(error, KeyboardInterrupt) or (isinstance(error, SystemExit) and self.context.expendable):
                    raise  # Ctrl-C, or SIGTERM to a process of Ray's
                failure, short = traceback.format_exc(), out_of_memory(error)
                if lost(self._device):
                    self._give_up(error, failure)
            if short:  # only here, where no reference to the attempt's frames is left
                self._release_memory()
        return Measurements(), Outcome("failed", failure)

    def _give_up(self, error: BaseException, failure: str) -> NoReturn:
        """End this process, so that the job runs again in another one. The driver's own process raises Unsuccessful."""
        if self.context.expendable:
            print(failure, file=sys.stderr, flush=True)
            os._exit(1)
        why = f"the GPU no longer works in this process: {first_line(error)}"
        raise Unsuccessful(f"{why}; what was stored is kept, and the same command goes on") from error

    def _release_memory(self) -> None:
        """Drop what is kept between trials, so that the next attempt has all memory."""
        self._data = self._original = None
        gc.collect()
        if self.context.gpu:
            torch.cuda.empty_cache()

    def _train_original(self, trial: Trial) -> tuple[Measurements, Outcome]:
        try:
            self._original = (str(trial.original_id), self._new_original(trial))
        except Diverged as error:
            return Measurements(), Outcome("diverged", f"the original diverged: {error}")
        return Measurements(), Outcome("ok")

    def _unlearn(self, trial: Trial, tell: Tell | None) -> tuple[Measurements, Outcome]:
        config = json.loads(trial.config)
        method = find_method(config["method"]["name"])(**config["method"]["params"])
        try:
            model = self._original_model(trial, config, method)
        except Diverged as error:
            return Measurements(), Outcome("diverged", f"the original diverged: {error}")
        data, kind = self._load_data(config), find_kind(config["dataset"]["name"])
        forget_set = self._forget_set(config)
        split = data.split(config["seed"], forget_set)
        retain, forget = data.train(split.retain), data.train(split.forget)
        autocast = autocast_context(config["training"]["precision"], self._device)
        batch_size = getattr(method, "batch_size", None if method.needs_original else config["training"]["batch_size"])
        if self.context.gpu and batch_size is not None:
            again = self._original_model(trial, config, method)
            rehearse(again, (retain, forget), batch_size, kind.criterion, autocast)
            del again
        recorder = self._recorder(trial, retain, forget, config, tell)
        unlearned: nn.Module | None
        task = Task(
            model=model,
            retain=retain,
            forget=forget,
            classes=data.classes,
            seed=config["seed"],
            build=self._builder(config),
            fit=self._fit(config, recorder),
            criterion=kind.criterion,
            optimizer=kind.optimizer,
            autocast=autocast,
            recorder=recorder,
            reference=data.held_out(split.reference) if len(split.reference) else None,
        )
        if method.needs_original:
            recorder.record(epoch=0, step=0, model=model)
        torch.manual_seed(derived_seed(config["seed"], "method"))
        reset_peak_memory(self._device)
        aside = recorder.seconds_aside
        outcome = Outcome("ok")
        started = time.perf_counter()
        try:
            unlearned = method.unlearn(task)
            synchronise(self._device)
            require_finite(unlearned)
        except Diverged as error:
            unlearned, outcome = None, Outcome("diverged", str(error))
        seconds = time.perf_counter() - started - (recorder.seconds_aside - aside)
        self.busy = busy()  # now, because evaluation also computes on the CPU
        columns: dict[str, Any] = {
            "original_version": self._original[1].version if self._original and trial.original_id else None,
            "original_sha256": self._original[1].sha256 if self._original and trial.original_id else None,
            "n_retain": len(retain),
            "n_forget": len(forget),
            "unlearn_seconds": seconds,
            "samples_processed": recorder.samples_processed,
            "peak_memory_bytes": peak_memory(self._device),
            "precision": computed_in(config["training"]["precision"], self._device),
        }
        if unlearned is not None:
            recorder.finish(unlearned)
        ended = Measurements(columns, [trace_row(trial.id, row) for row in recorder.rows])
        if unlearned is not None:
            columns["model_sha256"] = checksum(tensors_of(unlearned))
            started = time.perf_counter()
            try:
                with full_float32():
                    found = kind.evaluate(unlearned, data, split, forget_set, config["seed"])
                columns |= measured(found.metrics)
                wanted = self.context.predictions
                ended.predictions = prediction_rows(trial.id, found.wanted(wanted))
                columns["kept_predictions"] = ("true" if wanted is True else wanted) or None
                original = None if trial.original_id is None else self._original_state(trial)
                asked = forget if self.context.forget_information else None
                columns |= of_weights(unlearned, original, asked, kind.criterion, recorder)
            except Diverged as error:
                outcome = Outcome("diverged", outcome.error or str(error))
            columns["eval_seconds"] = time.perf_counter() - started
            if self.context.relearning is not None and outcome.status == "ok":
                told = {"data": data, "split": split, "forget": forget_set, "seed": config["seed"]}
                exactly = full_float32()
                judges = exactly(partial(kind.evaluate_forget, **told)), exactly(partial(kind.evaluate, **told))
                recipe, keep = self.context.relearning, bool(self.context.predictions)
                ended.relearned = relearn(trial.id, unlearned, task, recipe, found, *judges, keep)
        columns["notes"] = json.dumps(recorder.notes, sort_keys=True) if recorder.notes else None
        return ended, outcome

    def _original_model(self, trial: Trial, config: dict[str, Any], method: Method) -> nn.Module:
        if trial.original_id is None:
            return self._builder(config)()
        model = self._untrained(config, method)
        load_state(model, self._original_state(trial))
        return model.eval()

    def _untrained(self, config: dict[str, Any], method: Method) -> nn.Module:
        build = self._builder(config)
        if method.shapes_training is None:
            return build()
        return method.build_original(build, self._training_set(config)).to(self._device)

    def _training_set(self, config: dict[str, Any]) -> Samples:
        data = self._load_data(config)
        return data.train(data.split(config["seed"], self._forget_set(config)).training)

    def _forget_set(self, config: dict[str, Any]) -> dict[str, Any]:
        """The forget set as `Splits.split` takes it."""
        forget: dict[str, Any] = config["forget"]
        if "rows" not in forget:
            return forget
        try:
            return forget | {LISTED: stored_row_list(self._results, forget["rows"])}
        except OSError as error:
            raise StorageError(error) from error

    def _original_state(self, trial: Trial) -> State:
        """The original's weights: kept from the last trial, else read from results, else trained and stored."""
        assert trial.original_id is not None
        if self._original is None or self._original[0] != trial.original_id:
            try:
                original = load_original(self._results, trial.original_id)
            except OSError as error:
                raise StorageError(error) from error
            if original is None or (self.context.refresh and original.version != original_version(describe(trial))):
                original = self._new_original(trial)
            self._original = (trial.original_id, original)
        return self._original[1].state

    def _new_original(self, trial: Trial) -> Original:
        config = json.loads(trial.config)
        torch.manual_seed(derived_seed(config["seed"], "original"))
        method = find_method(config["method"]["name"])(**config["method"]["params"])
        model, train, fit = self._untrained(config, method), self._training_set(config), self._fit(config, Recorder())
        model = fit(model, train) if method.shapes_training is None else method.train_original(model, train, fit)
        self.busy = busy()
        require_finite(model)
        original = Original(stored_state(model), original_version(config))
        try:
            store_original(self._results, str(trial.original_id), original)
        except OSError as error:
            raise StorageError(error) from error
        return original

    def _load_data(self, config: dict[str, Any]) -> DeviceData:
        """The dataset on the device, kept from the last trial if that had the same."""
        options = config["dataset"]
        key = json.dumps([options, config["model"]], sort_keys=True)
        if self._data is None or self._data[0] != key:
            self._data = None
            dataset = find_dataset(options["name"])
            kind = kind_of(dataset)
            shared = set(kind.dataset_keys.model_fields) | {"fingerprint"}
            own = {name: value for name, value in options.items() if name not in shared} | self.context.location
            read = kind.for_model(dataset(**own).load(), self._model(config))
            self._data = (key, kind.on_device(read, options, self._device))
        return self._data[1]

    def _model(self, config: dict[str, Any]) -> dict[str, Any]:
        """The network's name and options in a spec."""
        return {name: value for name, value in config["model"].items() if name != "fingerprint"} | dict(
            self.context.model_location
        )

    def _builder(self, config: dict[str, Any]) -> Build:
        data = self._load_data(config)
        options = self._model(config)
        builder = find_model(options.pop("name"))
        return initialised(builder, data.outputs, data.inputs, options, config["seed"], self._device)

    def _recorder(
        self, trial: Trial, retain: Samples, forget: Samples, config: dict[str, Any], tell: Tell | None
    ) -> Recorder:
        if not self.context.probe_every:
            return Recorder(tell=tell)
        autocast = autocast_context(config["training"]["precision"], self._device)
        samples, seed = self.context.probe_samples, config["seed"]
        probe = make_probe(retain, forget, samples, seed, find_kind(config["dataset"]["name"]), autocast)
        if trial.original_id is not None:
            key = (trial.original_id, json.dumps(config["forget"], sort_keys=True))
            if self._probed is None or self._probed[0] != key:
                self._probed = (key, {})
            probe = remembered(probe, self._original_state(trial), self._probed[1])
        return Recorder(probe, self.context.probe_every, tell)

    def _fit(self, config: dict[str, Any], recorder: Recorder) -> Fit:
        kind = find_kind(config["dataset"]["name"])
        recipe = kind.training_keys(**config["training"])
        return partial(
            train,
            recipe=recipe,
            seed=config["seed"],
            criterion=kind.criterion,
            autocast=autocast_context(recipe.precision, self._device),
            recorder=recorder,
        )


@dataclass
class Measurements:
    """What a trial measured: columns of its row, its traces, its predictions, and what relearning gave."""

    columns: dict[str, Any] = field(default_factory=dict)
    traces: list[dict[str, Any]] = field(default_factory=list)
    predictions: pa.Table | None = None
    relearned: Relearned | None = None


@cache
def warm_up(device: torch.device) -> None:
    """Load what a first training step and a first attack need. These seconds should not count as a trial's."""
    import sklearn.svm  # noqa: F401

    layer = nn.Conv2d(1, 1, 1).to(device)
    layer(torch.ones(1, 1, 1, 1, device=device)).sum().backward()
    torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9).step()
    synchronise(device)


class StorageError(Exception):
    """Results cannot be read or stored. This is no failure of the trial, and is not recorded as one."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def require_finite(model: nn.Module) -> None:
    """Raise Diverged if a weight or buffer is not finite."""
    if not all(bool(tensor.isfinite().all()) for tensor in model.state_dict().values()):
        raise Diverged("weights are not finite")
