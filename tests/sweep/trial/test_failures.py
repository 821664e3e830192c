"""Trials that raise, hang, find no memory or lose their GPU, and results that cannot be stored."""

from __future__ import annotations

import os
import subprocess
import sys
import weakref

import pytest
import torch
from plugin_examples import Exhausts, Raises

from sweep.errors import Unsuccessful
from sweep.store.columns import METRICS
from sweep.store.results import Results
from sweep.trial.job import Job


def test_a_method_that_raises_is_tried_again_and_recorded_failed_with_its_traceback(make_trial, run, monkeypatch):
    monkeypatch.setattr(Raises, "attempts", [])
    row = run(make_trial("plugin_examples:Raises"), max_retries=2)
    assert len(Raises.attempts) == 3
    assert row["status"] == "failed"
    assert row["error"].startswith("Traceback")
    assert row["error"].rstrip().endswith("RuntimeError: no luck")
    assert all(row[metric] is None for metric in METRICS)


def test_a_method_that_raises_once_is_fine_the_second_time(make_trial, run, monkeypatch):
    monkeypatch.setattr(Raises, "attempts", [])
    row = run(make_trial("plugin_examples:Raises", {"times": 1}), max_retries=1)
    assert (row["status"], row["error"]) == ("ok", None)


def test_a_trial_that_hangs_is_recorded_failed_with_that_reason(make_trial, run):
    row = run(make_trial("plugin_examples:Hangs"), max_retries=1, trial_timeout=2.0)
    assert (row["status"], row["error"]) == ("failed", "took longer than trial_timeout: 2 s")


@pytest.mark.parametrize("host", [False, True])
def test_a_trial_that_finds_no_memory_has_all_of_it_the_second_time(make_trial, make_worker, host, monkeypatch):
    monkeypatch.setattr(Exhausts, "attempts", [])
    worker = make_worker(max_retries=1)
    kept = []
    released = worker._release_memory
    monkeypatch.setattr(worker, "_release_memory", lambda: (released(), kept.append((worker._data, worker._original))))
    assert worker.run(Job(make_trial("plugin_examples:Exhausts", {"host": host}))).status == "ok"
    assert kept == [(None, None)]


def test_memory_is_released_when_nothing_of_the_attempt_is_left(make_worker, monkeypatch):
    worker, alive = make_worker(max_retries=1), []

    def attempt():
        activations = torch.ones(1)
        alive.append(weakref.ref(activations))
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(worker, "_release_memory", lambda: alive.append(alive[-1]() is None))
    assert worker._attempts(attempt)[1].status == "failed"
    assert alive[1::2] == [True, True]


def assertion_failed(*_: object) -> None:
    raise torch.AcceleratorError("CUDA error: device-side assert triggered\nCUDA kernel errors might be reported later")


def test_a_gpu_that_answers_no_more_ends_a_run_of_this_process_in_one_line(make_worker, monkeypatch):
    worker, attempts = make_worker(max_retries=3), []
    monkeypatch.setattr("sweep.trial.worker.warm_up", attempts.append)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    worker._device = torch.device("cuda")
    assert worker._attempts(assertion_failed)[1].status == "failed"  # the GPU is well: it was something else
    monkeypatch.setattr(torch.cuda, "synchronize", assertion_failed)
    with pytest.raises(Unsuccessful, match=r"^the GPU .*: CUDA error: device-side assert triggered; what .* goes on$"):
        worker._attempts(assertion_failed)
    assert len(attempts) == 4 + 1


BREAKS = """
import sys, torch
from sweep.trial import worker as trial
from sweep.trial.worker import Worker
from sweep.trial.job import Context

def assertion_failed(*_):
    raise torch.AcceleratorError("CUDA error: device-side assert triggered")

trial.warm_up = lambda device: None
torch.cuda.synchronize = assertion_failed
options = {"sweep": "s", "out": sys.argv[1], "location": {}, "threads": 1, "gpu": False, "predictions": False}
worker = Worker(Context(max_retries=3, expendable=True, **options))
worker._device = torch.device("cuda")
worker._attempts(assertion_failed)
print("goes on")
"""


def test_a_gpu_that_answers_no_more_ends_an_expendable_process(tmp_path):
    ended = subprocess.run([sys.executable, "-c", BREAKS, str(tmp_path)], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.rstrip().endswith("CUDA error: device-side assert triggered")


def test_a_trial_that_never_finds_enough_memory_is_recorded_failed(make_trial, run, monkeypatch):
    monkeypatch.setattr(Exhausts, "attempts", [])
    row = run(make_trial("plugin_examples:Exhausts"), max_retries=0)
    assert row["status"] == "failed"
    assert row["error"].rstrip().endswith("OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB.")


@pytest.mark.parametrize("full", ["models/", "trials/"])
def test_results_that_cannot_be_stored_are_raised_and_not_recorded(make_trial, make_worker, results, monkeypatch, full):
    write, trial = Results.write, make_trial("original")

    def full_disk(self: Results, path: str, content: bytes) -> None:
        if path.startswith(full):
            raise OSError(28, "No space left on device")
        write(self, path, content)

    monkeypatch.setattr(Results, "write", full_disk)
    with pytest.raises(OSError, match="No space left"):
        make_worker(max_retries=3).run(Job(trial))
    assert results.trials().table.num_rows == 0


class Mute(Exception):
    """An error that cannot say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize("error", [SystemExit(0), GeneratorExit(), Mute(), ValueError("no file 'caf\udce9'")])
def test_whatever_a_method_raises_is_in_the_row_of_its_trial(make_trial, run, monkeypatch, error):
    def unlearn(self: Raises, task: object) -> None:
        raise error

    monkeypatch.setattr(Raises, "unlearn", unlearn)
    row = run(make_trial("plugin_examples:Raises"))
    assert row["status"] == "failed"
    last = row["error"].splitlines()[-1]
    assert type(error).__name__ in last
    assert "caf" not in str(error.args) or last.endswith(r"no file 'caf\udce9'")


def test_sigterm_to_a_process_of_rays_is_no_failure_of_its_trial(make_worker):
    def terminated() -> None:
        raise SystemExit(1)  # what Ray makes of the signal

    with pytest.raises(SystemExit):
        make_worker(expendable=True)._attempts(terminated)


def test_a_method_changes_the_working_directory_for_itself_alone(make_trial, run, tmp_path, monkeypatch):
    changed = tmp_path / "changed"
    changed.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Raises, "unlearn", lambda self, task: (os.chdir(changed), task.model)[1])
    assert run(make_trial("plugin_examples:Raises"))["status"] == "ok"
    assert os.getcwd() == str(tmp_path)


def test_an_interrupt_is_not_caught(make_trial, make_worker, results, monkeypatch):
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sweep.tasks.evaluation.predict", interrupt)
    with pytest.raises(KeyboardInterrupt):
        make_worker().run(Job(make_trial("original")))
    assert results.trials().table.num_rows == 0


def test_a_method_that_refuses_fails_at_once_with_its_own_line(make_trial, run):
    row = run(make_trial("plugin_examples:Refuses"), max_retries=3)
    assert (row["status"], row["error"]) == ("failed", "refuses: 12.5 GiB are needed, and 1 GiB is the most")
