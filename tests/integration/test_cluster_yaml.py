"""The cluster launcher's configuration, as Ray itself reads it."""

import json
import re
from pathlib import Path

import jsonschema
import ray.autoscaler
import yaml

ROOT = Path(__file__).parents[2]
CLUSTER = yaml.safe_load((ROOT / "cluster.yaml").read_text())


def test_ray_accepts_it():
    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    jsonschema.validate(CLUSTER, schema)


def test_the_head_computes_nothing_and_workers_come_and_go_as_spot_instances():
    head, worker = (CLUSTER["available_node_types"][name] for name in ("head", "gpu-worker"))
    assert CLUSTER["head_node_type"] == "head"
    assert head["resources"]["CPU"] == 0
    assert (worker["min_workers"], worker["max_workers"]) == (0, CLUSTER["max_workers"])
    assert worker["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}


def test_the_dashboard_listens_on_loopback_only():
    [start] = [line for line in CLUSTER["head_start_ray_commands"] if "--head" in line]
    assert "--dashboard-host=127.0.0.1" in start


def test_images_and_installation_have_the_versions_that_were_tested():
    pinned = re.search(r"^ray==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[1]
    assert all(f"ray:{pinned}-py311" in CLUSTER["docker"][key] for key in ("head_image", "worker_image"))
    assert "--constraint constraints.txt" in CLUSTER["setup_commands"][0]
    assert CLUSTER["file_mounts"]["~/unlearn-sweep"] == "."


def test_every_node_asks_for_the_token():
    assert CLUSTER["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    starts = [*CLUSTER["head_start_ray_commands"], *CLUSTER["worker_start_ray_commands"]]
    assert all(line == "ray stop" or line.startswith("RAY_AUTH_MODE=token ray start ") for line in starts)
