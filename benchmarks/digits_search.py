"""Choose the `digits` preset's hyperparameters: python benchmarks/digits_search.py [--out DIR].

Runs (or resumes) `digits-search.yaml` and prints, for each method, its configurations by mean gap to Retrain over
retain, forget and validation accuracy. Test data is not looked at.
"""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from analysis.frames import configuration_labels, read_frames

JUDGED_ON = ["gap.retain_accuracy", "gap.forget_accuracy", "gap.validation_accuracy"]
HERE = Path(__file__).resolve().parent


def main(out: Annotated[str, typer.Option(help="Results directory.")] = "results/digits-search") -> None:
    script = Path(sys.executable).parent / "unlearn-sweep"
    subprocess.run([script, "run", HERE / "digits-search.yaml", "--out", out], check=True, stdout=subprocess.DEVNULL)
    trials = read_frames(out).trials
    trials = trials[trials["method"] != "retrain"]
    trials = trials.assign(label=configuration_labels(trials), gap=trials[JUDGED_ON].mean(axis=1, skipna=False))
    print("| configuration | seeds ok | mean gap over RA, FA, VA | RA | FA | VA |")
    print("|:--|--:|--:|--:|--:|--:|")
    columns = ["gap", "retain_accuracy", "forget_accuracy", "validation_accuracy"]
    for _, rows in trials.groupby("method", sort=True):
        ranked = rows.groupby("label").agg(ok=("gap", "count"), **{name: (name, "mean") for name in columns})
        for label, row in ranked.sort_values("gap").iterrows():
            figures = " | ".join(f"{row[name]:.2f}" for name in columns)
            print(f"| {label} | {row['ok']:.0f} | {figures} |")


if __name__ == "__main__":
    typer.run(main)
