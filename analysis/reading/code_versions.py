"""Where the trials of a data frame are of several code versions."""

from __future__ import annotations

import pandas as pd

from analysis.reading.mixed_code import Computed, MixedCode, mixed_code
from analysis.reading.tuning import CONFIGURATION, untuned_name

COLUMNS = ["task_id", "method", "params", "dataset", "model", "code_version", "original_version"]
"""What `code_versions` reads of trials: the same for all seeds of most configurations."""


def code_versions(trials: pd.DataFrame) -> MixedCode:
    """`mixed_code` of the trials that ended ok; a tuned method is the method itself."""
    ok = trials.loc[trials["status"] == "ok", COLUMNS].drop_duplicates()
    own = ok["method"].map(untuned_name)
    originals = ok["original_version"].astype(object).where(ok["original_version"].notna(), None)
    configurations = zip(ok["task_id"], ok["method"], ok["params"], strict=True)
    names = zip(ok["dataset"], ok["model"], own, strict=True)
    return mixed_code(map(Computed, configurations, names, ok["code_version"], originals))


def averaged_versions(trials: pd.DataFrame, configurations: pd.DataFrame) -> list[int]:
    """Of how many code versions the trials of each configuration are.

    Args:
        configurations: columns `CONFIGURATION`.
    """
    averaged = code_versions(trials).averaged
    keys = configurations[CONFIGURATION].itertuples(index=False, name=None)
    return [len(averaged.get((task, method, params), [""])) for task, method, params in keys]
