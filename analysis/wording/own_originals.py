"""Which methods start from another original than the one that stands in a table as Original."""

from __future__ import annotations

import pandas as pd

from analysis.wording.names import method_words
from analysis.wording.words import joined


def own_originals(trials: pd.DataFrame) -> str:
    """Say in a sentence which methods shape training, so that Original is not what they start from; empty if none does.

    Args:
        trials: as `read_frames` gives them.
    """
    key = ["task_id", "seed"]
    ordinary = trials.loc[trials["method"] == "original", [*key, "original_id"]].drop_duplicates(key)
    started = trials.dropna(subset=["original_id"]).merge(ordinary, on=key, suffixes=("", ".ordinary"))
    own = started.loc[started["original_id"] != started["original_id.ordinary"], "method"]
    names = sorted({method_words(method) for method in own})
    if not names:
        return ""
    if len(names) == 1:
        return f"{names[0]} shapes training: it starts from an original of its own, not from Original."
    return f"{joined(names)} shape training: they start from originals of their own, not from Original."
