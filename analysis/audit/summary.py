"""An audit in a line for each score: its two ends, how many methods it tells from Retrain, and the closest of them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.audit.score import Score
from analysis.audit.table import NO_POWER
from analysis.reading.selection import is_reference
from analysis.statistics.intervals import CONFIDENCE

HEADERS = ["score", "retrain", "original", "told from Retrain", "closest"]


def summary(rows: pd.DataFrame, scores: Sequence[Score]) -> list[list[str]]:
    """A cell for each of `HEADERS`, a line for each score that has numbers.

    Args:
        rows: one task's rows of `table.audit`, with a column `label`, the configuration in words, and no null notes.
    """
    every = rows[rows["stratum"].isna()]
    lines = []
    for score in scores:
        here = every[(every["metric"] == score.name) & every["value"].notna()]
        if here.empty:
            continue
        ends = [_number(here.loc[here["method"] == name, "value"], score) for name in ("retrain", "original")]
        methods = here[~is_reference(here)]
        methods = methods[~methods["note"].str.contains(NO_POWER)]
        if methods.empty:
            lines.append([score.label, *ends, NO_POWER if is_reference(here).sum() < len(here) else "–", "–"])
            continue
        tested = methods["p"].dropna()
        told = f"{(tested * here['p'].count() < 1 - CONFIDENCE).sum()} of {len(tested)}" if len(tested) else "–"
        distance = (methods["value"] - methods["expected"]).abs().dropna()
        row = methods.loc[[distance.idxmin()]] if len(distance) else methods.head(0)
        closest = " ".join([*row["label"], _number(row["value"], score)])
        lines.append([score.label, *ends, told, closest])
    return lines


def _number(values: pd.Series, score: Score) -> str:
    return "–" if values.empty else f"{values.iloc[0]:{'.1f' if score.unit == 'percent' else '.3f'}}"
