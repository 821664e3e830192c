"""Where a command is given: beside modules of any name, and with a temporary folder of any length."""

import pytest
from tiny_sweeps import rows, run, write_shadows, write_spec

METHODS = [{"name": "original"}, {"name": "my_method:Mine", "epochs": 1}]


@pytest.fixture
def folder(tmp_path):
    return write_shadows(tmp_path / "mine")


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


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("methods:Mine", "{0}/methods.py is hidden by another module 'methods' ("),
        ("torch:nn", "{0}/torch.py is hidden by another module 'torch' ("),
        ("analysis:Mine", "{0}/analysis/__init__.py is hidden by another module 'analysis' ("),
        ("needs_own:Mine", "{0}/analysis/losses.py is hidden by another module 'analysis' ("),
        ("nowhere:Mine", "a plugin is installed, or lies in the folder of the command, {0}"),
        (":Mine", "importing failed"),
    ],
)
def test_a_plugin_that_cannot_be_reached_is_one_line_that_says_why(tmp_path, folder, name, message):
    (folder / "analysis" / "losses.py").touch()
    (folder / "needs_own.py").write_text("from analysis.losses import loss\n")
    path = write_spec(tmp_path, [{"name": name}])
    ended = run("plan", path, prefix=["env", "-C", folder])
    assert ended.code == 2
    assert len(ended.err.splitlines()) == 1
    assert f"methods.0.name: plugin '{name}': " in ended.err
    assert message.format(folder) in ended.err


def test_modules_that_pythonpath_puts_in_the_place_of_ours_are_named(tmp_path, folder):
    (folder / "sweep.py").unlink()
    ended = run("plan", "digits", prefix=["env", f"PYTHONPATH={folder}"])
    assert ended.code == 2
    assert ended.err.startswith(
        f"unlearn-sweep: PYTHONPATH: {folder}/analysis/__init__.py hides this project's package"
    )
    assert len(ended.err.splitlines()) == 1
