"""Average gap over the grid of rho and gamma: python -m analysis.rho_gamma DIR [--out DIR]."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.patches import Rectangle

from analysis.drawing.figure import WIDTH, Drawn, Skipped, new_figure, run_figure
from analysis.drawing.marks import SMALL, finish, titled
from analysis.reading.frames import Frames
from analysis.reading.selection import ended_ok, fullest_task
from analysis.reading.uam import uam_where_gamma_acts
from analysis.statistics.intervals import summarise
from analysis.statistics.ranking import Key, Ranking, rank
from analysis.wording.code_words import code_words
from analysis.wording.doing_nothing import original_level
from analysis.wording.finding import HERE, finding
from analysis.wording.names import GAMMA, RHO, task_words, uam_words
from analysis.wording.words import also, left_out_words, number_words, ranking_words, seeds_words

NAME = "rho_gamma"
QUESTION = "Which ρ and γ go together?"
COLORS = "cividis"
"""Its lightness rises evenly, so it reads in grey: dark cells have a low gap."""
FILLED = 0.5
"""The share of a grid's cells that must have been tried for it to be a grid."""
CELL = 0.46
"""Inches; the least width of a cell."""


def draw(frames: Frames) -> Drawn | Skipped:
    """A heat map of the average gap; the lowest cell and those that cannot be told from it are marked."""
    uam = uam_where_gamma_acts(frames.trials, {"rho", "gamma"})
    chosen = _choose(uam)
    if chosen is None:
        need = "a grid of rho and gamma with two values of each, and Retrain"
        return Skipped(NAME, f"needs {need}: preset ablation-rho-gamma")
    task, setting = str(chosen["task_id"].iloc[0]), chosen["setting"].iloc[0]
    means = summarise(chosen, ["rho", "gamma"], "average_gap")
    ranking = rank(chosen, ["rho", "gamma"], "average_gap")
    assert ranking is not None
    grid = means.pivot(index="gamma", columns="rho", values="mean")

    figure, (axes,) = new_figure(max(WIDTH, 0.6 + CELL * grid.shape[1]), 1.5 + max(0.42, CELL * 0.9) * grid.shape[0])
    original = original_level(chosen)
    _heat_map(axes, grid, ranking, original.mean)
    titled(axes, "Average gap to Retrain (percentage points)", f"{RHO.symbol} of UAM")
    axes.set_ylabel(GAMMA.symbol, fontsize=SMALL + 1, rotation=0, labelpad=10)
    described = task_words(frames.trials, task)
    judged = "; ≈ and dashed: not distinguishable from it, paired by seed" if ranking.equals else ""
    seeds = seeds_words(means["n"]).replace("Mean and 95 % interval", "Mean")
    untried = "; –: not tried" if grid.isna().any(axis=None) else ""
    level = f" Original: {original.mean:.1f}; ↑: not lower." if original.n else ""
    finish(
        figure,
        f"{uam_words(chosen)} on {described}. {seeds}. ★: lowest{judged}{untried}.{level}{also(code_words(chosen))}",
    )

    claim = (
        f"{uam_words(chosen)}'s mean average gap (percentage points) is lowest at {_name(ranking.best)}: "
        f"{ranking.interval}{ranking_words(ranking, _name)}"
        f"{left_out_words(uam[(uam['task_id'] == task) & (uam['setting'] == setting)])}."
    )
    worst = means.sort_values("mean").iloc[-1]
    alt = (
        f"Heat map of UAM's average gap on {described}: {grid.shape[1]} values of ρ from {_span(grid.columns)} across, "
        f"{grid.shape[0]} values of γ from {_span(grid.index)} upwards. The lowest, {ranking.interval.mean:.1f} "
        f"percentage points, is at {_name(ranking.best)}; the highest, {worst['mean']:.1f}, at "
        f"{_name((worst['rho'], worst['gamma']))}. Cells marked as not distinguishable from the lowest: "
        f"{len(ranking.equals)}."
    )
    return Drawn(NAME, QUESTION, figure, finding(claim, chosen, ranking.interval, who=HERE), alt)


def _choose(uam: pd.DataFrame) -> pd.DataFrame | None:
    """Choose a task and a setting, and return their trials that ended ok and make up a grid; None without a grid.

    The task is the one with most trials on grids. Of its settings those with UAM's default rule come first, then those
    with most cells.
    """
    ok = ended_ok(uam).dropna(subset=["rho", "gamma", "average_gap"])
    grids = [_grid(group) for _, group in ok.groupby(["task_id", "setting"])]
    grids = [grid for grid in grids if not grid.empty]
    if not grids:
        return None
    task = fullest_task(pd.concat(grids))
    here = [grid for grid in grids if grid["task_id"].iloc[0] == task]
    return max(here, key=lambda grid: (grid["rule"].iloc[0] == "", len(grid.drop_duplicates(["rho", "gamma"]))))


def _grid(trials: pd.DataFrame) -> pd.DataFrame:
    """Keep trials whose rho and gamma make up a grid: leave out the value with the fewest cells until they do.

    So values of one of them that were run beside a grid do not thin it out. Empty if there is no grid.
    """
    while trials["rho"].nunique() > 1 and trials["gamma"].nunique() > 1:
        tried = trials.assign(one=1).pivot_table(index="gamma", columns="rho", values="one", aggfunc="max").notna()
        if tried.to_numpy().mean() >= FILLED and tried.sum(axis=0).min() > 1 and tried.sum(axis=1).min() > 1:
            return trials
        cells = pd.concat({"rho": tried.sum(axis=0), "gamma": tried.sum(axis=1)})
        name, value = cells.idxmin()
        trials = trials[trials[name] != value]
    return trials.iloc[:0]


def _heat_map(axes: Axes, grid: pd.DataFrame, ranking: Ranking, original: float) -> None:
    values = grid.to_numpy(dtype=float)
    finite = values[np.isfinite(values)]
    low = max(float(finite.min()), 0.05)
    norm = LogNorm(low, max(float(finite.max()), 1.01 * low), clip=True)
    colors = colormaps[COLORS](norm(np.nan_to_num(values, nan=low)))
    colors[np.isnan(values)] = (1, 1, 1, 1)
    axes.imshow(colors, origin="lower", aspect="auto", interpolation="nearest")
    axes.grid(visible=False)
    axes.set_xticks(range(grid.shape[1]), [number_words(float(value)) for value in grid.columns])
    axes.set_yticks(range(grid.shape[0]), [number_words(float(value)) for value in grid.index])
    for row, gamma in enumerate(grid.index):
        for column, rho in enumerate(grid.columns):
            value = values[row, column]
            if np.isnan(value):
                axes.text(column, row, "–", ha="center", va="center", fontsize=SMALL, color="black")
                continue
            ink = "black" if np.dot(colors[row, column, :3], (0.299, 0.587, 0.114)) > 0.5 else "white"
            best, equal = (rho, gamma) == ranking.best, (rho, gamma) in ranking.equals
            mark = "★" if best else "≈" if equal else ""
            worse = "↑" if value >= original else ""
            weight = "bold" if best else "normal"
            axes.text(
                column,
                row,
                f"{mark}{value:.1f}{worse}",
                ha="center",
                va="center",
                fontsize=SMALL,
                color=ink,
                weight=weight,
            )
            if best or equal:
                line = "-" if best else (0, (3, 2))
                frame = Rectangle((column - 0.45, row - 0.43), 0.9, 0.86, fill=False, edgecolor=ink, linestyle=line)
                frame.set_linewidth(1.8 if best else 1.1)
                axes.add_patch(frame)


def _name(key: Key) -> str:
    return f"ρ = {number_words(key[0])}, γ = {number_words(key[1])}"


def _span(values: pd.Index) -> str:
    return f"{number_words(float(values.min()))} to {number_words(float(values.max()))}"


if __name__ == "__main__":
    run_figure(draw)
