"""Differences to Retrain seed by seed: python -m analysis.seeds DIR [--out DIR]."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.drawing.figure import (
    WIDTH,
    Drawn,
    Skipped,
    Style,
    draw_hollow_key,
    hollow_words,
    new_figure,
    run_figure,
    styles,
)
from analysis.drawing.marks import finish, fixed_ticks, titled
from analysis.reading.frames import Frames, metrics_in
from analysis.reading.selection import (
    choices,
    drawn_or_lost,
    ended_ok,
    fullest_task,
    representatives,
)
from analysis.statistics.intervals import Interval, mean_interval
from analysis.statistics.ranking import verdicts
from analysis.wording.code_words import code_words
from analysis.wording.finding import finding
from analysis.wording.names import label, method_words, task_words
from analysis.wording.words import also, choice_words, joined, left_out_words, seeds_words
from sweep.store.metrics import averaged
from sweep.words import counted

NAME = "seeds"
QUESTION = "Is the difference to Retrain the same in every seed?"
MOST_DOTS = 60
"""Of one method and metric; the mean and its interval are always over all seeds."""
LINEAR = 5.0
"""Percentage points on either side of 0 within which the axes are linear; beyond, they are logarithmic."""
TICKS = (-100, -50, -20, -10, -5, 0, 5, 10, 20, 50, 100)


def draw(frames: Frames) -> Drawn | Skipped:
    """What makes up the average gap (RA, FA, TA and MIA) of each method, less Retrain's of the same seed.

    A dot per seed, the mean and its interval.
    """
    ok = ended_ok(frames.trials)
    usable = ok[ok["method"] != "retrain"].dropna(subset=["average_gap"])
    rivals = usable[usable["method"] != "original"]
    if rivals.empty:
        return Skipped(NAME, "needs Retrain and a method of the same task and seed: preset methods")
    task = fullest_task(rivals)
    usable = usable[usable["task_id"] == task]
    chosen = representatives(usable)
    metrics = [metric.column for metric in averaged(metrics_in(usable), "average_gap")]
    retrain = ok[(ok["task_id"] == task) & (ok["method"] == "retrain")].set_index("seed")
    differences = chosen[["method", "seed"]].assign(
        **{metric: chosen[metric] - chosen["seed"].map(retrain[metric]) for metric in metrics}
    )
    order = [str(method) for method in chosen.groupby("method")["average_gap"].mean().sort_values().index]
    means = {
        (method, metric): mean_interval(differences.loc[differences["method"] == method, metric], "percent_difference")
        for method in order
        for metric in metrics
    }

    figure = _strips(differences, means, order)
    draw_hollow_key(figure, order)
    described = task_words(frames.trials, task)
    seeds = seeds_words([interval.n for interval in means.values()])
    uneven = any(panel.get_xscale() == "symlog" for panel in figure.axes)
    scale = f" Axes reaching far are logarithmic beyond {LINEAR:g}." if uneven else ""
    more = hollow_words(order) + also(code_words(chosen))
    finish(figure, f"{described}. {choice_words(usable)}A dot per seed. {seeds}.{scale}{more}")

    first = next(method for method in order if method != "original")
    parts = [f"{label(metric)} {means[first, metric].signed}" for metric in metrics]
    rows = differences.loc[differences["method"] == first, metrics]
    among = int(choices(usable[usable["method"] != "original"]).sum())
    claim = (
        f"{method_words(first)}, of lowest mean average gap, differs from Retrain (percentage points) by "
        f"{joined(parts)}, n = {means[first, metrics[0]].n}{_told_apart(rows, among)}"
        f"{left_out_words(drawn_or_lost(frames.trials, chosen))}."
    )
    return Drawn(NAME, QUESTION, figure, finding(claim, chosen), _alt(means, order, described))


def _strips(differences: pd.DataFrame, means: dict[tuple[str, str], Interval], order: list[str]) -> Figure:
    figure, axes = new_figure(WIDTH, 1.5 + 2 * (0.5 + 0.24 * len(order)), rows=2, columns=2)
    looks = styles(order)
    for place, (panel, metric) in enumerate(zip(axes, differences.columns[2:], strict=False)):
        for row, method in enumerate(order):
            values = differences.loc[differences["method"] == method, metric].dropna().to_numpy(dtype=float)
            _strip(panel, row, values, means[method, metric], looks[method])
        panel.axvline(0, color="black", linewidth=1.2, zorder=1.5)
        panel.set_yticks(range(len(order)), [method_words(method) for method in order])
        panel.set_ylim(len(order) - 0.4, -0.6)
        _difference_axis(panel, differences[metric].dropna().to_numpy(dtype=float))
        titled(panel, f"{label(metric)} less Retrain's", "percentage points" if place >= 2 else "")
        panel.tick_params(labelleft=place % 2 == 0)
    return figure


def _strip(panel: Axes, row: int, values: NDArray[np.float64], mean: Interval, style: Style) -> None:
    shown = values[:MOST_DOTS]
    heights = row + (np.linspace(-0.2, 0.2, len(shown)) if len(shown) > 1 else np.zeros(len(shown)))
    (dots,) = panel.plot(shown, heights, color=style.color, marker=style.marker, linestyle="none", clip_on=False)
    dots.set(markersize=4.5, markerfacecolor=style.face)
    if mean.n > 1:
        panel.hlines(row, mean.low, mean.high, color="black", linewidth=1.6, zorder=3)
        panel.vlines(mean.mean, row - 0.3, row + 0.3, color="black", linewidth=1.6, zorder=3)


def _difference_axis(panel: Axes, values: NDArray[np.float64]) -> None:
    if len(values) and float(np.abs(values).max()) > 3 * LINEAR:
        panel.set_xscale("symlog", linthresh=LINEAR)
        low, high = panel.get_xlim()
        fixed_ticks(panel.xaxis, [tick for tick in TICKS if low <= tick <= high])


def _told_apart(differences: pd.DataFrame, among: int) -> str:
    """Say which metrics of a method cannot be told from Retrain's, to end a sentence with.

    Args:
        differences: a column per metric, a row per seed.
        among: how many configurations the method was chosen from.
    """
    if len(differences) < 2:
        return "; too few seeds to tell it from Retrain"
    found = verdicts(differences.T, among * differences.shape[1]).tolist()
    same = [label(str(metric)) for metric, verdict in zip(differences, found, strict=True) if verdict == 0]
    unjudged = [label(str(metric)) for metric, verdict in zip(differences, found, strict=True) if np.isnan(verdict)]
    comparisons = counted(among * differences.shape[1], "comparison")
    parts = [f"with {comparisons} counted, its {joined(same)} cannot be told from Retrain's"] if same else []
    if unjudged:
        parts.append(f"its {joined(unjudged)} not judged, every seed showing the same difference")
    return "; " + (" and ".join(parts) or "all distinguishable from Retrain's")


def _alt(means: dict[tuple[str, str], Interval], order: list[str], described: str) -> str:
    metrics = [*dict.fromkeys(metric for _, metric in means)]
    parts = []
    for method in order:
        numbers = ", ".join(f"{label(metric)} {means[method, metric].mean:+.1f}" for metric in metrics)
        parts.append(f"{method_words(method)}: {numbers}")
    return (
        f"Strips of dots ({', '.join(map(label, metrics))}) on {described}: for each method and seed the difference to "
        f"Retrain of the same seed, with means and intervals. Mean differences (percentage points): {'; '.join(parts)}."
    )


if __name__ == "__main__":
    run_figure(draw)
