"""The first page: how far the sweep has come, how the methods compare, and what failed."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analysis.comparison import comparisons, question
from analysis.failures import ended_otherwise, failures
from analysis.reading.frames import Frames
from analysis.wording.ideal import RETRAIN, reference_words
from analysis.wording.names import distinct_metrics, metric_words


def overview_values(frames: Frames, trials: pd.DataFrame) -> Mapping[str, object]:
    """What the template of the first page shows, besides the progress.

    Args:
        trials: as `Site.trials`.
    """
    tables, tasks = comparisons(frames.trials)
    bad = ended_otherwise(frames)
    return {
        "tables": tables,
        "question": question(frames.trials, tables),
        "tasks": tasks,
        "meanings": " ".join(metric_words(metrics) for metrics in distinct_metrics(table.metrics for table in tables)),
        "to": " or ".join(sorted({reference_words(rows) for _, rows in frames.trials.groupby("task_id")})) or RETRAIN,
        "failures": failures(bad),
        "n_failures": len(bad),
        "damaged": frames.damaged,
        "n_trials": len(trials),
    }
