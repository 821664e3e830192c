"""What Retrain of another seed tells: how far seeds alone are apart, and which methods come as close as that."""

from __future__ import annotations

import json

import pandas as pd

from analysis.reading.equivalences import Equivalences, equivalences
from analysis.reading.selection import ended_ok, is_reference
from analysis.wording.names import configuration_labels
from analysis.wording.words import few, joined
from sweep.words import counted


def floor_words(trials: pd.DataFrame) -> str:
    """Say what the row of Retrain of another seed is, and which methods are as good as Retrain within that floor.

    Args:
        trials: of one task, as `read_frames` gives them.

    Returns:
        Sentences; empty where Retrain has fewer than two seeds.
    """
    found = equivalences(trials)
    if found is None:
        return ""
    others = ", whose forget set is another one" if _forget_sets_differ(trials) else ""
    compared = ended_ok(trials)
    verdict = "" if is_reference(compared).all() else _verdict(found, trials)
    row = f"Retrain, another seed: each Retrain beside that of the next seed{others}; so much seeds alone make."
    return f"{row} {verdict}".strip()


def _verdict(found: Equivalences, trials: pd.DataFrame) -> str:
    test = f"equivalence test, {counted(found.seeds, 'seed')}, {counted(len(found.p), 'comparison')} counted"
    if found.found:
        words = configuration_labels(trials)
        labels = dict(zip(zip(trials["method"], trials["params"], strict=True), words, strict=True))
        names = [labels[key] for key in found.found]
        return (
            f"As good as Retrain within that floor ({test}): {few(names)}; "
            f"{'their' if len(names) > 1 else 'its'} mean differences to Retrain are, averaged over "
            f"{joined([metric.label for metric in found.metrics])}, smaller than those of two Retrains."
        )
    if found.possible and len(found.p):
        return f"No method is shown to be as good as Retrain within that floor ({test})."
    seeds = counted(found.seeds, "seed")
    return (
        f"{seeds} cannot show that a method is as good as Retrain within that floor: Retrain itself would not pass the "
        "equivalence test."
    )


def _forget_sets_differ(trials: pd.DataFrame) -> bool:
    """Whether every seed draws its own samples to forget."""
    row = trials.iloc[0]
    return bool(row["scenario"] == "random") and "fold" not in json.loads(row["config"]).get("forget", {})
