import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from tiny_sweeps import BUILT_INS, PLAIN_PRIORITY, end_session, rows, run, write_spec

from sweep.identity import code_version
from sweep.results import Results

METHODS = [entry for entry in BUILT_INS if entry["name"] in ("original", "retrain", "uam")]
AUTHENTICATION = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "7" * 32}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
def cluster():
    """The address of a Ray cluster of one node, which asks for a token."""
    port = free_port()
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # sockets in it must have short paths
    command = [Path(sys.executable).with_name("ray"), "start", "--head", "--block", f"--port={port}", "--num-cpus=2"]
    command += ["--include-dashboard=false", "--disable-usage-stats", f"--temp-dir={folder}"]
    head = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | AUTHENTICATION | PLAIN_PRIORITY,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 120
        while not list(Path(folder).glob("session_2*/sockets/raylet*")):
            assert head.poll() is None, "Ray did not start"
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        head.terminate()
        try:
            head.wait(timeout=30)
        finally:
            end_session(head.pid)
            head.wait()
            shutil.rmtree(folder, ignore_errors=True)


def test_a_cluster_writes_the_rows_that_inline_writes(cluster, inline_sweep, tmp_path):
    path, out = write_spec(tmp_path, METHODS), tmp_path / "out"
    ended = run("run", path, "--out", out, "--address", cluster, **AUTHENTICATION)
    assert (ended.code, ended.err) == (0, "")
    assert "3 trials, 0 done before, 3 to run" in ended.out
    by_cluster = rows(out)
    assert sorted(row["method"] for row in by_cluster) == ["original", "retrain", "uam"]
    assert all(row in rows(inline_sweep.out) for row in by_cluster)
    assert Results(str(out)).trials().table["code_version"].unique().to_pylist() == [code_version()]


def test_an_address_without_a_cluster_is_bad_input(tmp_path):
    out = tmp_path / "out"
    address = f"127.0.0.1:{free_port()}"
    ended = run("run", write_spec(tmp_path, METHODS), "--out", out, "--address", address)
    assert ended.code == 2
    assert len(ended.err.splitlines()) == 1
    assert f"--address {address}: no cluster answers" in ended.err
    assert not out.exists()
