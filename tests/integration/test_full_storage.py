"""Storage that is full, or may only be read: a real file system of its own, where this process may mount one."""

import subprocess

import pytest
from tiny_sweeps import BUILT_INS, call, rows, write_spec

from sweep.store.results import Results

METHODS = [entry for entry in BUILT_INS if entry["name"] in ("original", "finetune", "neggrad", "uam")]


def mount(*options):
    return subprocess.run(["mount", "-t", "tmpfs", *options], capture_output=True, text=True)


@pytest.fixture
def small(tmp_path):
    """A file system of 120 kB."""
    place = tmp_path / "small"
    place.mkdir()
    if mount("-o", "size=120k", "tmpfs", str(place)).returncode:
        pytest.skip("this process may not mount a file system")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_full_storage_ends_a_run_in_one_line_and_room_lets_it_go_on(small, inline_sweep, tmp_path):
    out = small / "out"
    command = ("run", write_spec(tmp_path, METHODS), "--out", out, "--executor", "inline")
    ended = call(*command)
    assert (ended.code, len(ended.err.splitlines())) == (1, 1)
    assert "No space left on device" in ended.err
    assert "what was stored before is kept" in ended.err
    stored = Results(str(out)).trials()
    assert 0 < stored.table.num_rows < 5
    assert stored.damaged == []
    assert not [path for path in out.rglob(".*") if path.is_file()]
    assert mount("-o", "remount,size=9m", "tmpfs", str(small)).returncode == 0
    again = call(*command)
    assert again.code == 0
    assert f"{stored.table.num_rows} done before" in again.out
    expected = [row for row in rows(inline_sweep.out) if row["method"] in {entry["name"] for entry in METHODS}]
    assert rows(out) == expected


def test_storage_that_may_only_be_read_is_one_line_and_its_results_are_readable(small, tmp_path):
    out = small / "out"
    assert mount("-o", "remount,size=9m", "tmpfs", str(small)).returncode == 0
    one = write_spec(tmp_path, METHODS[:1])
    assert call("run", one, "--out", out, "--executor", "inline").code == 0
    assert mount("-o", "remount,ro", "tmpfs", str(small)).returncode == 0
    ended = call("run", write_spec(tmp_path, METHODS), "--out", out, "--executor", "inline")
    assert (ended.code, len(ended.err.splitlines())) == (1, 1)
    assert "Read-only file system" in ended.err
    assert "1 trial in" in call("status", out).out
    assert "1 trial, 1 done before, 0 to run" in call("run", write_spec(tmp_path, METHODS[:1]), "--out", out).out
