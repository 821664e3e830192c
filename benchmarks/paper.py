"""The comparison of a paper on one GPU: python benchmarks/paper.py [--set PATH=VALUE]... [--small].

Minutes of `unlearn-sweep run methods-cifar10` from nothing: original models, Retrain and all methods on CIFAR-10 with
ResNet-18, three seeds, with the printing of the table. Target: 15 minutes on an H200. Say where the data lies with
`--set dataset.path=ROOT`. `--small` runs the same sweep in a tiny form on the embedded digits, on anything.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from machine import machine
from made_trials import run_sweep

from sweep.plan.trials import plan_trials
from sweep.spec.sweep_spec import load_spec

TARGET = 15
TINY = [
    "dataset={name: digits, limit: 200}",
    "model={name: small-cnn, width: 4}",
    "training.epochs=1",
    "training.batch_size=64",
    *(f"methods.{place}.epochs=1" for place in (2, 3, 4, 7)),
    *(f"methods.{place}.samples=100" for place in (5, 6)),
    "seeds=[0]",
]


def main(
    overrides: Annotated[list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="As of `run`.")] = None,
    preset: Annotated[str, typer.Option()] = "methods-cifar10",
    small: Annotated[bool, typer.Option(help="Only see that it runs.")] = False,
) -> None:
    options = [*(TINY if small else []), *(overrides or [])]
    print(machine())
    trials = plan_trials(load_spec(preset, options))
    originals = {trial.original_id for trial in trials} - {None}
    with tempfile.TemporaryDirectory() as folder:
        arguments = [word for option in options for word in ("--set", option)]
        seconds = run_sweep(preset, Path(folder) / "results", *arguments)
    target = "no target in this form" if small else f"target {TARGET}, on an H200"
    print(f"{preset}: {len(trials)} trials and {len(originals)} originals in {seconds / 60:.1f} minutes ({target})")


if __name__ == "__main__":
    typer.run(main)
