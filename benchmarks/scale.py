"""Very large sweeps: python benchmarks/scale.py [--small].

Seconds of `unlearn-sweep plan` for 100,000 trials, with nothing stored and with all stored in a file each: the first
time, when it reads all files and writes the index, and the second; and seconds of `unlearn-sweep status`. And the
memory of a driver that has 100,000 trials to run and runs some of them through Ray Tune, or all with `--seconds 3600`;
these trials measure nothing, so that many end. Targets: 5 s to plan, 10 s the second time, under 1 GB and flat. The
report of so many trials is measured by report.py.
"""

import os
import signal
import subprocess
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from unittest import mock

import typer
from command_line import measure, script
from machine import machine
from made_trials import ENVIRONMENT, made_sweep

from sweep.plan.trials import Trial, plan_trials
from sweep.spec.sweep_spec import Spec, load_spec
from sweep.store.index import SETTLED
from sweep.store.results import Results

TARGETS = {"plan": 5.0, "second": 10.0, "memory": 1.0}


def main(
    trials: Annotated[int, typer.Option()] = 100_000,
    seconds: Annotated[float, typer.Option(help="How long the driver runs trials; 0: not at all.")] = 60.0,
    small: Annotated[bool, typer.Option(help="Only see that it runs.")] = False,
) -> None:
    if small:
        trials, seconds = 200, 15.0
    print(machine())
    with made_sweep("Empty", trials // 10, seeds=list(range(10))) as (path, out):
        spec = load_spec(str(path), [])
        began, computing = time.perf_counter(), time.process_time()
        planned = plan_trials(spec)
        seconds_taken = f"{time.perf_counter() - began:.1f} s, {time.process_time() - computing:.1f} s of computing"
        print(f"{len(planned)} trials planned in {seconds_taken}", flush=True)
        plan = ["plan", path, "--out", out]
        print(f"plan, nothing stored: {measure(*plan)} (target {TARGETS['plan']:.0f} s)", flush=True)
        store(planned, spec, out)
        time.sleep(SETTLED / 1e9 + 1)  # files of a moment ago are not remembered
        print(f"plan, all stored, first start: {measure(*plan)}", flush=True)
        print(f"plan, all stored, second start: {measure(*plan)} (target {TARGETS['second']:.0f} s)", flush=True)
        print(f"status: {measure('status', out)}", flush=True)
    if seconds:
        print(f"memory of a driver (target under {TARGETS['memory']:.0f} GB, flat):", flush=True)
        with made_sweep("Nothing", trials // 10, seeds=list(range(10))) as (path, out):
            driver_memory(path, out, seconds)


def driver_memory(spec: Path, out: Path, seconds: float) -> None:
    """Print the resident memory of a run's driver while it runs trials; then interrupt it."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [script(), "run", spec, "--out", out], stdout=log, stderr=log, start_new_session=True, env=ENVIRONMENT
        )
        while not list(out.glob("trials/*.parquet")):
            if process.poll() is not None:
                log.seek(0)
                raise SystemExit(log.read().decode())
            time.sleep(0.1)
        began, pause = time.monotonic(), min(seconds / 4, 60.0)
        while process.poll() is None and (passed := time.monotonic() - began) < seconds + pause / 2:
            gib, done = resident(process.pid), len(Results(str(out)).trials(["trial_id"]).table)
            print(f"driver after {passed:4.0f} s of trials: {done:6} done, {gib:.3f} GiB", flush=True)
            time.sleep(max(0.0, began + passed + pause - time.monotonic()))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)  # which reaches a process in the background too
        process.wait()


def resident(process: int) -> float:
    """GiB of a living process; 0 of one that ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 2**20 for line in lines if line.startswith("VmRSS:")), 0.0)


def store(trials: list[Trial], spec: Spec, out: Path) -> None:
    """Write a row for every trial, from as many processes as there are cores."""
    parts = [trials[part :: os.cpu_count()] for part in range(os.cpu_count() or 1)]
    with ProcessPoolExecutor() as pool:
        list(pool.map(store_part, parts, [spec.name] * len(parts), [str(out)] * len(parts)))


def store_part(trials: list[Trial], name: str, out: str) -> None:
    """Write rows as a sweep does, without waiting for the disk."""
    from sweep.trial.job import Context, Outcome
    from sweep.trial.rows import trial_row

    results, context = Results(out), Context(name, out, {}, 1, gpu=False, max_retries=0, predictions=False)
    with mock.patch("os.fsync"):
        for trial in trials:
            results.write_trial(trial_row(trial, context, Outcome("ok"), datetime.now(UTC)))


if __name__ == "__main__":
    typer.run(main)
