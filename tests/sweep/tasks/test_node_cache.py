"""What a node keeps for all its processes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from sweep.tasks import node_cache
from sweep.tasks.node_cache import cache_folder, kept_array

ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setenv("UNLEARN_SWEEP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Maker:
    """Counts how often it is called."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> np.ndarray:
        self.calls += 1
        return ARRAY.copy()


def test_an_array_is_made_once():
    make = Maker()
    for _ in range(3):
        np.testing.assert_array_equal(kept_array("a", make), ARRAY)
    assert make.calls == 1
    kept_array("b", make)
    assert make.calls == 2
    assert sorted(path.name for path in cache_folder().glob("*.npy")) == ["a.npy", "b.npy"]
    assert isinstance(kept_array("a", make).base, np.memmap)  # in memory once, however many processes read it


MAKING = """import sys, time
import numpy as np
from sweep.tasks.node_cache import kept_array

def make():
    with open(sys.argv[1], "a") as made:
        made.write("made\\n")
    time.sleep(0.5)
    return np.ones(3, np.uint8)

print(kept_array("a", make).sum())
"""


def test_of_processes_that_start_together_one_makes_it(tmp_path):
    made = tmp_path / "made"
    command = [sys.executable, "-c", MAKING, str(made)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate(timeout=60)[0].strip() for process in processes] == ["3"] * 3
    assert made.read_text() == "made\n"


def test_what_is_written_into_a_kept_array_stays_with_the_writer():
    for _ in range(3):  # the first time it is made, the second time it is the file that is written to
        found = kept_array("a", Maker())
        np.testing.assert_array_equal(found, ARRAY)
        found[:] = 7


@pytest.mark.parametrize("content", [b"", b"nonsense", "cut"])
def test_a_damaged_file_is_made_anew(folder, content):
    kept_array("a", Maker())
    path = folder / "a.npy"
    path.write_bytes(path.read_bytes()[:-5] if content == "cut" else content)
    make = Maker()
    for _ in range(2):
        np.testing.assert_array_equal(kept_array("a", make), ARRAY)
    assert make.calls == 1


def test_without_a_place_to_keep_it_an_array_is_made_each_time(folder, monkeypatch):
    folder.write_text("a file where the folder should be")
    make = Maker()
    for _ in range(2):
        np.testing.assert_array_equal(kept_array("a", make), ARRAY)
    assert make.calls == 2


def test_a_user_without_a_home_keeps_nothing(monkeypatch):
    monkeypatch.delenv("UNLEARN_SWEEP_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def homeless(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(node_cache.Path, "expanduser", homeless)
    np.testing.assert_array_equal(kept_array("a", Maker()), ARRAY)
    with pytest.raises(OSError, match="Set UNLEARN_SWEEP_CACHE"):
        cache_folder()


def test_an_array_that_cannot_be_stored_is_used_all_the_same(folder, monkeypatch):
    def full(stream, array):
        stream.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(node_cache.np, "save", full)
    np.testing.assert_array_equal(kept_array("a", Maker()), ARRAY)
    assert [path.name for path in folder.iterdir() if not path.name.endswith(".lock")] == []


def test_what_fails_is_not_kept(folder):
    with pytest.raises(ZeroDivisionError):
        kept_array("a", lambda: 1 // 0)
    np.testing.assert_array_equal(kept_array("a", Maker()), ARRAY)
