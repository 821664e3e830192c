"""What is published: a wheel and an sdist that hold what is needed, and a fresh environment that runs a sweep of it."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from tiny_sweeps import rows, write_shadows, write_spec

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")
PACKAGES = ("analysis", "methods", "sweep")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with an sdist of what git knows of, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("built")
    command("git", "checkout-index", "--all", f"--prefix={folder}/tree/", cwd=ROOT)
    command(UV, "build", "--out-dir", folder, folder / "tree", cwd=folder)
    return folder


def test_wheel_and_sdist_hold_every_file_of_the_packages_and_no_test(built):
    listed = command("git", "ls-files", *PACKAGES, cwd=ROOT).split()
    wheel = zipfile.ZipFile(next(built.glob("*.whl"))).namelist()
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        sdist = archive.getnames()
    for names in (wheel, [name.partition("/")[2] for name in sdist]):
        assert set(listed) <= set(names)
        assert not [name for name in names if "tests" in name.split("/")]
    assert {name.split("/")[0] for name in wheel} == {*PACKAGES, "unlearn_sweep-0.1.0.dist-info"}


@pytest.mark.parametrize("version", ["3.11.0", "3.13"])
def test_the_versions_that_were_tested_suit_the_oldest_python_and_a_new_one(version):
    """3.11.0, as later ones of 3.11 may have packages that Debian's 3.11.2 has not."""
    compile = [UV, "pip", "compile", "--python-version", version, "--constraint", "constraints.txt", "--extra", "dev"]
    chosen = command(*compile, "pyproject.toml", cwd=ROOT)
    assert "ray==" in chosen


def test_a_fresh_environment_runs_sweep_and_report_beside_folders_of_our_names(built, tmp_path):
    """Through Ray, whose processes must not find the folders `analysis` and `methods` of whoever gives the command."""
    command(UV, "venv", "--python", sys.executable, tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv/bin/python"
    wheel = next(built.glob("*.whl"))
    command(UV, "pip", "install", "--python", python, "-c", ROOT / "constraints.txt", wheel, cwd=tmp_path)
    here = write_shadows(tmp_path / "mine")
    (here / "methods").mkdir()
    (here / "methods" / "__init__.py").write_text("raise SystemError('not this one')")
    spec = write_spec(tmp_path, [{"name": "original"}, {"name": "retrain"}, {"name": "my_method:Mine", "epochs": 1}])
    ours = tmp_path / "venv/bin/unlearn-sweep"
    command(ours, "run", spec, "--out", "out", cwd=here)
    command(ours, "report", "out", cwd=here)
    command(ours, "plan", "ablation-rho-gamma", cwd=here)
    assert {(row["method"], row["status"]) for row in rows(here / "out")} == {
        ("original", "ok"),
        ("retrain", "ok"),
        ("my_method:Mine", "ok"),
    }
    assert (here / "out/report/index.html").stat().st_size > 10_000


def command(*words, cwd):
    """What a command prints that ends well and knows nothing of the tree under test."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    ended = subprocess.run(list(map(str, words)), cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{words}\n{ended.stdout}{ended.stderr}"
    return ended.stdout
