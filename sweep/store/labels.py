"""What methods, data sets and networks are called in tables and figures: `labels.json` of a results directory.

A label belongs to a name, not to a trial, and is part of no identity: it may be given, or changed, when all has run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from sweep.store.directory import Directory

PATH = "labels.json"

_learnt: dict[str, str] = {}


def dataset_key(name: str, fingerprint: str | None) -> str:
    """The key of a data set: sets of one name and other files are other sets."""
    return name if fingerprint is None else f"{name} {fingerprint}"


def read_labels(results: Directory) -> dict[str, str]:
    """The labels of a results directory by the names in its rows; what cannot be read counts as absent.

    Raises:
        OSError: there is no reading here.
    """
    try:
        found = json.loads(results.read(PATH) or b"{}")
    except (ValueError, RecursionError):
        return {}
    return {name: label for name, label in found.items() if isinstance(label, str)} if isinstance(found, dict) else {}


def write_labels(results: Directory, given: Mapping[str, str], proposed: Mapping[str, str]) -> None:
    """Add labels to those of a results directory: `given` ones replace those that are there, `proposed` ones do not.

    Raises:
        OSError: they cannot be stored.
    """
    if not (given or proposed):
        return
    before = read_labels(results)
    after = {**proposed, **before, **given}
    if after != before:
        results.write(PATH, json.dumps(after, indent=1, sort_keys=True, ensure_ascii=False).encode())


def learn_labels(results: Directory) -> None:
    """Make the labels of a results directory those of `label_of`, in the place of all that it had.

    Raises:
        OSError: there is no reading here.
    """
    labels = read_labels(results)
    _learnt.clear()
    _learnt.update(labels)


def label_of(name: str) -> str | None:
    """The label of a name in the results directory that was read last, if it has one."""
    return _learnt.get(name)
