"""Trials that did not end ok, as pages list them."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis.reading.frames import Frames
from analysis.wording.names import configuration_labels
from analysis.wording.page_names import trial_page

MOST_FAILURES = 100
"""Trials that a page lists."""


@dataclass(frozen=True)
class Failure:
    """A trial that did not end ok: `page` is its own page, `line` the last one of its error."""

    trial_id: str
    page: str
    method: str
    seed: int
    status: str
    line: str
    error: str


def ended_otherwise(frames: Frames) -> pd.DataFrame:
    """The trials that did not end ok; of those that only judged suggestions, the failed ones."""
    trials = frames.trials.drop_duplicates("trial_id")
    searched = frames.searched[~frames.searched["trial_id"].isin(trials["trial_id"])]
    bad = [trials[trials["status"] != "ok"], searched[searched["status"] == "failed"]]
    return pd.concat([rows for rows in bad if len(rows)] or bad[:1])


def failures(trials: pd.DataFrame) -> list[Failure]:
    """The first `MOST_FAILURES` of trials that did not end ok.

    Args:
        trials: as `ended_otherwise` gives them.
    """
    found = []
    for _, row in trials.assign(label=configuration_labels(trials)).head(MOST_FAILURES).iterrows():
        error = row["error"].strip() if isinstance(row["error"], str) else ""
        found.append(
            Failure(
                trial_id=row["trial_id"],
                page=trial_page(row["trial_id"]),
                method=row["label"],
                seed=int(row["seed"]),
                status=row["status"],
                line=last_line(error),
                error=error,
            )
        )
    return found


def last_line(error: object) -> str:
    """The last line of an error; empty where there is none."""
    text = error.strip() if isinstance(error, str) else ""
    return text.splitlines()[-1] if text else ""
