"""Methods for the benchmarks, as `made_trials:Name`, and sweeps of them."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import yaml
from torch import nn

from methods import Method, Task, hyperparameter

SCRIPT = Path(sys.executable).with_name("unlearn-sweep")

_PATHS = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(_PATHS), "RAY_worker_niceness": "0"}
"""For commands that are to find this file."""


@dataclass(frozen=True)
class Empty(Method):
    """Returns the original; what is left of such a trial is evaluating and storing."""

    name: ClassVar[str] = "empty"
    source: ClassVar[str] = "-"

    number: int = hyperparameter(0, "which one")

    def unlearn(self, task: Task) -> nn.Module:
        return task.model


@contextmanager
def made_sweep(method: str, trials: int, **changes: object) -> Iterator[tuple[Path, Path]]:
    """A spec file of `trials` trials of a method above on the smallest data and model, and a place for its results."""
    spec = {
        "name": method.lower(),
        "dataset": {"name": "digits", "limit": 200},
        "model": {"name": "small-cnn", "width": 4},
        "training": {"epochs": 1},
        "seeds": [0],
        "probe": {"every": 0},
        "methods": [{"name": f"made_trials:{method}", "number": list(range(trials))}],
    }
    with TemporaryDirectory() as folder:
        path = Path(folder) / "made.yaml"
        path.write_text(yaml.safe_dump(spec | changes))
        yield path, Path(folder) / "results"
