"""Methods for the benchmarks, as `made_trials:Name`, and sweeps of them."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import torch
import yaml
from command_line import environment, script
from torch import nn

from methods import Method, Task, hyperparameter
from sweep.trial.job import Outcome
from sweep.trial.worker import Measurements, Worker

ENVIRONMENT = environment()
"""For commands that are to find this file."""


@dataclass(frozen=True)
class Empty(Method):
    """Returns the original; what is left of such a trial is evaluating and storing."""

    name: ClassVar[str] = "empty"
    source: ClassVar[str] = "-"

    number: int = hyperparameter(0, "which one")

    def unlearn(self, task: Task) -> nn.Module:
        return task.model


@dataclass(frozen=True)
class Busy(Empty):
    """Computes for a while, then returns the original."""

    name: ClassVar[str] = "busy"

    seconds: float = hyperparameter(2.0, "how long")

    def unlearn(self, task: Task) -> nn.Module:
        factor, ends = torch.full((128, 128), 1 / 128), time.perf_counter() + self.seconds
        while time.perf_counter() < ends:
            factor = factor @ factor
        return task.model


@dataclass(frozen=True)
class Nothing(Empty):
    """Measures nothing either, from a process's second trial on: such a trial takes what its scheduling takes."""

    name: ClassVar[str] = "nothing"

    def unlearn(self, task: Task) -> nn.Module:
        Worker.measure = lambda worker, job, tell=None: (Measurements(), Outcome("ok"))
        return task.model


@contextmanager
def made_sweep(
    method: str, trials: int, fixed: dict[str, object] | None = None, **changes: object
) -> Iterator[tuple[Path, Path]]:
    """A spec file of `trials` trials of a method above on the smallest data and model, and a place for its results.

    `fixed` are other hyperparameters of the method, `changes` other keys of the spec.
    """
    spec = {
        "name": method.lower(),
        "dataset": {"name": "digits", "limit": 200},
        "model": {"name": "small-cnn", "width": 4},
        "training": {"epochs": 1},
        "seeds": [0],
        "probe": {"every": 0},
        "methods": [{"name": f"made_trials:{method}", "number": list(range(trials))} | (fixed or {})],
    }
    with TemporaryDirectory() as folder:
        path = Path(folder) / "made.yaml"
        path.write_text(yaml.safe_dump(spec | changes))
        yield path, Path(folder) / "results"


def run_sweep(spec: Path | str, out: Path, *options: str) -> float:
    """Seconds of the whole command `unlearn-sweep run`."""
    began = time.perf_counter()
    ended = subprocess.run(
        [script(), "run", str(spec), "--out", str(out), *options], capture_output=True, text=True, env=ENVIRONMENT
    )
    if ended.returncode:
        raise SystemExit(f"unlearn-sweep run exited with {ended.returncode}: {ended.stderr}")
    return time.perf_counter() - began
