"""Methods against the forget ratio: python -m analysis.forget_ratio DIR [--out DIR]."""

from __future__ import annotations

import json

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.drawing.figure import WIDTH, Drawn, Skipped, draw_hollow_key, hollow_words, new_figure, run_figure, styles
from analysis.drawing.marks import SMALL, Label, draw_line, finish, titled, value_axis
from analysis.reading.frames import Frames, metrics_in
from analysis.reading.selection import WITHIN_TASK, alike, drawn_or_lost, ended_ok, is_reference
from analysis.statistics.intervals import summarise
from analysis.statistics.ranking import Ranking, pairs, rank
from analysis.wording.code_words import code_words
from analysis.wording.doing_nothing import doing_nothing, original_level
from analysis.wording.names import method_words
from analysis.wording.words import also, choice_words, joined, left_out_words, number_words, seeds_words
from sweep.store.columns import REFERENCES
from sweep.store.metrics import Metric, averaged

NAME = "forget_ratio"
QUESTION = "Does it get harder the more is forgotten?"
GAP_TITLE = "Average gap to Retrain (percentage points)"


def draw(frames: Frames) -> Drawn | Skipped:
    """Average gap and FA of each method against the forget ratio, for one dataset, model and training recipe."""
    trials = frames.trials[frames.trials["scenario"] == "random"]
    trials = trials.assign(percent=(100 * trials["forget_ratio"]).round(6), place=_settings(trials))
    chosen, choices = _choose(ended_ok(trials))
    if chosen.empty:
        return Skipped(NAME, "needs one dataset and model with two forget ratios, and Retrain: preset ablation-ratio")
    methods = chosen[chosen["method"] != "retrain"]
    rivals = methods[methods["method"] != "original"]
    gaps = summarise(methods, ["method", "percent"], "average_gap")
    forget = averaged(metrics_in(chosen), "forget_gap")[0]
    levels = summarise(chosen, ["method", "percent"], forget.column)
    row = chosen.iloc[0]
    described = f"{row['dataset']}, {row['model']}, random forgetting"

    figure, labels = _panels(gaps, levels, forget)
    how = choice_words(trials[(trials["place"] == row["place"]) & ~trials["method"].isin(REFERENCES)])
    more = hollow_words(methods["method"]) + also(code_words(chosen))
    draw_hollow_key(figure, methods["method"])
    finish(figure, f"{described}. {how}{seeds_words([*gaps['n'], *levels['n']])}.{more}", labels)

    rankings: dict[float, Ranking] = {}
    comparisons = sum(pairs(choices[group["method"].unique()]) for _, group in rivals.groupby("percent"))
    for percent, group in rivals.groupby("percent"):
        ranking = rank(group, ["method"], "average_gap", comparisons)
        if ranking is not None:
            rankings[float(str(percent))] = ranking
    claim = f"{_nothing(rivals)}{_finding(rankings)}{left_out_words(drawn_or_lost(trials, chosen))}."
    return Drawn(
        NAME, QUESTION, figure, f"{claim}{also(code_words(chosen))}", _alt(gaps, levels, forget.label, described)
    )


def _settings(trials: pd.DataFrame) -> pd.Series:
    """Each trial's task without its forget ratio, as JSON: trials that share it differ in the ratio only."""
    shared = {}
    for task, config in trials.drop_duplicates("task_id")[["task_id", "config"]].itertuples(index=False):
        parts = {key: value for key, value in json.loads(config).items() if key not in ("method", "seed")}
        parts["forget"] = {key: value for key, value in parts.get("forget", {}).items() if key != "ratio"}
        shared[task] = json.dumps(parts, sort_keys=True)
    return trials["task_id"].map(shared).astype(object)


def _choose(ok: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Choose the setting with most ratios, then most trials; in it, of each method, the configuration with most ratios,
    then of lowest average gap; one with fewer than half as many trials as the fullest of these is no candidate.

    Returns:
        The trials chosen, none if no method has two ratios; and by method among how many configurations the gap
        decided.
    """
    ok = ok.dropna(subset=["average_gap"])
    compared = ok[~is_reference(ok)]
    ratios = compared.groupby(["place", "method", "params"]).agg(
        ratios=("percent", "nunique"), trials=("seed", "size"), gap=("average_gap", "mean")
    )
    ratios = ratios[ratios["ratios"] > 1].reset_index()
    if ratios.empty:
        return ok.head(0), pd.Series(dtype=int)
    order = ratios.groupby("place").agg(ratios=("ratios", "max"), trials=("trials", "sum"))
    place = str(order.sort_values(["ratios", "trials"], ascending=False).index[0])
    ratios = ratios[ratios["place"] == place]
    most = ratios[ratios["ratios"] == ratios.groupby("method")["ratios"].transform("max")]
    most = most[2 * most["trials"] >= most.groupby("method")["trials"].transform("max")]
    best = most.sort_values(["method", "gap"]).drop_duplicates("method")
    drawn = alike(ok, best, WITHIN_TASK) | ok["method"].isin(REFERENCES)
    found = ok[(ok["place"] == place) & drawn]
    found = found[found["percent"].isin(found.loc[~found["method"].isin(REFERENCES), "percent"])]
    return found, most.groupby("method").size()


def _panels(gaps: pd.DataFrame, levels: pd.DataFrame, forget: Metric) -> tuple[Figure, list[tuple[Axes, list[Label]]]]:
    figure, axes = new_figure(WIDTH, 5.6, rows=2)
    looks = styles([*levels["method"].unique()])
    labels = []
    for panel, means, title in zip(axes, (gaps, levels), (GAP_TITLE, f"{forget.label} ({forget.unit})"), strict=True):
        value_axis(panel, means["percent"], log=True)
        named = []
        groups = [(str(method), points.sort_values("percent")) for method, points in means.groupby("method")]
        for place, (method, points) in enumerate(groups):
            draw_line(panel, points, "percent", looks[method], shift=1.2 * (place - (len(groups) - 1) / 2))
            named.append(Label(points["mean"].iloc[-1], method_words(method), looks[method]))
        titled(panel, title)
        panel.tick_params(labelbottom=panel is axes[-1])
        labels.append((panel, named))
    axes[0].set_ylim(bottom=0)
    axes[-1].set_xlabel("forget ratio (percent of the training data)", fontsize=SMALL + 1)
    return figure, labels


def _nothing(rivals: pd.DataFrame) -> str:
    """Say, to start with, at which ratios no method does better than Original; empty if at none."""
    groups = [(float(str(percent)), group) for percent, group in rivals.groupby("percent") if doing_nothing(group)]
    if not groups:
        return ""
    levels = joined([f"{original_level(group).mean:.1f} at {number_words(percent)} %" for percent, group in groups])
    return f"The original is at {levels}: there no method has a lower mean gap to Retrain than doing nothing. "


def _finding(rankings: dict[float, Ranking]) -> str:
    """Which method leads at which ratios, its gap at the first and the last of them, and how clearly."""
    leads: dict[str, list[float]] = {}
    for percent, ranking in rankings.items():
        leads.setdefault(str(ranking.best[0]), []).append(percent)
    parts = []
    for method, percents in sorted(leads.items(), key=lambda item: -len(item[1])):
        every = len(percents) == len(rankings)
        where = "every ratio" if every else joined([f"{number_words(percent)} %" for percent in percents])
        ends = dict.fromkeys([percents[0], percents[-1]])
        means = joined([f"{number_words(percent)} %: {rankings[percent].interval}" for percent in ends])
        parts.append(f"{method_words(method)}'s at {where} ({means})")
    return f"The lowest mean average gap (percentage points) is {', '.join(parts)}{_clearly([*rankings.values()])}"


def _clearly(rankings: list[Ranking]) -> str:
    """At how many ratios the lowest gap can be told from all others, to end a sentence with; empty without others."""
    rivalled = [ranking for ranking in rankings if ranking.equals or ranking.worse or ranking.unjudged]
    judged = [ranking for ranking in rivalled if not ranking.unjudged]
    if not rivalled:
        return ""
    if not judged:
        return "; too few seeds to tell"
    clear = sum(1 for ranking in judged if not ranking.equals)
    there = ""
    if len(rivalled) < len(rankings):
        there = " ratio with several methods" if len(rivalled) == 1 else " ratios with several methods"
    return f"; distinguishable from all others at {clear} of {len(rivalled)}{there}"


def _alt(gaps: pd.DataFrame, levels: pd.DataFrame, label: str, described: str) -> str:
    parts = []
    for method, points in gaps.groupby("method"):
        first, last = points.iloc[0], points.iloc[-1]
        parts.append(
            f"{method_words(str(method))} from {first['mean']:.1f} at {number_words(first['percent'])} % to "
            f"{last['mean']:.1f} at {number_words(last['percent'])} %"
        )
    retrain = levels.loc[levels["method"] == "retrain", "mean"]
    return (
        f"Two line charts, one above the other, on {described}: average gap in percentage points, and {label}, "
        f"of each method against the forget ratio on a logarithmic axis. The average gap goes for "
        f"{', for '.join(parts)}. Retrain's {label} goes from {retrain.iloc[0]:.1f} to {retrain.iloc[-1]:.1f}."
    )


if __name__ == "__main__":
    run_figure(draw)
