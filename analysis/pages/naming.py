"""What pages call trials, and where the page of each is."""

from __future__ import annotations

import pandas as pd

from analysis.wording.names import configuration_labels, method_name, task_labels, varying_settings
from analysis.wording.page_names import configuration_page, trial_page


def named(trials: pd.DataFrame) -> pd.DataFrame:
    """Add the columns `task`, `label`, `name`, `setting` (in words), `page` (of the configuration) and `trial_page`.

    Args:
        trials: all that are to be told apart.
    """
    if trials.empty:
        return trials.assign(task=[], label=[], name=[], setting=[], page=[], trial_page=[])
    keys = zip(trials["task_id"], trials["method"], trials["params"], strict=True)
    return trials.assign(
        task=task_labels(trials),
        label=configuration_labels(trials),
        name=trials["method"].map(method_name),
        setting=varying_settings(trials),
        page=[configuration_page(*key) for key in keys],
        trial_page=trials["trial_id"].map(trial_page),
    )
