"""What tuning changed: python -m analysis.tuned DIR [--out DIR]."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from operator import attrgetter

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.drawing.figure import WIDTH, Drawn, Skipped, draw_hollow_key, new_figure, run_figure, styles
from analysis.drawing.marks import draw_original, finish, titled
from analysis.reading.frames import Frames
from analysis.reading.selection import choices, ended_ok, fullest_task, representatives
from analysis.reading.tuning import untuned_name
from analysis.statistics.intervals import Interval, mean_interval, paired_difference
from analysis.statistics.ranking import pairs, verdicts
from analysis.wording.code_words import code_words
from analysis.wording.doing_nothing import original_level
from analysis.wording.finding import finding
from analysis.wording.names import method_words, task_words
from analysis.wording.words import FEW, also, joined, left_out_words, seeds_words

NAME = "tuned"
QUESTION = "Which conclusions change when every method is tuned?"
VERBS = {-1: "lowers", 0: "does not clearly change", 1: "raises"}


@dataclass(frozen=True)
class Pair:
    """A method before and after tuning: its average gap by seed, on the seeds that both have.

    Attributes:
        method: its own name.
        before, after: indexed by seed.
        same: whether tuning chose the untuned configuration.
        untuned, tuned: among how many configurations the gap chose each.
    """

    method: str
    before: pd.Series
    after: pd.Series
    same: bool
    untuned: int
    tuned: int

    @property
    def change(self) -> Interval:
        """After less before, paired by seed."""
        return paired_difference(self.after, self.before)


def draw(frames: Frames) -> Drawn | Skipped:
    """Each method's average gap untuned and tuned on the same seeds, which no search saw, and the paired difference."""
    ok = ended_ok(frames.trials).dropna(subset=["average_gap"])
    tuned = ok[ok["method"] != ok["method"].map(untuned_name)]
    by_task = {str(task): _pairs(ok[ok["task_id"] == task]) for task in tuned["task_id"].unique()}
    if not any(by_task.values()):
        return Skipped(NAME, "needs tuned and untuned trials of a method on the same seeds: preset tuned-comparison")
    task = fullest_task(tuned[tuned["task_id"].isin([task for task, found in by_task.items() if found])])
    found = sorted(by_task[task], key=lambda pair: float(pair.after.mean()))
    described = task_words(frames.trials, task)

    here = tuned[tuned["task_id"] == task]
    seeds = {seed for pair in found for seed in pair.after.index}
    shown = ok[(ok["task_id"] == task) & _of(ok, found) & ok["seed"].isin(seeds)]
    original = original_level(shown)
    figure = _panels(found, original)
    draw_hollow_key(figure, here["method"])
    alone = _alone(here, found)
    note = f"{described}. {seeds_words([len(pair.after) for pair in found])}, which no search saw. Hollow: tuned."
    note += " Dashed: Original." if original.n else ""
    note += f" Tuned, but not run untuned: {joined(alone)}." if alone else ""
    finish(figure, note + also(code_words(shown)))
    claim = (
        f"{_changes(found)}. {_conclusions(found)}"
        f"{left_out_words(frames.trials[(frames.trials['task_id'] == task) & _of(frames.trials, found)])}."
        f"{_chosen(here[_of(here, found)])}"
    )
    return Drawn(NAME, QUESTION, figure, finding(claim, shown), _alt(found, described))


def _pairs(ok: pd.DataFrame) -> list[Pair]:
    """Pair each tuned method's best tuned configuration with the untuned one that shares most seeds with it.

    Of untuned ones that tie, it takes the one of lowest average gap on these seeds, which favours the untuned side.
    """
    found = []
    for name, trials in ok.groupby("method"):
        method = untuned_name(str(name))
        if method == name:
            continue
        after = _by_configuration(representatives(trials)).iloc[0].dropna()
        best = str(after.name)
        own = ok[(ok["method"] == method) & ok["seed"].isin(after.index)]
        if own.empty:
            continue
        before = _by_configuration(own)
        order = pd.DataFrame({"n": before.notna().sum(axis=1), "gap": before.mean(axis=1)})
        same = best in before.index
        first = best if same else order.sort_values(["n", "gap"], ascending=[False, True]).index[0]
        chosen = before.T[first].dropna()
        untuned = 1 if same else int((order["n"] == order["n"].max()).sum())
        found.append(Pair(method, chosen, after[chosen.index], same, untuned, int(choices(trials).iloc[0])))
    return found


def _by_configuration(trials: pd.DataFrame) -> pd.DataFrame:
    """Average gaps: a row per configuration, a column per seed."""
    return trials.pivot_table(index="params", columns="seed", values="average_gap")


def _panels(found: list[Pair], original: Interval) -> Figure:
    height = 0.3 * len(found)
    figure, axes = new_figure(WIDTH, 1.9 + 2 * (0.35 + height), rows=2)
    looks = styles([pair.method for pair in found])
    for row, pair in enumerate(found):
        style = looks[pair.method]
        for values, shift, face in ((pair.before, -0.14, style.color), (pair.after, 0.14, "white")):
            interval = mean_interval(values, "average_gap")
            _interval(axes[0], row + shift, interval, style.color, style.marker, face)
        _interval(axes[1], row, pair.change, style.color, style.marker, style.color)
    for panel in axes:
        panel.set_yticks(range(len(found)), [method_words(pair.method) for pair in found])
        panel.set_ylim(len(found) - 0.5, -0.5)
    draw_original(axes[0], original, upright=True)
    axes[0].set_xlim(left=0)
    axes[1].axvline(0, color="black", linewidth=1.2, zorder=1.5)
    titled(axes[0], "Average gap to Retrain, untuned and tuned", "percentage points")
    titled(axes[1], "Tuned less untuned, paired by seed", "percentage points; left of 0: tuning helped")
    return figure


def _interval(panel: Axes, row: float, interval: Interval, color: str, marker: str, face: str) -> None:
    if interval.known:
        panel.hlines(row, interval.low, interval.high, color=color, linewidth=1.4, zorder=2)
    panel.plot([interval.mean], [row], marker=marker, color=color, markerfacecolor=face, markersize=6.5, zorder=3)


def _changes(found: list[Pair]) -> str:
    """How much tuning changed each method's gap, clearest first."""
    parts = []
    comparisons = sum(pair.untuned * pair.tuned for pair in found)
    for pair in found:
        change = pair.change
        if pair.same:
            parts.append(f"leaves {method_words(pair.method)} as it was (tuned and untuned are the same configuration)")
        elif not change.known:
            parts.append(f"changes {method_words(pair.method)}'s by {change.signed}, n = {change.n}")
        else:
            verb = VERBS[int(verdicts(pair.after - pair.before, comparisons))]
            parts.append(f"{verb} {method_words(pair.method)}'s ({change.signed}, n = {change.n})")
    return f"On seeds that no search saw, tuning, in average gap (percentage points), {joined(parts)}"


def _conclusions(found: list[Pair]) -> str:
    """Say which method's mean gap is lowest, and which comparisons of two methods change once all are tuned.

    That a comparison is clear before tuning and not after it (or the reverse) says little by itself: it counts as
    changed only if what tuning did to the two methods' difference, paired by seed, is clear too. So each pair is
    compared three times.
    """
    if len(found) < 2:
        return "With one method tuned, no comparison of tuned methods can change"
    moments = attrgetter("before"), attrgetter("after")
    first = [min(found, key=lambda pair: float(of(pair).mean())) for of in moments]
    names = [method_words(pair.method) for pair in first]
    best = (
        f"{names[0]} has the lowest mean gap before and after tuning"
        if names[0] == names[1]
        else f"{names[1]} instead of {names[0]} has the lowest mean gap once all are tuned"
    )
    changed = []
    chosen = [[pair.untuned for pair in found], [pair.tuned for pair in found]]
    comparisons = sum(pairs(counts) for counts in (*chosen, [pair.untuned * pair.tuned for pair in found]))
    for left, right in combinations(found, 2):
        before, after = (float(verdicts(of(left) - of(right), comparisons)) for of in moments)
        shift = verdicts((left.after - left.before) - (right.after - right.before), comparisons)
        if abs(after - before) > 0 and abs(shift) > 0:  # NaN is not above 0
            pair = (method_words(left.method), method_words(right.method))
            changed.append(f"{_sentence(*pair, after)} (before: {_sentence(*pair, before)})")
    count = len(found) * (len(found) - 1) // 2
    if not changed:
        return f"{best}; no comparison of two methods changes ({count} made)"
    more = f", and {len(changed) - FEW} more" if len(changed) > FEW else ""
    if count == 1:
        return f"{best}; their comparison changes: {changed[0]}"
    verb = "changes" if len(changed) == 1 else "change"
    return f"{best}; of {count} comparisons of two methods {len(changed)} {verb}: {', '.join(changed[:FEW])}{more}"


def _sentence(left: str, right: str, verdict: float) -> str:
    if verdict == 0:
        return f"{left} and {right} not distinguishable"
    return f"{left} better than {right}" if verdict < 0 else f"{right} better than {left}"


def _of(trials: pd.DataFrame, found: list[Pair]) -> pd.Series:
    return trials["method"].map(untuned_name).isin([pair.method for pair in found])


def _chosen(tuned: pd.DataFrame) -> str:
    """Say that the gaps shown also chose among several tuned configurations; empty where there was only one."""
    most = int(tuned.groupby("method")["params"].nunique().max())
    if most == 1:
        return ""
    return (
        f" Of each method the tuned configuration is the best of up to {most} confirmed ones, chosen by the same gap "
        f"on the same seeds, which favours tuning."
    )


def _alone(tuned: pd.DataFrame, found: list[Pair]) -> list[str]:
    """Methods that were tuned and not run untuned on these seeds."""
    missing = set(tuned["method"].map(untuned_name)) - {pair.method for pair in found}
    return [method_words(name) for name in sorted(missing)]


def _alt(found: list[Pair], described: str) -> str:
    parts = [
        f"{method_words(pair.method)} from {pair.before.mean():.1f} to {pair.after.mean():.1f} "
        f"(difference {pair.change.mean:+.1f})"
        for pair in found
    ]
    return (
        f"Two panels of points with intervals on {described}: each method's average gap untuned and tuned, and below "
        f"the difference paired by seed. In percentage points: {'; '.join(parts)}."
    )


if __name__ == "__main__":
    run_figure(draw)
