"""The command `view`: it serves a real sweep, follows it, writes nothing, and ends on Ctrl-C; and `report --trials`."""

import re
import signal
import socket
import time
import urllib.request
from pathlib import Path

import pytest
from tiny_sweeps import call, ended_on_error, start

GUIDE = (Path(__file__).parents[2] / "docs" / "view.md").read_text("utf-8")
SPEC = """
dataset: {name: digits, limit: 200, label_noise: 0.2}
model: {name: small-cnn, width: 4}
training: {epochs: 1, batch_size: 64}
seeds: [0]
methods: [{name: original}, {name: retrain}, {name: finetune, epochs: 1}]
"""


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The results of a tiny sweep."""
    folder = tmp_path_factory.mktemp("view")
    (folder / "spec.yaml").write_text(SPEC)
    ended = call("run", folder / "spec.yaml", "--out", folder / "out", "--executor", "inline")
    assert (ended.code, ended.err) == (0, "")
    return folder / "out"


def pages(url, path=""):
    with urllib.request.urlopen(url + path, timeout=60) as answer:
        return answer.read().decode()


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_sweep_is_served_until_ctrl_c(out):
    before = files(out)
    process = start("view", out)
    with ended_on_error(process):
        line = process.stdout.readline()
        url = re.fullmatch(rf"{out}: (http://127\.0\.0\.1:\d+/) \(Ctrl-C ends it\)\n", line)[1]
        deadline = time.monotonic() + 60
        while "3 of 3 trials that" not in (first := pages(url)):
            assert time.monotonic() < deadline, first
            time.sleep(0.2)
        configuration = re.search(r'<a href="(configurations/\w+\.html)">FineTune</a>', first)[1]
        trial = re.search(r'<a href="\.\./(trials/\w+\.html)"', pages(url, configuration))[1]
        page = pages(url, trial)
        for heading in ("Metrics", "Samples that differ most from Retrain", "Confusion", "Accuracy by class", "Path"):
            assert f">{heading}</h2>" in page
        assert page.count("data:image/png;base64,") > 20
        process.send_signal(signal.SIGINT)
        end, err = process.communicate(timeout=60)
    assert (process.returncode, end, err) == (0, "", "")
    assert files(out) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: no such results directory"),
        (["."], ".: not a results directory"),
        (["{out}", "--port", "70000"], "--port"),
    ],
)
def test_bad_input_is_refused_in_one_line(out, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    ended = call("view", *(word.format(out=out) for word in arguments))
    assert (ended.code, len(ended.err.splitlines())) == (2, 1)
    assert message in ended.err


def test_a_port_in_use_is_refused_in_one_line(out):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = call("view", out, "--port", port)
    assert (ended.code, len(ended.err.splitlines())) == (2, 1)
    assert f"--port {port}: 127.0.0.1:{port} cannot be used" in ended.err


def test_a_report_has_the_same_pages_as_files(out, tmp_path):
    ended = call("report", out, "--trials", "--out", tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[-2:] == [f"{tmp_path}/configurations: 4 pages", f"{tmp_path}/trials: 3 pages"]
    report = (tmp_path / "index.html").read_text("utf-8")
    configuration = tmp_path / re.search(r'<a href="(configurations/\w+\.html)">FineTune</a>', report)[1]
    trial = configuration.parent / re.search(r'<a href="(\.\./trials/\w+\.html)"', configuration.read_text("utf-8"))[1]
    assert "data:image/png;base64," in trial.read_text("utf-8")


def test_the_guide_shows_commands_that_exist(out, monkeypatch):
    monkeypatch.chdir(out.parent)
    commands = re.findall(r"^unlearn-sweep (\w+) .*$", GUIDE, re.M)
    assert {"view", "report"} <= set(commands)
    for command in set(commands):
        assert call(command, "--help").code == 0
