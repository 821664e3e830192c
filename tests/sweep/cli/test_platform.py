"""Windows is refused in one line, by the command and by `make`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sweep import cli

ROOT = Path(__file__).parents[3]
REFUSED = "Linux or macOS"
PYTHON = """#!/bin/sh
# Python as on Windows, for `-c CODE`; nothing else is asked of it.
[ "$1" = -c ] && exec {python} -c 'import sys; sys.platform = "win32"; exec(sys.argv[1])' "$2"
exit 9
"""


def test_the_command_refuses_windows_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(sys, "argv", ["unlearn-sweep", "run", "digits"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert (REFUSED in err, "WSL" in err, err.count("\n")) == (True, True, 1)


def test_make_refuses_windows_before_it_installs_anything(tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "python"
    python.write_text(PYTHON.format(python=sys.executable))
    os.chmod(python, 0o755)
    ended = subprocess.run(
        ["make", "install", f"PYTHON={python}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode != 0
    assert f"{REFUSED} is needed: on Windows, use WSL\n" in ended.stderr
    assert not (tmp_path / ".venv").exists()
