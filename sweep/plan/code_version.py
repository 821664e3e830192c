"""Versions of code, as far as they can be told without importing it."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path


def method_version(config: str) -> int:
    """The version of the method in a trial's `config`; 0 if the config has none."""
    return int(json.loads(config).get("method", {}).get("version", 0))


COMPUTING = ("methods", "sweep.tasks", "sweep.trial")
"""The packages that compute results. Edits elsewhere do not change `code_version`."""


@cache
def code_version() -> str:
    """The version of the distribution, and a hash of the source of `COMPUTING`."""
    digest = hashlib.sha256()
    for package in COMPUTING:  # they may lie in different places on a cluster's nodes
        folder = Path(str(getattr(find_spec(package), "origin", ""))).parent
        for path in sorted(folder.rglob("*.py")):
            name = f"{package.replace('.', '/')}/{path.relative_to(folder).as_posix()}"
            digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{metadata.version('unlearn-sweep')}+{digest.hexdigest()[:8]}"


def package_version(version: str) -> str:
    """A row's version without the hash of plugins at its end: what `code_version` was when the row was computed."""
    return "+".join(version.split("+")[:2])
