"""What tuning changes: python benchmarks/tuned_comparison.py [--out DIR] [--set PATH=VALUE ...].

Runs (or resumes) the preset tuned-comparison and prints, for each method untuned and tuned, the average gap to Retrain
(RA, FA, TA, MIA) with its 95 % interval over the confirmation seeds, and how methods compare, paired by seed.
"""

import subprocess
from itertools import combinations
from typing import Annotated

import pandas as pd
import typer
from command_line import script

from analysis.reading.frames import read_frames
from analysis.statistics.intervals import mean_interval, paired_difference
from analysis.statistics.ranking import verdicts
from sweep.store.results import Results


def main(
    out: Annotated[str, typer.Option(help="Results directory.")] = "results/tuned-comparison",
    changes: Annotated[list[str] | None, typer.Option("--set", help="As of unlearn-sweep search.")] = None,
) -> None:
    words = [word for change in changes or [] for word in ("--set", change)]
    command = [script(), "search", "tuned-comparison", "--out", out, *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    table = gaps(out)
    methods = sorted({name for name, _ in table.columns})
    print("| method | untuned | tuned | tuned minus untuned |")
    print("|:--|--:|--:|--:|")
    for method in methods:
        cells = [mean_interval(table[method, kind].dropna()) for kind in ("untuned", "tuned")]
        change = paired_difference(table[method, "tuned"], table[method, "untuned"])
        clear = abs(verdicts(table[method, "tuned"] - table[method, "untuned"], len(methods))) == 1
        print(f"| {method} | {cells[0]} | {cells[1]} | {change}{'' if clear else ' (not told apart)'} |")
    for kind in ("untuned", "tuned"):
        order = sorted(methods, key=lambda method: table[method, kind].mean())
        print(f"\n{kind}, smallest average gap first: {', '.join(order)}")
    compared = [*combinations(methods, 2)]
    print(f"\nPairs of methods whose comparison changes (paired by seed, 5 % in all {2 * len(compared)} comparisons):")
    for left, right in compared:
        before, after = (verdict(table, kind, (left, right), 2 * len(compared)) for kind in ("untuned", "tuned"))
        if before != after:
            print(f"- {left} and {right}: {before} before, {after} after")


def gaps(out: str) -> pd.DataFrame:
    """Average gaps by seed; columns are method and `untuned` or `tuned`."""
    trials = read_frames(out).trials
    trials = trials.assign(name=trials["method"].str.partition(" ")[0]).set_index("trial_id")
    confirmed = Results(out).suggestions().table.to_pandas()
    ids = {name for row in confirmed["confirm_trial_ids"] for name in row}
    seeds = sorted(trials.loc[trials.index.intersection(list(ids)), "seed"].unique())
    columns = {}
    for method in sorted(confirmed["method"].unique()):
        of_method = trials[(trials["name"] == method) & trials["seed"].isin(seeds)]
        tuned = of_method[of_method.index.isin(ids)]
        columns[method, "tuned"] = tuned.groupby("seed")["average_gap"].first()
        columns[method, "untuned"] = of_method[~of_method.index.isin(ids)].groupby("seed")["average_gap"].first()
    return pd.DataFrame(columns)


def verdict(table: pd.DataFrame, kind: str, pair: tuple[str, str], comparisons: int) -> str:
    found = verdicts(table[pair[0], kind] - table[pair[1], kind], comparisons)
    if abs(found) != 1:
        return "not told apart"
    return f"{pair[0] if found < 0 else pair[1]} is closer"


if __name__ == "__main__":
    typer.run(main)
