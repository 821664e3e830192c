"""Random kills, by the script that does more of them."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "chaos.py"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are read from /proc")
@pytest.mark.soak
def test_kills_of_a_worker_a_node_and_the_command_lose_repeat_and_change_nothing():
    ended = subprocess.run([sys.executable, SCRIPT, "--runs", "3"], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    assert [line.split()[1] for line in ended.stdout.splitlines()[2:5]] == ["worker", "raylet", "driver"]
