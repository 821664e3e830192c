"""`cluster.yaml` with nodes that are processes: a sweep on a head without CPUs gets its worker, which goes again."""

import contextlib
from pathlib import Path

import pytest
import yaml
from clusters import AUTHENTICATION, Cluster, wait_until
from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID, FAKE_HEAD_NODE_TYPE
from tiny_sweeps import BUILT_INS, ended_on_error, living, rows, start, write_spec

CONFIGURATION = Path(__file__).parents[2] / "cluster.yaml"
METHODS = [entry for entry in BUILT_INS if entry["name"] in ("original", "retrain", "uam")]
ENVIRONMENT = {
    "AUTOSCALER_UPDATE_INTERVAL_S": "1",
    "RAY_FAKE_CLUSTER": "1",
    "RAY_enable_autoscaler_v2": "1",  # as `ray up` does
    "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID,
    "RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID,
}


def on_this_machine(address):
    """`cluster.yaml` for Ray's provider of nodes that are processes: it sets nothing up; idle ones go in seconds."""
    configuration = yaml.safe_load(CONFIGURATION.read_text())
    types = configuration["available_node_types"]
    worker = types["gpu-worker"] | {"max_workers": 2, "resources": {"CPU": 1}, "node_config": {}}
    return configuration | {
        "provider": {
            "type": "external",
            "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
            "gcs_address": address,
            "head_node_id": FAKE_HEAD_NODE_ID,
            "launch_multiple": True,
            "use_node_id_as_ip": True,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
        },
        "idle_timeout_minutes": 0.1,
        "available_node_types": {FAKE_HEAD_NODE_TYPE: types["head"] | {"node_config": {}}, "gpu-worker": worker},
        "head_node_type": FAKE_HEAD_NODE_TYPE,
        "head_setup_commands": [],  # providers of clouds have defaults for these
        "worker_setup_commands": [],
        "initialization_commands": [],
        "cluster_synced_files": [],
    }


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(cpus=0, environment=ENVIRONMENT)
    path = tmp_path / "cluster.yaml"
    path.write_text(yaml.safe_dump(on_this_machine(cluster.address)))
    cluster.options.append(f"--autoscaling-config={path}")
    with cluster:
        yield cluster


def raylets(session):
    found = 0
    for pid in living(session):
        with contextlib.suppress(OSError):  # it has ended
            found += b"raylet/raylet\0" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return found


def test_a_sweep_gets_workers_where_there_are_none_and_they_go_when_it_has_ended(cluster, inline_sweep, tmp_path):
    out = tmp_path / "out"
    assert raylets(cluster.head.pid) == 1
    path = write_spec(tmp_path, METHODS, resources={"cpus": 1})
    process = start("run", path, "--out", out, "--address", cluster.address, **AUTHENTICATION)
    with ended_on_error(process):
        wait_until(lambda: raylets(cluster.head.pid) > 1)
        _, err = process.communicate(timeout=500)
    assert (process.returncode, err) == (0, "")
    assert all(row in rows(inline_sweep.out) for row in rows(out))
    assert len(rows(out)) == 3
    wait_until(lambda: raylets(cluster.head.pid) == 1)
