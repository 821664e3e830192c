"""Searches through Ray, killed, side by side, and watched."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import optuna
import pytest
import yaml
from clusters import free_port
from tiny_searches import QUICK, UAM, suggestions, trials, write_search
from tiny_sweeps import (
    call,
    end_session,
    ended_on_error,
    living,
    run,
    spent_after,
    start,
    tracked,
)

from methods import METHODS
from sweep.engine.exclusive import exclusively

LR = {"low": 0.001, "high": 0.1}
SLOW = {"name": "sweep_plugins:Slow", "epochs": 1, "lr": LR}
DYING = {"name": "sweep_plugins:DiesAbove", "epochs": 1, "lr": {"low": 0.2, "high": 0.5}}  # above 0.1: every one


def files(out, folder):
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in (out / folder).glob("*.parquet")}


def determined(out):
    names = ("study", "number", "params", "trial_ids", "confirm_trial_ids", "space", "objectives")
    columns = ("status", "study", "validation_accuracy", "mia")
    ended = {name: tuple(row[column] for column in columns) for name, row in trials(out).items()}
    return [{name: row[name] for name in names} for row in suggestions(out)], ended


def test_ray_and_inline_suggest_prune_and_store_the_same(shared_ray, tmp_path):
    path = write_search(tmp_path, [QUICK, UAM], trials=7)
    alone = f"resources.cpus={0.6 * os.cpu_count()}"  # room for one suggestion at a time
    for executor in ("ray", "inline"):
        options = ["--executor", executor, "--set", alone, "--track", "tensorboard"]
        assert call("search", path, "--out", tmp_path / executor, *options).code == 0
        ran = [name for name, row in trials(tmp_path / executor).items() if row["status"] != "pruned"]
        assert tracked(tmp_path / executor) == sorted(ran)
    assert determined(tmp_path / "ray") == determined(tmp_path / "inline")
    rows, ended = determined(tmp_path / "ray")
    assert [row["number"] for row in rows] == [*range(7), *range(7)]
    assert "pruned" in {status for status, *_ in ended.values()}
    assert all(ended[name][1] == row["study"] for row in rows for name in row["confirm_trial_ids"])


@pytest.mark.soak
def test_a_killed_search_goes_on_with_all_that_it_knew(tmp_path):
    budget = 8 + 2 * os.cpu_count()  # more than are under way at once
    out, path = tmp_path / "out", write_search(tmp_path, [SLOW], trials=budget, pruner="none")
    history = []
    for more, executor in ((5, "ray"), (10, "inline")):
        process = start("search", path, "--out", out, "--executor", executor, PAUSE="0.5")
        with ended_on_error(process):
            while len(files(out, "trials")) < more:
                assert process.poll() is None, process.communicate()
                time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        while living(process.pid):  # a worker that outlives its driver may still finish its row
            time.sleep(0.2)
        history.append((files(out, "trials"), {row["number"]: row for row in suggestions(out)}))

    assert call("search", path, "--out", out, "--executor", "inline").code == 0
    last = {row["number"]: row for row in suggestions(out)}
    assert sorted(last) == list(range(budget))
    for stored, suggested in history:
        assert 0 < len(suggested) < budget
        now = files(out, "trials")
        assert {name: now[name] for name in stored} == stored
        assert all(last[number]["params"] == row["params"] for number, row in suggested.items())
    rows = trials(out)
    assert all(rows[name]["status"] == "ok" for row in last.values() for name in row["trial_ids"])
    assert len({row["params"] for row in last.values()}) == budget


def test_what_is_unfinished_beyond_a_smaller_budget_is_not_missing(tmp_path):
    path, out = write_search(tmp_path, [QUICK], pruner="none"), tmp_path / "out"
    command = ("search", path, "--out", out, "--executor", "inline")
    assert call(*command).code == 0
    [last] = (row for row in suggestions(out) if row["number"] == 3)
    (out / "trials" / f"{last['trial_ids'][1]}.parquet").unlink()
    fewer = call(*command, "--set", "search.trials=2")
    assert (fewer.code, "were not run" in fewer.out) == (0, False)
    assert last["trial_ids"][1] not in trials(out)
    assert call(*command).code == 0
    assert last["trial_ids"][1] in trials(out)


@pytest.mark.soak
def test_suggestions_equal_to_one_under_way_wait_for_it(tmp_path):
    few = {"name": "finetune", "epochs": [1, 2], "lr": 0.01}
    path, out = write_search(tmp_path, [few], trials=7, sampler="random", pruner="none"), tmp_path / "out"
    ended = run("search", path, "--out", out)
    assert (ended.code, ended.err) == (0, "")
    assert [row["number"] for row in suggestions(out)] == list(range(7))
    assert len({row["params"] for row in suggestions(out)}) == 2


def test_a_trial_of_a_search_that_a_sweep_has_too_becomes_its_own(tmp_path):
    path, out = write_search(tmp_path, [QUICK], trials=1), tmp_path / "out"
    assert call("search", path, "--out", out, "--executor", "inline").code == 0
    [asked] = suggestions(out)
    before = trials(out)
    own = before[asked["trial_ids"][0]]
    method = {"name": "finetune"} | json.loads(own["config"])["method"]["params"]
    document = yaml.safe_load(path.read_text()) | {"seeds": [0], "methods": [method]}
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(document))
    ended = call("run", tmp_path / "sweep.yaml", "--out", out, "--executor", "inline")
    assert (ended.code, "1 trial, 1 done before, 0 to run" in ended.out) == (0, True)
    assert own["study"] is not None
    assert trials(out) == before | {own["trial_id"]: own | {"study": None}}


def test_the_best_of_a_search_stays_tuned_when_it_is_run_as_a_sweep(tmp_path):
    path, out = write_search(tmp_path, [QUICK], trials=1), tmp_path / "out"
    best = tmp_path / "best.yaml"
    assert call("search", path, "--out", out, "--executor", "inline", "--write-best", best).code == 0
    before = trials(out)
    ended = call("run", best, "--out", out, "--executor", "inline")
    assert ended.code == 0
    assert {name: trials(out)[name] for name in before} == before
    assert call("report", out).code == 0
    table = (out / "report" / "methods.md").read_text()
    assert "FineTune (tuned)" in table
    assert "tuned = untuned" not in table


def test_a_search_without_time_exits_3_and_the_same_command_goes_on(tmp_path):
    path, out = write_search(tmp_path, [QUICK], trials=2), tmp_path / "out"
    command = ("search", path, "--out", out, "--executor", "inline")
    ended = call(*command, "--time-budget", "0s")
    assert (ended.code, ended.err) == (3, "")
    assert "were not run; the same command runs them" in ended.out
    assert trials(out) == {}
    [study] = re.findall(r"for each of (finetune-\w+)", ended.out)
    with exclusively(str(out), {study}):  # as another command that runs it
        refused = call(*command)
    assert (refused.code, f"process {os.getpid()} on " in refused.err, trials(out)) == (2, True, {})
    done, again = call(*command, "--time-budget", "2h"), call(*command)
    assert (done.code, again.code) == (0, 0)
    heading = "tiny: 2 suggestions for each of finetune-"
    for shown in (ended, done, again):
        assert [number for number, line in enumerate(shown.out.splitlines()) if line.startswith(heading)] == [0]


def test_a_time_budget_ends_a_search_through_ray(shared_ray, tmp_path, monkeypatch):
    slots = os.cpu_count()
    path, out = write_search(tmp_path, [SLOW], trials=4 + slots, pruner="none"), tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("sweep.engine.driver.deadline", spent_after(3))
        ended = call("search", path, "--out", out, "--time-budget", "1h")
    assert ended.code == 3
    rows = trials(out)
    assert 2 + 1 <= len(rows) < 2 + 1 + slots  # two of Retrain, and every other slot's was under way
    assert not any(row["confirm_trial_ids"] for row in suggestions(out))

    assert call("search", path, "--out", out, "--executor", "inline").code == 0
    assert {name: trials(out)[name] for name in rows} == rows


def test_a_retrain_that_failed_exits_1_and_names_the_option_that_runs_it_again(tmp_path, monkeypatch):
    def exhausted(self, task):
        raise RuntimeError("CUDA out of memory")

    path = write_search(tmp_path, [QUICK], trials=1)
    command = ("search", path, "--out", tmp_path / "out", "--executor", "inline")
    with monkeypatch.context() as patch:
        patch.setattr(METHODS["retrain"], "unlearn", exhausted)
        failed = call(*command)
    assert failed.code == call(*command).code == 1
    assert failed.err == (
        "unlearn-sweep: retrain on seed 0: failed, so there is nothing to compare with: "
        "RuntimeError: CUDA out of memory; --retry-failed runs it again\n"
    )
    assert call(*command, "--retry-failed").code == 0


def test_two_searches_at_once_in_one_directory_do_not_disturb_each_other(tmp_path):
    out = tmp_path / "out"
    paths = [write_search(tmp_path, [method], name) for name, method in (("one", QUICK), ("two", UAM))]
    together = [start("search", path, "--out", out, "--executor", "inline") for path in paths]
    for process in together:
        with ended_on_error(process):
            process.communicate(timeout=500)
        assert process.returncode == 0
    alone = [tmp_path / name for name in ("alone-one", "alone-two")]
    for path, folder in zip(paths, alone, strict=True):
        assert call("search", path, "--out", folder, "--executor", "inline").code == 0
    rows, ended = determined(out)
    assert rows == [row for folder in alone for row in determined(folder)[0]]
    assert ended == determined(alone[0])[1] | determined(alone[1])[1]


@pytest.mark.soak
def test_a_dashboard_lists_a_running_study_and_a_dying_worker_fails_its_suggestion_only(tmp_path):
    out, url, port = tmp_path / "out", f"sqlite:///{tmp_path / 'copy.db'}", free_port()
    path = write_search(tmp_path, [SLOW, DYING], trials=3, pruner="none")
    searching = start("search", path, "--out", out, "--storage", url, PAUSE="1")
    with ended_on_error(searching):
        while not suggestions(out):
            assert searching.poll() is None, searching.communicate()
            time.sleep(0.1)
        dashboard = subprocess.Popen(
            [Path(sys.executable).with_name("optuna-dashboard"), url, "--host", "127.0.0.1", "--port", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            listed = listed_studies(searching, port)
        finally:
            end_session(dashboard.pid)
            dashboard.wait()
        searching.communicate(timeout=500)
    assert listed == {row["study"] for row in suggestions(out)}

    assert searching.returncode == 1  # a trial failed
    rows = trials(out)
    ends = {row["params"]: [rows[name]["status"] for name in row["trial_ids"]] for row in suggestions(out)}
    dead = [statuses for params, statuses in ends.items() if json.loads(params)["lr"] > 0.1]
    assert dead == [["failed", "pruned"]] * len(dead) != []
    assert all(statuses == ["ok", "ok"] for statuses in ends.values() if statuses not in dead)
    copies = {name: optuna.load_study(study_name=name, storage=url).trials for name in listed}
    assert sorted(trial.state.name for found in copies.values() for trial in found) == sorted(
        ["FAIL"] * len(dead) + ["COMPLETE"] * (6 - len(dead))
    )


def listed_studies(searching, port):
    """The studies that the dashboard lists while the search runs, as soon as it lists both."""
    while searching.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies", timeout=10) as answer:
                names = {study["study_name"] for study in json.load(answer)["study_summaries"]}
        except OSError:
            names = set()
        if len(names) == 2:
            return names
        time.sleep(0.1)
    raise AssertionError(searching.communicate())


BAD = {
    "inverted range": (
        {"methods": [QUICK | {"lr": {"low": 0.1, "high": 0.01}}]},
        "search.methods.0.lr: low 0.1 is above",
    ),
    "unknown hyperparameter": (
        {"methods": [{"name": "uam", "roh": 1}]},
        "search.methods.0.roh: unknown key; did you mean",
    ),
    "no budget": ({"trials": 0}, "search.trials: should be greater than or equal to 1, not 0"),
    "seeds in common": ({"confirm_seeds": [1, 2]}, "search: confirm_seeds: the search sees 1 too"),
    "out of bounds": ({"methods": [QUICK | {"epochs": {"low": 0}}]}, "search.methods.0.epochs.low: should be greater"),
    "unknown sampler": ({"sampler": "tpa"}, "search.sampler: 'tpa' is unknown; did you mean 'tpe'?"),
    "unknown objective": ({"objective": ["gap"]}, "search.objective.0: 'gap' is unknown; valid: "),
    "logarithm of zero": (
        {"methods": [{"name": "uam", "rho": {"low": 0}}]},
        "search.methods.0.rho.low: a log range needs",
    ),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD)
def test_a_bad_search_is_one_line_with_the_key_and_creates_nothing(tmp_path, changes, message):
    refused(tmp_path, message, write_search(tmp_path, **({"methods": [QUICK]} | changes)))


def test_a_search_without_validation_data_is_bad_input(tmp_path):
    refused(tmp_path, "dataset.validation: ", write_search(tmp_path, [QUICK]), "--set", "dataset.validation=0")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ("resources.gpus=8", "resources.gpus: 8 wanted"),
        ("model.name=resnet50", "model: resnet50 cannot be used on images of 1 x 8 x 8"),
    ],
)
def test_a_search_that_cannot_be_run_as_its_spec_wants_is_bad_input(tmp_path, changes, message):
    refused(tmp_path, message, write_search(tmp_path, [QUICK]), "--set", changes)


def test_a_search_of_a_method_without_its_held_out_samples_is_bad_input(tmp_path):
    path = write_search(tmp_path, [{"name": "scrub", "rewind": True}])
    refused(tmp_path, "search.methods.0: scrub with these hyperparameters reads held-out samples", path)


def test_a_storage_that_cannot_be_reached_is_bad_input(tmp_path):
    path = write_search(tmp_path, [QUICK])
    refused(tmp_path, "--storage: ", path, "--storage", f"sqlite:///{tmp_path}/nowhere/copy.db")


def refused(folder, message, *arguments):
    ended = call("search", *arguments, "--out", folder / "out", "--executor", "inline")
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert message in ended.err
    assert not (folder / "out").exists()


def test_a_spec_with_nothing_but_a_search_is_not_run(tmp_path):
    path = write_search(tmp_path, [QUICK])
    ended = call("run", path, "--out", tmp_path / "out")
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert f"{path}: methods: required, and missing; to run its search: unlearn-sweep search {path}" in ended.err


def test_a_file_for_the_best_that_is_no_ones_to_write_is_bad_input(tmp_path):
    (tmp_path / "mine.yaml").write_text("mine")
    path = write_search(tmp_path, [QUICK])
    refused(tmp_path, "exists and says something else", path, "--write-best", tmp_path / "mine.yaml")


def test_a_best_that_cannot_be_written_does_not_hide_that_trials_failed(tmp_path, monkeypatch):
    def broken(self, task):
        raise RuntimeError("broken")

    monkeypatch.setattr(METHODS["uam"], "unlearn", broken)
    path = write_search(tmp_path, [QUICK, UAM], trials=1, seeds=[0])
    best = tmp_path / "best.yaml"
    best.write_text("# The best of a search, on its validation data:\n")
    ended = call("search", path, "--out", tmp_path / "out", "--executor", "inline", "--write-best", best)
    assert ended.code == 1
    assert "exists and says something else" in ended.err
    assert best.read_text().count("\n") == 1
