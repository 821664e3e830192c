"""Whether memorised samples are the ones not forgotten: python -m analysis.strata DIR [--out DIR]."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.audit.cohort import Cohort
from analysis.audit.memorisation import STRATA, strata
from analysis.audit.shown import NEEDS, Shown, shown
from analysis.audit.ulira import OnePercent
from analysis.drawing.figure import WIDTH, Drawn, Skipped, draw_hollow_key, hollow_words, new_figure, run_figure, styles
from analysis.drawing.marks import SMALL, finish, titled
from analysis.reading.frames import Frames
from analysis.wording.code_words import code_words
from analysis.wording.finding import finding
from analysis.wording.names import method_words
from analysis.wording.words import also, choice_words, joined

NAME = "strata"
QUESTION = "Are memorised samples the ones that are not forgotten?"


def draw(frames: Frames) -> Drawn | Skipped:
    """U-LiRA's true positives at 1 % false positives, by how much the originals had memorised a sample.

    A panel per stratum; in it a dot per method, with its interval, and the original's as a dashed line.
    """
    found = shown(frames, 2 * OnePercent.fewest)
    if found is None:
        return Skipped(NAME, f"{NEEDS}, with {2 * OnePercent.fewest} seeds or more")
    points = pd.DataFrame([row for cohort in found.methods for row in _rows(cohort)])
    known = points.dropna(subset=["value"]) if len(points) else points
    if known.empty:
        return Skipped(NAME, "needs originals, and enough samples in a stratum: preset audit")
    originals = {row["stratum"]: row["value"] for row in (_rows(found.original) if found.original else ())}
    names = [name for name in STRATA if name in set(known["stratum"])]
    order = [cohort.method for cohort in found.methods]
    figure = _panels(known, names, order, originals)
    missing = [name for name in STRATA if name not in names]
    few = f" Too few samples: {joined(missing)}." if missing else ""
    more = few + found.fewer + hollow_words(order) + also(code_words(found.usable))
    draw_hollow_key(figure, order)
    finish(
        figure,
        f"{found.words}. {choice_words(found.usable)}Memorised: how much more often originals than Retrains are right "
        f"about a sample; low: below {STRATA['low'][1]:g}, high: from {STRATA['high'][0]:g}. Strata are of half of the "
        f"originals, scores of the other half. Lines: 95 % intervals over originals; dashed: the original; dotted: "
        f"perfect unlearning.{more}",
    )
    return Drawn(
        NAME, QUESTION, figure, finding(_claim(known, names), found.usable, quantity=NAME), _alt(known, names, found)
    )


def _rows(cohort: Cohort) -> list[dict[str, object]]:
    score = OnePercent()
    return [
        {"method": cohort.method, "stratum": name, "samples": len(part.samples)} | vars(score.estimate(part))
        for name, part in strata(cohort)
    ]


def _panels(points: pd.DataFrame, names: list[str], order: list[str], originals: dict[object, object]) -> Figure:
    figure, axes = new_figure(WIDTH, 1.6 + 0.26 * len(order), columns=len(names))
    looks = styles(order)
    for place, (panel, name) in enumerate(zip(axes, names, strict=True)):
        rows = points[points["stratum"] == name].set_index("method")
        for row, method in enumerate(order):
            if method not in rows.index:
                continue
            value, low, high = rows.loc[method, ["value", "low", "high"]].to_numpy(dtype=float)
            style = looks[method]
            panel.hlines(row, low, high, color=style.color, linewidth=1.6)
            panel.plot(value, row, color=style.color, marker=style.marker, markerfacecolor=style.face, markersize=6)
        if np.isfinite(float(str(originals.get(name, "nan")))):
            panel.axvline(float(str(originals[name])), color="#777777", linestyle="--", linewidth=1.2)
        panel.axvline(1, color="black", linestyle=":", linewidth=1.0)
        panel.set_xlim(0, 100)
        panel.set_yticks(range(len(order)), [method_words(method) for method in order])
        panel.set_ylim(len(order) - 0.4, -0.6)
        panel.tick_params(labelleft=place == 0)
        titled(panel, f"{name} ({rows['samples'].max()})", "percent")
    figure.suptitle(
        "Recognised at 1 % false positives, by memorisation (samples)", x=0.01, ha="left", fontsize=SMALL + 1
    )
    return figure


def _claim(points: pd.DataFrame, names: list[str]) -> str:
    means = points.groupby("stratum")["value"].mean()
    parts = [f"{means[name]:.0f} % where memorisation is {name}" for name in names]
    return f"In the mean over the methods here, unlearned models are recognised in {joined(parts)}."


def _alt(points: pd.DataFrame, names: list[str], found: Shown) -> str:
    parts = [
        f"{name}: " + ", ".join(f"{method_words(str(row.method))} {row.value:.1f}" for row in rows.itertuples())
        for name, rows in ((name, points[points["stratum"] == name]) for name in names)
    ]
    return (
        f"Dots with intervals on {found.words}, a panel for each stratum of memorisation: the percentage of unlearned "
        f"models recognised at 1 % false positives. {'; '.join(parts)}."
    )


if __name__ == "__main__":
    run_figure(draw)
