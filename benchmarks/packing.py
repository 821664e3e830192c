"""Trials that share a GPU: python benchmarks/packing.py [--spec SPEC] [--set PATH=VALUE]... [--small].

Trials per hour of one sweep with 1, 2, 4 and 8 trials at a time on one GPU, originals trained before. Without a GPU,
and with --small, they share the cores, which shows that it runs and nothing else.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import torch
import typer
from machine import machine
from made_trials import run_sweep

from sweep.plan import plan_trials
from sweep.spec import load_spec


def main(
    spec: Annotated[str, typer.Option()] = "ablation-rho-gamma-cifar10",
    overrides: Annotated[list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="As of `run`.")] = None,
    shares: Annotated[str, typer.Option(help="Trials at a time, comma-separated.")] = "1,2,4,8",
    small: Annotated[bool, typer.Option(help="Only see that it runs.")] = False,
) -> None:
    options = list(overrides or [])
    if small:
        spec, shares = "digits", "2"
        options += [
            "seeds=[0]",
            "training.epochs=1",
            "dataset.limit=200",
            "methods=[{name: uam, epochs: 1, rho: [1, 2]}]",
        ]
    print(machine())
    resource = "gpus" if torch.cuda.is_available() else "cpus"
    count = len(plan_trials(load_spec(spec, options)))
    print(f"{'at a time':>9} {'seconds':>8} {'trials per hour':>16}")
    for share in map(int, shares.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "results"
            chosen = [*options, f"resources.{resource}={1 / share}"]
            arguments = [word for option in chosen for word in ("--set", option)]
            run_sweep(spec, out, *arguments)
            for row in (out / "trials").iterdir():
                row.unlink()
            seconds = run_sweep(spec, out, *arguments)
        print(f"{share:9} {seconds:8.1f} {3600 * count / seconds:16.0f}", flush=True)


if __name__ == "__main__":
    typer.run(main)
