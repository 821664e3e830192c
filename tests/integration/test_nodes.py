"""A cluster of several nodes: ones that cannot be used, one lost and one joining, no token, the head lost."""

import re
import subprocess
import time

import pytest
from clusters import AUTHENTICATION, Cluster
from tiny_sweeps import call, end_session, ended_on_error, rows, run, start, write_spec

from sweep.plan.code_version import code_version
from sweep.store.results import Results

METHODS = [{"name": "sweep_plugins:Slow", "epochs": 1, "lr": [round(0.01 * step, 2) for step in range(1, 31)]}]
PAUSE = {"PAUSE": "2"}

pytestmark = pytest.mark.skipif(
    subprocess.run(["unshare", "-um", "true"], capture_output=True).returncode != 0, reason="needs namespaces"
)


@pytest.fixture(scope="module")
def cluster():
    with Cluster(cpus=1, environment=PAUSE) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """60 trials in one process."""
    folder = tmp_path_factory.mktemp("one")
    assert call("run", sixty(folder), "--out", folder / "out", "--executor", "inline").code == 0
    return {kind: rows(folder / "out", kind) for kind in ("trials", "traces", "predictions")}


def sixty(folder):
    return write_spec(folder, METHODS, seeds=[0, 1], max_retries=0)  # those of a lost node do not count


def wait_for_rows(process, out, count):
    with ended_on_error(process):
        while len(list((out / "trials").glob("*.parquet"))) < count:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)


def wait_for_row_of(process, out, host):
    """Until a row is the host's, or the sweep has ended."""
    with ended_on_error(process):
        while process.poll() is None and host not in hosts(out):
            time.sleep(0.2)


def hosts(out):
    return set(Results(str(out)).trials().table["host"].to_pylist())


@pytest.mark.soak
def test_a_node_that_joins_with_storage_of_its_own_is_named_when_its_first_row_is_missing(cluster, tmp_path):
    place = tmp_path / "shared"
    place.mkdir()
    out, path = place / "out", write_spec(tmp_path, METHODS, seeds=list(range(10)))
    process = start("run", path, "--out", out, "--address", cluster.address, **AUTHENTICATION)
    wait_for_rows(process, out, 2)
    late = cluster.add("late", hidden=place, access="rw")
    with ended_on_error(process):
        _, err = process.communicate(timeout=500)
    cluster.kill(late)
    assert (process.returncode, len(err.splitlines())) == (1, 1)
    assert f"{out}: node late stored a row that does not appear here: it is not the same storage" in err
    assert len(rows(out)) < 300


def test_a_node_that_ray_has_not_missed_yet_is_no_obstacle(cluster, tmp_path):
    cluster.kill(cluster.add("gone"))
    spec = write_spec(tmp_path, [{"name": "finetune", "epochs": 1}])
    ended = run("run", spec, "--out", tmp_path / "out", "--address", cluster.address, **AUTHENTICATION)
    assert (ended.code, ended.err) == (0, "")


def test_a_node_that_cannot_use_the_results_directory_is_named_before_anything_is_trained(cluster, tmp_path):
    place = tmp_path / "shared"
    place.mkdir()
    node = cluster.add("lonely", hidden=place)
    ended = run("run", sixty(tmp_path), "--out", place / "out", "--address", cluster.address, **AUTHENTICATION)
    cluster.kill(node)
    assert (ended.code, len(ended.err.splitlines())) == (2, 1)
    assert f"--out {place / 'out'}: node lonely (" in ended.err
    assert "Read-only file system" in ended.err
    assert [path for path in place.rglob("*") if path.is_file()] == []


@pytest.mark.soak
def test_a_cluster_that_loses_a_node_and_gets_another_writes_the_rows_of_one_process(cluster, expected, tmp_path):
    first, out = cluster.add("first"), tmp_path / "out"
    process = start("run", sixty(tmp_path), "--out", out, "--address", cluster.address, **AUTHENTICATION)
    wait_for_row_of(process, out, "first")
    cluster.kill(first)
    cluster.add("second")
    with ended_on_error(process):
        said, err = process.communicate(timeout=500)
    assert (process.returncode, err) == (0, "")
    assert {kind: rows(out, kind) for kind in expected} == expected
    assert not re.search(r"Last result|^Trial ", said, re.MULTILINE)  # lines of Ray Tune's own
    if missing := {"first", "second"} - hosts(out):
        pytest.skip(f"the sweep ended before a trial had started on {missing}: the machine is slow")
    assert len(hosts(out)) == 3


def test_a_node_with_another_version_installed_is_refused(cluster, tmp_path):
    """Packages are sent to every node; the version that the results name is that of the installed distribution."""
    place = tmp_path / "older"
    place.mkdir()
    (place / "sitecustomize.py").write_text("from importlib import metadata\nmetadata.version = lambda name: '0.0.9'\n")
    node = cluster.add("older", environment={"PYTHONPATH": str(place)})
    ended = run("run", sixty(tmp_path), "--out", tmp_path / "out", "--address", cluster.address, **AUTHENTICATION)
    cluster.kill(node)
    assert (ended.code, len(ended.err.splitlines())) == (2, 1)
    assert re.search(rf"node older \(.*\) runs code version 0\.0\.9\+\w+, not {re.escape(code_version())}$", ended.err)
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_a_cluster_that_asks_for_a_token_refuses_who_has_none(cluster, tmp_path):
    out = tmp_path / "out"
    ended = run("run", sixty(tmp_path), "--out", out, "--address", cluster.address, RAY_AUTH_MODE="disabled")
    assert ended.code == 2
    [line] = [line for line in ended.err.splitlines() if line.startswith("unlearn-sweep: ")]  # Ray's own come before
    assert "if the cluster asks for a token, set RAY_AUTH_MODE=token" in line
    assert not out.exists()


@pytest.mark.soak
def test_a_sweep_whose_head_is_lost_ends_and_goes_on_elsewhere(expected, tmp_path):
    out = tmp_path / "out"
    with Cluster(cpus=2, environment=PAUSE) as doomed:
        process = start("run", sixty(tmp_path), "--out", out, "--address", doomed.address, **AUTHENTICATION)
        wait_for_rows(process, out, 4)
        doomed.kill(doomed.head)
        with ended_on_error(process):
            _, err = process.communicate(timeout=300)
        assert process.returncode not in (0, None), err
        end_session(process.pid)
    assert call("run", sixty(tmp_path), "--out", out, "--executor", "inline").code == 0
    assert {kind: rows(out, kind) for kind in expected} == expected
