"""One hyperparameter of UAM against its outcome, the others fixed: what the figures of rho and of gamma share."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.drawing.figure import STYLES, WIDTH, Drawn, Skipped, new_figure
from analysis.drawing.marks import (
    SMALL,
    Label,
    draw_line,
    draw_original,
    draw_reference,
    finish,
    logarithmic,
    shades,
    titled,
    value_axis,
)
from analysis.reading.frames import Frames, metrics_in
from analysis.reading.selection import ended_ok, fullest_task
from analysis.reading.uam import uam_where_gamma_acts
from analysis.statistics.intervals import Interval, mean_interval, summarise
from analysis.statistics.ranking import Key, rank
from analysis.wording.code_words import code_words
from analysis.wording.doing_nothing import original_level
from analysis.wording.finding import HERE, finding
from analysis.wording.names import RHO, Hyperparameter, label, task_words, uam_words
from analysis.wording.words import also, joined, left_out_words, number_words, ranking_words, seeds_words
from sweep.store.metrics import Metric, averaged, columns

MOST_LINES = 4


def draw_ablation(frames: Frames, question: str, along: Hyperparameter, lines: Hyperparameter) -> Drawn | Skipped:
    """Average gap and accuracies (FA, RA, TA) against `along`, a line per value of `lines`, Retrain as a band."""
    uam = uam_where_gamma_acts(frames.trials, {along.name, lines.name})
    chosen = _choose(uam, along.name, lines.name)
    if chosen is None:
        need = f"two values of {along.name} that differ in nothing else, and Retrain"
        return Skipped(along.name, f"needs {need}: preset ablation-{along.name}")
    task, setting = str(chosen["task_id"].iloc[0]), chosen["setting"].iloc[0]
    ranking = rank(chosen, [along.name, lines.name], "average_gap")
    assert ranking is not None
    kept = _spread(sorted(chosen[lines.name].unique()), ranking.best[1])
    metrics = _metrics(chosen)
    panels = ["average_gap", *(metric.column for metric in metrics)]
    means = {panel: summarise(chosen, [along.name, lines.name], panel) for panel in panels}
    means = {metric: found[found[lines.name].isin(kept)] for metric, found in means.items()}
    retrain = ended_ok(frames.trials[(frames.trials["task_id"] == task) & (frames.trials["method"] == "retrain")])
    references = {metric: mean_interval(retrain[metric], metric) for metric in panels[1:]}

    original = original_level(chosen)
    figure, labels = _panels(means, references, original, along, lines)
    fixed = f", {lines.symbol} = {number_words(kept[0])}" if len(kept) == 1 else ""
    described = f"{task_words(frames.trials, task)}{fixed}"
    finish(
        figure,
        f"{uam_words(chosen)} on {described}. {seeds_words(means['average_gap']['n'])}.{also(code_words(chosen))}",
        labels,
    )

    def name(key: Key) -> str:
        first, second = f"{along.symbol} = {number_words(key[0])}", f"{lines.symbol} = {number_words(key[1])}"
        return first if chosen[lines.name].nunique() == 1 else f"{first}, {second}"

    best = chosen[(chosen[along.name] == ranking.best[0]) & (chosen[lines.name] == ranking.best[1])]
    gaps = [f"{best['gap.' + each.column].mean():.1f} in {each.label}" for each in metrics]
    claim = (
        f"{uam_words(chosen)}'s mean average gap (percentage points) is lowest at {name(ranking.best)}: "
        f"{ranking.interval}, with gaps of {joined(gaps)}{ranking_words(ranking, name)}"
        f"{left_out_words(uam[(uam['task_id'] == task) & (uam['setting'] == setting)])}."
    )
    found = finding(claim, chosen, ranking.interval, who=HERE)
    return Drawn(along.name, question, figure, found, _alt(means, references, along, lines, described))


def _panels(
    means: dict[str, pd.DataFrame],
    references: dict[str, Interval],
    original: Interval,
    along: Hyperparameter,
    lines: Hyperparameter,
) -> tuple[Figure, list[tuple[Axes, list[Label]]]]:
    figure, axes = new_figure(WIDTH, 6.6, rows=len(means))
    tried = sorted(means["average_gap"][along.name].unique())
    values = sorted(means["average_gap"][lines.name].unique())
    looks = shades(STYLES["uam"], len(values))
    labels = []
    for panel, metric in zip(axes, means, strict=True):
        value_axis(panel, tried, log=along is RHO or logarithmic(tried))
        named = []
        for place, (value, style) in enumerate(zip(values, looks, strict=True)):
            points = means[metric][means[metric][lines.name] == value]
            draw_line(panel, points, along.name, style, shift=2.5 * (place - (len(values) - 1) / 2))
            named.append(Label(points["mean"].iloc[-1], f"{lines.symbol} = {number_words(value)}", style))
        if metric in references:
            draw_reference(panel, references[metric], STYLES["retrain"])
            named.append(Label(references[metric].mean, "Retrain", STYLES["retrain"]))
            titled(panel, f"{label(metric)} ({columns()[metric].unit})")
        else:
            named += draw_original(panel, original)
            panel.set_ylim(bottom=0)
            titled(panel, "Average gap to Retrain (percentage points)")
        panel.tick_params(labelbottom=panel is axes[-1])
        labels.append((panel, named))
    axes[-1].set_xlabel(f"{along.symbol} of UAM", fontsize=SMALL + 1)
    return figure, labels


def _alt(
    means: dict[str, pd.DataFrame],
    references: dict[str, Interval],
    along: Hyperparameter,
    lines: Hyperparameter,
    described: str,
) -> str:
    parts = []
    for value in means["average_gap"][lines.name].sort_values().unique().tolist():
        points = means["average_gap"][means["average_gap"][lines.name] == value]
        first, last, low = points.iloc[0], points.iloc[-1], points.loc[points["mean"].idxmin()]
        forget = [*means][1]
        level = means[forget].loc[means[forget][lines.name] == value, "mean"]
        parts.append(
            f"For {lines.symbol} = {number_words(value)} the average gap is {first['mean']:.1f} at "
            f"{along.symbol} = {number_words(first[along.name])}, lowest at {number_words(low[along.name])} "
            f"({low['mean']:.1f}) and {last['mean']:.1f} at {number_words(last[along.name])}; "
            f"{label(forget)} goes from {level.iloc[0]:.1f} to {level.iloc[-1]:.1f}."
        )
    levels = joined([f"{label(metric)} {reference.mean:.1f}" for metric, reference in references.items()])
    return (
        f"Line charts one above the other: average gap in percentage points, and {joined([*map(label, references)])}, "
        f"of UAM against {along.symbol}, on {described}. {' '.join(parts)} Retrain is a grey band ({levels})."
    )


def _metrics(trials: pd.DataFrame) -> list[Metric]:
    """The metrics that have a panel: the forget set's first, then the others', without the attack."""
    plain = averaged(metrics_in(trials), "average_gap")[:3]
    return sorted(plain, key=lambda metric: metric.side != "forget")


def _spread(values: list[float], best: float) -> list[float]:
    """At most `MOST_LINES` of the values, from the smallest to the largest, the best among them."""
    if len(values) <= MOST_LINES:
        return values
    places = {round(place) for place in np.linspace(0, len(values) - 1, MOST_LINES - 1)}
    return [value for place, value in enumerate(values) if place in places or value == best]


def _choose(uam: pd.DataFrame, along: str, lines: str) -> pd.DataFrame | None:
    """Choose a task and a setting, and return their trials that ended ok; None if no line has two values of `along`.

    The task is the one with most such trials. Of its settings those with UAM's default rule come first, then those with
    most values of `along`, then with most trials, then of lowest average gap.
    """
    ok = ended_ok(uam).dropna(subset=[along, lines, "average_gap"])
    line = ["task_id", "setting", lines]
    ok = ok[ok.groupby(line)[along].transform("nunique") >= 2]
    if ok.empty:
        return None
    ok = ok[ok["task_id"] == fullest_task(ok)]
    ok = ok.assign(values=ok.groupby(line)[along].transform("nunique"))
    order = ok.groupby("setting").agg(
        rule=("rule", "first"), values=("values", "max"), trials=("seed", "size"), gap=("average_gap", "mean")
    )
    order["rule"] = order["rule"] != ""
    first = str(order.sort_values([*order], ascending=[True, False, False, True]).index[0])
    return ok[ok["setting"] == first].drop(columns="values")
