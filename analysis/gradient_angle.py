"""The angle between retain and forget gradients: python -m analysis.gradient_angle DIR [--out DIR]."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.figure import WIDTH, Drawn, Skipped, new_figure, run_figure, styles
from analysis.frames import Frames
from analysis.intervals import mean_interval, rank, summarise
from analysis.marks import SMALL, Label, draw_line, draw_reference, finish, titled
from analysis.selection import drawn_or_lost, ended_ok, fullest_task, representatives, several_configurations
from analysis.words import left_out_words, method_words, number_words, ranking_words, seeds_words, task_words

NAME = "gradient_angle"
QUESTION = "Do retain and forget gradients become independent?"
REFERENCES = ("original", "retrain")
RIGHT_ANGLE = 90.0
PANELS = {"probe_degrees": "Angle between gradients (degrees)", "probe_forget_accuracy": "FA of the probe (percent)"}


def draw(frames: Frames) -> Drawn | Skipped:
    """The angle between the retain and forget gradients, and the probe's forget accuracy, against epochs, per method.

    Retrain has another start and other epochs: only where it ends is drawn.
    """
    ok = ended_ok(frames.trials)
    probed = frames.traces.dropna(subset=["probe_degrees"]).drop_duplicates(["trial_id", "epoch"], keep="last")
    usable = ok[ok["trial_id"].isin(probed["trial_id"].unique()) & ~ok["method"].isin(REFERENCES)]
    if usable.empty:
        return Skipped(NAME, "needs the angle between gradients along the methods' paths: preset ablation-angle")
    task = fullest_task(usable)
    usable = usable[usable["task_id"] == task]
    chosen = representatives(usable)
    paths = probed.merge(chosen[["trial_id", "method", "seed"]], on="trial_id")
    reference = ok[(ok["task_id"] == task) & (ok["method"] == "retrain")]
    retrain = probed.merge(reference[["trial_id", "method", "seed"]], on="trial_id")
    means = {column: summarise(paths, ["method", "epoch"], column) for column in PANELS}

    figure, labels = _panels(means, _ends(retrain))
    described = task_words(frames.trials, task)
    how = "Each method in its configuration of lowest average gap. " if several_configurations(usable) else ""
    finish(figure, f"{described}. {how}{seeds_words(means['probe_degrees']['n'])}. Dashed: 90 degrees.", labels)

    ends = _ends(paths)
    ends["distance"] = (ends["probe_degrees"] - RIGHT_ANGLE).abs()
    ranking = rank(ends, ["method"], "distance")
    assert ranking is not None
    best = str(ranking.best[0])
    angle = mean_interval(ends.loc[ends["method"] == best, "probe_degrees"], "probe_degrees")
    finding = (
        f"{method_words(best)} ends nearest to a right angle between retain and forget gradients, at "
        f"{angle} (degrees){ranking_words(ranking, lambda key: method_words(str(key[0])))}"
        f"{left_out_words(drawn_or_lost(frames.trials, chosen))}."
    )
    return Drawn(NAME, QUESTION, figure, finding, _alt(means["probe_degrees"], described))


def _ends(paths: pd.DataFrame) -> pd.DataFrame:
    """The last probed point of each trial (one that is tuned and untuned is two)."""
    return paths.sort_values("epoch").drop_duplicates(["trial_id", "method"], keep="last").copy()


def _panels(means: dict[str, pd.DataFrame], retrain: pd.DataFrame) -> tuple[Figure, list[tuple[Axes, list[Label]]]]:
    figure, axes = new_figure(WIDTH, 5.6, rows=len(PANELS))
    looks = styles([*means["probe_degrees"]["method"].unique()])
    labels = []
    for panel, (column, title) in zip(axes, PANELS.items(), strict=True):
        named = []
        groups = [(str(method), points.sort_values("epoch")) for method, points in means[column].groupby("method")]
        for place, (method, points) in enumerate(groups):
            draw_line(panel, points, "epoch", looks[method], shift=1.5 * (place - (len(groups) - 1) / 2))
            named.append(Label(points["mean"].iloc[-1], method_words(method), looks[method]))
        if retrain[column].notna().any():
            reference = mean_interval(retrain[column], column)
            draw_reference(panel, reference, looks["retrain"])
            named.append(Label(reference.mean, "Retrain's end", looks["retrain"]))
        titled(panel, title)
        panel.tick_params(labelbottom=panel is axes[-1])
        panel.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        labels.append((panel, named))
    axes[0].axhline(RIGHT_ANGLE, color="#555555", linewidth=1, linestyle=(0, (5, 3)), zorder=1.4)
    axes[-1].set_xlabel("epochs of unlearning (a method without epochs: 1)", fontsize=SMALL + 1)
    return figure, labels


def _alt(angles: pd.DataFrame, described: str) -> str:
    parts = []
    for method, points in angles.groupby("method"):
        first, last = points.iloc[0], points.iloc[-1]
        parts.append(
            f"{method_words(str(method))} from {first['mean']:.0f} degrees at epoch {number_words(first['epoch'])} to "
            f"{last['mean']:.0f} at epoch {number_words(last['epoch'])}"
        )
    return (
        f"Two line charts, one above the other, on {described}: the angle between retain and forget gradients against "
        f"epochs, with 90 degrees as a dashed line, and the forget accuracy of the same samples. The angle goes for "
        f"{', for '.join(parts)}."
    )


if __name__ == "__main__":
    run_figure(draw)
