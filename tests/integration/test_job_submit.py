"""`ray job submit` from outside of a cluster: with the token, a sweep runs there with the code that is sent along."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from clusters import AUTHENTICATION, RAY, Cluster, free_port, wait_until
from tiny_sweeps import BUILT_INS, PLAIN_PRIORITY, SCRIPT, rows, write_spec

from sweep.plan.code_version import code_version
from sweep.store.results import Results

ROOT = Path(__file__).parents[2]
METHODS = [entry for entry in BUILT_INS if entry["name"] in ("original", "retrain", "uam")]


@pytest.fixture(scope="module")
def dashboard():
    """The address at which a cluster that asks for a token takes jobs."""
    port = free_port()
    options = ["--dashboard-host=127.0.0.1", f"--dashboard-port={port}", f"--dashboard-agent-listen-port={free_port()}"]
    with Cluster(cpus=2, options=options):
        wait_until(lambda: listens(port))
        yield f"http://127.0.0.1:{port}"


def listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def submit(dashboard, folder, *command, **environment):
    """The ended `ray job submit` of a command, with `folder` as its working directory."""
    while True:
        ended = subprocess.run(
            [RAY, "job", "submit", "--address", dashboard, "--working-dir", folder, "--", *map(str, command)],
            capture_output=True,
            text=True,
            env=os.environ | AUTHENTICATION | PLAIN_PRIORITY | environment,
            timeout=300,
        )
        if "No available agent" not in ended.stdout + ended.stderr:  # the head is still starting one
            return ended


def version_in(folder):
    """The code version of the checkout in `folder`."""
    code = "from sweep.plan.code_version import code_version; print(code_version())"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder)
    return shown.stdout.strip()


def test_a_submitted_sweep_runs_the_code_of_its_working_directory_on_every_process(dashboard, inline_sweep, tmp_path):
    folder, out = tmp_path / "checkout", tmp_path / "out"
    for package in ("analysis", "methods", "sweep"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "methods" / "uam.py").open("a") as module:
        module.write("# changed after it was installed\n")
    write_spec(folder, METHODS)
    ended = submit(dashboard, folder, SCRIPT, "run", "tiny.yaml", "--address", "auto", "--out", out)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "3 trials, 0 done before, 3 to run" in ended.stdout
    found = rows(out)
    assert sorted(row["method"] for row in found) == ["original", "retrain", "uam"]
    assert all(row in rows(inline_sweep.out) for row in found)
    assert Results(str(out)).trials().table["code_version"].unique().to_pylist() == [version_in(folder)]
    assert version_in(folder) != code_version()


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"RAY_AUTH_MODE": "disabled"}, "Missing authentication token"),
        ({"RAY_AUTH_TOKEN": "8" * 32}, "Invalid authentication token"),
    ],
    ids=["none", "wrong"],
)
def test_a_job_without_the_token_is_refused(dashboard, tmp_path, environment, message):
    ended = submit(dashboard, tmp_path, "touch", tmp_path / "was-run", **environment)
    assert ended.returncode != 0
    assert message in ended.stdout + ended.stderr
    assert not (tmp_path / "was-run").exists()
