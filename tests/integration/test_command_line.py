import io
import json
import os
import shutil
from contextlib import contextmanager

import jsonschema
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image
from tiny_sweeps import BUILT_INS, MISBEHAVING, call, row_of, rows, run, spec, write_spec

from sweep.engine import driver, inline
from sweep.plan.code_version import code_version
from sweep.store.results import Results
from sweep.trial.training import train

RETRAIN = [{"name": "retrain"}]

BAD_SPECS = {
    "wrong key": (
        {"methods": [{"name": "finetune", "epoch": 3}]},
        "methods.0.epoch: unknown key; did you mean 'epochs'?",
    ),
    "wrong type": ({"training": {"epochs": "many"}}, "training.epochs: "),
    "unknown method": (
        {"methods": [{"name": "fintune"}]},
        "methods.0.name: unknown method 'fintune'; did you mean 'finetune'?",
    ),
    "missing dataset": (
        {"dataset": {"name": "parquet", "path": "/no/such/directory"}},
        "no directory '/no/such/directory'",
    ),
    "negative rho": ({"methods": [{"name": "uam", "rho": -1.0}]}, "methods.0.rho: "),
    "empty grid": ({"seeds": []}, "seeds: an empty list leaves nothing to run"),
    "nothing to forget": ({"forget": {"ratio": 0}}, "forget.ratio: "),
    "nothing to retain": ({"forget": {"ratio": 1}}, "forget.ratio: "),
    "class without samples": ({"forget": {"scenario": "class", "class": 10}}, "class 10 leaves no sample to forget"),
    "too little to forget": ({"forget": {"ratio": 0.0001}}, "ratio 0.0001 leaves no sample to forget"),
    "model of other images": ({"model": {"name": "resnet50"}}, "model: resnet50 cannot be used on images of 1 x 8 x 8"),
    "hyperparameters that a method refuses": (
        {"methods": [{"name": "rum", "inner": "[retrain, finetune]", "epochs": 1, "lr": 0.1}]},
        "methods.0: ",
    ),
    "no held-out samples": (
        {"methods": [{"name": "scrub", "rewind": True}]},
        "methods.0: scrub with these hyperparameters reads held-out samples: set dataset.reference",
    ),
    "resources out of reach": ({"resources": {"gpus": 8}}, "resources.gpus: 8 wanted"),
    "resources beyond the machine": (
        {"resources": {"cpus": 1024}},
        f"resources.cpus: 1024 wanted, and this machine has {os.cpu_count()}",
    ),
    "missing plugin": ({"methods": [{"name": "no_such_module:Method"}]}, "plugin 'no_such_module:Method'"),
}


@pytest.mark.parametrize(("changes", "message"), BAD_SPECS.values(), ids=BAD_SPECS)
def test_a_bad_spec_is_one_line_with_the_key_and_creates_nothing(tmp_path, changes, message):
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(spec(RETRAIN) | changes))
    ended = call("run", path, "--out", tmp_path / "out", "--executor", "inline")
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert message in ended.err
    assert str(path) in ended.err
    assert not (tmp_path / "out").exists()
    if "resources" not in changes:  # a plan may be made elsewhere
        planned = call("plan", path, "--out", tmp_path / "out")
        assert (planned.code, planned.out, planned.err) == (2, "", ended.err)


def test_a_file_that_is_not_yaml_is_one_line_with_the_place(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("name: tiny\nmethods: [{name: retrain}\n")
    ended = call("run", path, "--out", tmp_path / "out")
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert f"{path}: line 3, column 1: not YAML" in ended.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--executor", "foo"], "Invalid value for '--executor': 'foo' is not one of 'ray', 'inline'"),
        (["run", "--no-such-option"], "No such option: --no-such-option"),
        (["rum"], "No such command 'rum'"),
        (["run", "digit"], "digit: no such file or preset; did you mean 'digits'?"),
        (["run", "digits", "--set", "training.epoch=1"], "training.epoch: unknown key; did you mean 'epochs'?"),
        (
            ["run", "digits", "--executor", "inline", "--address", "auto"],
            "--address: the inline executor uses no cluster",
        ),
        (["run", "digits", "--time-budget", "2"], "--time-budget 2: write hours, minutes, seconds, as in 2h or 1h30m"),
        (["status", "no-such-directory"], "no-such-directory: no such results directory"),
        (["report", "no-such-directory"], "no-such-directory: no such results directory"),
    ],
)
def test_a_bad_command_is_one_line(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    ended = call(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert len(ended.err.splitlines()) == 1
    assert message in ended.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["status"], ["report"], ["export", "OUT"], ["track", "--to", "tensorboard"]])
def test_a_directory_without_results_is_bad_input_and_stays_as_it_is(tmp_path, command):
    (tmp_path / "notes.txt").touch()
    ended = call(command[0], tmp_path, *command[1:])
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == f"unlearn-sweep: {tmp_path}: not a results directory: it has neither spec.yaml nor trials/\n"
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_console_script_exits_2_with_one_line(tmp_path):
    ended = run("plan", write_spec(tmp_path, [{"name": "fintune"}]))
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("unlearn-sweep: ")
    assert len(ended.err.splitlines()) == 1


def test_help_loads_neither_torch_nor_ray():
    ended = run("--help", interpreter=("-X", "importtime"))
    assert ended.code == 0
    for command in ("run", "plan", "status", "report", "list", "schema"):
        assert f" {command} " in ended.out
    imported = {line.rpartition("|")[2].strip() for line in ended.err.splitlines()}
    assert "sweep.cli.app" in imported
    assert not imported & {"torch", "ray", "pandas", "pyarrow"}


def test_schema_accepts_a_good_spec_and_refuses_a_bad_one():
    schema = json.loads(call("schema").out)
    jsonschema.validate(spec(BUILT_INS), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(spec([{"name": "finetune", "epoch": 3}]), schema)


def cells(text):
    """The words of every line, borders of tables left out."""
    return {tuple(line.replace("│", " ").split()) for line in text.splitlines()}


def test_plan_counts_and_creates_nothing(tmp_path):
    shown = call("plan", write_spec(tmp_path, BUILT_INS, seeds=[0, 1]), "--out", tmp_path / "out")
    assert shown.code == 0
    assert cells(shown.out) >= {
        ("finetune", "4", "0", "4"),
        ("uam", "2", "0", "2"),
        ("all", "18", "0", "18"),
        ("2", "original", "models,", "0", "of", "them", "trained"),
    }
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("seeds", "line"),
    [
        ("3", "1 seed: 3"),
        ("[5,1]", "2 seeds: 1, 5"),
        ("range(0,4)", "4 seeds: 0 to 3"),
        ("[0,1,3]", "3 seeds: 0, 1, 3"),
    ],
)
def test_plan_tells_a_seed_from_a_number_of_seeds(tmp_path, seeds, line):
    path = write_spec(tmp_path, RETRAIN)
    shown = call("plan", path, "--out", tmp_path / "out", "--set", f"seeds={seeds}", "--no-forecast")
    assert (shown.code, f"\n{line}\n" in shown.out) == (0, True)


def test_plan_subtracts_what_is_done(inline_sweep, tmp_path):
    shown = call("plan", write_spec(tmp_path, BUILT_INS, seeds=[0, 1]), "--out", inline_sweep.out)
    lines = cells(shown.out)
    assert lines >= {("all", "18", "9", "9"), ("2", "original", "models,", "1", "of", "them", "trained")}


def test_report_writes_the_table_in_three_formats(inline_sweep, tmp_path):
    shown = call("report", inline_sweep.out, "--out", tmp_path / "report")
    assert shown.code == 0
    assert "| FineTune (lr=0.05) |" in (tmp_path / "report" / "methods.md").read_text()
    assert all(str(path) in shown.out for path in (tmp_path / "report").glob("methods.*"))
    assert {path.name for path in (tmp_path / "report").iterdir()} >= {"methods.md", "methods.csv", "methods.tex"}


@pytest.fixture
def finished(inline_sweep, tmp_path):
    """A copy of the finished sweep's results, for a test to change."""
    return shutil.copytree(inline_sweep.out, tmp_path / "out")


def test_divergence_alone_exits_0(finished, tmp_path):
    path = write_spec(tmp_path, [*BUILT_INS, MISBEHAVING[1]])
    assert call("run", path, "--out", finished).code == 0


def test_failed_trials_run_again_only_when_asked(inline_sweep, finished, monkeypatch):
    command = ("run", inline_sweep.spec, "--out", finished, "--executor", "inline")
    monkeypatch.setenv("REPAIRED", "yes")
    untouched = call(*command)
    assert untouched.code == 1
    assert "0 to run" in untouched.out
    repaired = call(*command, "--retry-failed")
    assert "11 trials, 10 done before, 1 to run" in repaired.out
    assert repaired.code == 0
    row = row_of(finished, "sweep_plugins:Raises")
    assert (row["status"], row["error"]) == ("ok", None)


def test_rows_of_another_code_version_are_kept_counted_and_refreshed_when_asked(finished, tmp_path):
    row = row_of(finished, "neggrad")
    Results(str(finished)).write_trial(row | {"code_version": "0.0.1+old", "test_accuracy": 0.0})
    command = ("run", write_spec(tmp_path, [{"name": "neggrad", "epochs": 1}]), "--out", finished)
    command += ("--executor", "inline")

    assert "1 trial is of code version 0.0.1+old" in call("status", finished).out
    kept = call(*command).out
    assert kept.startswith("tiny: 1 trial, 1 done before, 0 to run\n")
    told = f"1 trial done before by code version 0.0.1+old, not {code_version()}; --refresh repeats it\n"
    assert told in kept
    assert told in call("plan", command[1], "--out", finished).out
    assert row_of(finished, "neggrad")["test_accuracy"] == 0.0

    repeated = call(*command, "--refresh").out
    assert repeated.startswith("tiny: 1 trial, 0 done before, 1 to run, about ")
    assert repeated.count(" to run") == 1
    assert "done before by" not in repeated
    refreshed = row_of(finished, "neggrad")
    assert refreshed["code_version"] == code_version()
    assert refreshed["test_accuracy"] == row["test_accuracy"] != 0.0


def test_what_another_command_ended_while_the_executor_started_is_not_run_again(tmp_path, monkeypatch):
    methods = [{"name": name, "epochs": 1} for name in ("neggrad", "finetune")]
    command = ("run", write_spec(tmp_path, methods), "--out", tmp_path / "out", "--executor", "inline")
    gpus = inline._gpus

    def slowly(spec):
        monkeypatch.setattr(inline, "_gpus", gpus)
        assert call(*command, "--set", "name=first", "--set", 'methods=[{"name": "neggrad", "epochs": 1}]').code == 0
        return gpus(spec)

    monkeypatch.setattr(inline, "_gpus", slowly)
    ended = call(*command)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("tiny: 2 trials, 1 done before, 1 to run, about ")
    assert [row_of(tmp_path / "out", name)["sweep"] for name in ("neggrad", "finetune")] == ["first", "tiny"]


@pytest.mark.parametrize("option", ["--refresh", "--retry-failed"])
def test_what_is_to_be_run_again_and_was_not_for_lack_of_time_is_missing(finished, tmp_path, option):
    row = row_of(finished, "neggrad")
    changed = {"code_version": "0.0.1+old"} if option == "--refresh" else {"status": "failed", "error": "once"}
    Results(str(finished)).write_trial(row | changed)
    command = ("run", write_spec(tmp_path, [{"name": "neggrad", "epochs": 1}]), "--out", finished)
    command += ("--executor", "inline", option)
    ended = call(*command, "--time-budget", "0s")
    assert (ended.code, "1 trial was not run; the same command runs it" in ended.out) == (3, True)
    again = call(*command, "--time-budget", "1h")
    assert (again.code, "not run" in again.out) == (0, False)
    assert row_of(finished, "neggrad")["test_accuracy"] == row["test_accuracy"]


def test_a_time_budget_may_be_longer_than_any_run(tmp_path):
    command = ("run", write_spec(tmp_path, [{"name": "neggrad", "epochs": 1}]), "--out", tmp_path / "out")
    ended = run(*command, "--executor", "inline", "--time-budget", "99999999h")
    assert (ended.code, ended.err) == (0, "")


@pytest.fixture
def older_code(monkeypatch):
    """Code of another version, which trains originals with half the learning rate, as a context manager."""

    def train_slowly(model, samples, recipe, **others):
        return train(model, samples, recipe.model_copy(update={"lr": recipe.lr / 2}), **others)

    @contextmanager
    def older():
        with monkeypatch.context() as patch:
            patch.setattr("sweep.plan.versions.code_version", lambda: "0.0.1+old")
            patch.setattr("sweep.trial.setting.train", train_slowly)
            yield

    return older


def test_what_started_from_an_original_of_another_code_version_is_refreshed_too(tmp_path, older_code):
    first, both = [{"name": "finetune", "epochs": 1}], [{"name": name, "epochs": 1} for name in ("finetune", "neggrad")]
    options = ("--executor", "inline", "--out")
    with older_code():
        call("run", write_spec(tmp_path, first), *options, tmp_path / "out")
    command = ("run", write_spec(tmp_path, both), *options, tmp_path / "out")

    added = call(*command)
    assert "2 trials, 1 done before, 1 to run" in added.out
    assert "1 trial done before by code version 0.0.1+old, not " in added.out
    assert "1 trial done before from originals by code version 0.0.1+old" in call(*command).out
    assert added.err == "warning: 1 original is of another code version, 0.0.1+old: --refresh trains it again\n"
    stale = row_of(tmp_path / "out", "neggrad")
    assert (stale["code_version"], stale["original_version"]) == (code_version(), "0.0.1+old")
    status = call("status", tmp_path / "out").out
    assert "1 trial is of code version 0.0.1+old" in status
    assert "1 trial starts from an original of code version 0.0.1+old" in status

    refreshed = call(*command, "--refresh")
    assert "2 trials, 0 done before, 2 to run" in refreshed.out
    assert refreshed.err == ""
    assert "0 to run" in call(*command, "--refresh").out
    call("run", tmp_path / "tiny.yaml", *options, tmp_path / "fresh")
    assert rows(tmp_path / "out") == rows(tmp_path / "fresh")
    assert row_of(tmp_path / "fresh", "neggrad")["test_accuracy"] != stale["test_accuracy"]


def test_status_tells_what_is_left_to_run(finished):
    plugins = [argument for entry in MISBEHAVING for argument in ("--plugin", entry["name"])]
    told = call("status", finished, *plugins).out
    assert "left to run: 0 of 11 trials of spec.yaml\n" in told
    methods = [line.split("│")[1].strip() for line in told.splitlines() if line.startswith("│")]
    assert methods[:2] == ["original", "retrain"]
    assert methods[2:] == sorted(methods[2:])
    (finished / "trials" / f"{row_of(finished, 'neggrad')['trial_id']}.parquet").unlink()
    assert "left to run: 1 of 11 trials of spec.yaml\n" in call("status", finished, *plugins).out
    Results(str(finished)).write_trial(row_of(finished, "uam") | {"status": "pruned"})  # it was not run
    assert "left to run: 2 of 11 trials of spec.yaml\n" in call("status", finished, *plugins).out
    told = f"how many trials are missing is not known: the method {plugins[1]} is a plugin, which is not imported here."
    assert told in call("status", finished).out


def test_devices_that_are_mixed_within_a_task_are_told(finished):
    assert "trials of one task ran on" not in call("status", finished).out
    row = row_of(finished, "neggrad")
    results = Results(str(finished))
    results.write_trial(row | {"task_id": "another", "device": "NVIDIA H100"})
    assert "trials of one task ran on" not in call("status", finished).out
    results.write_trial(row | {"device": "NVIDIA H100", "status": "failed"})
    assert "trials of one task ran on" not in call("status", finished).out
    results.write_trial(row | {"device": "NVIDIA H100"})
    assert "trials of one task ran on NVIDIA H100 and cpu: " in call("status", finished).out


def test_originals_that_were_trained_to_different_weights_are_told(tmp_path):
    first, both = [{"name": "finetune", "epochs": 1}], [{"name": name, "epochs": 1} for name in ("finetune", "neggrad")]
    options = ("--executor", "inline", "--out", tmp_path / "out")
    call("run", write_spec(tmp_path, first), *options)
    row, results = row_of(tmp_path / "out", "finetune"), Results(str(tmp_path / "out"))
    results.write_trial(row | {"trial_id": "another"})  # from the same weights
    assert "trained more than once" not in call("status", tmp_path / "out").out
    results.write_trial(row | {"original_sha256": None})  # of a version that did not store it
    assert "trained more than once" not in call("status", tmp_path / "out").out
    results.write_trial(row | {"original_sha256": "of another machine"})
    told = "1 original was trained more than once, to different weights"
    assert told in call("run", write_spec(tmp_path, both), *options).err
    assert told in call("status", tmp_path / "out").out


NETWORK = """from torch import nn

def net(classes, channels):
    return nn.Sequential(nn.Flatten(), nn.{})
"""


def test_an_edited_plugin_is_another_code_version(tmp_path):
    (tmp_path / "own_network.py").write_text(NETWORK.format("Linear(64, classes)"))
    path = write_spec(tmp_path, [{"name": "finetune", "epochs": 1}], model={"name": "own_network:net"})
    command = ("run", path, "--out", tmp_path / "out", "--executor", "inline")
    where = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    assert run(*command, **where).code == 0
    (tmp_path / "own_network.py").write_text(NETWORK.format("Linear(64, classes, True)"))
    told = "1 trial done before by another version of own_network:net; --refresh repeats it"
    ended = run(*command, **where).out
    assert "0 to run" in ended
    assert told in ended
    assert told in run("status", tmp_path / "out", "--plugin", "own_network:net", **where).out
    assert told not in run("status", tmp_path / "out", **where).out  # what only results name is not imported
    more = run(*command, "--set", "seeds=[0,1]", **where).out
    assert "2 code versions" in more
    assert "Mixed code: FineTune averages trials of " in more
    assert "finetune: tables average trials of " in run("status", tmp_path / "out", **where).out
    assert "1 trial, 0 done before, 1 to run" in run(*command, "--refresh", **where).out
    assert "0 to run" in run(*command, "--refresh", **where).out


def test_a_table_that_fails_is_told_with_where_the_results_are(finished, tmp_path, monkeypatch):
    def broken(trials):
        raise ValueError("zip() argument 2 is shorter than argument 1")

    monkeypatch.setattr("analysis.methods_table.methods_table", broken)
    path = write_spec(tmp_path, BUILT_INS)
    for command in (("run", path, "--out", finished, "--executor", "inline"), ("report", finished)):
        ended = call(*command)
        lines = ended.err.splitlines()
        assert (ended.code, lines[0]) == (1, "Traceback (most recent call last):")
        assert lines[-1] == (
            "unlearn-sweep: ValueError while results were shown, which is a bug of this program: "
            f"all results are stored in {finished}"
        )


def test_methods_describes_a_plugin_too():
    shown = call("list", "methods", "sweep_plugins:Slow", "uam").out
    assert "sweep_plugins:Slow  " in shown
    assert "Fine-tuning that takes PAUSE seconds longer." in shown
    assert "uam  " in shown
    assert "neggrad" not in shown
    assert {"original", "uam", "sisa"} <= {line.split()[0] for line in call("list", "methods").out.splitlines() if line}
    refused = call("list", "methods", "unlearn")
    assert (refused.code, len(refused.err.splitlines())) == (2, 1)


def test_plan_mentions_a_search(tmp_path):
    methods = [{"name": "finetune", "epochs": 1}, {"name": "uam", "epochs": 1}]
    search = {"methods": methods, "trials": 8, "seeds": [0, 1], "confirm_seeds": [7, 8, 9]}
    data = {"name": "digits", "limit": 200, "validation": 0.1}
    path = write_spec(tmp_path, RETRAIN, search=search, dataset=data, forget={"ratio": [0.1, 0.2]})
    told = f"and a search of 4 x 8 suggestions x 2 seeds, its best on 3 other seeds: unlearn-sweep search {path}"
    assert told in call("plan", path, "--out", tmp_path / "out").out
    assert "a search of" not in call("plan", write_spec(tmp_path, RETRAIN), "--out", tmp_path / "out").out


def test_a_corrupt_row_is_warned_about_and_its_trial_runs_again(inline_sweep, finished, tmp_path):
    name = row_of(finished, "retrain")["trial_id"]
    path = finished / "trials" / f"{name}.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(content)
    ended = call("run", write_spec(tmp_path, BUILT_INS), "--out", finished, "--executor", "inline")
    assert ended.code == 0
    assert ended.err.startswith(f"warning: trials/{name}.parquet: ")
    assert len(ended.err.splitlines()) == 1
    assert "9 trials, 8 done before, 1 to run" in ended.out
    assert rows(finished) == rows(inline_sweep.out)
    assert pq.read_table(path).num_rows == 1


@pytest.mark.parametrize("inside", [".", "out"])
def test_a_results_directory_that_cannot_be_made_is_one_line(tmp_path, inside):
    (tmp_path / "file").touch()
    path = write_spec(tmp_path, RETRAIN)
    ended = call("run", path, "--out", tmp_path / "file" / inside, "--executor", "inline")
    assert ended.code == 2
    assert len(ended.err.splitlines()) == 1
    assert "directory" in ended.err


@pytest.mark.parametrize("blocked", ["models", "traces", "predictions"])
def test_a_result_that_cannot_be_stored_ends_the_run_and_leaves_no_row(tmp_path, blocked):
    out = tmp_path / "out"
    out.mkdir()
    (out / blocked).touch()
    path = write_spec(tmp_path, [{"name": "finetune", "epochs": 1}])
    ended = call("run", path, "--out", out, "--executor", "inline")
    assert ended.code == 1
    assert len(ended.err.splitlines()) == 1
    assert str(out / blocked) in ended.err
    assert not (out / "trials").exists()
    (out / blocked).unlink()
    assert call("run", path, "--out", out, "--executor", "inline").code == 0


def test_a_time_budget_ends_a_run_in_order_and_the_same_command_goes_on(tmp_path, monkeypatch):
    monkeypatch.setenv("PAUSE", "1")
    methods = [{"name": "sweep_plugins:Slow", "epochs": 1, "lr": [0.01, 0.02, 0.03, 0.04]}]
    command = ("run", write_spec(tmp_path, methods), "--out", tmp_path / "out", "--executor", "inline")
    ended = call(*command, "--time-budget", "0h0m0.5s")
    assert (ended.code, ended.err) == (3, "")
    stored = len(rows(tmp_path / "out"))
    assert f"{4 - stored} trials were not run; the same command runs them" in ended.out
    assert stored < 4
    monkeypatch.setenv("PAUSE", "0")
    assert f"{stored} done before, {4 - stored} to run" in (again := call(*command, "--time-budget", "2h")).out
    assert again.code == 0


def test_a_row_of_what_a_search_gave_up_is_no_trial_that_ran(finished, tmp_path, monkeypatch):
    @contextmanager
    def spent(schedule, seconds):
        schedule.stop()
        yield

    Results(str(finished)).write_trial(row_of(finished, "neggrad") | {"status": "pruned", "error": "median pruner"})
    command = ("run", write_spec(tmp_path, BUILT_INS), "--out", finished, "--executor", "inline")
    with monkeypatch.context() as patch:
        patch.setattr(driver, "deadline", spent)
        ended = call(*command, "--time-budget", "2h")
    assert ended.code == 3
    assert "1 trial was not run; the same command runs it" in ended.out
    assert call(*command).code == 0


@pytest.fixture
def twins(tmp_path):
    """A Parquet set whose labels have holes, with 5 images that are there twice and a test image of the training set.

    Its last training image is damaged where `damaged` is given.
    """

    def write(damaged=None):
        noise = np.random.default_rng(0).integers(256, size=(60, 8, 8), dtype=np.uint8)
        labels = np.resize([1, 4], 60)
        for split, chosen in (("train", [*range(40), *range(5)]), ("test", range(39, 60))):
            images = [png(noise[row]) for row in chosen]
            images[-1] = damaged or images[-1]
            table = pa.table({"image": [{"bytes": image} for image in images], "label": labels[list(chosen)]})
            pq.write_table(table, tmp_path / f"{split}.parquet")
        return {"name": "parquet", "path": str(tmp_path), "crop": 0, "flip": False}

    return write


def png(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()


def test_what_should_be_known_of_a_dataset_is_a_warning_that_is_given_once(tmp_path, twins):
    changes = {"dataset": twins() | {"validation": 0.2}, "forget": {"scenario": "class", "class": 4}}
    path = write_spec(tmp_path, RETRAIN, **changes, search=SEARCH)
    for command in ("plan", "run", "search"):
        ended = call(command, path, "--out", tmp_path / "out", *([] if command == "plan" else ["--executor", "inline"]))
        assert ended.code == 0
        assert ended.err.splitlines() == [
            "warning: dataset: labels 1, 4: 2 classes, renumbered from 0",
            "warning: dataset: the training set has copies (same image and label) of 1 of 21 test samples",
        ]
    assert {row["forget_class"] for row in rows(tmp_path / "out")} == {4}


SEARCH = {"methods": [{"name": "finetune", "epochs": 1}], "trials": 1, "seeds": [0], "confirm_seeds": [1]}


def test_a_damaged_image_is_found_before_anything_runs(tmp_path, twins):
    path = write_spec(tmp_path, RETRAIN, dataset=twins(damaged=b"no image"))
    for command in ("plan", "run"):
        ended = call(command, path, "--out", tmp_path / "out")
        assert (ended.code, len(ended.err.splitlines())) == (2, 1)
        where = f"'{tmp_path}/train.parquet', image of row 44 (from 0)"
        assert f"{path}: dataset: {where}: it is no image that Pillow can read" in ended.err
        assert not (tmp_path / "out").exists()
