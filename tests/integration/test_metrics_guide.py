"""What docs/metrics.md shows, run as it is printed there, on a sweep in which every seed forgets the same samples."""

import re
import shlex
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tiny_sweeps import call

from analysis.audit.table import AUDIT

GUIDE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text("utf-8")
SPEC = """
dataset: {name: digits, limit: 300, label_noise: 0.2}
model: {name: small-cnn, width: 4}
training: {epochs: 2, lr: 0.1}
seeds: [0, 1, 2, 3, 4]
forget: {scenario: class, class: 3}
methods: [{name: original}, {name: retrain}, {name: finetune, epochs: 1}]
"""


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """A folder with results/mine, and with the plugin of the guide."""
    folder = tmp_path_factory.mktemp("guide")
    (folder / "spec.yaml").write_text(SPEC)
    [(file, code)] = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", GUIDE, re.DOTALL)
    (folder / file).write_text(code)
    ended = call("run", folder / "spec.yaml", "--out", folder / "results/mine", "--executor", "inline")
    assert (ended.code, ended.err) == (0, "")
    return folder


@pytest.mark.parametrize("number", range(2))
def test_its_commands_score_a_sweep(mine, number, monkeypatch):
    monkeypatch.chdir(mine)
    monkeypatch.syspath_prepend(mine)
    line = re.findall(r"^unlearn-sweep score .*$", GUIDE, re.M)[number].partition("  #")[0]
    ended = call(*shlex.split(line)[1:])
    assert (ended.code, ended.err) == (0, "")
    found = pq.read_table("results/mine/report/audit.parquet")
    assert found.schema.equals(AUDIT)
    rows = [row for row in found.to_pylist() if row["stratum"] is None]
    values = {(row["metric"], row["method"]): row["value"] for row in rows}
    assert values["ulira_auc", "original"] > 60
    assert ("margin_kept" in found["metric"].to_pylist()) == (number == 1)
    if number == 1:
        assert values["margin_kept", "original"] > 0.1
        assert values["margin_kept", "retrain"] == pytest.approx(0, abs=1e-6)
        assert "margin kept: how far the mean margin" in ended.out
