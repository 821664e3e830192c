"""Where a command is given: beside modules of any name, and with a temporary folder of any length."""

import pytest
from tiny_sweeps import rows, run, write_shadows, write_spec

METHODS = [{"name": "original"}, {"name": "my_method:Mine", "epochs": 1}]


@pytest.fixture
def folder(tmp_path):
    return write_shadows(tmp_path / "mine")


@pytest.mark.soak
def test_modules_of_any_name_beside_a_plugin_are_not_imported_and_tmpdir_may_be_long(tmp_path, folder):
    path, temporary = write_spec(tmp_path, METHODS), tmp_path / ("t" * 60)
    temporary.mkdir()
    here = ["env", "-C", folder]
    by_ray = run("run", path, "--out", tmp_path / "ray", prefix=[*here, "-u", "RAY_TMPDIR", f"TMPDIR={temporary}"])
    assert (by_ray.code, by_ray.err) == (0, "")
    inline = run("run", path, "--out", tmp_path / "inline", "--executor", "inline", prefix=here)
    assert (inline.code, inline.err) == (0, "")
    assert sorted(row["method"] for row in rows(tmp_path / "ray")) == ["my_method:Mine", "original"]
    assert rows(tmp_path / "ray") == rows(tmp_path / "inline")


def test_modules_that_pythonpath_puts_in_the_place_of_ours_are_named(tmp_path, folder):
    (folder / "sweep.py").unlink()
    ended = run("plan", "digits", prefix=["env", f"PYTHONPATH={folder}"])
    assert ended.code == 2
    assert ended.err.startswith(
        f"unlearn-sweep: PYTHONPATH: {folder}/analysis/__init__.py hides this project's package"
    )
    assert len(ended.err.splitlines()) == 1
