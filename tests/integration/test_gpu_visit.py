"""A visit to a GPU, killed in the middle and continued, in its tiny form."""

import contextlib
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from tiny_sweeps import end_session

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


def visit(out, temporary, *options):
    """A visit's process, with its folders under `temporary`."""
    words = [sys.executable, SCRIPT, "--tiny", "--out", out, "--budget", "500", "--steps", "hessian,ascent", *options]
    return subprocess.Popen(
        list(map(str, words)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    )


def end_everything_in(temporary):
    """Kill the commands of a killed visit, which do not end with it."""
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(temporary).encode() in (path / "cmdline").read_bytes():
                end_session(os.getsid(int(path.name)))


def rows(archive, folder="resnet18"):
    """Each row's file and content."""
    with tarfile.open(archive) as opened:
        assert not [name for name in opened.getnames() if "models" in name or "predictions" in name]
        return {
            member.name: opened.extractfile(member).read()
            for member in opened
            if member.name.startswith(f"{folder}/trials/") and member.isfile()
        }


@pytest.mark.soak
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are read from /proc")
def test_a_visit_that_was_killed_goes_on_from_what_it_left(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    (temporary := tmp_path / "temporary").mkdir()
    process = visit(first, temporary)
    try:
        next(line for line in process.stdout if line.startswith("ascent: "))
        next(line for line in process.stdout if line.startswith("  [2/"))  # those of the first step are stored already
        os.kill(process.pid, signal.SIGKILL)
    finally:
        end_everything_in(temporary)
        end_session(process.pid)
        process.wait()
    stored = rows(first / "results.tar")
    assert len(stored) >= 2
    assert "| hessian | done |" in (first / "gpu.md").read_text()
    assert "| ascent | done |" not in (first / "gpu.md").read_text()

    (own := tmp_path / "own").mkdir()
    options = "--work", tmp_path / "work", "--from", first / "results.tar"
    said, _ = visit(second, own, *options).communicate(timeout=500)
    assert "hessian: done before" in said
    found = rows(second / "results.tar")
    assert "12 of 12 trials are there" in said
    assert {name: found[name] for name in stored} == stored
    page = (second / "gpu.md").read_text()
    assert "| ascent | done |" in page
    assert "| packing | still to be run |" in page
    assert not list(own.glob("gpu-*"))

    assert list((tmp_path / "work" / "resnet18" / "models").iterdir())
    said, _ = visit(second, own, *options).communicate(timeout=500)
    assert "ascent: done before" in said
    assert rows(second / "results.tar") == found
