"""The angle between retain and forget gradients: python -m analysis.gradient_angle DIR [--out DIR]."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
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
from analysis.drawing.marks import (
    LINE_HEIGHT,
    POINT,
    SMALL,
    Label,
    draw_line,
    draw_reference,
    finish,
    shades,
    titled,
    whole_ticks,
)
from analysis.reading.frames import Frames
from analysis.reading.selection import (
    choices,
    drawn_or_lost,
    ended_ok,
    fullest_task,
    parameter,
    representatives,
    setting_without,
)
from analysis.reading.uam import uam_where_gamma_acts
from analysis.statistics.intervals import mean_interval, summarise
from analysis.statistics.ranking import pairs, rank
from analysis.wording.code_words import code_words
from analysis.wording.finding import finding
from analysis.wording.names import method_words, task_words
from analysis.wording.words import (
    also,
    choice_words,
    further_words,
    joined,
    left_out_words,
    number_words,
    ranking_words,
    seeds_words,
)
from sweep.store.columns import REFERENCES

NAME = "gradient_angle"
QUESTION = "Do retain and forget gradients become independent?"
RIGHT_ANGLE = 90.0
MOST_METHODS = 10
"""So many have a line; of more, the others are in the finding alone."""
PANELS = {
    "probe_degrees": "Angle between gradients (degrees)",
    "probe_forget_accuracy": "FA of the probe (percent)",
    "probe_forget_loss": "Loss of the probe's forget samples",
}
"""Of accuracy and loss, the first that the kind of task has."""
ON_THE_PATH = "Angle between the gradients of UAM's steps (degrees)"


def draw(frames: Frames) -> Drawn | Skipped:
    """The angle between the retain and forget gradients, and the probe's forget accuracy or loss, against epochs.

    Retrain starts elsewhere and has other epochs, so only its end is drawn. The lowest panel shows the angle that UAM's
    steps see: between the forget gradient at w and the retain gradient where the ascent ends. Runs with gamma = 0 and
    with constant rho stand beside it, because the two points meet as rho is annealed, whatever gamma is.
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
    drawn = _few(chosen)
    means = {
        column: summarise(paths[paths["method"].isin(drawn)], ["method", "epoch"], column) for column in _columns(paths)
    }

    steps = _steps(frames.traces, usable)
    figure, labels = _panels(means, _ends(retrain), steps)
    described = task_words(frames.trials, task)
    left_out = chosen["method"].nunique() - len(drawn)
    fewer = further_words(left_out)
    more = hollow_words(chosen["method"]) + fewer + also(code_words(chosen))
    draw_hollow_key(figure, chosen["method"])
    finish(
        figure,
        f"{described}. {choice_words(usable)}{seeds_words(means['probe_degrees']['n'])}. Dashed: 90 degrees.{more}",
        labels,
    )

    ends = _ends(paths)
    ends["distance"] = (ends["probe_degrees"] - RIGHT_ANGLE).abs()
    ranking = rank(ends, ["method"], "distance", pairs(choices(usable)))
    assert ranking is not None
    best = str(ranking.best[0])
    angle = mean_interval(ends.loc[ends["method"] == best, "probe_degrees"], "probe_degrees")
    claim = (
        f"{method_words(best)} ends nearest to a right angle between retain and forget gradients, at "
        f"{angle} (degrees){ranking_words(ranking, lambda key: method_words(str(key[0])))}"
        f"{left_out_words(drawn_or_lost(frames.trials, chosen))}."
    )
    found = finding(claim, chosen, angle, "probe_degrees") + _steps_words(steps)
    return Drawn(NAME, QUESTION, figure, found, _alt(means["probe_degrees"], described))


def _few(chosen: pd.DataFrame) -> list[str]:
    """The methods that have a line: UAM, and those of lowest average gap."""
    nearest = [str(method) for method in chosen.groupby("method")["average_gap"].mean().sort_values().index]
    return sorted(nearest, key=lambda method: method != "uam")[:MOST_METHODS]


def _columns(paths: pd.DataFrame) -> list[str]:
    """The columns that have a panel."""
    said = [column for column in PANELS if paths[column].notna().any()]
    return said[:2]


def _steps(traces: pd.DataFrame, usable: pd.DataFrame) -> pd.DataFrame:
    """The angle of UAM's steps per epoch, in variants that differ only in rho's schedule and in gamma, 0 or not.

    Only trials in which gamma has an effect count. Of the settings of the other hyperparameters the one with most
    variants is kept, then the one of lowest gap; of its gammas above 0 likewise.

    Returns:
        Columns `gamma`, `schedule` and those of `summarise`.
    """
    seen = traces.dropna(subset=["gradient_degrees"])
    uam = uam_where_gamma_acts(usable[usable["trial_id"].isin(seen["trial_id"].unique())], set())
    uam = uam.assign(
        schedule=parameter(uam, "rho_schedule"),
        setting=setting_without(uam, {"gamma", "rho_schedule"}),
    )
    uam = uam.assign(acts=uam["gamma"] > 0)
    uam = uam[uam["setting"].isin(_with_most(uam, "setting", ["acts", "schedule"]))]
    uam = uam[~uam["acts"] | uam["gamma"].isin(_with_most(uam[uam["acts"]], "gamma", ["schedule"]))]
    paths = seen.merge(uam[["trial_id", "gamma", "schedule"]], on="trial_id")
    return summarise(paths, ["gamma", "schedule", "epoch"], "gradient_degrees")


def _with_most(trials: pd.DataFrame, column: str, varied: list[str]) -> list[object]:
    """The value of a column with most combinations of what is varied, then the lowest gap; none without trials."""
    count = trials.drop_duplicates([column, *varied]).groupby(column).size().rename("count")
    order = pd.concat([count, trials.groupby(column)["average_gap"].mean()], axis=1)
    return [*order.sort_values(["count", "average_gap"], ascending=[False, True]).index[:1]]


def _variant(gamma: float, schedule: str) -> str:
    return f"γ = {number_words(gamma)}, ρ {'annealed' if schedule == 'cosine' else schedule}"


def _steps_words(steps: pd.DataFrame) -> str:
    """From where to where the angle of UAM's steps goes, and whether it follows the annealing of rho; may be empty."""
    ends = steps.sort_values("epoch").groupby(["schedule", "gamma"])["mean"].agg(["first", "last"]).reset_index()
    if len(ends) < 2:
        return ""
    parts = [
        f"from {first:.0f} to {last:.0f} with {_variant(gamma, schedule)}"
        for schedule, gamma, first, last in ends.itertuples(index=False)
    ]
    changes = ends["last"] - ends["first"]
    annealed = ends["schedule"] == "cosine"
    both = min(ends.loc[kept, "gamma"].nunique() for kept in (annealed, ~annealed)) > 1
    follows = both and changes[annealed].min() > 2 * changes[~annealed].abs().max()
    reason = ": it follows the annealing of ρ, at any γ, and says nothing about γ" if follows else ""
    return f" Along UAM's path the angle between its two gradients goes {joined(parts)}{reason}."


def _ends(paths: pd.DataFrame) -> pd.DataFrame:
    """The last probed point of each trial (one that is tuned and untuned is two)."""
    return paths.sort_values("epoch").drop_duplicates(["trial_id", "method"], keep="last").copy()


def _panels(
    means: dict[str, pd.DataFrame], retrain: pd.DataFrame, steps: pd.DataFrame
) -> tuple[Figure, list[tuple[Axes, list[Label]]]]:
    rows = len(means) + (not steps.empty)
    looks = styles([*means["probe_degrees"]["method"].unique()])
    names = means["probe_degrees"]["method"].nunique() + 2  # which stand beside a panel, one below the other
    figure, axes = new_figure(WIDTH, max(2.8, names * SMALL * LINE_HEIGHT / POINT) * rows, rows=rows)
    labels = []
    for panel, column in zip(axes, means, strict=False):
        named = []
        groups = [(str(method), points.sort_values("epoch")) for method, points in means[column].groupby("method")]
        for place, (method, points) in enumerate(groups):
            draw_line(
                panel,
                points,
                "epoch",
                looks[method],
                shift=min(1.5, 15 / len(groups)) * (place - (len(groups) - 1) / 2),
            )
            named.append(Label(points["mean"].iloc[-1], method_words(method), looks[method]))
        if retrain[column].notna().any():
            reference = mean_interval(retrain[column], column)
            draw_reference(panel, reference, looks["retrain"])
            named.append(Label(reference.mean, "Retrain's end", looks["retrain"]))
        titled(panel, PANELS[column])
        panel.tick_params(labelbottom=panel is axes[-1])
        whole_ticks(panel.xaxis)
        labels.append((panel, named))
    if not steps.empty:
        variants = [*steps.groupby(["schedule", "gamma"])]
        named = []
        for ((schedule, gamma), points), style in zip(variants, shades(STYLES["uam"], len(variants)), strict=True):
            draw_line(axes[-1], points, "epoch", style)
            named.append(Label(points["mean"].iloc[-1], _variant(gamma, schedule), style))
        titled(axes[-1], ON_THE_PATH)
        whole_ticks(axes[-1].xaxis)
        labels.append((axes[-1], named))
    for panel in {axes[0], axes[-1]} - ({axes[-1]} if steps.empty else set()):
        panel.axhline(RIGHT_ANGLE, color="#555555", linewidth=1, linestyle=(0, (5, 3)), zorder=1.4)
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
        f"Line charts, one above the other, on {described}: the angle between retain and forget gradients against "
        f"epochs, with 90 degrees as a dashed line, and accuracy or loss on these forget samples. The angle goes for "
        f"{', for '.join(parts)}."
    )


if __name__ == "__main__":
    run_figure(draw)
