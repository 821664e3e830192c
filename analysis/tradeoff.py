"""What forgetting costs in retained accuracy: python -m analysis.tradeoff DIR [--out DIR]."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from analysis.drawing.figure import (
    STYLES,
    WIDTH,
    Drawn,
    Skipped,
    draw_hollow_key,
    hollow_words,
    new_figure,
    run_figure,
    styles,
)
from analysis.drawing.labels import place_labels
from analysis.drawing.marks import SMALL, Label, draw_front, finish, fixed_ticks, titled
from analysis.reading.frames import Frames, metrics_in
from analysis.reading.selection import WITHIN_TASK, ended_ok, fullest_task, on_front, own_reference
from analysis.statistics.intervals import summarise
from analysis.statistics.ranking import rank
from analysis.wording.code_words import code_words
from analysis.wording.finding import finding
from analysis.wording.names import configurations, gap_words, method_words, task_words
from analysis.wording.words import also, few, left_out_words, ranking_words, seeds_words
from sweep.words import counted

NAME = "tradeoff"
QUESTION = "What does forgetting cost in retained accuracy?"
SIDES = ("retain_gap", "forget_gap")
"""The two halves of the average gap."""
MOST_POINTS = 150
CROWDED = 40
"""From so many points on, only the front's and each method's best have intervals."""
TICKS = (0, 0.5, 1, 2, 5, 10, 20, 50, 100)
LINEAR, LINEAR_SCALE = 1.0, 0.5
"""Percentage points up to which the axes are linear (beyond, they are logarithmic), and their length in decades."""
ROOM = 1.4
"""How far the axes go beyond the largest value."""
COSTS = (0.1, 0.5, 1.0)
"""Times relative to Retrain that the key shows."""


def draw(frames: Frames) -> Drawn | Skipped:
    """Forget-side gap (for classification: mean of FA and MIA gaps) against retain-side gap (RA and TA).

    A point per method and configuration, its area by its time relative to Retrain's, and the Pareto front.
    """
    ok = ended_ok(frames.trials)
    ok = ok[(ok["method"] != "retrain") & ~own_reference(ok) & ok["average_gap"].notna()]
    rivals = ok[ok["method"] != "original"]
    if rivals.empty:
        return Skipped(NAME, "needs Retrain and a method of the same task and seed: preset methods")
    task = fullest_task(rivals)
    ok = ok[ok["task_id"] == task]
    rivals = ok[ok["method"] != "original"]
    ranking = rank(rivals, WITHIN_TASK, "average_gap")
    assert ranking is not None
    points = _points(ok)
    drawn = _with_intervals(_capped(points), ok)

    sides = {side: gap_words(metrics_in(ok), side) for side in SIDES}
    figure = _scatter(drawn, sides)
    draw_hollow_key(figure, points["method"])
    described = task_words(frames.trials, task)
    missing = len(points) - len(drawn)
    fewer = f" Not drawn: {missing} of {len(points)} configurations." if missing else ""
    key = (
        f"Lower left is better. Grey line: Pareto front; area: time relative to Retrain; axes linear up to {LINEAR:g}, "
    )
    key += f"then logarithmic.{hollow_words(points['method'])}"
    fewer = f"{_unnamed_words(drawn)}{fewer}"
    finish(figure, f"{described}. {seeds_words(points['n'])}. {key}{fewer}{also(code_words(ok))}")
    _label(figure.axes[0], drawn)

    labels = configurations(ok, method_words)
    names = dict(zip(ok[WITHIN_TASK].itertuples(index=False, name=None), labels, strict=True))
    front = [names[key] for key in points.loc[points["front"], WITHIN_TASK].itertuples(index=False, name=None)]
    claim = (
        f"The mean average gap (percentage points) is lowest for {names[ranking.best]}: {ranking.interval}"
        f"{ranking_words(ranking, lambda key: names[key])}; the Pareto front of retain- and forget-side gap: "
        f"{few(front)}{left_out_words(frames.trials[frames.trials['task_id'] == task])}."
    )
    return Drawn(NAME, QUESTION, figure, finding(claim, ok, ranking.interval), _alt(drawn, described, sides))


def _points(ok: pd.DataFrame) -> pd.DataFrame:
    """Average each configuration; mark the Pareto `front`, and each method's lowest average gap as its `top`.

    A configuration with fewer than half as many seeds as the fullest is never on the front, and is `top` only if its
    method has no other.
    """
    points = ok.groupby(WITHIN_TASK, as_index=False).agg(
        retain_gap=("retain_gap", "mean"),
        forget_gap=("forget_gap", "mean"),
        average_gap=("average_gap", "mean"),
        cost=("relative_seconds", "mean"),
        n=("seed", "size"),
    )
    candidate = (2 * points["n"] >= points["n"].max()).to_numpy()
    points["front"] = on_front(points.loc[candidate, [*SIDES]]).reindex(points.index, fill_value=False)
    points["top"] = False
    order = points.assign(candidate=candidate).sort_values(["candidate", "average_gap"], ascending=[False, True])
    points.loc[order.drop_duplicates("method").index, "top"] = True
    return points


def _capped(points: pd.DataFrame) -> pd.DataFrame:
    """The front, each method's best, and as many others of low average gap as there is room for."""
    ordered = points.sort_values(["front", "top", "average_gap"], ascending=[False, False, True])
    return ordered.head(max(MOST_POINTS, int((points["front"] | points["top"]).sum())))


def _with_intervals(drawn: pd.DataFrame, ok: pd.DataFrame) -> pd.DataFrame:
    trials = ok.merge(drawn[WITHIN_TASK], on=WITHIN_TASK)
    for side in SIDES:
        found = summarise(trials, WITHIN_TASK, side)[[*WITHIN_TASK, "low", "high"]]
        drawn = drawn.merge(found.rename(columns={"low": f"{side}.low", "high": f"{side}.high"}), on=WITHIN_TASK)
    return drawn


def _scatter(points: pd.DataFrame, sides: dict[str, str]) -> Figure:
    figure, (axes,) = new_figure(WIDTH, 5.0)
    looks = styles([*points["method"].unique()])
    x, y = SIDES
    for method, group in points.groupby("method"):
        style = looks[str(method)]
        barred = group if len(points) < CROWDED else group[group["front"] | group["top"]]
        rows, columns = barred[[y, f"{x}.low", f"{x}.high"]], barred[[x, f"{y}.low", f"{y}.high"]]
        axes.hlines(*rows.to_numpy().T, color=style.color, linewidth=1.0, alpha=0.7, zorder=2)
        axes.vlines(*columns.to_numpy().T, color=style.color, linewidth=1.0, alpha=0.7, zorder=2)
        solid = style.marker != "x"
        axes.scatter(
            group[x],
            group[y],
            s=_area(group["cost"].fillna(0)),
            color=style.face,
            marker=style.marker,
            edgecolors=("white" if style.filled else style.color) if solid else None,
            linewidths=0.7 if solid and style.filled else 1.5,
            zorder=3,
        )
    axes.plot([0], [0], color="black", marker=STYLES["retrain"].marker, markersize=10, clip_on=False, zorder=4)
    across, upwards = (max(LINEAR, ROOM * float(points[[side, f"{side}.high"]].max().max())) for side in SIDES)
    axes.set_xscale("symlog", linthresh=LINEAR, linscale=LINEAR_SCALE)
    axes.set_yscale("symlog", linthresh=LINEAR, linscale=LINEAR_SCALE)
    axes.set(xlim=(0, across), ylim=(0, upwards))
    fixed_ticks(axes.xaxis, [tick for tick in TICKS if tick <= across])
    fixed_ticks(axes.yaxis, [tick for tick in TICKS if tick <= upwards])
    draw_front(axes, points.loc[points["front"], [x, y]])
    titled(
        axes,
        f"Forget side: {sides[y]} (percentage points)",
        f"Retain side: {sides[x]} (percentage points)",
    )
    key = [
        Line2D([], [], color="#777777", marker="o", linestyle="none", markersize=float(width), label=f"{cost:g}")
        for cost, width in zip(COSTS, np.sqrt(_area(COSTS)), strict=True)
    ]
    figure.legend(
        handles=key,
        loc="outside upper right",
        ncols=len(key),
        fontsize=SMALL,
        frameon=False,
        title="time relative to Retrain",
        title_fontsize=SMALL,
        borderpad=0,
    )
    return figure


def _area(cost: ArrayLike) -> NDArray[np.float64]:
    """Square points of a marker: a floor that can still be seen, then in proportion to the cost."""
    return np.asarray(22 + 160 * np.minimum(np.asarray(cost, dtype=float), 1.5))


def _label(axes: Axes, drawn: pd.DataFrame) -> None:
    """Name each method at its best configuration, and Retrain in the corner."""
    looks = styles([*drawn["method"].unique()])
    named = drawn[drawn["top"]]
    labels = [Label(0, method_words(method), looks[method]) for method in named["method"]]
    places = np.concatenate([named[[*SIDES]].to_numpy(), [[0.0, 0.0]]])
    others = drawn.loc[~drawn["top"], [*SIDES]].to_numpy()
    x, y = SIDES
    steps = np.linspace(0, 1, 9)
    bars = [
        np.column_stack([row[f"{x}.low"] + steps * (row[f"{x}.high"] - row[f"{x}.low"]), np.full(len(steps), row[y])])
        for row in named.to_dict("records")
    ]
    place_labels(axes, places, [*labels, Label(0, "Retrain", looks["retrain"])], np.concatenate([others, *bars]))


def _unnamed_words(drawn: pd.DataFrame) -> str:
    """Which points have no name, as a sentence; empty if all have one."""
    methods = drawn.loc[~drawn["top"], "method"].value_counts(sort=False)
    if methods.empty:
        return ""
    told = [f"{count} of {method_words(str(method))}" for method, count in methods.items()]
    return f" A method is named at its lowest average gap; its other configurations ({few(told)}) have its mark alone."


def _alt(drawn: pd.DataFrame, described: str, sides: dict[str, str]) -> str:
    parts = []
    for row in drawn[drawn["top"]].sort_values("average_gap").to_dict("records"):
        cost = f", {row['cost']:.2g} times Retrain's time" if pd.notna(row["cost"]) else ""
        parts.append(
            f"{method_words(row['method'])} (retain side {row['retain_gap']:.1f}, forget side "
            f"{row['forget_gap']:.1f}{cost})"
        )
    return (
        f"Scatter plot of {counted(len(drawn), 'configuration')} on {described}: across, the {sides['retain_gap']} to "
        f"Retrain; upwards, the {sides['forget_gap']}, in percentage points; Retrain is at the origin. "
        f"Each method at its lowest average gap, best first: {'; '.join(parts)}. On the Pareto front: "
        f"{int(drawn['front'].sum())}."
    )


if __name__ == "__main__":
    run_figure(draw)
