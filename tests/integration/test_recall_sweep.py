"""A sweep of language whose original knows its texts by heart: what recall says of it, and where."""

import json
import subprocess
import sys

import pytest
import yaml
from tiny_sweeps import call

from sweep.store.results import Results

MANUAL = {
    "name": "manual",
    "dataset": {
        "name": "python-manual",
        "paragraphs": 12,
        "test": 12,
        "outsiders": 12,
        "tokens": 32,
        "prompt": 8,
        "generate": 4,
    },
    "model": {"name": "tiny-llama", "width": 32, "layers": 1},
    "training": {"epochs": 60, "lr": 0.01, "batch_size": 4},
    "seeds": [0, 1],
    "forget": {"scenario": "random", "ratio": 0.25},
    "methods": [{"name": "retrain"}, {"name": "original"}, {"name": "finetune", "epochs": 1, "lr": 0.001}],
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    folder = tmp_path_factory.mktemp("manual")
    (folder / "manual.yaml").write_text(yaml.safe_dump(MANUAL))
    ended = call("run", folder / "manual.yaml", "--executor", "inline", "--out", folder / "out")
    assert (ended.code, ended.err) == (0, "")
    return folder / "out"


@pytest.fixture(scope="module")
def said(directory):
    """What `other` says, by method, as a list over seeds."""
    found = {}
    for row in sorted(Results(str(directory)).trials().table.to_pylist(), key=lambda row: row["seed"]):
        found.setdefault(row["method"], []).append(json.loads(row["other"]))
    return found


def test_the_original_repeats_what_it_was_trained_on(said):
    for found in said["original"]:
        for name in ("extraction_strength", "exact_match", "rouge_l_recall"):
            assert found[f"forget_{name}"] == 100
        assert found["retain_exact_match"] == 100
        assert found["min_k_auc"] == found["min_k_plus_plus_auc"] == found["zlib_auc"] == 100
        assert found["forget_perplexity"] < 1.2
        assert found["test_perplexity"] > 50
        assert found["test_extraction_strength"] < 10


def test_retrain_knows_what_was_forgotten_as_little_as_what_nobody_saw(said):
    for found in said["retrain"]:
        assert found["retain_exact_match"] == found["retain_rouge_l_recall"] == 100
        assert found["forget_exact_match"] == 0
        assert found["forget_rouge_l_recall"] < 50
        assert found["forget_extraction_strength"] < 10
        assert 0.1 < found["forget_perplexity"] / found["test_perplexity"] < 10
    for attack in ("min_k_auc", "min_k_plus_plus_auc", "zlib_auc"):
        mean = sum(found[attack] for found in said["retrain"]) / 2
        assert 20 < mean < 80, attack


def test_the_report_has_a_table_of_recall(directory, tmp_path):
    assert call("report", directory, "--out", tmp_path).code == 0
    page = (tmp_path / "index.html").read_text()
    assert "Verbatim recall" in page
    assert '<th scope="col">ROUGE-F</th>' in page
    table = (tmp_path / "recall.md").read_text()
    methods = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("|")]
    assert methods == ["method", ":--", "original", "retrain", "finetune"]
    assert "An AUC is 50 where an attack can only guess" in table


def test_the_table_can_be_had_alone(directory, tmp_path):
    command = [sys.executable, "-m", "analysis.recall", str(directory), "--out", str(tmp_path)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert printed.startswith("## python-manual, tiny-llama, forget 25 % at random")
    assert printed.splitlines()[-2:] == [str(tmp_path / "recall.md"), str(tmp_path / "recall.csv")]
