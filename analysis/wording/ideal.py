"""What gaps are to: Retrain, or an ideal where there can be no Retrain."""

from __future__ import annotations

import pandas as pd

from analysis.reading.frames import metrics_in
from analysis.wording.words import joined
from sweep.store.metrics import columns, shown

RETRAIN, IDEAL = "Retrain", "the ideal"


def reference_words(trials: pd.DataFrame) -> str:
    """What the gaps of these trials, of one task, are to."""
    return IDEAL if "to_ideal" in trials and trials["to_ideal"].any() else RETRAIN


def ideal_words(trials: pd.DataFrame) -> str:
    """Say in a sentence what the ideal is; empty where gaps are to Retrain.

    Args:
        trials: as `read_frames` gives them.
    """
    if reference_words(trials) == RETRAIN:
        return ""
    metrics = shown(metrics_in(trials[trials["to_ideal"]]))
    parts = [f"{metric.label} at {_level(metric.ideal)}" for metric in metrics if metric.ideal is not None]
    parts.append("all else as the original of the same seed has it")
    return (
        f"Nothing is trained, so there is no Retrain: gaps are to an ideal with {joined(parts)}, and costs have no "
        "reference."
    )


def _level(ideal: float | str) -> str:
    return columns()[ideal].label if isinstance(ideal, str) else f"{ideal:g}"
