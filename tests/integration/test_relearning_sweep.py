"""Relearning from the command line: what a kill leaves, what is made up for, and what is shown."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tiny_sweeps import call, rows, write_spec

from sweep.store.results import Results

METHODS = [{"name": "original"}, {"name": "retrain"}, {"name": "finetune", "epochs": 1}]
RELEARN = {"epochs": 2, "lr": 0.05}
WORDS = "2 epochs on the retain set, lr 0.05, batches of 16"
KILLED = """
import os, signal, sys
from sweep import cli
from sweep.store.directory import Directory
from sweep.trial import relearning

def kill_at(owner, name, meant, count=2):
    whole, calls = getattr(owner, name), []

    def called(*arguments):
        calls.extend([0] * meant(*arguments))
        if len(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(*arguments)

    setattr(owner, name, called)

spot = sys.argv.pop(1)
if spot == "middle":  # of the relearning of the second trial: each has a point before the first and after each epoch
    kill_at(relearning, "measured", lambda metrics: True, count=5)
else:  # where the second trial's file in this folder would be written
    kill_at(Directory, "write", lambda directory, path, content: path.startswith(f"{spot}/"))
cli.main()
"""


def points(out):
    """What relearning gave, by trial and step, without seconds."""
    ordering = [("trial_id", "ascending"), ("relearning_id", "ascending"), ("step", "ascending")]
    return Results(str(out)).relearned().table.drop_columns(["seconds"]).sort_by(ordering).to_pylist()


def said(out):
    """What relearned models say of the forget set, by file."""
    results = Results(str(out))
    names = [name.removesuffix(".parquet").split("-") for name in results.names("relearned_predictions")]
    return {tuple(name): results.relearned_predictions(*name).to_pylist() for name in names}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A spec with relearning, and the results of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("relearning")
    spec = write_spec(folder, METHODS, relearn=RELEARN)
    assert call("run", spec, "--executor", "inline", "--out", folder / "out").code == 0
    return spec, folder / "out"


@pytest.mark.parametrize("spot", ["middle", "relearned", "trials"])
def test_after_a_kill_the_same_command_makes_up_for_all_of_it_and_repeats_nothing(finished, tmp_path, spot):
    spec, whole = finished
    out = tmp_path / "out"
    command = [sys.executable, "-c", KILLED, spot, "run", spec, "--executor", "inline", "--out", out]
    assert subprocess.run([*map(str, command)], capture_output=True).returncode == -signal.SIGKILL
    [first] = (out / "trials").iterdir()
    left = {"middle": 1, "relearned": 1, "trials": 2}[spot]
    assert len([*(out / "relearned").iterdir()]) == left
    assert {point["trial_id"] for point in points(out)} == {first.stem}
    written = first.stat().st_mtime_ns

    told = call("run", spec, "--executor", "inline", "--out", out)
    assert (told.code, "3 trials, 1 done before, 2 to run" in told.out) == (0, True)
    assert "run again" not in told.out
    assert first.stat().st_mtime_ns == written
    assert rows(out) == rows(whole)
    assert rows(out, "predictions") == rows(whole, "predictions")
    assert points(out) == points(whole)
    assert said(out) == said(whole)
    assert len(points(out)) == 3 * 3
    assert len(said(out)) == 3


def edited(spec, folder, **changes):
    """A copy of a spec with other keys; None leaves one out."""
    document = yaml.safe_load(spec.read_text()) | changes
    path = folder / "edited.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in document.items() if value is not None}))
    return path


def test_trials_that_were_not_relearned_are_run_again_and_plan_and_run_say_how_many(finished, tmp_path):
    spec, whole = finished
    plain, out = edited(spec, tmp_path, relearn=None), tmp_path / "out"
    assert call("run", plain, "--executor", "inline", "--out", out).code == 0
    assert rows(out) == rows(whole)
    assert points(out) == []
    assert not (out / "relearned").exists()

    line = f"3 trials done before are run again, because unlearned models are not stored, to relearn: {WORDS}"
    assert line in call("plan", spec, "--out", out).out
    assert "run again" not in call("plan", plain, "--out", out).out
    told = call("run", spec, "--executor", "inline", "--out", out)
    assert line in told.out
    assert rows(out) == rows(whole)
    assert (points(out), said(out)) == (points(whole), said(whole))
    assert "run again" not in call("plan", spec, "--out", out).out
    assert "3 done before, 0 to run" in call("run", spec, "--executor", "inline", "--out", out).out


def test_another_recipe_stands_beside_the_first_and_a_damaged_file_is_made_again(finished, tmp_path):
    spec, whole = finished
    out = shutil.copytree(whole, tmp_path / "out")
    other = edited(spec, tmp_path, relearn={"data": "forget", "epochs": 1})
    assert call("run", other, "--executor", "inline", "--out", out).code == 0
    retain = [point for point in points(out) if '"retain"' in point["recipe"]]
    forget = [point for point in points(out) if '"forget"' in point["recipe"]]
    assert retain == points(whole)
    assert {point["trial_id"] for point in forget} == {point["trial_id"] for point in retain}
    assert f"relearned, {WORDS}: 3 of 3 trials that ended ok" in call("status", out).out
    assert "1 epoch on the forget set, lr 0.01, batches of 16: 3 of 3" in call("status", out).out

    damaged = next(iter((out / "relearned").glob(f"*-{retain[0]['relearning_id']}.parquet")))
    damaged.write_bytes(b"PAR1 torn")
    told = call("plan", spec, "--out", out)
    assert "1 trial done before is run again" in told.out
    assert f"relearned/{damaged.name}" in told.err
    assert "2 of 3 trials" in call("status", out).out
    assert call("run", spec, "--executor", "inline", "--out", out).code == 0
    assert [point for point in points(out) if '"retain"' in point["recipe"]] == points(whole)


def test_export_has_both_folders_as_they_are_read(finished, tmp_path):
    import pyarrow.parquet as pq

    _, whole = finished
    told = call("export", whole, tmp_path / "out")
    assert told.code == 0
    assert pq.read_table(tmp_path / "out" / "relearned.parquet").equals(Results(str(whole)).relearned().table)
    found = pq.read_table(tmp_path / "out" / "relearned_predictions.parquet").to_pylist()
    assert found == [row for part in said(whole).values() for row in part]


def test_a_rerun_compares_the_trial_and_relearns_nothing(finished, tmp_path):
    _, whole = finished
    out = shutil.copytree(whole, tmp_path / "out")
    [row] = (row for row in rows(out) if row["method"] == "finetune")
    shutil.rmtree(Path(out) / "relearned")
    assert call("rerun", out, row["trial_id"]).code == 0
    assert not (Path(out) / "relearned").exists()
    results = Results(str(out))
    results.write_row(results.trial(row["trial_id"]) | {"weight_distance": None})  # as of a version before it
    assert call("rerun", out, row["trial_id"]).code == 0
