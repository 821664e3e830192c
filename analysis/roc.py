"""How well unlearned models are told from Retrain, sample by sample: python -m analysis.roc DIR [--out DIR]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.audit.cohort import Cohort
from analysis.audit.outputs import Floats
from analysis.audit.score import Estimate
from analysis.audit.shown import NEEDS, Shown, shown
from analysis.audit.ulira import LEAST_ABOVE, OnePercent, Scored, scored
from analysis.drawing.figure import (
    STYLES,
    WIDTH,
    Drawn,
    Skipped,
    Style,
    draw_hollow_key,
    hollow_words,
    new_figure,
    run_figure,
    styles,
)
from analysis.drawing.marks import SMALL, finish, plain_log_axis, titled
from analysis.reading.frames import Frames
from analysis.statistics.jackknife import share_spread
from analysis.wording.code_words import code_words
from analysis.wording.finding import finding
from analysis.wording.names import method_words
from analysis.wording.words import also, choice_words, span_words

NAME = "roc"
QUESTION = "Can unlearned models be told from Retrain, sample by sample?"
POINTS = 40
MARKED = (0.1, 1.0)
"""False positive rates, in percent, with an upright line."""


@dataclass(frozen=True)
class Curve:
    """True positive rates and their intervals at some false positive rates; percent, [POINTS] each."""

    mean: Floats
    low: Floats
    high: Floats


def draw(frames: Frames) -> Drawn | Skipped:
    """U-LiRA's ROC, both axes logarithmic, from where enough Retrains count as false positives.

    A line per method with its jackknife interval; Retrain against Retrain, the original, and chance.
    """
    score = OnePercent()
    found = shown(frames, score.fewest)
    if found is None:
        return Skipped(NAME, NEEDS)
    samples = len(found.retrain.samples)
    if why := score.missing(found.retrain):
        return Skipped(NAME, f"U-LiRA {why}: preset audit")
    lacking = {cohort.method: why for cohort in found.methods if (why := score.missing(cohort))}
    methods = [cohort for cohort in found.methods if cohort.method not in lacking]
    if not methods:
        return Skipped(NAME, f"U-LiRA {next(iter(lacking.values()))}: preset audit")
    negatives = min(len(cohort.seeds) * len(cohort.samples) for cohort in methods)
    grid = np.geomspace(100 * LEAST_ABOVE / negatives, 100, POINTS)
    if found.original is not None and score.missing(found.original):
        found = replace(found, original=None)
    curves = {cohort.method: _curve(cohort, grid) for cohort in methods}
    floor = score.perfect(found.retrain)
    figure = _lines(grid, curves, None if floor is None else _curve(floor, grid), found.original)
    without = "; ".join(f"{method_words(method)} {why}" for method, why in lacking.items())
    more = f" Not drawn: {without}." if without else ""
    more += found.fewer + hollow_words(curves) + also(code_words(found.usable))
    grey = "" if floor is None else "grey band: Retrain against Retrain; "
    draw_hollow_key(figure, curves)
    finish(
        figure,
        f"{found.words}. {choice_words(found.usable)}A likelihood ratio for each of {samples} forgotten samples "
        f"(U-LiRA) of n = {span_words(len(cohort.seeds) for cohort in methods)} originals; its laws are of the n - 1 "
        f"others. Bands: 95 % intervals over originals; {grey}dotted: chance, and the rates that are named.{more}",
    )
    estimates = {cohort.method: score.estimate(cohort) for cohort in methods}
    return Drawn(
        NAME, QUESTION, figure, finding(_claim(estimates, found), found.usable, quantity=NAME), _alt(estimates, found)
    )


def _curve(cohort: Cohort, grid: Floats) -> Curve:
    shares, *without = (_rates(each, grid) for each in scored(cohort))
    size = len(cohort.seeds) * len(cohort.samples)
    ends = [
        share_spread(share, others, size) for share, others in zip(shares.tolist(), np.transpose(without), strict=True)
    ]
    low, high, _ = np.transpose(ends)
    return Curve(100 * shares, 100 * low, 100 * high)


def _rates(scored: Scored, grid: Floats) -> Floats:
    """The shares of the positives above thresholds that these percentages of the negatives exceed."""
    negatives, positives = np.sort(scored.negatives, axis=None), np.sort(scored.positives, axis=None)
    above = np.minimum((grid / 100 * negatives.size + 1e-9).astype(int), negatives.size - 1)
    found: Floats = 1 - np.searchsorted(positives, negatives[negatives.size - 1 - above], "right") / positives.size
    return np.where(grid < 100, found, 1.0)


def _lines(grid: Floats, curves: Mapping[str, Curve], floor: Curve | None, original: Cohort | None) -> Figure:
    figure, (axes,) = new_figure(WIDTH, 4.6)
    if floor is not None:
        axes.fill_between(grid, floor.low, floor.high, color="#999999", alpha=0.35, linewidth=0, label="Retrain")
    if original is not None:
        ceiling = _curve(original, grid).mean
        axes.plot(grid, ceiling, color=STYLES["original"].color, linestyle="--", linewidth=1.6, label="Original")
    looks = styles([*curves])
    for method, curve in curves.items():
        _line(axes, grid, curve, method_words(method), looks[method])
    axes.plot(grid, grid, color="black", linestyle=":", linewidth=1.0, zorder=1.5)
    for rate in MARKED:
        if grid[0] <= rate:
            axes.axvline(rate, color="black", linestyle=":", linewidth=0.8, zorder=1.5)
    for which in ("x", "y"):
        plain_log_axis(axes, which)
    axes.set(xlim=(grid[0], 100), ylim=(grid[0], 100))
    titled(axes, "Unlearned models recognised (percent)", "Retrains taken for unlearned (percent)")
    axes.legend(loc="lower right", fontsize=SMALL, ncols=1 + (len(curves) > 4), handlelength=1.8)
    return figure


def _line(axes: Axes, grid: Floats, curve: Curve, name: str, style: Style) -> None:
    axes.fill_between(grid, curve.low, curve.high, color=style.color, alpha=0.12, linewidth=0)
    axes.plot(
        *(grid, curve.mean),
        color=style.color,
        linestyle=style.line,
        marker=style.marker,
        markevery=8,
        markersize=5,
        markerfacecolor=style.face,
        linewidth=1.5,
        label=name,
    )


def _claim(estimates: Mapping[str, Estimate], found: Shown) -> str:
    ordered = sorted(estimates, key=lambda method: estimates[method].value)
    least, most = ordered[0], ordered[-1]
    parts = [f"{method_words(least)} is recognised least, in {_percent(estimates[least])}"]
    if most != least:
        parts.append(f"{method_words(most)} most, in {_percent(estimates[most])}")
    if found.original is not None:
        parts.append(f"the original in {_percent(OnePercent().estimate(found.original))}")
    return (
        f"Where 1 % of the Retrains are taken for unlearned, {', '.join(parts)} of all cases; perfect unlearning would "
        f"be in 1 %."
    )


def _percent(estimate: Estimate) -> str:
    interval = "" if np.isnan(estimate.low) else f" [{estimate.low:.1f}, {estimate.high:.1f}]"
    return f"{estimate.value:.1f} %{interval}"


def _alt(estimates: Mapping[str, Estimate], found: Shown) -> str:
    parts = ", ".join(f"{method_words(method)} {_percent(estimate)}" for method, estimate in estimates.items())
    return (
        f"Curves on {found.words}, both axes logarithmic: unlearned models recognised against Retrains taken for "
        f"unlearned. At 1 %: {parts}."
    )


if __name__ == "__main__":
    run_figure(draw)
