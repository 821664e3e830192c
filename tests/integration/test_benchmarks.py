"""The scripts in benchmarks/ run: each in its small form."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_sweeps import PLAIN_PRIORITY

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        ("step.py", "resnet8    float32"),
        ("tries.py", "SGD step, fused"),
        ("batched.py", "small-cnn         2"),
        ("hotspots.py trial", "convolution, backward"),
        ("hotspots.py sweep", "unlearning"),
        ("occupancy.py", "busy: "),
        ("overhead.py", "plain Ray Tune / this engine"),
        ("growth.py", "slots trials  seconds"),
        ("scale.py", "driver after"),
        ("paper.py", "methods-cifar10: 8 trials and 1 originals"),
        ("packing.py", "trials per hour"),
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
