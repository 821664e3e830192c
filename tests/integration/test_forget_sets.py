"""Forget sets that no seed changes: folds and lists of rows, on the command line."""

import json
import shutil
import signal
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from tiny_searches import QUICK, trials, write_search
from tiny_sweeps import call, ended_on_error, rows, start, write_spec

from analysis.reruns import spec_fragment
from sweep.plan.trials import plan_trials
from sweep.spec.sweep_spec import parse_spec
from sweep.store.results import Results

DATA = {"name": "digits", "limit": 200, "label_noise": 0.2, "validation": 0.1}
METHODS = [{"name": "original"}, {"name": "retrain"}, {"name": "finetune", "epochs": 1}]
INLINE = ("--executor", "inline")


def fold(number):
    return {"scenario": "random", "ratio": 0.2, "fold": number}


def write_rows(path, listed):
    path.write_text("sample_id\n" + "".join(f"{row}\n" for row in listed))
    return path


def listed(path):
    return {"scenario": "rows", "path": str(path)}


@pytest.fixture(scope="module")
def folds(tmp_path_factory):
    """A finished sweep of two folds and two seeds: its results directory."""
    folder = tmp_path_factory.mktemp("folds")
    path = write_spec(folder, METHODS, dataset=DATA, forget=fold([0, 4]), seeds=[0, 1], predictions="all")
    ended = call("run", path, "--out", folder / "out", *INLINE)
    assert (ended.code, ended.err) == (0, "")
    assert "digits, small-cnn, forget 20 %, fold 0" in ended.out
    assert "digits, small-cnn, forget 20 %, fold 4" in ended.out
    return folder / "out"


def parts(out, **chosen):
    """For each trial that has these columns: its row, and the samples of each stored part, in the stored order."""
    results = Results(str(out))
    for row in results.trials().table.to_pylist():
        if all(row[name] == value for name, value in chosen.items()):
            found = {}
            for each in results.predictions(row["trial_id"]).to_pylist():
                found.setdefault(each["split"], []).append((each["sample_id"], each["label"], each["logits"]))
            yield row, found


def test_rows_of_folds_say_which_and_all_retain_samples_are_kept(folds):
    found = [*parts(folds)]
    assert sorted((row["forget_fold"], row["forget_ratio"]) for row, _ in found) == [(0, 0.2)] * 6 + [(4, 0.2)] * 6
    for row, each in found:
        counts = {name: len(samples) for name, samples in each.items()}
        assert counts == {"retain": row["n_retain"], "forget": row["n_forget"], "test": 360, "validation": 20}
        assert row["kept_predictions"] == "all"
        assert json.loads(row["config"])["forget"] == fold(row["forget_fold"])


def test_the_forget_and_held_out_parts_of_a_fold_make_the_same_fold_in_every_seed(folds):
    samples = {
        (row["forget_fold"], row["seed"]): {name: {sample for sample, *_ in part} for name, part in each.items()}
        for row, each in parts(folds, method="retrain")
    }
    for number in (0, 4):
        one, other = samples[number, 0], samples[number, 1]
        assert one["forget"] != other["forget"]  # the validation parts differ
        assert one["forget"] - other["validation"] == other["forget"] - one["validation"]
    assert not samples[0, 0]["forget"] & samples[4, 0]["forget"]


def test_a_list_of_rows_that_is_a_folds_gives_the_same_models(folds, tmp_path):
    _, fold_parts = next(parts(folds, method="finetune", forget_fold=4, seed=0))
    file = write_rows(tmp_path / "list.csv", [sample for sample, *_ in fold_parts["forget"]][::-1])
    path = write_spec(tmp_path, METHODS, dataset=DATA, forget=listed(file), predictions="all")
    assert call("run", path, "--out", tmp_path / "out", *INLINE).code == 0
    for method in ("retrain", "finetune"):
        (row, found), (stored, expected) = (
            next(parts(tmp_path / "out", method=method)),
            next(parts(folds, method=method, forget_fold=4, seed=0)),
        )
        assert found == expected
        assert [row[name] for name in ("retain_accuracy", "mia")] == [stored["retain_accuracy"], stored["mia"]]
        assert (row["scenario"], row["forget_fold"], len(row["forget_rows"])) == ("rows", None, 16)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A sweep that was killed and went on after the user's file was removed; and the same one undisturbed."""
    folder = tmp_path_factory.mktemp("rows")
    file = write_rows(folder / "list.csv", range(0, 1437, 10))
    methods = [{"name": "original"}, {"name": "finetune", "epochs": [1, 2, 3, 4, 5, 6]}]
    path = write_spec(folder, methods, forget=[listed(file), fold(1)])
    assert call("run", path, "--out", folder / "whole", *INLINE).code == 0
    process = start("run", path, "--out", folder / "out", *INLINE)
    with ended_on_error(process):
        while not [*(folder / "out" / "trials").glob("*.parquet")]:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    file.unlink()
    return folder, path, len([*(folder / "out" / "trials").glob("*.parquet")])


def test_a_killed_sweep_goes_on_after_the_file_of_its_list_was_removed(killed):
    folder, path, before = killed
    assert 0 < before < 14
    planned = call("plan", path, "--out", folder / "out")
    [(row, _)] = parts(folder / "whole", method="original", scenario="rows")
    assert (planned.code, planned.err) == (0, warning(folder / "list.csv", 144 - row["n_forget"], 144))
    assert f"forget: rows of {folder / 'list.csv'} (144)\nforget: random; ratio 0.2; fold 1\n" in planned.out
    ended = call("run", path, "--out", folder / "out", *INLINE)
    assert ended.code == 0
    assert f"14 trials, {before} done before" in ended.out
    for kind in ("trials", "traces", "predictions"):
        assert rows(folder / "out", kind) == rows(folder / "whole", kind)


def warning(path, left_out, count):
    return f"warning: forget: not trained on (limit, validation, reference): {left_out} of {count} rows of '{path}'\n"


def test_where_neither_the_file_nor_a_stored_list_is_there_the_spec_is_bad_input(killed):
    folder, path, _ = killed
    ended = call("plan", path, "--out", folder / "new")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == f"unlearn-sweep: {path}: forget.path: no file '{folder / 'list.csv'}'\n"


def test_a_trial_of_a_list_is_run_again_from_a_copy_of_its_directory(killed, tmp_path):
    folder, _, _ = killed
    copied = shutil.copytree(folder / "whole", tmp_path / "copied")
    name = next(row["trial_id"] for row, _ in parts(copied, method="finetune", scenario="rows"))
    ended = call("rerun", copied, name)
    assert (ended.code, ended.out.splitlines()[-1]) == (0, "equal")
    [path] = (copied / "rows").iterdir()
    path.unlink()
    ended = call("rerun", copied, name)
    assert ended.code == 2
    assert ended.err == f"unlearn-sweep: {path}: missing, and with it which rows are forgotten\n"


def test_a_trial_of_a_list_as_a_spec_names_the_stored_list(killed):
    folder, _, _ = killed
    for row, _ in parts(folder / "whole", method="original"):
        text = spec_fragment(row["config"], {}, str(folder / "whole"))
        [again] = plan_trials(parse_spec({"name": "again"} | yaml.safe_load(text)))
        assert again.id == row["trial_id"]


def test_lists_are_exported(killed, tmp_path):
    folder, _, _ = killed
    assert call("export", folder / "whole", tmp_path / "out").code == 0
    found = pq.read_table(tmp_path / "out" / "rows.parquet").to_pylist()
    assert [row["sample_id"] for row in found] == [*range(0, 1437, 10)]
    [name] = {row["forget_rows"] for row in found}
    assert name in {row["forget_rows"] for row in pq.read_table(tmp_path / "out" / "trials.parquet").to_pylist()}
    assert {row["source"] for row in found} == {str(folder / "list.csv")}


def test_a_search_forgets_a_list_of_rows_too(tmp_path):
    file = write_rows(tmp_path / "list.csv", range(0, 1437, 5))
    path = write_search(tmp_path, [QUICK], trials=2, seeds=[0])
    path.write_text(path.read_text() + yaml.safe_dump({"forget": listed(file)}))
    assert call("search", path, "--out", tmp_path / "out", *INLINE).code == 0
    file.unlink()
    ended = call("search", path, "--out", tmp_path / "out", *INLINE, "--set", "search.trials=3")
    assert ended.code == 0
    assert {len(row["forget_rows"]) for row in trials(tmp_path / "out").values()} == {16}


@pytest.mark.parametrize(
    ("forget", "content", "message"),
    [
        (fold(5), "", "forget: of ratio 0.2 there are folds 0 to 4, and no fold 5"),
        (fold([0, 7]) | {"ratio": [0.1, 0.2]}, "", "forget: of ratio 0.2 there are folds 0 to 4, and no fold 7"),
        (fold(-1), "", "forget.fold: should be greater than or equal to 0, not -1"),
        (fold(0.5), "", "forget.fold: should be a valid integer, not 0.5"),
        ({"scenario": "class", "class": 3, "fold": 0}, "", "forget: 'fold' needs scenario: random"),
        (fold(0) | {"ratio": 0.001}, "", "forget: fold 0 of ratio 0.001 leaves no sample to forget of 200"),
        ({"scenario": "rows"}, "", "forget: scenario: rows needs 'path', a file or a list of them"),
        (fold(0) | {"path": "list.csv"}, "", "forget: 'path' needs scenario: rows"),
        ("list", "id\n1\n", "'list.csv' has no column sample_id, but id"),
        ("list", "sample_id\n", "'list.csv' has no rows"),
        ("list", "sample_id\n3\n1437\n", "forget: the list has row 1437; training rows are 0 to 1436"),
        ("list", None, "forget.path: no file 'list.csv'"),
        ("list", "sample_id\n0\n1\n", "forget: the list of rows leaves no sample to forget of 200"),
    ],
)
def test_what_cannot_be_forgotten_is_bad_input_before_anything_runs(tmp_path, monkeypatch, forget, content, message):
    monkeypatch.chdir(tmp_path)
    if content:
        (tmp_path / "list.csv").write_text(content)
    path = write_spec(tmp_path, METHODS, forget=listed("list.csv") if forget == "list" else forget)
    ended = call("run", path, *INLINE)
    assert ended.code == 2
    assert ended.err == f"unlearn-sweep: {path}: {message}\n"
    assert not (tmp_path / "results").exists()


def test_every_row_listed_leaves_none_to_retain(tmp_path):
    path = write_spec(tmp_path, METHODS, forget=listed(write_rows(tmp_path / "list.csv", range(1437))))
    ended = call("plan", path)
    assert ended.code == 2
    assert ended.err == f"unlearn-sweep: {path}: forget: the list of rows leaves no sample to retain of 200\n"


def test_fewer_predictions_than_asked_for_are_said_and_refresh_repeats_their_trials(tmp_path):
    path = write_spec(tmp_path, METHODS[1:], dataset=DATA, predictions="forget")
    out = ("--out", tmp_path / "out", *INLINE)
    assert call("run", path, *out).code == 0
    assert {*next(parts(tmp_path / "out"))[1]} == {"forget"}
    more = ("--set", "predictions=true")
    fewer = "before kept fewer"
    line = "2 trials done before kept fewer predictions than true; --refresh repeats them"
    assert line in call("plan", path, *out[:2], *more).out
    said = call("run", path, *out, *more).out
    assert "2 done before, 0 to run" in said
    assert line in said
    assert "2 to run" in call("run", path, *out, *more, "--refresh").out
    found = [{name: len(part) for name, part in each.items()} for _, each in parts(tmp_path / "out")]
    assert found == [{"retain": 162, "forget": 18, "test": 360, "validation": 20}] * 2
    assert fewer not in call("run", path, *out, *more, "--refresh").out
    assert "0 to run" in call("run", path, *out, *more, "--refresh").out
    assert fewer not in call("plan", path, *out[:2]).out


def test_the_retain_part_of_folds_is_the_same_in_every_seed_and_the_attack_what_it_was(tmp_path):
    changes = {"dataset": {"name": "digits", "limit": 800}, "seeds": [0, 1], "forget": [fold(0), {"ratio": 0.2}]}
    path = write_spec(tmp_path, METHODS[:1], **changes)
    assert call("run", path, "--out", tmp_path / "out", *INLINE).code == 0
    found = {(row["forget_fold"], row["seed"]): each for row, each in parts(tmp_path / "out")}
    retain = {key: [sample for sample, *_ in each["retain"]] for key, each in found.items()}
    assert retain[0, 0] == retain[0, 1]
    assert retain[None, 0] != retain[None, 1]
    assert {len(samples) for samples in retain.values()} == {360}
    assert not {*retain[0, 0]} & {sample for sample, *_ in found[0, 0]["forget"]}
    labels = np.bincount([label for _, label, _ in found[0, 0]["retain"]])
    assert np.abs(labels - 36).max() < 6
