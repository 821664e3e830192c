"""How the time of a sweep grows: python benchmarks/growth.py [--small].

Seconds of the whole command for 10, 100 and 1,000 empty trials through Ray Tune, on one slot and on two, as a table and
as benchmarks/results/growth.png.
"""

import os
from pathlib import Path
from typing import Annotated

import typer
from machine import machine
from made_trials import made_sweep, run_sweep

PLACE = Path(__file__).parent / "results" / "growth.png"


def main(
    counts: Annotated[str, typer.Option(help="Trials, comma-separated.")] = "10,100,1000",
    picture: Annotated[Path, typer.Option()] = PLACE,
    small: Annotated[bool, typer.Option(help="Only see that it runs.")] = False,
) -> None:
    if small:
        counts, picture = "2", Path(os.devnull)
    print(machine())
    print(f"{'slots':>5} {'trials':>6} {'seconds':>8} {'more trials: ms each':>21}")
    cores = os.cpu_count() or 1
    lines = {}
    for slots in (1, cores):
        before = None
        for count in map(int, counts.split(",")):
            with made_sweep("Empty", count, resources={"cpus": cores // slots}) as (spec, out):
                seconds = run_sweep(spec, out)
            more = f"{1000 * (seconds - before[1]) / (count - before[0]):.0f}" if before else ""
            print(f"{slots:5} {count:6} {seconds:8.1f} {more:>21}", flush=True)
            lines.setdefault(slots, []).append((count, seconds))
            before = (count, seconds)
    if not small:
        draw(lines, picture)


def draw(lines: dict[int, list[tuple[int, float]]], place: Path) -> None:
    """Seconds over trials."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 3.4), layout="constrained")
    for marker, (slots, points) in zip("os", lines.items(), strict=False):
        axes.plot(*zip(*points, strict=True), marker=marker, label=f"{slots} slot{'s' if slots > 1 else ''}")
    axes.set(xlabel="empty trials", ylabel="seconds of the command", ylim=(0, None))
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(place, dpi=150)


if __name__ == "__main__":
    typer.run(main)
