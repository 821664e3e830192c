"""The first spec of a sweep of one's own, with comments that say what else it may say."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from methods import Method
from sweep.errors import InputError, inside, nearest
from sweep.spec.folder_layout import image_folder_options
from sweep.spec.plugins import find_dataset, find_kind, find_method
from sweep.spec.spec_file import read_yaml
from sweep.spec.sweep_spec import parse_spec
from sweep.store.columns import REFERENCES
from sweep.store.location import absolute_location, expanded
from sweep.tasks.dataset import kind_of
from sweep.tasks.kind import Kind
from sweep.tasks.shards import find_shards

SPLITS = ("test", "validation", "valid", "val")
"""What folders and files with test data are called, the best name first."""


@dataclass(frozen=True)
class Start:
    """What a first spec says for a data set: its options, a network, and the recipe that trains it."""

    dataset: Mapping[str, Any]
    model: str
    training: Mapping[str, Any]


IMAGES: Mapping[str, Any] = {"epochs": 30, "lr": 0.1, "batch_size": 128}
STARTS = {
    "digits": Start({"label_noise": 0.2}, "small-cnn", {"epochs": 40, "lr": 0.1, "batch_size": 64}),
    "cifar10": Start({"download": True}, "resnet18", IMAGES),
    "cifar100": Start({"download": True}, "resnet18", IMAGES),
    "diabetes": Start({"target_noise": 0.5}, "mlp", {"epochs": 200, "lr": 0.05, "batch_size": 32}),
    "invented-people": Start({}, "tiny-llama", {"epochs": 30, "lr": 0.001, "batch_size": 32}),
}
"""By the name of a data set that needs no files of the user's own."""


def first_spec(path: Path, data: str, model: str | None, methods: Sequence[str], seeds: int, forget: str) -> str:
    """The text of a spec file. It is read once before it is returned, so it says nothing that a spec may not say.

    Args:
        path: where it will be written; its stem is the sweep's name.
        data: one of `STARTS`, or a folder: of Parquet files, or of image files in `train/<class>/` and `test/<class>/`.
        model: the network; None: one that suits the data.
        methods: beside Original and Retrain.
        seeds: how many.
        forget: a share, as 0.1, or `class:LABEL`.

    Raises:
        InputError: something is not as described.
    """
    dataset, start = _data(data)
    known, kind = find_dataset(dataset["name"]), find_kind(dataset["name"])
    chosen = [(each, _method(each, kind)) for each in dict.fromkeys(methods) if each not in REFERENCES]
    lines = [
        f"# What would run: unlearn-sweep plan {path}",
        f"# Run it, or go on after any interruption: unlearn-sweep run {path}",
        f"name: {_word(path.stem)}",
        "",
        f"# {' '.join(inspect.cleandoc(known.__doc__ or '').splitlines()[:1])}",
        f"# Its other options: unlearn-sweep list datasets {dataset['name']}",
        f"dataset: {_flow(dataset)}",
        "",
        "# Others: unlearn-sweep list models",
        f"model: {_flow({'name': model or start.model})}",
        "",
        "# The recipe that trains the original model, and Retrain without the forget set.",
        f"training: {_flow(start.training)}",
        "",
        "# A grid axis, as is every list or range below. Three seeds show much; ten tell methods apart.",
        f"seeds: range(0, {seeds})",
        "",
        "# Which training samples are forgotten; a list of shares or classes is a grid axis.",
        f"forget: {_flow(_forgotten(forget, names=dataset['name'] == 'folder'))}",
        "",
        "# Take a hyperparameter's # away to set it, as one value, a list, or a range such as range(0.5, 2, 0.5).",
        "methods:",
        "  - name: original  # does nothing",
        "  - name: retrain  # trained anew without the forget set: what all others are compared with",
        *(line for each, method in chosen for line in _entry(each, method)),
    ]
    text = "\n".join(lines) + "\n"
    parse_spec(read_yaml(text, str(path)))
    return text


def suited_model(data: str) -> str:
    """A network that suits a data set, given as for `first_spec`."""
    return _data(data)[1].model


def default_methods(data: str) -> list[str]:
    """Methods that suit a data set, given as for `first_spec`."""
    kind = kind_of(find_dataset(_data(data)[0]["name"])).name
    return ["finetune", "neggrad", "scrub" if kind == "classification" else "influence", "uam"]


def _method(name: str, kind: Kind) -> type[Method]:
    with inside("--methods"):
        method = find_method(name)
    if method.kinds is not None and not kind.names & set(method.kinds):
        raise InputError(f"--methods: {name} is for {' and '.join(method.kinds)}, and these data are {kind.name}")
    return method


def _data(data: str) -> tuple[dict[str, Any], Start]:
    """The section `dataset`, and what goes with it."""
    if data in STARTS:
        return {"name": data, **STARTS[data].dataset}, STARTS[data]
    folder = expanded(data)
    if not folder.is_dir():
        raise InputError(f"--data: '{data}' is no folder and no data set; {nearest(data, STARTS)}")
    absolute_location(data)  # raises InputError where a spec cannot name it
    found = _parquet(data) if any(folder.rglob("*.parquet")) else image_folder_options(folder, SPLITS)
    return found | {"path": data}, Start({}, "small-cnn", IMAGES)


def _parquet(data: str) -> dict[str, Any]:
    """The options of a folder of Parquet files with images; which of their names are of test data."""
    for split in SPLITS:
        try:
            find_shards(data, split, other="train", option="test_split")
        except InputError:
            continue
        return {"name": "parquet"} | ({} if split == SPLITS[0] else {"test_split": split})
    raise InputError(f"--data: '{data}' has no Parquet files for test data; their names start with test")


def _forgotten(forget: str, names: bool) -> dict[str, Any]:
    """The section `forget`; `names`: whether classes are called by names, also where these are digits."""
    scenario, separator, label = forget.partition(":")
    if separator and scenario == "class":
        return {"scenario": "class", "class": int(label) if label.isdecimal() and not names else label}
    try:
        return {"scenario": "random", "ratio": float(forget)}
    except ValueError:
        raise InputError(f"--forget: '{forget}' is neither a share, as 0.1, nor class:LABEL") from None


def _entry(name: str, method: type[Method]) -> list[str]:
    """A method, and its hyperparameters at their defaults as comments."""
    about = " ".join(inspect.cleandoc(method.__doc__ or "").partition("\n\n")[0].split())
    lines = [f"  - name: {_word(name)}  # {about}"]
    for item in dataclasses.fields(method):
        lines.append(f"    # {item.name}: {_word(item.default)}  # {item.metadata.get('meaning', '')}".rstrip())
    return lines


def _flow(section: Mapping[str, Any]) -> str:
    """A section on one line."""
    return "{" + ", ".join(f"{key}: {_word(value)}" for key, value in section.items()) + "}"


def _word(value: object) -> str:
    """A value as YAML; text in quotes where YAML would take it for something else."""
    if isinstance(value, str) and value and value.replace("-", "").replace("_", "").isalpha():
        return value if read_yaml(value, "") == value else json.dumps(value)
    return json.dumps(value, ensure_ascii=False)
