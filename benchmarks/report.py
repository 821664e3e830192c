"""Time and memory of the report on a large results directory: python benchmarks/report.py [--trials N] [--keep DIR].

Writes N trials (one file each, as a sweep does) and ten times as many trace rows to a temporary folder, runs
`unlearn-sweep report` on them twice on two cores, first without and then with the index that the first one writes, and
`unlearn-sweep status`, and prints seconds and peak memory against the targets. With `--keep`, an index that is there
stays, and there is no first run.
"""

import json
import math
import os
import random
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Annotated
from unittest import mock

import typer
from command_line import measure
from machine import machine

from sweep.store.content_ids import canonical_json, content_id
from sweep.store.index import INDEX, SETTLED
from sweep.store.results import Results

CORES = 2
SEEDS = 10
TASKS = 10
EPOCHS = 10
TARGET_SECONDS = 60
TARGET_GIB = 2
METHODS = ("finetune", "neggrad", "randomlabel", "fisher", "influence", "uam")
OPTIMISER = {"epochs": EPOCHS, "momentum": 0.9, "weight_decay": 0.0005, "batch_size": 64}


def main(
    trials: Annotated[int, typer.Option(help="Rows of `trials`.")] = 100_000,
    keep: Annotated[Path | None, typer.Option(metavar="DIR", help="Write the results here, and leave them.")] = None,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        directory = keep or Path(folder) / "results"
        print(machine())
        if not directory.exists():
            started = time.perf_counter()
            generate(directory, trials)
            print(f"{trials} trials, {trials * EPOCHS} trace rows; generated in {time.perf_counter() - started:.0f} s")
            time.sleep(SETTLED / 1e9 + 1)  # files of a moment ago are not remembered
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
        report = ["report", directory, "--out", Path(folder) / "report"]
        target = f"target {TARGET_SECONDS} s, {TARGET_GIB} GiB"
        if not (directory / INDEX).exists():
            print(f"report, without the index: {measure(*report)} ({target})", flush=True)
        print(f"report, with the index: {measure(*report)} ({target})", flush=True)
        print(f"status, with the index: {measure('status', directory)}", flush=True)
        print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def generate(directory: Path, trials: int) -> None:
    """Write the trials from as many processes as there are cores to use."""
    configurations = max(1, math.ceil(trials / (SEEDS * TASKS)) - 1)
    places = list(product(range(TASKS), range(SEEDS), range(-1, configurations)))[:trials]
    with ProcessPoolExecutor(CORES) as pool:
        list(pool.map(write_trials, [str(directory)] * CORES, [places[part::CORES] for part in range(CORES)]))
    (directory / "spec.yaml").write_text("name: large\n", encoding="utf-8")
    (directory / "environment.json").write_text(json.dumps({"python": sys.version.split()[0]}), encoding="utf-8")


def write_trials(directory: str, places: list[tuple[int, int, int]]) -> None:
    """Store made-up trials as a sweep stores real ones, without waiting for the disk."""
    results = Results(directory)
    with mock.patch("os.fsync"):
        for task, seed, configuration in places:
            results.write_trial(*made_trial(task, seed, configuration))


def made_trial(task: int, seed: int, configuration: int) -> tuple[dict, list[dict]]:
    """A row and its traces; configuration -1 is Retrain."""
    draw = random.Random(f"{task} {seed} {configuration}")
    if configuration < 0:
        method, params = "retrain", {}
    else:
        method, rank = METHODS[configuration % len(METHODS)], configuration // len(METHODS)
        params = OPTIMISER | {"lr": round(1e-4 * 1.1 ** (rank % 50), 6), "rho": 1 + rank // 50}
    forget = {"scenario": "random", "ratio": (task + 1) / 50}
    setting = {"dataset": {"name": "digits"}, "forget": forget, "model": {"name": "small-cnn", "width": 32}}
    setting |= {"training": OPTIMISER | {"lr": 0.1}}
    config = canonical_json(setting | {"seed": seed, "method": {"name": method, "params": params, "version": 1}})
    trial_id, now = content_id(config), datetime.now(UTC)
    status = "ok" if draw.random() > 0.01 or configuration < 0 else draw.choice(["diverged", "failed"])
    error = None if status == "ok" else 'Traceback (most recent call last):\n  File "x.py", line 1\nValueError: no\n'
    original_id = None if configuration < 0 else content_id(f"{task} {seed}")
    row = {"trial_id": trial_id, "task_id": content_id(canonical_json(setting)), "original_id": original_id}
    row |= {"sweep": "large", "status": status, "error": error, "dataset": "digits", "model": "small-cnn", "seed": seed}
    row |= {"scenario": "random", "forget_ratio": forget["ratio"], "n_retain": 1200, "n_forget": 130}
    row |= {"method": method, "params": canonical_json(params), "config": config}
    if status == "ok":
        row |= {f"{name}_accuracy": draw.uniform(60, 100) for name in ("retain", "forget", "test")}
        row |= {"mia": draw.uniform(0, 30), "unlearn_seconds": draw.uniform(1, 9), "eval_seconds": 0.1}
    row |= {"samples_processed": 12_000, "peak_memory_bytes": 2**28, "device": "cpu", "threads": 1, "host": "host"}
    row |= {"code_version": "0.1.0+00000000", "started_at": now, "finished_at": now}
    return row, [made_trace(trial_id, epoch, draw) for epoch in range(1, EPOCHS + 1)]


def made_trace(trial_id: str, epoch: int, draw: random.Random) -> dict:
    """A row of a trial's path."""
    trace = {"trial_id": trial_id, "epoch": epoch, "step": 19 * epoch, "seconds": 0.1 * epoch, "samples": 1200 * epoch}
    trace |= {"retain_loss": draw.random(), "forget_loss": draw.random(), "gradient_degrees": draw.uniform(0, 180)}
    trace |= {"probe_retain_loss": draw.random(), "probe_forget_loss": draw.random(), "probe_cosine": 0.0}
    trace |= {f"probe_{name}_accuracy": draw.uniform(60, 100) for name in ("retain", "forget")}
    return trace | {"probe_degrees": draw.uniform(0, 180)}


if __name__ == "__main__":
    typer.run(main)
