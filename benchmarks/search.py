"""TPE against random search and against a grid: python benchmarks/search.py [--out DIR] [--trials N] [--width N].

The space of the preset search-uam, with a smaller network so that it takes minutes; five repetitions (sampler seeds)
of each sampler with the same budget, and UAM's own grid of rho and gamma on the same seeds; everything in one results
directory, so that it resumes. Prints how good the best suggestion is after n, in how many suggestions a search matches
the grid's best cell, and what holds up on seeds that none of them saw.
"""

import contextlib
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import scipy.stats
import typer
import yaml

from analysis.statistics.intervals import mean_interval
from sweep import cli
from sweep.search.objective import seed_values, standing
from sweep.spec.spec_file import presets
from sweep.store.results import Results

GRID = {"rho": [0.5, 1, 2, 4], "gamma": [0, 0.5, 1, 1.7, 2.5], "epochs": 10, "lr": 0.01}
REPETITIONS = range(5)
SAMPLERS = ("tpe", "random")
CONFIRM_SEEDS = [200, 201, 202]
OBJECTIVE = ["average_gap"]


def main(
    out: Annotated[str, typer.Option(help="Results directory.")] = "results/benchmark-search",
    trials: Annotated[int, typer.Option(help="Suggestions of each search.")] = 16,
    width: Annotated[int, typer.Option(help="Of the network.")] = 16,
) -> None:
    spec = yaml.safe_load(presets()["search-uam"])
    seeds = spec["search"]["seeds"]
    grid = {key: spec[key] for key in ("dataset", "model", "training", "forget", "predictions", "probe")}
    grid["model"] |= {"width": width}
    grid |= {"name": "grid", "seeds": seeds, "methods": [{"name": "retrain"}, {"name": "uam"} | GRID]}
    path = Path(out) / "grid.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(grid))
    _call("run", path, "--out", out, "--executor", "inline")

    searches = [(sampler, repetition, out, trials, width) for sampler, repetition in product(SAMPLERS, REPETITIONS)]
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(_search, searches))
    _report(out, seeds, trials)


def _search(search: tuple[str, int, str, int, int]) -> None:
    sampler, repetition, out, trials, width = search
    changes = {
        "model.width": width,
        "methods": "[{name: retrain}]",
        "search.sampler": sampler,
        "search.sampler_seed": repetition,
        "search.trials": trials,
        "search.pruner": "none",
        "search.confirm_seeds": CONFIRM_SEEDS,
    }
    words = [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]
    _call("search", "search-uam", "--out", out, "--executor", "inline", *words)


def _call(*words: object) -> None:
    """Run the command line in this process, which imports torch once; quietly."""
    sys.argv = ["unlearn-sweep", *map(str, words)]
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
        try:
            cli.main()
        except SystemExit as ended:
            if ended.code:
                raise


def _report(out: str, seeds: list[int], trials: int) -> None:
    results = Results(out)
    rows = {row["trial_id"]: row for row in results.trials().table.to_pylist()}
    retrain = {row["seed"]: row for row in rows.values() if row["method"] == "retrain"}
    cells = pd.DataFrame(
        [
            {"params": row["params"], "gap": seed_values(row, retrain[row["seed"]], OBJECTIVE)[0]}
            for row in rows.values()
            if row["sweep"] == "grid" and row["method"] == "uam"
        ]
    )
    by_cell = cells.groupby("params")["gap"].mean().sort_values()
    best_cell = float(by_cell.iloc[0])
    print(f"grid: {len(by_cell)} cells; best {best_cell:.2f} {by_cell.index[0]}; median {by_cell.median():.2f}\n")

    curves, confirmed = {}, {}
    for row in results.suggestions().table.to_pylist():
        found = standing([rows.get(name) for name in row["trial_ids"]], [retrain[seed] for seed in seeds], OBJECTIVE)
        if found.values is None:
            continue
        curves.setdefault((row["sampler"], row["study"]), {})[row["number"]] = found.values[0]
        ended = [rows[name] for name in row["confirm_trial_ids"] if name in rows]
        if len(ended) == len(CONFIRM_SEEDS):
            gaps = [seed_values(each, retrain[each["seed"]], OBJECTIVE)[0] for each in ended]
            confirmed.setdefault(row["sampler"], []).append(float(np.mean(gaps)))

    places = [n for n in (4, 8, 12, 16, 24, 32, 48) if n <= trials]
    print("| sampler | " + " | ".join(f"best of {n}" for n in places) + " | matches the grid after | confirmed |")
    print("|:--|" + "--:|" * (len(places) + 2))
    best = {}
    for sampler in SAMPLERS:
        runs = [
            np.minimum.accumulate([values[number] for number in range(trials)])
            for (name, _), values in sorted(curves.items())
            if name == sampler and len(values) >= trials
        ]
        best[sampler] = np.array(runs)
        reached = [next((str(n + 1) for n, gap in enumerate(run) if gap <= best_cell), "never") for run in runs]
        columns = [str(mean_interval([run[n - 1] for run in runs])) for n in places]
        line = [sampler, *columns, ", ".join(reached), str(mean_interval(confirmed[sampler]))]
        print("| " + " | ".join(line) + " |")
    welch = scipy.stats.ttest_ind(best["tpe"][:, -1], best["random"][:, -1], equal_var=False).confidence_interval()
    difference = best["tpe"][:, -1].mean() - best["random"][:, -1].mean()
    print(f"\nTPE minus random, best of {trials}: {difference:.2f} [{welch.low:.2f}, {welch.high:.2f}]")


if __name__ == "__main__":
    typer.run(main)
