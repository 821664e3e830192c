"""Choose hyperparameters of the presets on digits: python benchmarks/digits_search.py [--spec FILE] [--out DIR].

Runs (or resumes) `digits-search.yaml`, or `digits-search-class.yaml`, and prints, for each method, its configurations
in the order of the mean plus one standard deviation, over seeds, of the gap to Retrain (itself the mean over retain,
forget and validation accuracy and the attack's success with validation data for non-members). Test data is not looked
at.
"""

import subprocess
from pathlib import Path
from typing import Annotated

import typer
from command_line import script

from analysis.reading.frames import read_frames
from analysis.wording.names import configuration_labels

JUDGED_ON = ["gap.retain_accuracy", "gap.forget_accuracy", "gap.validation_accuracy", "gap.validation_mia"]
HERE = Path(__file__).resolve().parent


def main(
    out: Annotated[str, typer.Option(help="Results directory; results/NAME of the spec by default.")] = "",
    spec: Annotated[str, typer.Option(help="Beside this script.")] = "digits-search.yaml",
) -> None:
    out = out or f"results/{Path(spec).stem}"
    subprocess.run([script(), "run", HERE / spec, "--out", out], check=True, stdout=subprocess.DEVNULL)
    trials = read_frames(out).trials
    trials = trials[trials["method"] != "retrain"]
    trials = trials.assign(label=configuration_labels(trials), gap=trials[JUDGED_ON].mean(axis=1, skipna=False))
    print("| configuration | seeds ok | gap, mean | gap, s.d. | RA | FA | VA | MIA-V |")
    print("|:--|--:|--:|--:|--:|--:|--:|--:|")
    columns = ["gap", "retain_accuracy", "forget_accuracy", "validation_accuracy", "validation_mia"]
    for _, rows in trials.groupby("method", sort=True):
        means = {name: (name, "mean") for name in columns}
        table = rows.groupby("label").agg(ok=("gap", "count"), spread=("gap", "std"), **means)
        order = (table["gap"] + table["spread"]).sort_values().index
        for label, row in table.loc[order].iterrows():
            figures = " | ".join(f"{row[name]:.2f}" for name in ["gap", "spread", *columns[1:]])
            print(f"| {label} | {row['ok']:.0f} | {figures} |")


if __name__ == "__main__":
    typer.run(main)
