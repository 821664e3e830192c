"""From a spec to trials: the grid, the identity of each trial, and the originals they start from."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from sweep.errors import inside
from sweep.spec.plugins import find_dataset, find_method, find_model
from sweep.spec.space import effective, identifying
from sweep.spec.sweep_spec import ModelSpec, Spec
from sweep.store.content_ids import canonical_json, content_id
from sweep.store.location import absolute_location, expanded
from sweep.tasks.kind import DatasetSpec
from sweep.tasks.models import Files


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial.

    Attributes:
        id: hash of `config`.
        config: canonical JSON of exactly what determines the result: dataset, model, training, seed, forget, method.
        task_id: hash of `config` without seed and method: trials with the same one may be averaged and compared.
        original_id: hash of what determines the original that the trial starts from; None if it starts from none, or
            from the network as it was built (`training.epochs` 0).
        method: name of the method.
        seed: the trial's seed.
        study: the study that asks for the trial, if one does; no part of its identity.
    """

    id: str
    config: str
    task_id: str
    original_id: str | None
    method: str
    seed: int
    study: str | None = None


def plan_trials(spec: Spec) -> list[Trial]:
    """The distinct trials of a spec, in the order of its methods, forget sets and seeds.

    A hyperparameter that has no effect beside the others gets its default, so that nothing is computed twice.

    Raises:
        InputError: the dataset is missing.
    """
    setting = {
        "dataset": canonical_json(dataset_identity(spec.dataset)),
        "model": canonical_json(model_identity(spec.model)),
        "training": canonical_json(spec.training.model_dump()),
    }
    forgets = [canonical_json(chosen) for grid in spec.forget for chosen in grid.sets()]
    tasks = [(forget, content_id(_join(setting | {"forget": forget}))) for forget in forgets]
    trials: dict[str, Trial] = {}
    originals: dict[tuple[int, str | None], str | None] = {}
    for name, method, shaping in _methods(spec):
        for seed in spec.seeds:
            if (seed, shaping) not in originals:
                originals[seed, shaping] = _original_id(setting, seed, shaping) if spec.training.epochs else None
        for (forget, task_id), seed in product(tasks, spec.seeds):
            config = _join(setting | {"forget": forget, "method": method, "seed": str(seed)})
            trial = Trial(content_id(config), config, task_id, originals[seed, shaping], name, seed)
            trials.setdefault(trial.id, trial)
    return list(trials.values())


def dataset_identity(dataset: DatasetSpec) -> dict[str, Any]:
    """What determines a dataset's content: its name, its options except for where it lies, and a hash of its files.

    Raises:
        InputError: the dataset is missing.
    """
    kind = find_dataset(dataset.name)
    options = dataset.own_options
    with inside("dataset"):
        fingerprint = kind(**options).fingerprint()
    usual = {item.name: item.default for item in dataclasses.fields(kind) if item.name in kind.came_later}
    identity = {"name": dataset.name} | {
        key: value
        for key, value in options.items()
        if key not in kind.located_by and not (key in usual and value == usual[key])
    }
    if fingerprint is not None:
        identity["fingerprint"] = fingerprint
    shared = {
        key: getattr(dataset, key)
        for key, field in type(dataset).model_fields.items()
        if key != "name" and not (key in dataset.came_later and getattr(dataset, key) == field.default)
    }
    return identity | shared


def model_identity(model: ModelSpec) -> dict[str, Any]:
    """What determines a network before training: its name, its options except for where its files lie, and their hash.

    Raises:
        InputError: the files are missing.
    """
    files, options = find_model(model.name), model.own_options
    if not isinstance(files, Files):
        return {"name": model.name} | options
    with inside("model"):
        fingerprint = files.fingerprint(**_located(files, options))
    rest = {key: value for key, value in options.items() if key not in files.located_by}
    return {"name": model.name, "fingerprint": fingerprint} | rest


def _located(files: Files, options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: options[key] for key in files.located_by if key in options}


def trial_for(config: dict[str, Any], study: str | None = None) -> Trial:
    """The trial that a stored `config` (parsed JSON) describes."""
    setting = {key: canonical_json(config[key]) for key in ("dataset", "model", "training")}
    method = config["method"]
    shaped = _shaping(method["name"], method["params"])
    text = canonical_json(config)
    return Trial(
        id=content_id(text),
        config=text,
        task_id=content_id(_join(setting | {"forget": canonical_json(config["forget"])})),
        original_id=_original_id(setting, config["seed"], shaped) if config["training"]["epochs"] else None,
        method=method["name"],
        seed=config["seed"],
        study=study,
    )


def location_options(dataset: DatasetSpec) -> dict[str, Any]:
    """The dataset's options that say where it lies, with absolute paths. Identities leave them out."""
    kind = find_dataset(dataset.name)
    options = {key: value for key, value in dataset.own_options.items() if key in kind.located_by}
    return {key: absolute_location(value) if isinstance(value, str) else value for key, value in options.items()}


def model_location(model: ModelSpec) -> dict[str, Any]:
    """The network's options that say where its files lie, with absolute paths. Identities leave them out."""
    files = find_model(model.name)
    options = _located(files, model.own_options) if isinstance(files, Files) else {}
    return {key: absolute_folder(value) if isinstance(value, str) else value for key, value in options.items()}


def absolute_folder(place: str) -> str:
    """An absolute path if there is such a folder, else what names something elsewhere."""
    folder = expanded(place)
    return str(folder.absolute()) if folder.is_dir() else place


def _join(parts: dict[str, str]) -> str:
    """Canonical JSON of an object, given the canonical JSON of each value."""
    return "{" + ",".join(f'"{key}":{parts[key]}' for key in sorted(parts)) + "}"


def _methods(spec: Spec) -> Iterator[tuple[str, str, str | None]]:
    """For each method and each combination of its hyperparameters: its name, identity and `_shaping`."""
    for entry in spec.methods:
        method = find_method(entry.name)
        for values in entry.combinations():
            params = effective(method, values)
            named = identifying(method, params)
            identity = {"name": entry.name, "version": method.version, "params": named}
            yield entry.name, canonical_json(identity), _shaping(entry.name, params)


def _shaping(name: str, params: dict[str, Any]) -> str | None:
    """What a method adds to its original's identity: "" for the ordinary original; None if it needs no original."""
    method = find_method(name)
    if not method.needs_original:
        return None
    if method.shapes_training is None:
        return ""
    chosen = {key: params[key] for key in method.shapes_training}
    return canonical_json({"name": name, "version": method.version, "params": chosen})


def _original_id(setting: dict[str, str], seed: int, shaping: str | None) -> str | None:
    if shaping is None:
        return None
    return content_id(_join(setting | {"seed": str(seed)} | ({"method": shaping} if shaping else {})))


def describe(trial: Trial) -> dict[str, Any]:
    """The trial's `config` as plain data."""
    config: dict[str, Any] = json.loads(trial.config)
    return config
