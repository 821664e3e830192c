"""Which code computes what: versions of trials and of originals, for rows that another code may have written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from sweep.identity import code_version
from sweep.plan import Trial, describe
from sweep.registry import find_method, plugin_source


def trial_version(config: Mapping[str, Any]) -> str:
    """`code_version` and, where a trial's `config` (parsed JSON) names plugins, a hash of their source."""
    return _version(config, "dataset", "model", "method")


def original_version(config: Mapping[str, Any]) -> str:
    """The same for the original that a trial starts from: a method counts if it shapes its original's training."""
    shapes = find_method(config["method"]["name"]).shapes_training is not None
    return _version(config, "dataset", "model", *(["method"] if shapes else []))


def is_current(trial: Trial, version: str, original: str | None) -> bool:
    """Whether this code would compute a trial's row, and the original that it started from.

    Args:
        version: the row's `code_version`.
        original: its `original_version`; rows of code that did not store it are of another `code_version`.
    """
    config = describe(trial)
    return version == trial_version(config) and original in (None, original_version(config))


def _version(config: Mapping[str, Any], *parts: str) -> str:
    plugins = sorted({config[part]["name"] for part in parts if ":" in config[part]["name"]})
    if not plugins:
        return code_version()
    return f"{code_version()}+{hashlib.sha256(b''.join(map(plugin_source, plugins))).hexdigest()[:8]}"
