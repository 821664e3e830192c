"""Trials that share a GPU: python benchmarks/packing.py [--spec SPEC] [--set PATH=VALUE]... [--small].

Trials per hour of one sweep with 1, 2, 4 and 8 trials at a time on one GPU, its originals trained before. Without
--spec it is eight trials of UAM that take seconds each, ResNet-18 on 10,000 images of CIFAR-10: about five minutes in
all. Say where the data lies with `--set dataset.path=ROOT`. Without a GPU, and with --small, they share the cores,
which shows that it runs and nothing else.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import torch
import typer
from machine import machine
from made_trials import run_sweep

from sweep.plan.trials import plan_trials
from sweep.spec.sweep_spec import load_spec

SHORT = [
    "training.epochs=1",
    "dataset.limit=10000",
    "methods=[{name: uam, epochs: 3, batch_size: 128, rho: [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4]}]",
    "seeds=[0]",
]
"""Trials that differ in nothing that takes time, from one original that need not be good."""


def main(
    spec: Annotated[str | None, typer.Option(help="Another sweep, as it is; a long one takes long.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="As of `run`.")] = None,
    shares: Annotated[str, typer.Option(help="Trials at a time, comma-separated.")] = "1,2,4,8",
    small: Annotated[bool, typer.Option(help="Only see that it runs.")] = False,
) -> None:
    options = [*([] if spec else SHORT), *(overrides or [])]
    spec = spec or "ablation-rho-gamma-cifar10"
    if small:
        spec, shares = "digits", "2"
        options = ["seeds=[0]", "training.epochs=1", "dataset.limit=200"]
        options += ["methods=[{name: uam, epochs: 1, rho: [1, 2]}]"]
    print(machine())
    resource = "gpus" if torch.cuda.is_available() else "cpus"
    count = len(plan_trials(load_spec(spec, options)))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "results"
        run_sweep(spec, out, *words([*options, "methods=[{name: original}]"]))
        print(f"{'at a time':>9} {'seconds':>8} {'trials per hour':>16}", flush=True)
        for share in map(int, shares.split(",")):
            seconds = run_sweep(spec, out, *words([*options, f"resources.{resource}={1 / share}"]))
            for row in (out / "trials").iterdir():
                row.unlink()
            print(f"{share:9} {seconds:8.1f} {3600 * count / seconds:16.0f}", flush=True)


def words(settings: list[str]) -> list[str]:
    """Settings as options of the command."""
    return [word for setting in settings for word in ("--set", setting)]


if __name__ == "__main__":
    typer.run(main)
