"""A results directory that an earlier version wrote: a sweep and a search, with label noise and validation data."""

import hashlib
import shutil
from pathlib import Path

import pytest
from tiny_sweeps import call

from sweep.plan.trials import plan_trials
from sweep.search.plan import plan_search
from sweep.spec.sweep_spec import load_spec
from sweep.store.results import Results

EARLIER = Path(__file__).parent / "earlier"
SPEC = EARLIER / "tiny.yaml"


@pytest.fixture
def out(tmp_path):
    return shutil.copytree(EARLIER / "stored", tmp_path / "out")


def hashes(out):
    """What every file of results holds."""
    folders = ("trials", "traces", "suggestions", "models")
    return {path: hashlib.sha256(path.read_bytes()).digest() for folder in folders for path in (out / folder).iterdir()}


def test_trials_and_studies_have_the_ids_that_they_had(out):
    spec, results = load_spec(str(SPEC)), Results(str(out))
    rows = {row["trial_id"]: row for row in results.trials().table.to_pylist()}
    planned = plan_trials(spec)
    assert len(planned) == 8
    for trial in planned:
        row = rows[trial.id]
        assert (row["config"], row["task_id"], row["original_id"]) == (trial.config, trial.task_id, trial.original_id)
    [study] = plan_search(spec).studies
    assert {row["study"] for row in results.suggestions().table.to_pylist()} == {study.name}
    originals = {path.stem for path in (out / "models").iterdir()}
    assert originals == {row["original_id"] for row in rows.values()} - {None}


def test_nothing_of_it_is_run_again_and_what_is_new_is_added(out):
    before = hashes(out)
    for command in ("run", "search"):
        ended = call(command, SPEC, "--out", out, "--executor", "inline")
        assert ended.code == 0
        assert "by code version" in ended.out  # that these are of an earlier one
    assert hashes(out) == before
    ended = call("run", SPEC, "--out", out, "--executor", "inline", "--set", "seeds=[0,1,5]")
    assert (ended.code, "12 trials, 8 done before, 4 to run" in ended.out) == (0, True)
    assert "Mixed code" in ended.out
    assert call("search", SPEC, "--out", out, "--executor", "inline", "--set", "search.trials=4").code == 0
    after = hashes(out)
    assert {path: after[path] for path in before if "suggestions" not in path.parts} == {
        path: content for path, content in before.items() if "suggestions" not in path.parts
    }
    trials = {path.stem for path in after if path.parent.name == "trials"}
    assert len(trials) >= 19 + 4 + 2
    assert sum(path.parent.name == "suggestions" for path in after) == 4


def test_it_is_counted_and_reported(out, tmp_path):
    assert "19 trials" in call("status", out).out
    ended = call("report", out, "--out", tmp_path / "report")
    assert (ended.code, ended.err) == (0, "")
    table = (tmp_path / "report" / "methods.md").read_text()
    assert all(method in table for method in ("Retrain", "UAM (rho=1", "UAM (rho=2", "FineTune"))
