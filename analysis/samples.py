"""Which samples unlearned models know better or worse than Retrain: python -m analysis.samples DIR [--out DIR]."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from analysis.audit.cohort import Cohort
from analysis.audit.distinguish import OverForgotten, Remembered, null_law, sample_areas
from analysis.audit.outputs import Floats
from analysis.audit.shown import NEEDS, Shown, shown
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
from analysis.drawing.marks import SMALL, finish, fixed_ticks
from analysis.reading.frames import Frames
from analysis.wording.code_words import code_words
from analysis.wording.finding import finding
from analysis.wording.names import method_words
from analysis.wording.words import also, choice_words, span_words

NAME = "samples"
QUESTION = "Which samples do unlearned models know better than Retrain, and which less?"
BINS = 20


def draw(frames: Frames) -> Drawn | Skipped:
    """A histogram of the samples' AUC of unlearned models' margins against Retrains', one row per method.

    Over each the law that it would have after perfect unlearning.
    """
    found = shown(frames, Remembered.fewest)
    if found is None:
        return Skipped(NAME, NEEDS)
    rows = [*found.methods, *([found.original] if found.original else ())]
    areas = {cohort.method: sample_areas(cohort) for cohort in rows}
    seeds = {cohort.method: len(cohort.seeds) for cohort in rows}
    figure = _rows(areas, seeds)
    more = found.fewer + hollow_words(areas) + also(code_words(found.usable))
    draw_hollow_key(figure, areas)
    finish(
        figure,
        f"{found.words}. {choice_words(found.usable)}AUC of a sample: how often an unlearned model's margin exceeds a "
        f"Retrain's, of {span_words(seeds.values())} originals each. Black line: its law where both are alike.{more}",
    )
    return Drawn(NAME, QUESTION, figure, finding(_claim(found.methods), found.usable, quantity=NAME), _alt(rows, found))


def _rows(areas: dict[str, Floats], seeds: dict[str, int]) -> Figure:
    figure, axes = new_figure(WIDTH, 1.2 + 0.55 * len(areas), rows=len(areas))
    looks = styles([*areas])
    edges = np.linspace(0, 1, BINS + 1)
    for panel, (method, found) in zip(axes, areas.items(), strict=True):
        heights = 100 * np.histogram(found, edges)[0] / len(found)
        style = STYLES["original"] if method == "original" else looks[method]
        panel.bar(
            edges[:-1], heights, width=1 / BINS, align="edge", color=style.color, edgecolor="white", linewidth=0.5
        )
        values, probabilities = null_law(seeds[method])
        panel.stairs(100 * np.histogram(values, edges, weights=probabilities)[0], edges, color="black", linewidth=1.2)
        panel.axvline(0.5, color="black", linestyle=":", linewidth=0.8)
        panel.set(xlim=(0, 1), yticks=[])
        panel.grid(visible=False)
        panel.set_ylabel(method_words(method), rotation=0, ha="right", va="center", fontsize=SMALL)
        panel.tick_params(labelsize=SMALL, labelbottom=panel is axes[-1])
        fixed_ticks(panel.xaxis, [0, 0.25, 0.5, 0.75, 1])
    axes[0].set_title("Share of the samples, by their AUC", loc="left", fontsize=SMALL + 1)
    axes[-1].set_xlabel("over-forgotten < 0.5 < remembered", fontsize=SMALL + 1)
    return figure


def _claim(cohorts: list[Cohort]) -> str:
    shares = {
        cohort.method: (Remembered().estimate(cohort).value, OverForgotten().estimate(cohort).value)
        for cohort in cohorts
    }
    most = max(shares, key=lambda method: shares[method][0])
    least = max(shares, key=lambda method: shares[method][1])
    expected = Remembered().floor(cohorts[0]).value
    return (
        f"{method_words(most)} remembers most samples, {shares[most][0]:.0f} %; {method_words(least)} over-forgets "
        f"most, {shares[least][1]:.0f} %; after perfect unlearning each would be {expected:.0f} %."
    )


def _alt(cohorts: list[Cohort], found: Shown) -> str:
    parts = [
        f"{method_words(cohort.method)} {Remembered().estimate(cohort).value:.0f} % remembered, "
        f"{OverForgotten().estimate(cohort).value:.0f} % over-forgotten"
        for cohort in cohorts
    ]
    return f"Histograms of samples' AUC on {found.words}, a row per method. {'; '.join(parts)}."


if __name__ == "__main__":
    run_figure(draw)
