"""What docs/specs.md shows, and docs/data.md of image folders, run as it is printed there."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from tiny_sweeps import call, rows

from sweep.plan.trials import plan_trials
from sweep.spec.sweep_spec import Spec, load_spec

DOCS = Path(__file__).parents[2] / "docs"
GUIDE, DATA = ((DOCS / name).read_text("utf-8") for name in ("specs.md", "data.md"))
SMALL = ["training.epochs=1", "seeds=[0]", "dataset.limit=200", "methods.2.epochs=1", "methods.3.epochs=1"]
INLINE = ["--executor", "inline", *(word for override in SMALL for word in ("--set", override))]


def blocks(language, text=GUIDE):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands(block):
    return [shlex.split(line, comments=True) for line in block.splitlines()]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_spec_is_planned_and_run(folder):
    new, named, plan, run = commands(blocks("sh")[0])
    assert call(*new[1:]).code == 0
    assert (folder / "sweep.yaml").exists()
    for command, more in ((named, []), (plan, []), (run, INLINE)):
        ended = call(*command[1:], *more)
        assert (ended.code, ended.err) == (0, "")
    found = rows(folder / "results" / "first")
    assert sorted(row["method"] for row in found) == ["original", "retrain", "scrub", "uam"]
    assert {row["status"] for row in found} == {"ok"}


def test_its_spec_and_overrides_are_planned(folder):
    (folder / "mine.yaml").write_text(blocks("yaml")[0])
    trials = plan_trials(load_spec("mine.yaml"))
    per_task = {"original": 1, "retrain": 1, "finetune": 2, "uam": 6}
    counted = [trial.method for trial in trials]
    assert {name: counted.count(name) / 5 / 2 for name in per_task} == per_task
    [*_, last] = blocks("sh")
    for command in commands(last):
        ended = call(*command[1:])
        assert (command[1], ended.code, ended.err) == ("plan", 0, "")


def test_photos_in_folders_are_a_data_set(folder):
    rng = np.random.default_rng(0)
    for number in range(60):
        for label in ("cat", "dog"):
            path = folder / "photos" / ("test" if number % 3 == 0 else "train") / label / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(256, size=(20 + number % 2, 20, 3), dtype=np.uint8)).save(path)
    document = yaml.safe_load(blocks("yaml", DATA)[0])
    document["methods"] = [{"name": "retrain"}, {"name": "finetune", "epochs": 1}]
    (folder / "photos.yaml").write_text(yaml.safe_dump(document))
    ended = call("run", "photos.yaml", *INLINE[:8], "--set", "dataset.image_size=8")
    assert (ended.code, ended.err) == (0, "")
    assert [row["forget_class_name"] for row in rows(folder / "results" / "photos")] == ["cat", "cat"]


def test_every_section_is_named():
    named = re.findall(r"^\| (`.*?`) \|", GUIDE.partition("## Sections")[2].partition("\n## ")[0], re.MULTILINE)
    keys = [key.strip("` ") for cell in named for key in cell.split(",")]
    assert sorted(keys) == sorted(Spec.model_fields)
