"""What a first day needs: forecasts, labels, and specs in a report that run as they are."""

import html
import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from test_command_line import png
from tiny_sweeps import call, write_spec

METHODS = [{"name": "retrain"}, {"name": "sweep_plugins:Slow", "epochs": 1}]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of the command, with a Parquet set in `data`."""
    noise = np.random.default_rng(0).integers(256, size=(90, 8, 8), dtype=np.uint8)
    for split, rows in (("train", range(60)), ("test", range(60, 90))):
        table = pa.table({"image": [{"bytes": png(noise[row])} for row in rows], "label": [row % 3 for row in rows]})
        (tmp_path / "data").mkdir(exist_ok=True)
        pq.write_table(table, tmp_path / "data" / f"{split}.parquet")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_sweep_is_forecast_and_named_and_what_its_report_shows_runs_as_it_is(folder):
    data = {"name": "parquet", "path": "data", "crop": 0, "flip": False}
    spec = write_spec(folder, METHODS, dataset=data, labels={"parquet": "Noise-3"})
    ahead = call("plan", spec, "--out", "out")
    assert re.search(r"^about \d+ s on \d+ slots?$", ahead.out, re.MULTILINE)
    assert "about" not in call("plan", spec, "--out", "out", "--no-forecast").out
    assert not (folder / "out").exists()

    ended = call("run", spec, "--out", "out", "--executor", "inline")
    assert re.match(r"tiny: 2 trials, 0 done before, 2 to run, about \d+ s on 1 slot\n", ended.out)
    assert re.search(r"sweep_plugins:Slow \w{16} seed 0 ok \d+ s, gap \d+\.\d\n", ended.out)
    assert "Noise-3, small-cnn, forget 10 % at random" in ended.out
    assert " slow " in ended.out  # as the plugin calls itself

    renamed = ["--set", "labels={parquet: Noise, 'sweep_plugins:Slow': 'Slow & sure'}"]
    again = call("run", spec, "--out", "out", "--executor", "inline", *renamed)
    assert "2 done before, 0 to run" in again.out
    assert call("report", "out").code == 0
    page = (folder / "out" / "report" / "index.html").read_text()
    assert "Noise, small-cnn, forget 10 % at random" in page
    assert "Slow &amp; sure" in page
    assert r"Slow \& sure &" in (folder / "out" / "report" / "methods.tex").read_text()
    assert json.loads((folder / "out" / "labels.json").read_text())["sweep_plugins:Slow"] == "Slow & sure"

    shown = [html.unescape(text) for text in re.findall(r"<pre><code>(.*?)</code></pre>", page, re.DOTALL)]
    specs = [text for text in shown if re.match(r"dataset:", text)]
    commands = [text.split() for text in shown if text.startswith("unlearn-sweep rerun")]
    assert len(specs) == len(commands) == 2
    for text in specs:
        (folder / "one.yaml").write_text(text)
        ended = call("run", "one.yaml", "--out", "out", "--executor", "inline")
        assert (ended.code, yaml.safe_load(text)["dataset"]["path"]) == (0, "data")
        assert "1 trial, 1 done before, 0 to run" in ended.out
    assert all(call(*command[1:]).code == 0 for command in commands)
