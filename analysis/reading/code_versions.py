"""Where tables and figures average or compare trials of several code versions, and what they say of it."""

from __future__ import annotations

import pandas as pd

from analysis.reading.mixed_code import Computed, MixedCode, mixed_code
from analysis.reading.tuning import untuned_name


def code_versions(trials: pd.DataFrame) -> MixedCode:
    """Where the trials that ended ok are of several code versions (`mixed_code`); tuned ones are the method's own."""
    ok = trials[trials["status"] == "ok"]
    own = ok["method"].map(untuned_name)
    originals = ok["original_version"].astype(object).where(ok["original_version"].notna(), None)
    configurations = zip(ok["task_id"], ok["method"], ok["params"], strict=True)
    names = zip(ok["dataset"], ok["model"], own, strict=True)
    return mixed_code(map(Computed, configurations, names, ok["code_version"], originals))
