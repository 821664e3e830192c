"""The scripts in benchmarks/ run, each in its small form: the long ones in `make soak`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_sweeps import PLAIN_PRIORITY

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_what_benchmarks_import_is_there():
    scripts = list(map(str, BENCHMARKS.glob("*.py")))
    assert len(scripts) > 20
    code = "import runpy, sys; [runpy.run_path(script, run_name='imported') for script in sys.argv[1:]]"
    ended = subprocess.run(
        [sys.executable, "-c", code, *scripts],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(BENCHMARKS)},
    )
    assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        ("step.py", "resnet8    float32"),
        pytest.param("starting.py", "processor command", marks=pytest.mark.soak),
        pytest.param("settling.py", "| finetune | running averages |", marks=pytest.mark.soak),
        ("audit.py", "32 trials: "),
        ("sisa.py", "2x2 test accuracy of the ensemble"),
        ("hotspots.py trial", "convolution, backward"),
        pytest.param("hotspots.py sweep", "unlearning", marks=pytest.mark.soak),
        pytest.param("occupancy.py", "busy: ", marks=pytest.mark.soak),
        pytest.param("overhead.py", "this engine / plain Ray Tune", marks=pytest.mark.soak),
        pytest.param("growth.py", "slots trials  seconds", marks=pytest.mark.soak),
        pytest.param("scale.py", "driver after", marks=pytest.mark.soak),
        pytest.param("paper.py", "methods-cifar10: 8 trials and 1 originals", marks=pytest.mark.soak),
        pytest.param("packing.py", "trials per hour", marks=pytest.mark.soak),
    ],
)
def test_a_benchmark_runs(command, printed, tmp_path):
    script, *arguments = command.split()
    ended = subprocess.run(
        [sys.executable, BENCHMARKS / script, *arguments, "--small"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | PLAIN_PRIORITY,
    )
    assert ended.returncode == 0, ended.stderr
    assert printed in ended.stdout


PEER = """
class UAM:
    def __init__(self, model, optimizer, rho):
        self.optimizer, self.rho = optimizer, rho

    def step(self, cost, batches):
        self.optimizer.zero_grad()
        cost(batches["Retain"]).backward()
        self.optimizer.step()
"""


@pytest.mark.soak
def test_the_peer_may_lie_on_the_python_path(tmp_path):
    package = tmp_path / "torchunlearn" / "optim"
    package.mkdir(parents=True)
    (package / "minimizer.py").write_text(PEER)
    ended = subprocess.run(
        [sys.executable, BENCHMARKS / "peer.py", "--small", "--peer-python", sys.executable],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )
    assert ended.returncode == 0, ended.stderr
    assert "torchunlearn  " in ended.stdout


@pytest.mark.parametrize(("beside", "on_the_path"), [(True, True), (False, True), (False, False)])
def test_the_command_is_beside_python_else_on_the_path(beside, on_the_path, tmp_path):
    folders = {"beside": beside, "path": on_the_path}
    for name, there in folders.items():
        (tmp_path / name).mkdir()
        if there:
            (tmp_path / name / "unlearn-sweep").touch(mode=0o755)
    code = f"import sys; sys.executable = {str(tmp_path / 'beside' / 'python')!r}; import command_line as found; "
    ended = subprocess.run(
        [sys.executable, "-c", code + "print(found.script())"],
        capture_output=True,
        text=True,
        cwd=BENCHMARKS,
        env=os.environ | {"PATH": str(tmp_path / "path")},
    )
    if not on_the_path:
        assert (ended.returncode, ended.stdout) == (1, "")
        assert ended.stderr.startswith("no command unlearn-sweep in ")
    else:
        assert ended.stdout == f"{tmp_path / ('beside' if beside else 'path') / 'unlearn-sweep'}\n"
