"""A search's objective against each hyperparameter: python -m analysis.slices DIR [--out DIR]."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from analysis.drawing.figure import STYLES, WIDTH, Drawn, Skipped, Style, new_figure, run_figure, styles
from analysis.drawing.marks import finish, logarithmic, plain_log_axis, titled
from analysis.reading.frames import Frames
from analysis.reading.searches import fullest_search, original_value
from analysis.wording.names import task_words
from analysis.wording.searches import (
    meaning_words,
    search_code_words,
    search_seeds_words,
    states_words,
    study_labels,
    with_unit,
)
from analysis.wording.words import joined, number_words
from sweep.spec.conditions import Conditions, acts

NAME = "slices"
QUESTION = "Which values of each hyperparameter are good?"
COLUMNS = 2
MOST_PANELS = 16


def draw(frames: Frames) -> Drawn | Skipped:
    """The objective of every complete suggestion against each searched hyperparameter; pruned ones above, by value."""
    tried = fullest_search(frames)
    if tried is None:
        return Skipped(NAME, "needs a search: preset search-uam")
    tried = tried[tried["state"].isin(["complete", "pruned"])]
    labels = study_labels(tried)
    fullest = tried.groupby("study").size().sort_values(ascending=False, kind="stable").index
    spaces = {study: tried.loc[tried["study"] == study, "space"].iloc[0] for study in fullest}
    panels = [(str(study), name) for study in fullest for name in spaces[study]]
    shown = panels[:MOST_PANELS]
    objective = str(tried["objective"].iloc[0])
    described = task_words(frames.trials, str(tried["task_id"].iloc[0]))

    original, mixed = original_value(frames, tried), search_code_words(frames, tried)
    level = "" if np.isnan(original) else f" Dashed: Original, {original:.1f}."
    rows = -(-len(shown) // COLUMNS)
    figure, axes = new_figure(WIDTH, 0.9 + 1.75 * rows, rows=rows, columns=COLUMNS)
    looks = styles([*tried["method"].unique()])
    several = len(spaces) > 1
    for panel, (study, name) in zip(axes, shown, strict=False):
        points = _points(tried[tried["study"] == study], name)
        _slice(panel, points, spaces[study][name], looks[str(points.attrs["method"])], original)
        titled(panel, f"{labels[study]}: {name}" if several else name)
    for panel in axes[len(shown) :]:
        panel.remove()
    fewer = f" {len(panels) - len(shown)} further ones are not drawn." if len(panels) > len(shown) else ""
    pruned = " ×, above the line: pruned." if (tried["state"] == "pruned").any() else ""
    finish(
        figure,
        f"{described}. Upwards: {with_unit(objective)}, mean over {search_seeds_words(tried)}; ringed: the lowest. "
        f"{states_words(tried)}.{pruned} Suggestions in which a hyperparameter has no effect are not in its panel."
        f"{meaning_words(frames, tried, [objective])}{level}{fewer}{mixed}",
    )
    bests = [_best(tried[tried["study"] == study], labels[str(study)]) for study in fullest]
    trends = _trends(tried, panels, labels)
    finding = (
        f"The lowest {with_unit(objective)} of {states_words(tried)}, {search_seeds_words(tried)}, was "
        f"{'; '.join(bests)}. {trends}.{mixed}"
    )
    return Drawn(NAME, QUESTION, figure, finding, _alt(tried, panels, labels, objective, described))


def _points(tried: pd.DataFrame, name: str) -> pd.DataFrame:
    """Columns `x` (the hyperparameter) and `value`, for suggestions in which it has an effect."""
    when = _conditions(tried["space"].iloc[0])
    active = tried[[acts(name, when, params) for params in tried["params"]]]
    points = pd.DataFrame({"x": [params[name] for params in active["params"]], "value": active["value"].to_numpy()})
    points.attrs["method"] = tried["method"].iloc[0]
    return points


def _conditions(space: dict[str, dict[str, Any]]) -> Conditions:
    return {name: one["when"] for name, one in space.items() if "when" in one}


def _slice(panel: Axes, points: pd.DataFrame, space: dict[str, Any], style: Style, original: float) -> None:
    choices = [_text(choice) for choice in space.get("choices", [])]
    if choices:
        places = points["x"].map(_text).map({choice: place for place, choice in enumerate(choices)}).astype(float)
        places += np.resize([-0.12, 0.06, -0.06, 0.12, 0.0], len(places))
        panel.set_xticks(range(len(choices)), choices)
        panel.set_xlim(-0.5, len(choices) - 0.5)
    else:
        places = points["x"].astype(float)
        if space.get("log"):
            panel.set_xscale("log")
        _span(panel, space)
    done = points["value"].notna().to_numpy()
    values = points["value"].to_numpy(dtype=float)
    panel.plot(
        places[done], values[done], color=style.color, marker=style.marker, markersize=4, linestyle="none", alpha=0.75
    )
    if not done.any():
        return
    if not np.isnan(original):
        panel.axhline(original, color=STYLES["original"].color, linestyle="--", linewidth=1.2, zorder=1.6)
    low, high = float(values[done].min()), float(np.nanmax([*values[done], original]))
    if low > 0 and logarithmic(values[done]):
        plain_log_axis(panel, "y")
        line, top, end = (high * (high / low) ** share for share in (0.08, 0.16, 0.28))
    else:
        panel.set_ylim(bottom=0)
        line, top, end = ((high or 1.0) * share for share in (1.09, 1.18, 1.3))
    best = int(np.nanargmin(values))
    panel.plot(places.iloc[[best]], values[[best]], "o", color="black", markersize=10, markerfacecolor="none")
    if (~done).any():
        panel.axhline(line, color="#999999", linewidth=0.8)
        panel.plot(places[~done], np.full((~done).sum(), top), color="#555555", marker="x", markersize=4, linestyle="")
        panel.set_ylim(top=end)


def _span(panel: Axes, space: dict[str, Any]) -> None:
    """The whole searched range, with a little room."""
    low, high = float(space["low"]), float(space["high"])
    if space.get("log"):
        room = (high / low) ** 0.05
        panel.set_xlim(low / room, high * room)
        if high / low < 1000:
            plain_log_axis(panel, "x")
    else:
        room = 0.05 * (high - low)
        panel.set_xlim(low - room, high + room)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _value(value: Any) -> str:
    return number_words(value) if isinstance(value, int | float) and not isinstance(value, bool) else _text(value)


def _best(tried: pd.DataFrame, label: str) -> str:
    """A study's lowest value and the searched hyperparameters that act there."""
    row = tried.sort_values("value").iloc[0]
    params, when = row["params"], _conditions(row["space"])
    given = [f"{name} = {_value(params[name])}" for name in row["space"] if acts(name, when, params)]
    return f"{label}'s {row['value']:.1f} at {', '.join(given)}"


def _trends(tried: pd.DataFrame, panels: list[tuple[str, str]], labels: dict[str, str]) -> str:
    """Which hyperparameters the objective rises or falls with over their whole range (rank correlation)."""
    found = []
    for study, name in panels:
        group = tried[tried["study"] == study]
        if "choices" in group["space"].iloc[0][name]:
            continue
        points = _points(group, name).dropna()
        if len(points) < 8 or points["x"].nunique() < 3:
            continue
        result = stats.spearmanr(points["x"].astype(float), points["value"])
        if result.pvalue < 0.05 / len(panels):
            found.append(f"{'rises' if result.statistic > 0 else 'falls'} with {labels[study]}'s {name}")
    return (
        f"It {joined(found)} over the range searched"
        if found
        else "Of no hyperparameter is it shown that it rises or falls over its whole range"
    )


def _alt(
    tried: pd.DataFrame, panels: list[tuple[str, str]], labels: dict[str, str], objective: str, described: str
) -> str:
    parts = []
    for study, name in panels:
        points = _points(tried[tried["study"] == study], name).dropna()
        if points.empty:
            continue
        low = points.sort_values("value").iloc[0]
        parts.append(
            f"{labels[study]}'s {name}: {points['value'].max():.1f} to {low['value']:.1f} at {_value(low['x'])}"
        )
    return (
        f"Scatter plots on {described}, one for each searched hyperparameter: the {with_unit(objective)} of "
        f"every suggestion against its value. From the highest to the lowest: {'; '.join(parts)}."
    )


if __name__ == "__main__":
    run_figure(draw)
