"""What a spec's names are called in tables and figures: what its `labels` say, and what plugins say of themselves."""

from __future__ import annotations

from methods import METHODS
from sweep.errors import InputError, nearest
from sweep.plan.trials import dataset_identity
from sweep.spec.plugins import find_method
from sweep.spec.sweep_spec import Spec
from sweep.store.directory import Directory
from sweep.store.labels import dataset_key, write_labels
from sweep.tasks.datasets import DATASETS

LONGEST = 60
"""Characters of a label."""


def check_labels(spec: Spec) -> None:
    """Raise InputError if a label is for a name that the spec does not have, is no line of text, or is given twice."""
    known = [spec.dataset.name, spec.model.name, *method_names(spec)]
    for name, label in spec.labels.items():
        if name not in known:
            raise InputError(f"labels: no '{name}' in this spec; {nearest(name, known)}")
        if not (label.strip() and label.isprintable() and len(label) <= LONGEST):
            raise InputError(f"labels.{name}: one line of 1 to {LONGEST} characters is wanted")
    if len(set(spec.labels.values())) < len(spec.labels):
        raise InputError("labels: two names have the same label")


def method_names(spec: Spec) -> list[str]:
    """The methods of a spec and of its search."""
    searched = [entry.name for entry in spec.search.methods] if spec.search is not None else []
    return [*dict.fromkeys([*(entry.name for entry in spec.methods), *searched])]


def proposed_labels(spec: Spec) -> dict[str, str]:
    """What a spec's plugin methods call themselves: their `label`, else their `name`.

    What a built-in method or data set is called, or two of them, proposes none: the two could not be told apart.
    """
    found: dict[str, str] = {}
    for name in method_names(spec):
        if ":" in name:
            method = find_method(name)
            label = getattr(method, "label", None) or vars(method).get("name")
            if isinstance(label, str) and 0 < len(label) <= LONGEST and label.isprintable():
                found[name] = label
    taken = {each.casefold() for each in (*METHODS, *DATASETS)}
    labels = [label.casefold() for label in found.values()]
    return {
        name: label
        for name, label in found.items()
        if label.casefold() not in taken and labels.count(label.casefold()) == 1
    }


def store_labels(results: Directory, spec: Spec) -> None:
    """Store the labels that a spec gives, and those that its plugins propose.

    Raises:
        OSError: they cannot be stored.
    """
    given, name = dict(spec.labels), spec.dataset.name
    if name in given:
        given[dataset_key(name, dataset_identity(spec.dataset).get("fingerprint"))] = given.pop(name)
    write_labels(results, given, proposed_labels(spec))
