"""What the files of pages are called, relative to the page that compares methods."""

from __future__ import annotations

import re

from sweep.store.content_ids import canonical_json, content_id

CONFIGURATIONS, TRIALS = "configurations", "trials"
"""The folders of pages."""

PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def configuration_page(task_id: str, method: str, params: str) -> str:
    """The page of one method with certain hyperparameters on one task."""
    return f"{CONFIGURATIONS}/{content_id(canonical_json([task_id, method, params]))}.html"


def trial_page(trial_id: str) -> str:
    """The page of one trial: by its id, unless that has characters that ids made here never have."""
    return f"{TRIALS}/{trial_id if PLAIN.fullmatch(trial_id) else content_id(trial_id)}.html"
