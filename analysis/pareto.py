"""What searches traded for what: python -m analysis.pareto DIR [--out DIR]."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.drawing.figure import WIDTH, Drawn, Skipped, new_figure, run_figure, styles
from analysis.drawing.marks import SMALL, draw_front, finish, logarithmic, plain_log_axis, titled
from analysis.reading.frames import Frames
from analysis.reading.searches import COST, fullest_search
from analysis.reading.selection import on_front
from analysis.wording.names import method_words, task_words
from analysis.wording.searches import (
    meaning_words,
    objective_words,
    search_code_words,
    search_seeds_words,
    states_words,
    with_unit,
)
from analysis.wording.words import joined
from sweep.words import counted

NAME = "pareto"
QUESTION = "What did the searches trade for what?"


def draw(frames: Frames) -> Drawn | Skipped:
    """Every complete suggestion by its first two objectives, or by its only one and its cost, and the Pareto front."""
    tried = fullest_search(frames)
    if tried is None:
        return Skipped(NAME, "needs a search: preset search-uam")
    points, names = _points(tried)
    if points.empty:
        return Skipped(NAME, "needs a search with two objectives, or with measured times: preset search-uam")
    points["front"] = on_front(points[["x", "y"]])
    described = task_words(frames.trials, str(tried["task_id"].iloc[0]))

    mixed = search_code_words(frames, tried)
    figure = _scatter(points, names)
    finish(
        figure,
        f"{described}. Means over {search_seeds_words(tried)}. {states_words(tried)}; complete ones are drawn. Grey "
        f"line, large marks: Pareto front.{meaning_words(frames, tried, names)}{mixed}",
    )
    front = points[points["front"]].sort_values("x")
    counts = front["method"].value_counts()
    shares = joined([f"{count} of {method_words(str(method))}" for method, count in counts.items()])
    first, last = front.iloc[0], front.iloc[-1]
    count = f"{counted(len(points), 'complete suggestion')} ({search_seeds_words(tried)})"
    ends = f"{_ends(first, names)} to {_ends(last, names)}"
    finding = f"Of {count} nothing beats {len(front)} in both at once, {shares}: from {ends}."
    if len(front) == 1:
        finding = f"Of {count} one is the best in both: {_ends(first, names)}."
    return Drawn(NAME, QUESTION, figure, finding + mixed, _alt(points, names, described))


def _points(tried: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, str]]:
    """Columns `method`, `x` and `y` of complete suggestions, and what x and y are."""
    complete = tried[tried["state"] == "complete"]
    objectives: tuple[str, ...] = complete["objectives"].mode().iloc[0]
    complete = complete[complete["objectives"] == objectives]
    if len(objectives) > 1:
        second = complete["values"].str[1].astype(float)
        names = (objectives[0], objectives[1])
    else:
        second = complete["cost"]
        names = (objectives[0], COST)
    points = complete[["method"]].assign(x=second, y=complete["value"]).dropna().reset_index(drop=True)
    return points, (names[1], names[0])


def _scatter(points: pd.DataFrame, names: tuple[str, str]) -> Figure:
    figure, (axes,) = new_figure(WIDTH, 4.4)
    looks = styles([*points["method"].unique()])
    for method, group in points.groupby("method"):
        style = looks[str(method)]
        for best, found in group.groupby("front"):
            axes.plot(
                found["x"],
                found["y"],
                color=style.color,
                marker=style.marker,
                markersize=8 if best else 4,
                alpha=1 if best else 0.45,
                linestyle="none",
                zorder=3 if best else 2,
            )
    for which in ("x", "y"):
        values = points[which].to_numpy(dtype=float)
        if (values > 0).all() and logarithmic(values):
            plain_log_axis(axes, "x" if which == "x" else "y")
        else:
            axes.set(**{f"{which}lim": (0, 1.1 * max(float(values.max()), 1e-9))})
    draw_front(axes, points.loc[points["front"], ["x", "y"]])
    key = [
        Line2D([], [], color=style.color, marker=style.marker, linestyle="none", label=method_words(method))
        for method, style in looks.items()
        if method in set(points["method"])
    ]
    columns = min(len(key), 3)
    figure.legend(handles=key, loc="outside upper left", ncols=columns, fontsize=SMALL, frameon=False, borderpad=0)
    titled(axes, _capital(with_unit(names[1])), with_unit(names[0]))
    return figure


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _ends(row: pd.Series, names: tuple[str, str]) -> str:
    x, y = (objective_words(name) for name in names)
    return f"{method_words(str(row['method']))} ({x} {row['x']:.2g}, {y} {row['y']:.1f})"


def _alt(points: pd.DataFrame, names: tuple[str, str], described: str) -> str:
    x, y = (with_unit(name) for name in names)
    parts = []
    for method, group in points.groupby("method"):
        low, cheap = (group.sort_values(which).iloc[0] for which in ("y", "x"))
        parts.append(
            f"{method_words(str(method))} from {low['x']:.2g} across and {low['y']:.1f} upwards to {cheap['x']:.2g} "
            f"and {cheap['y']:.1f}"
        )
    return (
        f"Scatter plot of {len(points)} suggestions on {described}: across, {x}; upwards, {y}. "
        f"{int(points['front'].sum())} of them are on the Pareto front. The best upwards and the best across of each "
        f"method: {'; '.join(parts)}."
    )


if __name__ == "__main__":
    run_figure(draw)
