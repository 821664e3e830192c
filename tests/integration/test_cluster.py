import pytest
from clusters import AUTHENTICATION, Cluster, free_port
from tiny_sweeps import BUILT_INS, rows, run, write_shadows, write_spec

from sweep.plan.code_version import code_version
from sweep.store.results import Results

METHODS = [entry for entry in BUILT_INS if entry["name"] in ("original", "retrain", "uam")]


@pytest.fixture
def cluster():
    """The address of a Ray cluster of one node, which asks for a token."""
    with Cluster(cpus=2) as cluster:
        yield cluster.address


def test_a_cluster_writes_the_rows_that_inline_writes(cluster, inline_sweep, tmp_path):
    path, out, folder = write_spec(tmp_path, METHODS), tmp_path / "out", write_shadows(tmp_path / "mine")
    ended = run("run", path, "--out", out, "--address", cluster, prefix=["env", "-C", folder], **AUTHENTICATION)
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
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert f"--address {address}: no cluster answers" in ended.err
    assert not out.exists()
