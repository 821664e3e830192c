"""What the README shows, run as it is printed there."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sweep.cli import main

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
SMALL = ["training.epochs=1", "seeds=[0]", "forget.ratio=0.1", "dataset.limit=200", "model.width=4"]


def block(language: str, first_line: str) -> str:
    found = re.search(rf"```{language}\n{re.escape(first_line)}\n(.*?)```", README, re.DOTALL)
    assert found, f"README has no {language} block that starts with {first_line}"
    return found[1]


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = [line.partition("  #")[0].strip() for text in blocks for line in text.splitlines()]
    return [line for line in lines if line.startswith("unlearn-sweep ")]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "my-sweep.yaml").write_text(block("yaml", "# my-sweep.yaml"))
    (tmp_path / "my-search.yaml").write_text(block("yaml", "# my-search.yaml"))
    (tmp_path / "my_methods.py").write_text(block("python", "# my_methods.py"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def call(monkeypatch, line: str, extra: list[str] | None = None) -> int:
    words = shlex.split(line.partition(">")[0]) + (extra or [])
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def inline(*overrides: str) -> list[str]:
    return ["--executor", "inline", *(word for override in overrides for word in ("--set", override))]


def test_the_readmes_method_runs_as_a_plugin(folder, monkeypatch):
    [line] = [line for line in commands() if "{name: my_methods:Uniform" in line]

    assert "python -m methods.check my_methods:Uniform" in README
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    check = [sys.executable, "-m", "methods.check", "my_methods:Uniform"]
    checked = subprocess.run(check, capture_output=True, text=True, env=environment)
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout
    assert call(monkeypatch, line, [*inline(*SMALL), "--out", "out"]) == 0

    rows = pq.read_table(folder / "out/trials").to_pylist()
    plugin = [row for row in rows if row["method"] == "my_methods:Uniform"]
    assert [row["status"] for row in plugin] == ["ok", "ok"]
    assert {row["forget_accuracy"] is not None for row in plugin} == {True}


def test_the_readmes_commands_for_a_sweep_of_ones_own_work_in_order(folder, monkeypatch, capsys):
    own = [line for line in commands() if "mine" in line or line.split()[1] in ("plan", "list", "schema")]
    own = [line for line in own if "--address" not in line]
    expected = ["plan", "run", "run", "status", "report", "score", "list", "list", "schema"]
    assert [line.split()[1] for line in own] == expected

    for line in own:
        assert call(monkeypatch, line, inline(*SMALL) if line.split()[1] == "run" else None) == 0, line

    rows = pq.read_table(folder / "results/mine/trials").to_pylist()
    assert len(rows) == 3 + 6 + 4  # the second run adds rho 0.5 and 8, each with two values of gamma
    assert (folder / "results/mine/report/methods.md").exists()
    assert (folder / "results/mine/report/audit.md").exists()


def test_the_readmes_tracking_sends_every_trial(folder, monkeypatch, capsys):
    run, track = (line for line in commands() if line.split()[1] == "track" or "--track" in line)
    small = inline("seeds=[0]", "training.epochs=1", "dataset.limit=200", "model.width=4")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")

    assert call(monkeypatch, run, small) == 0

    count = len(pq.read_table(folder / "results/digits/trials"))
    assert len(list((folder / "results/digits/tensorboard").rglob("events.out.tfevents"))) == count
    assert call(monkeypatch, track) == 0
    assert capsys.readouterr().out.endswith(f"mlflow: {count} trials sent, 0 before\n")


def test_the_readmes_search_runs_as_printed(folder, monkeypatch, capsys):
    line = next(line for line in commands() if "search my-search.yaml" in line)
    small = [*SMALL[:1], *SMALL[3:], "search.trials=2", "search.seeds=[0]", "search.confirm_seeds=[1]"]

    assert call(monkeypatch, line, inline(*small)) == 0

    rows = pq.read_table(folder / "results/tuned/suggestions").to_pylist()
    assert sorted((row["method"], row["number"]) for row in rows) == [
        ("finetune", 0),
        ("finetune", 1),
        ("uam", 0),
        ("uam", 1),
    ]
    assert "uam (tuned)" in capsys.readouterr().out
