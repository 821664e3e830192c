"""What relearning brings back of the forget set: python -m analysis.relearned DIR [--out DIR]."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

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
from analysis.drawing.marks import finish, titled
from analysis.reading.frames import Frames
from analysis.reading.relearned import lower_is_known, relearned_trials
from analysis.reading.selection import fullest_task, representatives
from analysis.statistics.intervals import Interval, mean_interval, paired_difference
from analysis.statistics.ranking import verdicts
from analysis.wording.code_words import code_words
from analysis.wording.finding import finding
from analysis.wording.names import method_words, task_words
from analysis.wording.words import also, choice_words, joined, left_out_words, seeds_words
from sweep.store.metrics import Metric, columns

NAME = "relearned"
QUESTION = "Which methods hide what they were to forget?"


@dataclass(frozen=True)
class Line:
    """A method: how well it knows the forget set before and after relearning, by seed, beside Retrain's after."""

    method: str
    before: pd.Series
    after: pd.Series
    retrain: pd.Series

    @property
    def beyond(self) -> Interval:
        """After less Retrain's after, paired by seed."""
        return paired_difference(self.after, self.retrain)


def draw(frames: Frames) -> Drawn | Skipped:
    """Each method before and after a copy was relearned, and the difference to Retrain's after, paired by seed."""
    trials = next((found for data in ("retain", "forget") if len(found := _beside(frames, data))), None)
    if trials is None:
        return Skipped(
            NAME, "needs a Retrain and another method with relearn: {epochs: 3} in the spec: preset relearning"
        )
    task = fullest_task(trials)
    recipes = trials[trials["task_id"] == task]["relearning_id"].value_counts()
    here = trials[(trials["task_id"] == task) & (trials["relearning_id"] == recipes.index[0])]
    shown = representatives(here)
    metric = columns()[shown["quality"].iloc[0]]
    lines = sorted(_lines(shown), key=lambda line: line.beyond.mean, reverse=not lower_is_known(metric.column))
    retrain = next(line for line in lines if line.method == "retrain")
    others = [line for line in lines if line.method != "retrain"]
    figure = _panels(others, retrain, metric)
    recipe, described = shown["recipe"].iloc[0].words, task_words(frames.trials, task)
    note = (
        f"{described}. Relearned: {recipe}. {seeds_words([len(line.after) for line in others])}. {choice_words(here)}"
        "Bar: before; marker: after, with its interval. Black: Retrain, before (dashed) and after."
    )
    draw_hollow_key(figure, shown["method"])
    finish(figure, note + hollow_words(shown["method"]) + also(code_words(shown)))
    claim = (
        f"{_claim(others, retrain, metric, recipe)}{left_out_words(frames.trials[frames.trials['task_id'] == task])}."
    )
    return Drawn(NAME, QUESTION, figure, finding(claim, shown, quantity=metric.column), _alt(lines, metric, described))


def _beside(frames: Frames, data: str) -> pd.DataFrame:
    """The relearned trials that stand beside a Retrain, of tasks that have another method than it."""
    trials = relearned_trials(frames, "retain" if data == "retain" else "forget")
    if trials.empty:
        return trials
    trials = trials.dropna(subset=["retrain_after"])
    return trials[trials.groupby("task_id")["method"].transform("nunique") > 1]


def _lines(shown: pd.DataFrame) -> list[Line]:
    found = []
    for method, rows in shown.groupby("method"):
        by_seed = rows.set_index("seed")
        found.append(Line(str(method), by_seed["before"], by_seed["after"], by_seed["retrain_after"]))
    return found


def _panels(lines: list[Line], retrain: Line, metric: Metric) -> Figure:
    figure, (levels, differences) = new_figure(WIDTH, 1.9 + 2 * (0.35 + 0.3 * len(lines)), rows=2)
    looks = styles([line.method for line in lines])
    black = STYLES["retrain"].color
    after = mean_interval(retrain.after, metric.column)
    levels.axvline(retrain.before.mean(), color=black, linewidth=1.0, linestyle="--", zorder=1.5)
    levels.axvline(after.mean, color=black, linewidth=1.2, zorder=1.5)
    if after.known:
        levels.axvspan(after.low, after.high, color=black, alpha=0.13, linewidth=0, zorder=1)
    for row, line in enumerate(lines):
        style, ends = looks[line.method], (line.before.mean(), line.after.mean())
        levels.annotate(
            "", (ends[1], row), (ends[0], row), arrowprops={"arrowstyle": "-|>", "color": style.color, "lw": 2.2}
        )
        levels.plot(ends[0], row, marker="|", color=style.color, markersize=11, markeredgewidth=2, zorder=3)
        for panel, place in ((levels, mean_interval(line.after, metric.column)), (differences, line.beyond)):
            if place.known:
                panel.hlines(row, place.low, place.high, color=style.color, linewidth=1.2, zorder=2)
            panel.plot(
                place.mean, row, marker=style.marker, color=style.color, markerfacecolor=style.face, markersize=6.5
            )
    differences.axvline(0, color=black, linewidth=1.2, zorder=1.5)
    for panel in (levels, differences):
        panel.set_yticks(range(len(lines)), [method_words(line.method) for line in lines])
        panel.set_ylim(len(lines) - 0.5, -0.5)
    known = "left" if lower_is_known(metric.column) else "right"
    titled(levels, f"{metric.label}, before and after relearning", metric.unit)
    titled(differences, "After, less Retrain's after, paired by seed", f"{known} of 0: more is left than in Retrain")
    return figure


def _claim(lines: list[Line], retrain: Line, metric: Metric, recipe: str) -> str:
    """Whose forget set is known better after relearning than Retrain's, as one sentence without its full stop."""
    told = (
        f"After {recipe}, Retrain's {metric.label} goes from {retrain.before.mean():.1f} to {retrain.after.mean():.1f}"
    )
    if all(line.beyond.n < 2 for line in lines):
        most = lines[0]
        return (
            f"{told} and {method_words(most.method)}'s from {most.before.mean():.1f} to {most.after.mean():.1f}, n = 1"
        )
    sign = -1 if lower_is_known(metric.column) else 1
    judged = {line.method: sign * float(verdicts(line.after - line.retrain, len(lines))) for line in lines}
    clear = [line for line in lines if judged[line.method] > 0]
    count = f"n = {max(line.beyond.n for line in lines)}"
    if not clear:
        return f"{told}; no method is clearly beyond that ({count})"
    words = [f"{method_words(line.method)} ({line.beyond.signed})" for line in clear]
    verb = "is" if len(words) == 1 else "are"
    return f"{told}; clearly beyond that, so that more was kept, {verb} {joined(words)}, {count}"


def _alt(lines: list[Line], metric: Metric, described: str) -> str:
    parts = [f"{method_words(line.method)} from {line.before.mean():.1f} to {line.after.mean():.1f}" for line in lines]
    return (
        f"Two panels of points with intervals on {described}: {metric.words}, in {metric.unit}, before and after "
        f"relearning, and below the difference to Retrain's after, paired by seed. {'; '.join(parts)}."
    )


if __name__ == "__main__":
    run_figure(draw)
