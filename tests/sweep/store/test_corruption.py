"""Files damaged at random, by the script that damages more of them."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "corruption.py"


def test_no_damaged_file_crashes_its_reader_or_is_read_as_something_else():
    ended = subprocess.run([sys.executable, SCRIPT, "200"], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[-1] == "180 files; wrong, raised or died: 0"
