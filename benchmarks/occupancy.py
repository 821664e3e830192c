"""How busy a sweep keeps its slots: python benchmarks/occupancy.py [--small].

200 trials that compute for about 2 s each, through Ray Tune, one core each: the seconds between the start and the end
of each trial, divided by slots x seconds of the whole command, with Ray's start and the printing of the table.
Target: 0.90.
"""

import os
from typing import Annotated

import typer
from machine import machine
from made_trials import made_sweep, run_sweep

from sweep.store.results import Results

TARGET = 0.90


def main(
    trials: Annotated[int, typer.Option()] = 200,
    seconds: Annotated[float, typer.Option(help="Computing of a trial.")] = 2.0,
    small: Annotated[bool, typer.Option(help="Only see that it runs.")] = False,
) -> None:
    if small:
        trials, seconds = 10, 0.2
    print(machine())
    slots = os.cpu_count() or 1
    with made_sweep("Busy", trials, {"seconds": seconds}) as (spec, out):
        wall = run_sweep(spec, out)
        rows = Results(str(out)).trials().table.select(["started_at", "finished_at"]).to_pylist()
    computed = sum((row["finished_at"] - row["started_at"]).total_seconds() for row in rows)
    first, last = min(row["started_at"] for row in rows), max(row["finished_at"] for row in rows)
    between = (last - first).total_seconds()
    print(f"{len(rows)} trials on {slots} slots: {computed:.1f} s computed in {wall:.1f} s")
    print(f"busy: {computed / (slots * wall):.3f} of the whole command (target {TARGET:.2f})")
    print(f"      {computed / (slots * between):.3f} from the first trial's start to the last one's end")


if __name__ == "__main__":
    typer.run(main)
