"""Versions of trials and originals: which code, plugins included, computes them, and what other code computed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from sweep.plan.code_version import code_version, package_version
from sweep.plan.trials import Trial, describe
from sweep.spec.plugins import find_method, plugin_source
from sweep.words import counted, them

Names = tuple[str, str, str]
"""Names of a trial's dataset, model and method."""


def trial_version(config: Mapping[str, Any]) -> str:
    """`code_version`, and a hash of the source of the plugins that a trial's `config` (parsed JSON) names, if any."""
    return _version(_names(config))


def original_version(config: Mapping[str, Any]) -> str:
    """The same for the trial's original. The method counts only if it shapes the training of its originals."""
    return _original_version(_names(config))


def is_current(trial: Trial, version: str, original: str | None) -> bool:
    """Whether this version of the code computed a trial's row and its original.

    Args:
        version: the row's `code_version`.
        original: the row's `original_version`; None if the trial started from no original.
    """
    config = describe(trial)
    return version == trial_version(config) and original in (None, original_version(config))


def other_versions(rows: Iterable[tuple[Names, str, str | None]]) -> list[str]:
    """How many trials another version of the code or of a plugin computed, a line for each version or plugin.

    Args:
        rows: for each trial the names, the row's `code_version` and its `original_version`.
    """
    current: dict[Names, tuple[str, str]] = {}
    counts: Counter[str] = Counter()
    for names, code, original in rows:
        if names not in current:
            current[names] = _version(names), _original_version(names)
        ours, our_original = current[names]
        if code != ours:
            counts[f"by {_another(names, code)}"] += 1
        elif original not in (None, our_original):
            counts[f"from originals by {_another(names, original)}"] += 1
    return [
        f"{counted(count, 'trial')} done before {what}; --refresh repeats {them(count)}"
        for what, count in counts.items()
    ]


def _another(names: Names, version: str | None) -> str:
    package = package_version(version or "")
    if package != code_version():
        return f"code version {package}, not {code_version()}"
    return f"another version of {' or '.join(dict.fromkeys(name for name in names if ':' in name))}"


def _names(config: Mapping[str, Any]) -> Names:
    return config["dataset"]["name"], config["model"]["name"], config["method"]["name"]


def _original_version(names: Names) -> str:
    return _version(names if find_method(names[2]).shapes_training is not None else names[:2])


def _version(names: tuple[str, ...]) -> str:
    plugins = sorted({name for name in names if ":" in name})
    if not plugins:
        return code_version()
    return f"{code_version()}+{hashlib.sha256(b''.join(map(plugin_source, plugins))).hexdigest()[:8]}"
