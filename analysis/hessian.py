"""What the Hessian term is worth: python -m analysis.hessian DIR [--out DIR]."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from matplotlib.axes import Axes

from analysis.drawing.figure import STYLES, WIDTH, Drawn, Skipped, Style, new_figure, run_figure
from analysis.drawing.marks import (
    Label,
    cost_axis,
    draw_line,
    draw_original,
    finish,
    logarithmic,
    shades,
    titled,
    value_axis,
)
from analysis.reading.frames import Frames
from analysis.reading.selection import ended_ok, fullest_task, numeric_parameter, parameter, setting_without
from analysis.statistics.intervals import summarise
from analysis.statistics.ranking import Key, pairs, rank
from analysis.wording.code_words import code_words
from analysis.wording.doing_nothing import original_level
from analysis.wording.finding import HERE, finding
from analysis.wording.names import task_words
from analysis.wording.words import also, left_out_words, number_words, ranking_words, seeds_words

NAME = "hessian"
QUESTION = "What is the Hessian term worth, per epoch and per second?"
TREATMENTS = ("none", "projection", "scalar", "exact")
"""In the order of their cost."""


def draw(frames: Frames) -> Drawn | Skipped:
    """Average gap of UAM against epochs and against seconds, a line per treatment of the Hessian term."""
    uam = frames.trials[frames.trials["method"] == "uam"]
    uam = uam.assign(
        hessian=parameter(uam, "hessian").astype(object),
        epochs=numeric_parameter(uam, "epochs"),
        variant=setting_without(uam, {"epochs"}),
        setting=setting_without(uam, {"epochs", "hessian", "gamma"}),
    )
    chosen = _choose(uam)
    if chosen is None:
        need = "UAM with two treatments of the Hessian term and two numbers of epochs, and Retrain"
        return Skipped(NAME, f"needs {need}: preset ablation-hessian")
    by = ["hessian", "epochs"]
    ranking = rank(chosen, by, "average_gap", pairs(chosen.groupby(by)["choices"].first()))
    assert ranking is not None
    gaps, seconds = summarise(chosen, by, "average_gap"), summarise(chosen, by, "unlearn_seconds")
    looks = _styles()

    figure, axes = new_figure(WIDTH, 5.2, rows=2)
    labels: list[tuple[Axes, list[Label]]] = [(axes[0], []), (axes[1], [])]
    value_axis(axes[0], gaps["epochs"], log=logarithmic(gaps["epochs"]))
    cost_axis(axes[1], seconds["mean"])
    costs = seconds.rename(columns={"mean": "seconds", "low": "fast", "high": "slow"}).drop(columns="n")
    both = gaps.merge(costs, on=by)
    treatments = [name for name in TREATMENTS if name in set(both["hessian"])]
    for place, name in enumerate(treatments):
        points = both[both["hessian"] == name].sort_values("epochs")
        draw_line(axes[0], points, "epochs", looks[name], shift=2.5 * (place - (len(treatments) - 1) / 2))
        draw_line(axes[1], points, "seconds", looks[name])
        axes[1].hlines(points["mean"], points["fast"], points["slow"], color=looks[name].color, linewidth=1.2)
        for _, found in labels:
            found.append(Label(points["mean"].iloc[-1], name, looks[name]))
    for panel, named in labels:
        named += draw_original(panel, original_level(chosen))
        panel.set_ylim(bottom=0)
    titled(axes[0], "Average gap to Retrain (percentage points)", "epochs of unlearning")
    titled(axes[1], "The same against time", "seconds of unlearning, mean over seeds")
    task, setting = str(chosen["task_id"].iloc[0]), chosen["setting"].iloc[0]
    described = task_words(frames.trials, task)
    longer = " Steps of scalar are up to 1 + γ times as long as the others'." if "scalar" in treatments else ""
    finish(figure, f"UAM on {described}. {seeds_words(gaps['n'])}.{longer}{also(code_words(chosen))}", labels)

    claim = (
        f"UAM's mean average gap (percentage points) is lowest with {_name(ranking.best)}: {ranking.interval}; "
        f"{_bests(both, str(ranking.best[0]))}{ranking_words(ranking, _name)}"
        f"{left_out_words(uam[(uam['task_id'] == task) & (uam['setting'] == setting)])}."
    )
    said = finding(claim, chosen, ranking.interval, who=HERE)
    return Drawn(NAME, QUESTION, figure, said, _alt(both, treatments, described))


def _choose(uam: pd.DataFrame) -> pd.DataFrame | None:
    """Choose the task and setting with most treatments and epochs, and return their trials that ended ok.

    Of several gammas each treatment keeps one, as gamma has no effect on `none` and `exact`: the one with most trials,
    then of lowest average gap. The column `choices` says among how many gammas the average gap decided.
    """
    ok = ended_ok(uam).dropna(subset=["average_gap", "epochs", "hessian"])
    ok = ok[ok["hessian"].isin(TREATMENTS)]
    groups = ok.groupby(["task_id", "setting"])
    ok = ok[(groups["hessian"].transform("nunique") > 1) & (groups["epochs"].transform("nunique") > 1)]
    if ok.empty:
        return None
    ok = ok[ok["task_id"] == fullest_task(ok)]
    order = ok.groupby("setting").agg(
        treatments=("hessian", "nunique"),
        epochs=("epochs", "nunique"),
        trials=("seed", "size"),
        gap=("average_gap", "mean"),
    )
    ok = ok[ok["setting"] == str(order.sort_values([*order], ascending=[False, False, False, True]).index[0])]
    variants = ok.groupby(["hessian", "variant"]).agg(trials=("seed", "size"), gap=("average_gap", "mean"))
    variants = variants.reset_index().sort_values(["hessian", "trials", "gap"], ascending=[True, False, True])
    variants["choices"] = variants.groupby(["hessian", "trials"])["variant"].transform("size")
    first = variants.drop_duplicates("hessian").set_index("variant")["choices"]
    chosen = ok[ok["variant"].isin(first.index)]
    return chosen.assign(choices=chosen["variant"].map(first))


def _styles() -> dict[str, Style]:
    light, middle, _, dark = shades(STYLES["uam"], 4)
    scalar = replace(middle, marker="x", line="-.")
    exact = replace(dark, marker="^", line="--")
    return {"none": light, "projection": STYLES["uam"], "scalar": scalar, "exact": exact}


def _name(key: Key) -> str:
    return f"hessian: {key[0]} at {number_words(key[1])} epochs"


def _bests(both: pd.DataFrame, best: str) -> str:
    """The lowest gap of each other treatment, and its time."""
    lowest = both.loc[both.groupby("hessian")["mean"].idxmin()]
    parts = [
        f"{row['hessian']} at best {row['mean']:.1f} at {number_words(row['epochs'])} epochs"
        for row in lowest.to_dict("records")
        if row["hessian"] != best
    ]
    return " and ".join(parts)


def _alt(both: pd.DataFrame, treatments: list[str], described: str) -> str:
    parts = []
    for name in treatments:
        points = both[both["hessian"] == name].sort_values("epochs")
        first, last = points.iloc[0], points.iloc[-1]
        parts.append(
            f"with hessian: {name} it goes from {first['mean']:.1f} at {number_words(first['epochs'])} epochs "
            f"({first['seconds']:.2g} seconds) to {last['mean']:.1f} at {number_words(last['epochs'])} "
            f"({last['seconds']:.2g} seconds)"
        )
    return (
        f"Two line charts, one above the other, of UAM's average gap in percentage points against epochs and against "
        f"seconds of unlearning, on {described}: {'; '.join(parts)}."
    )


if __name__ == "__main__":
    run_figure(draw)
