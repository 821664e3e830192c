"""What searches had found by when: python -m analysis.best_so_far DIR [--out DIR]."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.drawing.figure import WIDTH, Drawn, Line, Skipped, Style, new_figure, run_figure, styles
from analysis.drawing.marks import Label, draw_original, finish, logarithmic, plain_log_axis, titled, whole_ticks
from analysis.reading.frames import Frames
from analysis.reading.searches import fullest_search, original_value
from analysis.statistics.intervals import Interval
from analysis.wording.names import task_words
from analysis.wording.searches import (
    meaning_words,
    search_code_words,
    search_seeds_words,
    states_words,
    study_labels,
    with_unit,
)
from analysis.wording.words import joined
from sweep.words import counted

NAME = "best_so_far"
QUESTION = "How much searching did each method need?"
LINES: tuple[Line, ...] = ("-", "--", ":", "-.")
"""Of several studies of one method."""


def draw(frames: Frames) -> Drawn | Skipped:
    """The lowest objective of the complete suggestions so far, against suggestions and against seconds of compute."""
    tried = fullest_search(frames)
    if tried is None:
        return Skipped(NAME, "needs a search: preset search-uam")
    tried["best"] = tried.groupby("study")["value"].transform("cummin").groupby(tried["study"]).ffill()
    tried["spent"] = tried.groupby("study")["seconds"].cumsum()
    tried["count"] = tried.groupby("study").cumcount() + 1
    labels = study_labels(tried)
    task = str(tried["task_id"].iloc[0])
    described = task_words(frames.trials, task)
    objective = str(tried["objective"].iloc[0])

    original, mixed = original_value(frames, tried), search_code_words(frames, tried)
    figure, marked = _panels(tried, labels, objective, Interval(original, np.nan, np.nan, int(not np.isnan(original))))
    note = f"{described}. Mean over {search_seeds_words(tried)}. {states_words(tried)}; only complete ones count."
    note += f"{meaning_words(frames, tried, [objective])}{mixed}"
    finish(figure, note, marked)
    finding = (
        f"On validation data the searches' lowest {with_unit(objective)} was {_bests(tried, labels)}; "
        f"{search_seeds_words(tried)}, {states_words(tried)}; a value that was searched for flatters its "
        f"configuration, and the figure of tuned methods judges it on other seeds.{mixed}"
    )
    return Drawn(NAME, QUESTION, figure, finding, _alt(tried, labels, objective, described))


def _panels(
    tried: pd.DataFrame, labels: dict[str, str], objective: str, original: Interval
) -> tuple[Figure, list[tuple[Axes, list[Label]]]]:
    figure, axes = new_figure(WIDTH, 5.6, rows=2)
    marked = []
    looks = _looks(tried)
    for panel, across in zip(axes, ("count", "spent"), strict=True):
        named = []
        for study, points in tried.dropna(subset=["best"]).groupby("study", sort=False):
            style = looks[str(study)]
            panel.plot(
                [*points[across], tried.loc[tried["study"] == study, across].iloc[-1]],
                [*points["best"], points["best"].iloc[-1]],
                color=style.color,
                linestyle=style.line,
                linewidth=1.6,
                drawstyle="steps-post",
            )
            better = points[points["best"] < points["best"].shift(fill_value=float("inf"))]
            (dots,) = panel.plot(
                better[across], better["best"], color=style.color, marker=style.marker, linestyle="none"
            )
            dots.set_clip_on(False)  # the first is often the highest
            named.append(Label(float(points["best"].iloc[-1]), labels[str(study)], style))
        named += draw_original(panel, original)
        if logarithmic(tried["best"].dropna()):
            plain_log_axis(panel, "y")
        else:
            panel.set_ylim(bottom=0)
        marked.append((panel, named))
    for panel in axes:
        for line in panel.lines:
            line.set_markersize(5)
    whole_ticks(axes[0].xaxis)
    titled(axes[0], f"Lowest {with_unit(objective)} so far", "suggestions, pruned ones included")
    titled(axes[1], "The same against compute", "seconds of its trials so far")
    return figure, marked


def _looks(tried: pd.DataFrame) -> dict[str, Style]:
    own = styles([*tried["method"].unique()])
    studies = tried.drop_duplicates("study")
    places = studies.groupby("method").cumcount()
    return {
        str(study): replace(own[method], line=LINES[place % len(LINES)]) if place else own[method]
        for study, method, place in zip(studies["study"], studies["method"], places, strict=True)
    }


def _lowest(tried: pd.DataFrame) -> list[dict[str, Any]]:
    """The row at which each study reached its lowest value, lowest first."""
    rows = tried.loc[tried.groupby("study")["value"].idxmin()]
    return [{str(key): value for key, value in row.items()} for row in rows.sort_values("value").to_dict("records")]


def _bests(tried: pd.DataFrame, labels: dict[str, str]) -> str:
    sizes = tried.groupby("study").size()
    return joined(
        [
            f"{row['value']:.1f} for {labels[str(row['study'])]} "
            f"(suggestion {row['number']}, after {row['count']} of {sizes[row['study']]})"
            for row in _lowest(tried)
        ]
    )


def _alt(tried: pd.DataFrame, labels: dict[str, str], objective: str, described: str) -> str:
    total = tried.groupby("study")["seconds"].sum()
    parts = []
    for row in _lowest(tried):
        study = row["study"]
        first = tried.loc[tried["study"] == study, "best"].dropna().iloc[0]
        parts.append(
            f"{labels[str(study)]} from {first:.1f} to {row['value']:.1f} after {counted(row['count'], 'suggestion')} "
            f"and {row['spent']:.3g} of {total[study]:.3g} seconds"
        )
    return (
        f"Two step charts, one above the other, on {described}: the lowest {with_unit(objective)} so far "
        f"against the number of suggestions and against seconds of compute. It falls for {'; for '.join(parts)}."
    )


if __name__ == "__main__":
    run_figure(draw)
