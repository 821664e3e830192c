"""Where the time goes: python benchmarks/hotspots.py [trial|sweep] [--set PATH=VALUE]... [--small].

`trial`: a UAM trial of resnet8 in this process under torch's profiler, its original trained before: shares of the
trial's seconds by kind of operation. `sweep`: the `digits` preset through Ray: slots x seconds of the whole command,
divided into what its rows say of unlearning and evaluation, and the rest.
"""

import os
import tempfile
import time
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from machine import machine
from made_trials import run_sweep
from torch.profiler import ProfilerActivity, profile

from sweep.store.results import Results

TRIAL = [
    "model={name: resnet8}",
    "training.epochs=1",
    "seeds=[0]",
    "methods=[{name: uam, epochs: 2}]",
]
KINDS = {
    "convolution, backward": ("convolution_backward",),
    "convolution, forward": ("mkldnn_convolution", "conv2d", "_convolution", "cudnn_convolution"),
    "batch norm, backward": ("batch_norm_backward",),
    "batch norm, forward": ("batch_norm",),
    "SGD step": ("SGD", "_foreach", "_fused"),
    "batches drawn, cropped, normalised": ("aten::index", "constant_pad", "aten::randint", "aten::_to_copy"),
    "copies between layouts": ("aten::copy_", "aten::clone", "aten::contiguous"),
}
"""Operations by a part of their name; the first that fits."""


class What(StrEnum):
    trial = "trial"
    sweep = "sweep"


def main(
    what: Annotated[What, typer.Argument()] = What.trial,
    overrides: Annotated[list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="As of `run`.")] = None,
    small: Annotated[bool, typer.Option(help="Only see that it runs.")] = False,
) -> None:
    options = [*(["dataset.limit=200", "training.epochs=1", "seeds=[0]"] if small else []), *(overrides or [])]
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        (trial_profile if what is What.trial else sweep_profile)(Path(folder) / "results", options)


def trial_profile(out: Path, options: list[str]) -> None:
    """Print shares of a trial's seconds."""
    from sweep.cli.app import app

    arguments = [word for option in [*TRIAL, *options] for word in ("--set", option)]
    command = ["run", "digits", "--executor", "inline", "--out", str(out), *arguments]
    app([*command, "--set", "methods=[{name: original}]"], standalone_mode=False)
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        began = time.perf_counter()
        app(command, standalone_mode=False)
        wall = time.perf_counter() - began
    seconds: Counter[str] = Counter()
    for event in seen.key_averages():
        kind = next((kind for kind, names in KINDS.items() if any(name in event.key for name in names)), "other")
        seconds[kind] += event.self_cpu_time_total / 1e6
    seconds["Python, storing, reading"] = wall - sum(seconds.values())
    print(f"one UAM trial, {wall:.1f} s of the command in a process that has torch")
    for kind, spent in seconds.most_common():
        print(f"{kind:36} {spent:7.2f} s {spent / wall:7.1%}")


def sweep_profile(out: Path, options: list[str]) -> None:
    """Print what slots x seconds of a sweep went into."""
    slots = os.cpu_count() or 1
    wall = run_sweep("digits", out, *(word for option in options for word in ("--set", option)))
    rows = Results(str(out)).trials().table.to_pylist()
    unlearning = sum(row["unlearn_seconds"] for row in rows)
    evaluating = sum(row["eval_seconds"] for row in rows)
    trials = sum((row["finished_at"] - row["started_at"]).total_seconds() for row in rows)
    first = min(row["started_at"] for row in rows)
    last = max(row["finished_at"] for row in rows)
    span = (last - first).total_seconds()
    whole = slots * wall
    parts = {
        "unlearning": unlearning,
        "evaluation and its attack": evaluating,
        "rest of trials: data, original, probe, storing": trials - unlearning - evaluating,
        "between trials: originals, scheduling, idle": slots * span - trials,
        "before the first trial and after the last": whole - slots * span,
    }
    print(f"digits: {len(rows)} trials, {wall:.1f} s of the command on {slots} slots")
    for part, spent in parts.items():
        print(f"{part:48} {spent:7.1f} s {spent / whole:7.1%}")


if __name__ == "__main__":
    typer.run(main)
