"""What tests of trials share."""

from __future__ import annotations

import pytest

from sweep.trial.job import Job


@pytest.fixture
def run(make_worker, results):
    """Run a trial in a new worker; its row."""

    def run(trial, **context):
        make_worker(**context).run(Job(trial))
        [row] = [row for row in results.trials().table.to_pylist() if row["trial_id"] == trial.id]
        return row

    return run
