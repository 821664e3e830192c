"""Directories that earlier versions merged are read as they always were.

`merged/` was written by such a version. Four trials were stored and merged; `t1` and `t2` were stored again and merged,
and of the first merge nothing was removed; `t2` and `t3` were stored once more, and renamed for a merge that was killed
then; and `t3` was stored a fourth time. `mia` says how often a row was stored, as does `retain_loss` in its traces,
of which some files are left out.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sweep.store.results import Results

STORED = {"t0": 1.0, "t1": 2.0, "t2": 3.0, "t3": 4.0}


@pytest.fixture
def merged(tmp_path):
    return Results(str(shutil.copytree(Path(__file__).with_name("merged"), tmp_path / "merged")))


def test_of_a_trial_in_several_files_the_row_of_the_latest_counts(merged):
    assert sorted(path.name.partition("-")[0] for path in Path(merged.location, "trials").iterdir()) == [
        *("merged", "merged", "t3.parquet", "taken", "taken")
    ]
    trials = merged.trials()
    assert {row["trial_id"]: row["mia"] for row in trials.table.to_pylist()} == STORED
    assert (len(trials.table), trials.damaged) == (4, [])
    assert {name: merged.trial(name)["mia"] for name in STORED} == STORED
    assert merged.trial("t") is None
    assert merged.trial("t00") is None


def test_traces_predictions_and_suggestions_are_read_from_merged_files(merged):
    traces = merged.traces().table.to_pylist()
    assert sorted((row["trial_id"], row["retain_loss"]) for row in traces) == [
        *[("t0", 1.0)] * 2,
        *[("t1", 2.0)] * 2,
        *[("t2", 2.0)] * 2,
        *[("t3", 4.0)] * 2,
    ]
    assert [row["retain_loss"] for row in merged.trace("t1")] == [2.0, 2.0]
    assert merged.predictions("t1")["logits"].to_pylist() == [[0.5], [2.0]]
    assert merged.predictions("t0")["logits"].to_pylist() == [[0.5], [1.0]]
    suggestions = merged.suggestions().table.to_pylist()
    assert [(row["number"], row["params"]) for row in suggestions] == [(0, "{}"), (1, '{"rho": 2.0}')]


def test_a_trial_that_is_stored_again_replaces_its_rows(merged, make_row):
    merged.write_trial(make_row("t1", mia=9.0))
    assert {row["trial_id"]: row["mia"] for row in merged.trials().table.to_pylist()} == STORED | {"t1": 9.0}
    assert (merged.trial("t1")["mia"], merged.trace("t1"), merged.predictions("t1")) == (9.0, [], None)
    assert {row["trial_id"] for row in merged.traces().table.to_pylist()} == {"t0", "t2", "t3"}
