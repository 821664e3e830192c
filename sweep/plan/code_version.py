"""Which code computed what, as far as that can be told without importing it."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path


def method_version(config: str) -> int:
    """The version of the method that a trial's `config` names; 0 if it tells none."""
    return int(json.loads(config).get("method", {}).get("version", 0))


COMPUTING = ("methods", "sweep.tasks", "sweep.trial")
"""The packages that results follow from. Whatever else is edited makes no row older."""


@cache
def code_version() -> str:
    """The distribution's version and a hash of the source that computes results: `COMPUTING`."""
    digest = hashlib.sha256()
    for package in COMPUTING:  # on a cluster's nodes they lie in different places
        folder = Path(str(getattr(find_spec(package), "origin", ""))).parent
        for path in sorted(folder.rglob("*.py")):
            name = f"{package.replace('.', '/')}/{path.relative_to(folder).as_posix()}"
            digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{metadata.version('unlearn-sweep')}+{digest.hexdigest()[:8]}"


def package_version(version: str) -> str:
    """The part of a row's version that is `code_version`'s; after it comes what tells versions of plugins apart."""
    return "+".join(version.split("+")[:2])
