"""What was computed differently within one task: on other devices, by other code. Plain Python; imports no plugin."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from sweep.plan.code_version import package_version

DEVICES = "devices compute with different precision, so part of the differences is theirs"
"""What to say of `mixed_devices`."""

REMEDY = "--refresh repeats those of other code"
"""What to say of `mixed_code`."""

Configuration = tuple[str, str, str]
"""A task's id, a method, and its hyperparameters as in the column `params`."""


class Computed(NamedTuple):
    """What the row of a trial that ended ok says of the code that computed it.

    Attributes:
        configuration: trials that share it are averaged.
        names: the dataset, the model and the method: plugins among them are part of a version.
        code: the row's `code_version`.
        original: its `original_version`.
    """

    configuration: Configuration
    names: tuple[str, str, str]
    code: str
    original: str | None


@dataclass(frozen=True)
class MixedCode:
    """Code versions that meet where numbers are averaged or compared.

    Attributes:
        averaged: for each configuration whose trials are of several code versions, these, sorted.
        compared: for each task whose trials were computed by different states of the same code, their versions.
    """

    averaged: dict[Configuration, list[str]]
    compared: dict[str, list[str]]


def mixed_code(rows: Iterable[Computed]) -> MixedCode:
    """Find where code versions are mixed: the one rule for tables, figures and `status`.

    Trials that use different plugins have different versions although nothing was edited. So they are compared by the
    part of the version that is this package's, and trials that use the same plugins by the whole version.
    """
    versions: dict[Configuration, tuple[set[str], set[str]]] = {}
    alike: dict[tuple[str, tuple[str, ...]], tuple[set[str], set[str]]] = {}
    packages: dict[str, set[str]] = {}
    known: set[Computed] = set()
    for row in rows:
        if row in known:
            continue
        known.add(row)
        task = row.configuration[0]
        plugins = tuple(name for name in row.names if ":" in name)
        for found in (
            versions.setdefault(row.configuration, (set(), set())),
            alike.setdefault((task, plugins), (set(), set())),
        ):
            found[0].add(row.code)
            found[1].update([row.original] if row.original else [])
        packages.setdefault(task, set()).update(package_version(name) for name in (row.code, row.original) if name)
    compared = {task: sorted(found) for task, found in packages.items() if len(found) > 1}
    for (task, _), found in alike.items():
        if words := _several(*found):
            compared.setdefault(task, words)
    return MixedCode({key: words for key, found in versions.items() if (words := _several(*found))}, compared)


def _several(code: set[str], originals: set[str]) -> list[str]:
    """The versions of code, or those of originals, that are several."""
    if len(code) > 1:
        return sorted(code)
    return [f"originals of {name}" for name in sorted(originals)] if len(originals) > 1 else []


def mixed_devices(tasks: Iterable[str], devices: Iterable[str | None]) -> list[str]:
    """The devices of the trials of tasks that ran on several, sorted; none where each task ran on one."""
    found: dict[str, set[str]] = {}
    for task, device in zip(tasks, devices, strict=True):
        found.setdefault(task, set()).update([device] if device else [])
    return sorted(set().union(*(several for several in found.values() if len(several) > 1)))
