"""What a trial's worker says of it while it runs, in the results directory (`sweep.store.running`)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from methods.task import Tell
from sweep.store.results import Results
from sweep.store.running import running_path, write_running
from sweep.trial.rows import trace_row

SECONDS = 5.0
"""How long after its start a trial is first told of, and then at most how often: shorter ones write nothing."""

REST = 20
"""After telling took a while, this many times as long passes before the next time: storage may be slow."""


@contextmanager
def told(results: Results, row: Mapping[str, Any]) -> Iterator[Tell]:
    """Tell of a trial in the body, which runs it and stores its row: what is yielded is for its recorder.

    What cannot be written costs the trial nothing: then no more of it is told.

    Args:
        row: as `started_row` gives it.
    """
    not_before = time.monotonic() + SECONDS

    def tell(rows: Sequence[dict[str, float]]) -> None:
        nonlocal not_before
        began = time.monotonic()
        if began < not_before:
            return
        try:
            write_running(results, row, [trace_row(row["trial_id"], each) for each in rows], datetime.now(UTC))
        except OSError:
            not_before = float("inf")
        else:
            now = time.monotonic()
            not_before = now + max(SECONDS, REST * (now - began))

    try:
        yield tell
    finally:
        with suppress(OSError):
            results.remove(running_path(row["trial_id"]))  # also what a worker left that was killed
