"""Choose hyperparameters of the presets: python benchmarks/preset_search.py [--spec FILE] [--out DIR].

Runs (or resumes) a `*-search.yaml` beside this script, and prints, for each method, its configurations in the order of
the mean plus one standard deviation, over seeds, of the gap to Retrain: the mean over what makes up the average gap of
this kind of task, on validation data where that looks at test data. Test data is not looked at.
"""

import subprocess
from pathlib import Path
from typing import Annotated

import typer
from command_line import script

from analysis.reading.frames import metrics_in, read_frames
from analysis.wording.names import configuration_labels, label
from sweep.store.metrics import averaged

HERE = Path(__file__).resolve().parent


def main(
    out: Annotated[str, typer.Option(help="Results directory; results/NAME of the spec by default.")] = "",
    spec: Annotated[str, typer.Option(help="Beside this script.")] = "digits-search.yaml",
) -> None:
    out = out or f"results/{Path(spec).stem}"
    subprocess.run([script(), "run", HERE / spec, "--out", out], check=True, stdout=subprocess.DEVNULL)
    trials = read_frames(out).trials
    judged = [metric.twin or metric.column for metric in averaged(metrics_in(trials), "average_gap")]
    trials = trials[trials["method"] != "retrain"]
    gaps = trials[[f"gap.{metric}" for metric in judged]].mean(axis=1, skipna=False)
    trials = trials.assign(label=configuration_labels(trials), gap=gaps)
    print(f"| configuration | seeds ok | gap, mean | gap, s.d. | {' | '.join(map(label, judged))} |")
    print("|:--|" + "--:|" * (3 + len(judged)))
    columns = ["gap", *judged]
    for _, rows in trials.groupby("method", sort=True):
        means = {name: (name, "mean") for name in columns}
        table = rows.groupby("label").agg(ok=("gap", "count"), spread=("gap", "std"), **means)
        order = (table["gap"] + table["spread"]).sort_values().index
        for name, row in table.loc[order].iterrows():
            figures = " | ".join(f"{row[column]:.2f}" for column in ["gap", "spread", *judged])
            print(f"| {name} | {row['ok']:.0f} | {figures} |")


if __name__ == "__main__":
    typer.run(main)
