"""Kinds of task other than classification: run both ways, searched, reported, beside each other in one directory."""

import json
from pathlib import Path

import pytest
import yaml
from tiny_sweeps import NOT_DETERMINED, call

from analysis.distances import distances
from analysis.methods_table import methods_table, to_markdown
from analysis.reading.frames import read_frames
from sweep.store.results import Results

NUMBERS = {
    "name": "numbers",
    "dataset": {"name": "diabetes", "target_noise": 0.5, "limit": 100, "validation": 0.2},
    "model": {"name": "mlp", "width": 16, "depth": 1},
    "training": {"epochs": 20, "lr": 0.05, "batch_size": 32},
    "seeds": [0, 1],
    "forget": [{"scenario": "random", "ratio": 0.1}, {"scenario": "range", "below": 100}],
    "methods": [
        {"name": "retrain"},
        {"name": "original"},
        {"name": "finetune", "epochs": 2},
        {"name": "uam", "epochs": 2, "hessian": "scalar"},
        {"name": "sisa", "shards": 2, "slices": 2},
    ],
}


WORDS = {
    "name": "words",
    "dataset": {"name": "invented-people", "people": 6, "public": 3, "outsiders": 3},
    "model": {"name": "tiny-llama", "width": 16, "layers": 3, "heads": 2},
    "training": {"epochs": 2},
    "seeds": [0],
    "forget": {"ratio": 0.34},
    "methods": [
        {"name": "retrain"},
        {"name": "original"},
        {"name": "uam", "epochs": 1, "lr": 0.001, "hessian": "exact"},
        {"name": "influence", "iterations": 2},
        {"name": "npo", "epochs": 1},
        {"name": "rmu", "epochs": 1},
        {"name": "task-vector", "epochs": 1},
    ],
}


def written(folder, document):
    path = folder / f"{document['name']}.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.fixture(scope="module")
def inline(tmp_path_factory):
    folder = tmp_path_factory.mktemp("numbers")
    ended = call("run", written(folder, NUMBERS), "--executor", "inline", "--out", folder / "out")
    assert (ended.code, ended.err) == (0, "")
    return folder / "out", ended.out


def determined(directory, folder):
    results = Results(str(directory))
    if folder == "predictions":
        ids = sorted(results.trials().table["trial_id"].to_pylist())
        return [results.predictions(each).to_pylist() for each in ids]
    table = getattr(results, folder)().table.drop_columns(NOT_DETERMINED[folder])
    return sorted(table.to_pylist(), key=repr)


@pytest.mark.parametrize("document", [NUMBERS, WORDS], ids=["regression", "language"])
def test_ray_gives_the_same_rows_bit_for_bit(document, shared_ray, tmp_path):
    path = written(tmp_path, document)
    assert call("run", path, "--executor", "inline", "--out", tmp_path / "inline").code == 0
    assert call("run", path, "--out", tmp_path / "ray").code == 0
    for folder in ("trials", "traces", "predictions"):
        found, expected = (determined(tmp_path / name, folder) for name in ("ray", "inline"))
        assert repr(found) == repr(expected), folder
        assert found
    assert {row["status"] for row in determined(tmp_path / "ray", "trials")} == {"ok"}


def test_rows_of_regression_have_errors_and_numbers(inline):
    rows = Results(str(inline[0])).trials().table.to_pylist()
    assert {row["kind"] for row in rows} == {"regression"}
    assert all(row["retain_accuracy"] is None and row["retain_error"] is not None for row in rows)
    assert {row["forgotten_test_error"] is None for row in rows if row["scenario"] == "range"} == {False}
    retrain = next(row for row in rows if row["method"] == "retrain" and row["scenario"] == "random")
    original = next(row for row in rows if row["method"] == "original" and row["scenario"] == "random")
    assert retrain["forget_error"] > original["forget_error"]
    said = Results(str(inline[0])).predictions(retrain["trial_id"]).to_pylist()
    forget = [row for row in said if row["split"] == "forget"]
    assert len(forget) == 8
    mean = sum(abs(row["outputs"][0] - row["target"]) for row in forget) / len(forget)
    assert 100 * mean == pytest.approx(retrain["forget_error"], rel=1e-5)
    assert {(row["label"], row["logits"]) for row in said} == {(None, None)}


def test_the_printed_table_and_the_report_speak_of_errors(inline, tmp_path):
    directory, printed = inline
    assert "diabetes, mlp, forget targets below 100" in printed
    assert "RE" in printed
    assert "percent of the targets' standard deviation (RE, FE, TE)" in " ".join(printed.split())
    assert call("report", directory, "--out", tmp_path).code == 0
    page = (tmp_path / "index.html").read_text()
    assert "RE: mean absolute error on the retain data" in page
    assert "RA: accuracy" not in page
    assert "UndefinedError" not in page


def test_the_report_says_how_far_predictions_are_from_retrains(inline, tmp_path):
    directory, _ = inline
    results = Results(str(directory))
    made = distances(str(directory), read_frames(str(directory)).trials)
    table = made.table
    rows = {(row["task"], row["method"]): row for row in table.to_dict("records")}
    [random, _] = sorted({task for task, _ in rows})
    assert (rows[random, "retrain"]["W.mean"], rows[random, "retrain"]["rms.mean"]) == (0, 0)
    found = []
    for seed in (0, 1):
        numbers = []
        for method in ("original", "retrain"):
            chosen = (row for row in results.trials().table.to_pylist() if row["scenario"] == "random")
            [trial] = [row["trial_id"] for row in chosen if (row["method"], row["seed"]) == (method, seed)]
            said = results.predictions(trial).to_pylist()
            numbers.append({row["sample_id"]: row["outputs"][0] for row in said if row["split"] == "forget"})
        found.append((sum((numbers[0][key] - numbers[1][key]) ** 2 for key in numbers[1]) / len(numbers[1])) ** 0.5)
    assert rows[random, "original"]["rms.mean"] == pytest.approx(100 * sum(found) / 2)
    assert call("report", directory, "--out", tmp_path).code == 0
    assert "Distance of predictions to Retrain" in (tmp_path / "index.html").read_text()
    assert (tmp_path / "distances.csv").exists()


def test_a_search_minimises_the_gaps_of_errors(tmp_path):
    search = {"trials": 2, "seeds": [0], "methods": [{"name": "finetune", "epochs": 2}]}
    document = NUMBERS | {"search": search, "methods": [], "forget": {"ratio": 0.1}, "seeds": [1]}
    path = written(tmp_path, document)
    ended = call("search", path, "--executor", "inline", "--out", tmp_path / "out")
    assert (ended.code, ended.err) == (0, "")
    assert call("report", tmp_path / "out", "--out", tmp_path / "report").code == 0


def test_a_directory_may_hold_several_kinds_and_a_plugins_is_told_by_its_file(inline, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    text = (Path(__file__).parents[2] / "docs" / "kinds.md").read_text()
    (tmp_path / "my_kind.py").write_text(text.split("```python\n")[1].split("```")[0])
    shared = {
        "seeds": [0],
        "forget": {"ratio": 0.1},
        "methods": [{"name": "retrain"}, {"name": "finetune", "epochs": 1}],
    }
    mine = {"name": "mine", "dataset": {"name": "my_kind:Lines"}, "model": {"name": "mlp", "width": 4}}
    images = {"name": "images", "dataset": {"name": "digits", "limit": 100}, "training": {"epochs": 1}}
    out = tmp_path / "out"
    for document in (mine | {"training": {"epochs": 2}}, images):
        ended = call("run", written(tmp_path, document | shared), "--executor", "inline", "--out", out)
        assert (ended.code, ended.err) == (0, ""), ended.err
    assert json.loads((out / "kinds" / "within-one.json").read_text())[0]["label"] == "RW"
    text = to_markdown(methods_table(read_frames(str(out)).trials))
    assert "| method | n | RW | FW | TW | avg. gap | cost | passes |" in text
    assert "| method | n | RA | FA | TA | MIA | avg. gap | cost | passes |" in text
    assert call("report", out, "--out", tmp_path / "report").code == 0
    page = (tmp_path / "report" / "index.html").read_text()
    assert "retain samples within one deviation" in page
    assert "accuracy on the retain data" in page
