"""What docs/methods.md shows, run as it is printed there."""

import re
import shlex
from pathlib import Path

from tiny_sweeps import call, rows

from methods.check import main

GUIDE = (Path(__file__).parents[2] / "docs" / "methods.md").read_text("utf-8")
SMALL = ["training.epochs=1", "seeds=[0]", "dataset.limit=200", "model.width=4", "methods.2.epochs=1"]


def test_its_method_keeps_its_promises_and_runs(tmp_path, monkeypatch, capsys):
    [(file, code)] = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", GUIDE, re.DOTALL)
    (tmp_path / file).write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    [check, run] = [shlex.split(line) for line in re.findall(r"^(?:python|unlearn-sweep) .*up_down.*$", GUIDE, re.M)]

    assert check[:3] == ["python", "-m", "methods.check"]
    assert main(check[3:]) == 0, capsys.readouterr().out
    ended = call(*run[1:], *(word for override in SMALL for word in ("--set", override)))
    assert (ended.code, ended.err) == (0, "")
    found = rows(tmp_path / "results" / "up-down")
    assert sorted(row["method"] for row in found) == ["original", "retrain", "up_down:UpDown", "up_down:UpDown"]
    assert {row["status"] for row in found} == {"ok"}
