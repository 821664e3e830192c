"""Directories of several machines joined into one: nothing lost, nothing replaced, and what differs said."""

from __future__ import annotations

import json
import sys
from datetime import timedelta

import pyarrow as pa
import pytest
import torch

from sweep import cli
from sweep.plan.code_version import code_version
from sweep.store.columns import PREDICTIONS
from sweep.store.content_ids import canonical_json
from sweep.store.labels import read_labels, write_labels
from sweep.store.merge import merge
from sweep.store.originals import Original, load_original, store_original
from sweep.store.relearning import Relearning
from sweep.store.results import Relearned, Results

RECIPE = Relearning("retain", 1, 0.1, 8)
TRACE = {"epoch": 1, "step": 9, "seconds": 0.5, "samples": 90}
POINT = {"status": "ok", "epoch": 0, "step": 0, "seconds": 0.0, "forget_accuracy": 1.0}


def current(version):
    return version == "text"  # as `make_row` has it


def predictions(trial_id, value=1.0):
    columns = {"trial_id": [trial_id] * 2, "sample_id": [5, 9], "split": ["forget", "test"], "label": [1, 0]}
    nothing = dict.fromkeys(PREDICTIONS.names, [None] * 2)
    return pa.table(nothing | columns | {"logits": pa.array([[0.5], [value]], pa.list_(pa.float16()))}, PREDICTIONS)


def original(value, version="text"):
    return Original({"w": torch.full((2,), float(value))}, version)


def suggestion(number, lr, confirmed=(), study="finetune-1"):
    text = dict.fromkeys(("sweep", "method", "task_id", "sampler"), "text") | {"space": "{}"}
    ids = {"trial_ids": [f"lr{lr}"], "confirm_trial_ids": list(confirmed)}
    when = {"suggested_at": None, "objectives": ["average_gap"]}
    return text | ids | when | {"study": study, "number": number, "params": canonical_json({"lr": lr})}


@pytest.fixture
def make(tmp_path):
    def make(name):
        return Results(str(tmp_path / name))

    return make


@pytest.fixture
def machines(make, make_row):
    """Two directories: trial a in one, b in the other, both in both; c alike, and each with its own beside them."""
    one, two = make("one"), make("two")
    for results, own, lr in ((one, "a", 0.1), (two, "b", 0.2)):
        results.write("spec.yaml", b"name: tiny\n")
        results.write("environment.json", b'{"cpu": "%s"}' % own.encode())
        write_labels(results, {"digits": f"Digits {own}", own: own}, {})
        results.write("rows/l.parquet", b"the same list")
        store_original(results, "shared", original(1))
        store_original(results, own, original(2))
        for name in (own, "c"):
            row = make_row(name, original_id="shared", original_sha256=original(1).sha256, host=own)
            relearned = Relearned(RECIPE, [POINT], predictions(name)) if name == own else None
            results.write_trial(row, [TRACE | {"trial_id": name}], predictions(name), relearned)
        results.write_suggestion(suggestion(0, 0.5) | {"suggested_at": row["started_at"]})
        results.write_suggestion(suggestion(1, lr) | {"suggested_at": row["started_at"]})
    return one, two


def held(results):
    """All that a directory holds, but for when and where."""
    trials = results.trials().table.sort_by("trial_id")
    names = trials["trial_id"].to_pylist()
    return {
        "trials": trials.to_pylist(),
        "traces": results.traces().table.sort_by("trial_id").to_pylist(),
        "predictions": {name: results.predictions(name).to_pylist() for name in names},
        "relearned": results.relearned().table.sort_by("trial_id").to_pylist(),
        "relearned_predictions": sorted(results.names("relearned_predictions")),
        "models": {name: load_original(results, name.split(".")[0]).sha256 for name in results.names("models")},
        "suggestions": results.suggestions().table.to_pylist(),
        "rows": results.names("rows"),
    }


def test_everything_of_both_is_in_the_merged_directory_once(machines, make):
    one, two = machines
    done = merge(machines, make("out"), current)
    found, (left, right) = held(make("out")), (held(one), held(two))
    assert (done.copied, done.damaged) == ([2, 1], [])
    assert done.notes == ["1 suggestion has another number: two directories had one under theirs, and both are kept"]
    assert [row["trial_id"] for row in found["trials"]] == ["a", "b", "c"]
    assert found["trials"][:1] + found["trials"][2:] == left["trials"]
    assert found["traces"] == [left["traces"][0], right["traces"][0], left["traces"][1]]
    assert found["predictions"] == left["predictions"] | right["predictions"]
    assert found["relearned"] == left["relearned"] + right["relearned"]
    assert len(found["relearned_predictions"]) == 2
    assert found["models"] == left["models"] | right["models"]
    assert [(row["number"], row["params"]) for row in found["suggestions"]] == [
        (0, '{"lr":0.5}'),
        (1, '{"lr":0.1}'),
        (2, '{"lr":0.2}'),
    ]
    assert found["rows"] == ["l.parquet"]
    assert read_labels(make("out")) == {"digits": "Digits a", "a": "a", "b": "b"}
    assert make("out").read("environment.json").split() == b'{ "1": { "cpu": "a" }, "2": { "cpu": "b" } }'.split()


@pytest.mark.parametrize("torn", ["{", "[" * 100_000])
def test_an_environment_that_is_not_json_is_merged_as_text(machines, make, torn):
    machines[0].write("environment.json", torn.encode())
    merge(machines, make("out"), current)
    assert json.loads(make("out").read("environment.json")) == {"1": torn, "2": {"cpu": "b"}}


def test_a_merge_that_is_interrupted_anywhere_goes_on_when_given_again(machines, make, monkeypatch):
    merge(machines, make("whole"), current)
    expected, write = held(make("whole")), Results.write
    for allowed in range(100):
        out, left = make(f"out{allowed}"), iter(range(allowed))

        def limited(results, path, content, left=left):
            if next(left, None) is None:
                raise KeyboardInterrupt
            write(results, path, content)

        with monkeypatch.context() as patch:
            patch.setattr(Results, "write", limited)
            try:
                merge(machines, out, current)
            except KeyboardInterrupt:
                finished = True
            else:
                finished = False
        before = {path: path.stat().st_mtime_ns for path in (out_folder(out)).rglob("trials/*")}
        merge(machines, out, current)
        assert held(out) == expected
        assert all(path.stat().st_mtime_ns == time for path, time in before.items())
        if not finished:
            break
    assert allowed > 15


def out_folder(results):
    from pathlib import Path

    return Path(results.location)


def test_of_trials_that_differ_the_one_that_tables_would_take_is_kept_and_it_is_said(make, make_row):
    one, two = make("one"), make("two")
    row = make_row(original_id=None, original_sha256=None)
    later = {"finished_at": row["finished_at"] + timedelta(hours=1)}
    pairs = {
        "failed": ({"status": "failed"} | later, {}),
        "failed anew": ({"status": "failed"} | later, {"code_version": "old"}),
        "pruned": ({"status": "pruned"} | later, {}),
        "given up": ({"status": "pruned"} | later, {"status": "failed"}),
        "code": ({"code_version": "old"} | later, {"model_sha256": "x"}),
        "earlier": ({"mia": 1.0}, {"mia": 2.0} | later),
        "fewer": ({"mia": 1.0} | later, {"mia": 2.0}),
        "equal": ({"host": "one", "unlearn_seconds": 1.0, "study": "s"}, {"host": "two", "study": None} | later),
    }
    for name, (worse, better) in pairs.items():
        one.write_trial(row | {"trial_id": name} | worse)
        two.write_trial(row | {"trial_id": name} | better, (), predictions(name) if name == "fewer" else None)
    for order, number in (((one, two), 1), ((two, one), 0)):
        out = make(f"out{number}")
        done = merge(order, out, current)
        assert (done.copied[number], done.damaged) == (len(pairs), [])
        assert out.trials().table.sort_by("trial_id").to_pylist() == two.trials().table.sort_by("trial_id").to_pylist()
        [said] = done.notes
        assert said.startswith("7 of 8 trials in several directories differ: kept are those that ended, then of this")


DAMAGED = "predictions/t.parquet", "traces/t.parquet"


def whole(results, trial_id="t"):
    """How many rows of predictions and of traces of a trial can be read, and how many its row counts."""
    row, said = results.trial(trial_id), results.predictions(trial_id)
    return 0 if said is None else len(said), len(results.trace(trial_id)), row["n_predictions"], row["n_traces"]


@pytest.mark.parametrize("path", DAMAGED)
def test_of_a_trial_whose_files_are_damaged_another_that_has_them_is_taken(make, make_row, path):
    one, two, three = make("one"), make("two"), make("three")
    now = make_row()["finished_at"]
    for hours, results in enumerate((one, two, three)):
        changes = {"finished_at": now - timedelta(hours=hours), "host": str(hours), "mia": float(hours)}
        results.write_trial(make_row(**changes), [TRACE | {"trial_id": "t"}], predictions("t", hours))
    one.write(path, b"PAR1 torn")
    two.remove(path)
    for sources in ((one, two, three), (three, two, one)):
        out = make(f"out{sources[0].location[-3:]}")
        done = merge(sources, out, current)
        assert (out.trial("t")["host"], whole(out)) == ("2", (2, 1, 2, 1))
        assert out.predictions("t").equals(predictions("t", 2.0))
        assert done.damaged == [f"{each.location}: {path}: missing or damaged" for each in (one, two)]


def test_of_trials_whose_files_are_damaged_alike_the_one_that_tables_would_take_is_kept(make, make_row):
    one, two, row = make("one"), make("two"), make_row()
    for results, hours in ((one, 1), (two, 0)):
        results.write_trial(row | {"finished_at": row["finished_at"] + timedelta(hours=hours)}, (), predictions("t"))
        results.write("predictions/t.parquet", b"PAR1 torn")
    merge([two, one], make("out"), current)
    assert make("out").trial("t")["finished_at"] == one.trial("t")["finished_at"]


def test_a_trial_that_failed_is_not_taken_for_its_files(make, make_row):
    one, two = make("one"), make("two")
    for results, status in ((one, "ok"), (two, "failed")):
        results.write_trial(make_row(status=status), [TRACE | {"trial_id": "t"}], predictions("t"))
    one.write("predictions/t.parquet", b"PAR1 torn")
    merge([two, one], make("out"), current)
    assert (make("out").trial("t")["status"], whole(make("out"))) == ("ok", (0, 1, 0, 1))


@pytest.mark.parametrize("path", DAMAGED)
@pytest.mark.parametrize("harm", ["torn", "removed", "left out"])
def test_a_merge_mends_what_is_damaged_in_the_merged_directory(make, make_row, path, harm):
    one, two, out = make("one"), make("two"), make("out")
    for results in (one, two):
        results.write_trial(make_row(), [TRACE | {"trial_id": "t"}], predictions("t"))
        results.write_trial(make_row("other", mia=1.0), [], predictions("other"))
    other = make_row("other", mia=2.0)  # it has another result, so it stays
    out.write_trial(other)
    two.write(path, b"PAR1 torn")
    merge([two], out, current)
    assert 0 in whole(out)  # which is `left out`
    if harm != "left out":
        assert merge([one], out, current).copied == [1]
        out.write(path, b"PAR1 torn")
        if harm == "removed":
            out.remove(path)
        assert 0 in whole(out)
    assert merge([two, one], out, current).copied == [0, 1]
    assert whole(out) == (2, 1, 2, 1)
    assert out.trial("other") == other
    before = sorted(path.stat().st_mtime_ns for path in out_folder(out).rglob("*.parquet"))
    assert merge([two, one], out, current).copied == [0, 0]
    assert sorted(path.stat().st_mtime_ns for path in out_folder(out).rglob("*.parquet")) == before


def test_a_trial_that_a_sweep_and_a_search_ran_is_the_sweeps_own(make, make_row):
    one, two, now = make("one"), make("two"), make_row()["finished_at"]
    one.write_trial(make_row(study=None, host="one"))
    two.write_trial(make_row(study="s", host="two", finished_at=now + timedelta(hours=1)))
    merge([one, two], make("out"), current)
    row = make("out").trial("t")
    assert (row["host"], row["study"]) == ("two", None)


def test_what_the_merged_directory_has_is_not_replaced(make, make_row):
    one, out = make("one"), make("out")
    row = make_row()
    out.write_trial(row | {"mia": 1.0})
    store_original(out, "o", original(1, "old"))
    one.write_trial(row | {"mia": 2.0, "finished_at": row["finished_at"] + timedelta(hours=1)})
    store_original(one, "o", original(2))
    for results, text in ((out, b"mine"), (one, b"theirs")):
        for path in ("kinds/k.json", "rows/l.parquet", "spec.yaml", "environment.json"):
            results.write(path, text)
    done = merge([one], out, current)
    for path in ("kinds/k.json", "rows/l.parquet", "spec.yaml", "environment.json"):
        assert out.read(path) == b"mine"
    assert done.copied == [0]
    assert out.trial("t")["mia"] == 1.0
    assert load_original(out, "o").sha256 == original(1).sha256
    assert "of 1 the merged directory had one already, which stays" in done.notes[1]
    assert "1 original has other weights in another directory" in done.notes[0]


def test_trials_of_the_original_that_is_kept_are_preferred_so_that_machines_do_not_mix(make, make_row):
    one, two = make("one"), make("two")
    now = make_row()["finished_at"]
    for results, value, shift in ((one, 1, 0), (two, 2, 1)):
        store_original(results, "o", original(value))
        for name, later in (("s", shift), ("t", shift)):
            weights = {"original_id": "o", "original_sha256": original(value).sha256, "model_sha256": str(value)}
            results.write_trial(make_row(name, finished_at=now + timedelta(hours=later), **weights))
    two.write_trial(make_row("u", original_id="o", original_sha256=original(2).sha256))
    done = merge([one, two], make("out"), current)
    assert done.copied == [2, 1]
    assert any("1 original was trained more than once, to different weights" in line for line in done.notes)


def test_the_original_of_this_code_version_is_kept_and_a_damaged_one_never(make):
    one, two, three = make("one"), make("two"), make("three")
    store_original(one, "o", original(1, "old"))
    store_original(two, "o", original(2))
    store_original(three, "o", original(3))
    content = bytearray(two.read("models/o.safetensors"))
    content[-1] ^= 1
    two.write("models/o.safetensors", bytes(content))
    merge([one, two, three], make("out"), current)
    assert load_original(make("out"), "o").sha256 == original(3).sha256


def test_confirmations_are_added_and_equal_suggestions_are_one(make, make_row):
    one, two, when = make("one"), make("two"), {"suggested_at": make_row()["started_at"]}
    for results, confirmed in ((one, ["x"]), (two, ["y"])):
        for number in (0, 1):  # a sampler that suggests the same twice
            results.write_suggestion(suggestion(number, 0.1, confirmed) | when)
    for _ in range(2):
        merge([one, two], make("out"), current)
        rows = make("out").suggestions().table.to_pylist()
        assert [(row["number"], row["confirm_trial_ids"]) for row in rows] == [(0, ["x", "y"]), (1, ["x", "y"])]


@pytest.fixture
def command(capsys, monkeypatch):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["unlearn-sweep", "merge", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        told = capsys.readouterr()
        return ended.value.code or 0, told.out.splitlines(), told.err.splitlines()

    return call


def test_the_command_names_what_it_copied_and_what_is_damaged(machines, command, tmp_path):
    one, two = machines
    one.write("trials/bad.parquet", b"PAR1 torn")
    two.write("predictions/b.parquet", b"PAR1 torn")
    code, told, warned = command(one.location, two.location, tmp_path / "out")
    assert (code, told[:2], told[-1]) == (
        0,
        [f"{one.location}: 2 trials copied", f"{two.location}: 1 trial copied"],
        f"results: {tmp_path}/out",
    )
    assert [line.split(": ")[2] for line in warned] == ["trials/bad.parquet", "predictions/b.parquet"]
    assert all(line.endswith("it is left out") for line in warned)
    assert code_version()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["one"], "Missing argument"),
        (["one", "one/"], "is one of the directories to merge"),
        (["one", "nothing", "out"], "nothing: no such results directory"),
        (["one", "files"], "files: holds mine.txt and no results"),
        (["one", "URI/one"], "URI/one: is one of the directories to merge"),
        (["URI/one", "one"], "one: is one of the directories to merge"),
        (["link", "two", "one"], "one: is one of the directories to merge"),
        (["two", "one", "one/sub"], "one/sub: lies in "),
        (["one", "one/trials/x"], "one/trials/x: lies in "),
        (["one", "URI/one/sub"], "URI/one/sub: lies in "),
        (["one", "link/sub"], "link/sub: lies in "),
        (["one", "files/mine.txt"], "files/mine.txt: is not a directory"),
    ],
)
def test_what_cannot_be_merged_is_one_line(machines, command, tmp_path, monkeypatch, arguments, why):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "mine.txt").touch()
    (tmp_path / "link").symlink_to("one")
    before = sorted(tmp_path.rglob("*"))
    code, told, [line] = command(*(argument.replace("URI", f"file://{tmp_path}") for argument in arguments))
    assert (code, told) == (2, [])
    assert why.replace("URI", f"file://{tmp_path}") in line
    assert sorted(tmp_path.rglob("*")) == before
