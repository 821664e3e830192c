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


def test_images_have_the_version_of_ray_that_was_tested():
    pinned = re.search(r"^ray==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[1]
    assert all(f"ray:{pinned}-py311" in CLUSTER["docker"][key] for key in ("head_image", "worker_image"))
