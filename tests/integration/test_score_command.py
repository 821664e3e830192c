"""The command `score`: what docs/metrics.md shows of it, run as it is printed there, and what it refuses."""

import re
import shlex
import shutil
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
PLUGINS = """
import sys
from analysis.audit.score import ModelScore, Score
from my_scores import MarginKept
class Half(ModelScore):
    name, label, words = "half", "half", "half"
class Nameless(MarginKept):
    name = None
class Leaves(MarginKept):
    name = "leaves"
    def __init__(self): sys.exit(0)
class Again(MarginKept):
    name = "ulira_auc"
class Wordless(MarginKept):
    words = ""
class Made(MarginKept):
    def __init__(self, size): pass
class Other:
    pass
class Raises(MarginKept):
    name = "raises"
    def of(self, model, retrain, original): raise ValueError("of two\\nlines")
class Text(MarginKept):
    name = "text"
    def of(self, model, retrain, original): return "high"
class LeavesLater(MarginKept):
    name = "leaves_later"
    def of(self, model, retrain, original): sys.exit(0)
class NoPart(MarginKept):
    name = "no_part"
    def of(self, model, retrain, original): return model["validation"]
class NotANumber(MarginKept):
    name = "not_a_number"
    def of(self, model, retrain, original): return float("nan")
class Infinite(MarginKept):
    name = "infinite"
    def of(self, model, retrain, original): return float("inf")
"""


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """A folder with results/mine, and with the plugin of the guide."""
    folder = tmp_path_factory.mktemp("guide")
    (folder / "spec.yaml").write_text(SPEC)
    [(file, code)] = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", GUIDE, re.DOTALL)
    (folder / file).write_text(code)
    (folder / "wrong_scores.py").write_text(PLUGINS)
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
        assert re.search(r"^ margin kept +\S+ +\S+ +\d of 1 +finetune", ended.out, re.M)


def test_only_the_scores_that_are_named_are_computed(mine, tmp_path):
    names = ["distinguishability", "ulira_auc"]
    options = [word for name in names for word in ("--metric", name)]
    ended = call("score", mine / "results/mine", *options, "--out", tmp_path / "elsewhere")
    assert (ended.code, ended.err) == (0, "")
    found = pq.read_table(tmp_path / "elsewhere/audit.parquet")
    assert set(found["metric"].to_pylist()) == {*names}
    assert re.findall(r"^(Δ|U-LiRA AUC): ", ended.out, re.M) == ["U-LiRA AUC", "Δ"]
    assert [line for line in ended.out.splitlines() if line.startswith(str(tmp_path))] == [
        str(tmp_path / f"elsewhere/audit.{suffix}") for suffix in ("parquet", "csv", "md")
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--metric", "ulria_auc"], "--metric: unknown score 'ulria_auc'; did you mean 'ulira_auc'?"),
        (["--plugin", "my_scores"], "--plugin my_scores: write package.module:Class"),
        (["--plugin", "my_scores:MarginKep"], "my_scores has no 'MarginKep'; did you mean 'MarginKept'?"),
        (["--plugin", "no_such_module:Score"], "importing no_such_module failed"),
        (["--plugin", "wrong_scores:Other"], "is not a subclass of analysis.audit.score.Score"),
        (["--plugin", "wrong_scores:Half"], "plugin 'wrong_scores:Half' does not define of"),
        (["--plugin", "wrong_scores:Nameless"], "plugin 'wrong_scores:Nameless' does not define name"),
        (["--plugin", "wrong_scores:Wordless"], "plugin 'wrong_scores:Wordless' does not define words"),
        (["--plugin", "wrong_scores:Made"], "plugin 'wrong_scores:Made' cannot be made without arguments"),
        (["--plugin", "wrong_scores:Leaves"], "plugin 'wrong_scores:Leaves' cannot be made without arguments"),
        (["--plugin", "wrong_scores:Again"], "another score is called 'ulira_auc'; give it another name"),
    ],
)
def test_what_is_no_score_is_refused_in_one_line(mine, options, message, monkeypatch):
    monkeypatch.chdir(mine)
    monkeypatch.syspath_prepend(mine)
    ended = call("score", "results/mine", *options)
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert message in ended.err


@pytest.mark.parametrize(
    ("plugin", "message"),
    [
        ("Raises", "score raises: ValueError: of two lines; nothing was written"),
        ("Text", "score text: "),
        ("LeavesLater", "score leaves_later: SystemExit: 0; nothing was written"),
        ("NoPart", "score no_part: KeyError: 'validation'; nothing was written"),
    ],
)
def test_a_score_that_raises_is_named(mine, tmp_path, plugin, message, monkeypatch):
    monkeypatch.chdir(mine)
    monkeypatch.syspath_prepend(mine)
    names = ["--metric", message.split()[1].strip(":")]
    ended = call("score", "results/mine", "--plugin", f"wrong_scores:{plugin}", *names, "--out", tmp_path / "out")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines()[-1].startswith(f"unlearn-sweep: {message}")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "plugin"), [("not_a_number", "NotANumber"), ("infinite", "Infinite")])
def test_a_score_that_gives_no_finite_number_says_so(mine, tmp_path, name, plugin, monkeypatch):
    monkeypatch.chdir(mine)
    monkeypatch.syspath_prepend(mine)
    ended = call("score", "results/mine", "--plugin", f"wrong_scores:{plugin}", "--metric", name, "--out", tmp_path)
    assert (ended.code, ended.err) == (0, "")
    rows = pq.read_table(tmp_path / "audit.parquet").to_pylist()
    assert {row["p"] for row in rows} == {None}
    assert {(row["value"], row["note"]) for row in rows} == {(None, "no finite number in 5 of 5 seeds")}


def test_trials_whose_predictions_cannot_be_read_are_named(mine, tmp_path):
    shutil.copytree(mine / "results/mine", tmp_path / "mine")
    files = sorted((tmp_path / "mine/predictions").iterdir())[:5]
    files[0].unlink()
    for file in files[1:]:
        file.write_bytes(b"damaged")
    ended = call("score", tmp_path / "mine", "--metric", "iam", "--out", tmp_path / "out")
    some = ", ".join(file.stem for file in files[:3])
    assert ended.code == 0 or "nothing to score" in ended.err
    line = f"warning: left out, for their predictions are missing or damaged: 5 trials, {some}, ..."
    assert ended.err.splitlines()[0] == line


def test_a_plugin_is_named_like_any_other_score(mine, tmp_path, monkeypatch):
    monkeypatch.chdir(mine)
    monkeypatch.syspath_prepend(mine)
    plugin = ["--plugin", "my_scores:MarginKept", "--metric", "margin_kept"]
    assert call("score", "results/mine", *plugin, "--out", tmp_path).code == 0
    assert set(pq.read_table(tmp_path / "audit.parquet")["metric"].to_pylist()) == {"margin_kept"}


def test_results_without_predictions_are_refused_in_one_line(tmp_path):
    (tmp_path / "spec.yaml").write_text(SPEC.replace("[0, 1, 2, 3, 4]", "[0]") + "predictions: false\n")
    assert call("run", tmp_path / "spec.yaml", "--out", tmp_path / "out", "--executor", "inline").code == 0
    ended = call("score", tmp_path / "out")
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert "nothing to score" in ended.err
    assert "predictions: true" in ended.err
    assert not (tmp_path / "out/report").exists()


def test_seeds_that_forget_different_samples_are_told_so(tmp_path):
    spec = SPEC.replace("[0, 1, 2, 3, 4]", "[0, 1]").replace("class, class: 3", "random, ratio: 0.1")
    (tmp_path / "spec.yaml").write_text(spec)
    assert call("run", tmp_path / "spec.yaml", "--out", tmp_path / "out", "--executor", "inline").code == 0
    ended = call("score", tmp_path / "out")
    assert (ended.code, ended.err) == (0, "")
    assert "seeds forget different samples" in ended.out
