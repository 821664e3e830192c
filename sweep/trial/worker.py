"""A worker runs one job after another in its process: trains an original, or unlearns, evaluates and stores a trial."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, NoReturn

import pyarrow as pa
import torch
from torch import nn

from methods import Diverged, Recorder, Task, Unsuitable
from methods.task import Tell, derived_seed
from sweep.errors import Unsuccessful, first_line
from sweep.plan.trials import Trial, describe
from sweep.plan.versions import original_version
from sweep.spec.plugins import find_dataset, find_kind, find_method
from sweep.store.columns import MEASURED
from sweep.store.originals import Original, State, checksum, load_original, store_original
from sweep.store.results import Relearned, Results
from sweep.store.row_lists import stored_row_list
from sweep.tasks.device_data import DeviceData
from sweep.tasks.models import load_state, stored_state, tensors_of
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
from sweep.trial.setting import Setting
from sweep.trial.so_far import told
from sweep.trial.timeout import OutOfTime, time_limit
from sweep.trial.training import computed_in, rehearse
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
        set_arithmetic(describe(job.trial)["training"]["precision"])
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
            self._original = (str(trial.original_id), self._new_original(trial, self._setting(trial)))
        except Diverged as error:
            return Measurements(), Outcome("diverged", f"the original diverged: {error}")
        return Measurements(), Outcome("ok")

    def _unlearn(self, trial: Trial, tell: Tell | None) -> tuple[Measurements, Outcome]:
        setting = self._setting(trial)
        method, training = setting.method, setting.config["training"]
        try:
            model = self._original_model(trial, setting)
        except Diverged as error:
            return Measurements(), Outcome("diverged", f"the original diverged: {error}")
        batch_size = getattr(method, "batch_size", None if method.needs_original else training["batch_size"])
        if self.context.gpu and batch_size is not None:
            again = self._original_model(trial, setting)
            rehearse(again, (setting.retain, setting.forget), batch_size, setting.kind.criterion, setting.autocast)
            del again
        recorder = self._recorder(trial, setting, tell)
        task = setting.task(model, recorder)
        if method.needs_original:
            recorder.record(epoch=0, step=0, model=model)
        torch.manual_seed(derived_seed(setting.seed, "method"))
        reset_peak_memory(self._device)
        aside = recorder.seconds_aside
        unlearned: nn.Module | None = None
        started = time.perf_counter()
        try:
            found = method.unlearn(task)
            synchronise(self._device)
            require_finite(found)
            unlearned, outcome = found, Outcome("ok")
        except Diverged as error:
            outcome = Outcome("diverged", str(error))
        seconds = time.perf_counter() - started - (recorder.seconds_aside - aside)
        self.busy = busy()  # now, because evaluation also computes on the CPU
        original = self._original[1] if self._original and trial.original_id else None
        columns: dict[str, Any] = {
            "original_version": original.version if original else None,
            "original_sha256": original.sha256 if original else None,
            "n_retain": len(setting.retain),
            "n_forget": len(setting.forget),
            "unlearn_seconds": seconds,
            "samples_processed": recorder.samples_processed,
            "peak_memory_bytes": peak_memory(self._device),
            "precision": computed_in(training["precision"], self._device),
        }
        ended = Measurements(columns)
        if unlearned is not None:
            recorder.finish(unlearned)
            outcome = self._judge(trial, setting, task, unlearned, ended)
        ended.traces = [trace_row(trial.id, row) for row in recorder.rows]
        columns["notes"] = json.dumps(recorder.notes, sort_keys=True) if recorder.notes else None
        return ended, outcome

    def _judge(self, trial: Trial, setting: Setting, task: Task, unlearned: nn.Module, ended: Measurements) -> Outcome:
        """Add what is measured of an unlearned model to what was measured so far; return how the trial ended."""
        kind, columns, wanted = setting.kind, ended.columns, self.context.predictions
        given = setting.data, setting.split, setting.forget_set, setting.seed
        columns["model_sha256"] = checksum(tensors_of(unlearned))
        started = time.perf_counter()
        try:
            with full_float32():
                found = kind.evaluate(unlearned, *given)
            columns |= measured(found.metrics)
            ended.predictions = prediction_rows(trial.id, found.wanted(wanted))
            columns["kept_predictions"] = ("true" if wanted is True else wanted) or None
            original = None if trial.original_id is None else self._original_state(trial, setting)
            asked = task.forget if self.context.forget_information else None
            columns |= of_weights(unlearned, original, asked, kind.criterion, task.recorder)
        except Diverged as error:
            return Outcome("diverged", str(error))
        finally:
            columns["eval_seconds"] = time.perf_counter() - started
        if self.context.relearning is not None:
            forgotten = full_float32()(lambda model: kind.evaluate_forget(model, *given))
            whole = full_float32()(lambda model: kind.evaluate(model, *given))
            recipe, keep = self.context.relearning, bool(wanted)
            ended.relearned = relearn(trial.id, unlearned, task, recipe, found, forgotten, whole, keep)
        return Outcome("ok")

    def _original_model(self, trial: Trial, setting: Setting) -> nn.Module:
        if trial.original_id is None:
            return setting.build()
        model = setting.untrained()
        load_state(model, self._original_state(trial, setting))
        return model.eval()

    def _original_state(self, trial: Trial, setting: Setting) -> State:
        """The original's weights: kept from the last trial, else read from results, else trained and stored."""
        assert trial.original_id is not None
        if self._original is None or self._original[0] != trial.original_id:
            with storage_access():
                original = load_original(self._results, trial.original_id)
            ours = original_version(setting.config)
            if original is None or (self.context.refresh and original.version != ours):
                original = self._new_original(trial, setting)
            self._original = (trial.original_id, original)
        return self._original[1].state

    def _new_original(self, trial: Trial, setting: Setting) -> Original:
        torch.manual_seed(derived_seed(setting.seed, "original"))
        method, model, fit = setting.method, setting.untrained(), setting.fit(Recorder())
        train = setting.training_set
        model = fit(model, train) if method.shapes_training is None else method.train_original(model, train, fit)
        self.busy = busy()
        require_finite(model)
        original = Original(stored_state(model), original_version(setting.config))
        with storage_access():
            store_original(self._results, str(trial.original_id), original)
        return original

    def _setting(self, trial: Trial) -> Setting:
        """What the trial works with. The dataset is kept from the last trial if that had the same."""
        config = describe(trial)
        options, forget = config["dataset"], config["forget"]
        kind, method = find_kind(options["name"]), find_method(config["method"]["name"])(**config["method"]["params"])
        model = {key: value for key, value in config["model"].items() if key != "fingerprint"}
        model |= self.context.model_location
        key = json.dumps([options, config["model"]], sort_keys=True)
        if self._data is None or self._data[0] != key:
            self._data = None
            shared = set(kind.dataset_keys.model_fields) | {"fingerprint"}
            own = {name: value for name, value in options.items() if name not in shared} | self.context.location
            read = kind.for_model(find_dataset(options["name"])(**own).load(), model)
            self._data = (key, kind.on_device(read, options, self._device))
        if "rows" in forget:
            with storage_access():
                forget = forget | {LISTED: stored_row_list(self._results, forget["rows"])}
        return Setting(config, kind, method, model, self._data[1], forget, self._device)

    def _recorder(self, trial: Trial, setting: Setting, tell: Tell | None) -> Recorder:
        if not self.context.probe_every:
            return Recorder(tell=tell)
        samples, seed = self.context.probe_samples, setting.seed
        probe = make_probe(setting.retain, setting.forget, samples, seed, setting.kind, setting.autocast)
        if trial.original_id is not None:
            key = (trial.original_id, json.dumps(setting.config["forget"], sort_keys=True))
            if self._probed is None or self._probed[0] != key:
                self._probed = (key, {})
            probe = remembered(probe, self._original_state(trial, setting), self._probed[1])
        return Recorder(probe, self.context.probe_every, tell)


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


@contextmanager
def storage_access() -> Iterator[None]:
    """Raise StorageError where the body raises OSError."""
    try:
        yield
    except OSError as error:
        raise StorageError(error) from error


def require_finite(model: nn.Module) -> None:
    """Raise Diverged if a weight or buffer is not finite."""
    if not all(bool(tensor.isfinite().all()) for tensor in model.state_dict().values()):
        raise Diverged("weights are not finite")
