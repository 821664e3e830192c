"""What `unlearn-sweep run digits` costs where nothing is left to run: python benchmarks/starting.py [--small].

The whole command, which then prints the comparison, divided by `python -c "import torch"`, in turns: medians of both in
seconds of the clock and of the processor. Target: 1.5 at most.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from typing import Annotated

import typer
from command_line import script
from machine import machine

from sweep.engine.driver import run_context
from sweep.plan.trials import plan_trials
from sweep.spec.sweep_spec import load_spec
from sweep.store.columns import METRICS
from sweep.store.results import Results
from sweep.trial.job import Outcome
from sweep.trial.rows import trial_row

TARGET = 1.5


def main(
    rounds: Annotated[int, typer.Option(help="Turns.")] = 9,
    small: Annotated[bool, typer.Option(help="Only see that it runs.")] = False,
) -> None:
    with tempfile.TemporaryDirectory() as out:
        store_all(out)
        again = [script(), "run", "digits", "--out", out]
        floor = [sys.executable, "-c", "import torch"]
        turns = [(seconds(again), seconds(floor)) for _ in range(1 if small else rounds)]
    print(machine())
    for place, kind in enumerate(("clock", "processor")):
        command, torch = (statistics.median(turn[part][place] for turn in turns) for part in (0, 1))
        ratio = statistics.median(one[place] / other[place] for one, other in turns)
        print(f"{kind:9} command {command:.2f} s, import torch {torch:.2f} s, ratio {ratio:.2f} (target {TARGET})")


def store_all(out: str) -> None:
    """Rows that say of every trial that it ended well, and came closer to Retrain than the original."""
    spec, results = load_spec("digits"), Results(out)
    context = run_context(spec, out, refresh=False)
    for trial in plan_trials(spec):
        row = trial_row(trial, context, Outcome("ok"), datetime.now(UTC))
        measured = dict.fromkeys(METRICS, {"retrain": 50.0, "original": 90.0}.get(trial.method, 60.0))
        results.write_trial(row | measured | {"unlearn_seconds": 1.0, "samples_processed": 1})


def seconds(command: list[str]) -> tuple[float, float]:
    """Of the clock, and of the processor."""
    began, computed = time.perf_counter(), computing()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began, computing() - computed


def computing() -> float:
    """Seconds of the processor that all commands have used that ended."""
    times = os.times()
    return times.children_user + times.children_system


if __name__ == "__main__":
    typer.run(main)
