"""Where plugins are looked for: after everything that is installed, and what is said of one that is not found."""

from __future__ import annotations

import os
import sys

import pytest

from sweep.errors import InputError
from sweep.spec.plugins import find_method, search_last

PLUGIN = """from dataclasses import dataclass

from methods import FineTune


@dataclass(frozen=True)
class Mine(FineTune):
    name = "mine"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory: modules of the names of others, a plugin, and one that needs a module of its folder."""
    for name in ("methods", "torch"):
        (tmp_path / f"{name}.py").write_text("raise SystemError('not this one')")
    (tmp_path / "analysis").mkdir()
    for name in ("__init__", "losses"):
        (tmp_path / "analysis" / f"{name}.py").touch()
    (tmp_path / "beside_others.py").write_text(PLUGIN)
    (tmp_path / "leaves.py").write_text("import sys; sys.exit(0)")
    (tmp_path / "needs_its_own.py").write_text("from analysis.losses import loss")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    yield tmp_path
    sys.modules.pop("beside_others", None)


def test_a_plugin_is_found_in_the_working_directory_which_comes_last(folder):
    before = list(sys.path)
    assert find_method("beside_others:Mine").name == "mine"
    assert sys.path[-1] == str(folder)
    assert sys.path[: len(before)] == before


def test_a_plugin_that_changes_the_working_directory_changes_it_for_itself_alone(folder):
    (folder / "beside_others.py").write_text(f"import os\nos.chdir('/')\n{PLUGIN}")
    find_method("beside_others:Mine")
    assert os.getcwd() == str(folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("methods:Mine", "{0}/methods.py is hidden by another module 'methods' ("),
        ("torch:nn", "{0}/torch.py is hidden by another module 'torch' ("),
        ("analysis:Mine", "{0}/analysis/__init__.py is hidden by another module 'analysis' ("),
        ("needs_its_own:Mine", "{0}/analysis/losses.py is hidden by another module 'analysis' ("),
        ("nowhere:Mine", "a plugin is installed, or lies in the folder of the command, {0}"),
        (":Mine", "importing  failed: ValueError"),
        ("leaves:Mine", "importing leaves failed: SystemExit: 0"),
        ("beside_others:Main", "beside_others has no 'Main'; did you mean 'Mine'?"),
    ],
)
def test_a_plugin_that_cannot_be_reached_is_one_line_that_says_why(folder, name, message):
    with pytest.raises(InputError) as caught:
        find_method(name)
    assert str(caught.value).startswith(f"plugin '{name}': ")
    assert "\n" not in str(caught.value)
    assert message.format(folder) in str(caught.value)


def test_a_folder_that_ray_put_first_is_searched_last(folder, monkeypatch):
    monkeypatch.setattr(sys, "path", ["first", "other", "first"])
    search_last("first")
    assert sys.path == ["other", "first", "first"]
    search_last(os.fspath(folder))
    assert sys.path[-1] == str(folder)


def test_only_what_a_module_defines_is_offered_in_place_of_a_wrong_name(tmp_path, monkeypatch):
    (tmp_path / "with_imports.py").write_text("from methods import Descent\n\n\nclass Mine(Descent):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"with_imports has no 'Xyz'; valid: Mine$"):
        find_method("with_imports:Xyz")
