"""Identity from content: the same description has the same id wherever and however it was written."""

from __future__ import annotations

import hashlib
import json
import math
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def canonical_json(value: Any) -> str:
    """JSON that depends on the value only: keys sorted, no white space, 1.0 written as 1.

    Raises:
        ValueError: a number is not finite.
    """
    return json.dumps(_normal(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _normal(value: Any) -> Any:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is not finite")
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, dict):
        return {str(key): _normal(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_normal(item) for item in value]
    return value


def content_id(text: str) -> str:
    """16 hexadecimal digits of the text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def method_version(config: str) -> int:
    """The version of the method that a trial's `config` names; 0 if it tells none."""
    return int(json.loads(config).get("method", {}).get("version", 0))


@cache
def code_version() -> str:
    """The distribution's version and a hash of the source that computes results (`methods`, `sweep`)."""
    digest = hashlib.sha256()
    for package in ("methods", "sweep"):  # on a cluster's nodes they lie in different places
        folder = Path(str(getattr(find_spec(package), "origin", ""))).parent
        for path in sorted(folder.rglob("*.py")):
            name = f"{package}/{path.relative_to(folder).as_posix()}"
            digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{metadata.version('unlearn-sweep')}+{digest.hexdigest()[:8]}"


def package_version(version: str) -> str:
    """The part of a row's version that is `code_version`'s; after it comes what tells versions of plugins apart."""
    return "+".join(version.split("+")[:2])
