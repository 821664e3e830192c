"""From a spec to trials: the grid, the identity of each trial, and the originals they start from."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, TypeVar

import numpy as np

from methods import Descent
from methods.finetune import FineTune
from sweep.errors import InputError
from sweep.identity import canonical_json, content_id
from sweep.images import class_number
from sweep.location import absolute_location
from sweep.models import FEW, try_on_few, try_out
from sweep.registry import find_dataset, find_method, find_model
from sweep.space import effective
from sweep.spec import DatasetSpec, MethodSpec, Spec
from sweep.splits import Drawing, class_may_run_short, limited, noisy

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial.

    Attributes:
        id: hash of `config`.
        config: canonical JSON of exactly what determines the result: dataset, model, training, seed, forget, method.
        task_id: hash of all of it but seed and method: trials that may be averaged over seeds or compared share it.
        original_id: hash of what determines the original that the trial starts from; None if it needs none.
        method: name of the method.
        seed: the trial's seed.
        study: the search that asks for it, if one does; no part of its identity.
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

    Hyperparameters without effect beside the others are at their defaults, so that nothing is computed twice.

    Raises:
        InputError: the dataset is missing.
    """
    setting = {
        "dataset": canonical_json(dataset_identity(spec.dataset)),
        "model": canonical_json({"name": spec.model.name} | dict(spec.model.model_extra or {})),
        "training": canonical_json(spec.training.model_dump()),
    }
    forgets = [canonical_json(chosen) for grid in spec.forget for chosen in grid.sets()]
    tasks = [(forget, content_id(_join(setting | {"forget": forget}))) for forget in forgets]
    trials: dict[str, Trial] = {}
    originals: dict[tuple[int, str | None], str | None] = {}
    for name, method, shaping in _methods(spec):
        for seed in spec.seeds:
            if (seed, shaping) not in originals:
                originals[seed, shaping] = _original_id(setting, seed, shaping)
        for (forget, task_id), seed in product(tasks, spec.seeds):
            config = _join(setting | {"forget": forget, "method": method, "seed": str(seed)})
            trial = Trial(content_id(config), config, task_id, originals[seed, shaping], name, seed)
            trials.setdefault(trial.id, trial)
    return list(trials.values())


def dataset_identity(dataset: DatasetSpec) -> dict[str, Any]:
    """What determines a dataset's content: its name and options, but for where it lies, or a hash of its files.

    Raises:
        InputError: the dataset is missing.
    """
    kind = find_dataset(dataset.name)
    options = dict(dataset.model_extra or {})
    fingerprint = _read(lambda: kind(**options).fingerprint())
    usual = {item.name: item.default for item in dataclasses.fields(kind) if item.name in kind.came_later}
    identity = {"name": dataset.name} | {
        key: value
        for key, value in options.items()
        if key not in kind.located_by and not (key in usual and value == usual[key])
    }
    if fingerprint is not None:
        identity["fingerprint"] = fingerprint
    return identity | {key: getattr(dataset, key) for key in DatasetSpec.model_fields if key != "name"}


def check_task(spec: Spec, warn: Callable[[str], None] = lambda remark: None) -> None:
    """Look whether the dataset has what the spec wants to forget, and whether the network can be built for its images.

    `warn` is told what should be known of the dataset, a line each.

    Sets of samples are counted for the first seed, and for the others only where they might be as few as to matter.

    Raises:
        InputError: a forget set, or what it leaves to retain, or to test or judge a search on, would be empty; the
            network cannot be built, or not used; or the dataset cannot be read.
    """
    dataset = spec.dataset
    outline = _read(lambda: find_dataset(dataset.name)(**(dataset.model_extra or {})).outline())
    rows = limited(outline.labels, dataset.limit)
    true = outline.labels[rows]
    trained = noisy(true, dataset.label_noise, outline.classes)
    fewest = len(true), len(true)
    twins = (0, 0)
    sets = [(chosen.get("ratio"), chosen.get("class")) for grid in spec.forget for chosen in grid.sets()]
    classes = {label: class_number(label, outline.called) for _, label in sets if label is not None}
    short = any(class_may_run_short(trained, true, dataset.validation, each, FEW) for each in classes.values())
    for seed in spec.seeds if short else spec.seeds[:1]:  # else the first stands for all
        drawing = Drawing(trained, true, seed, dataset.validation)
        for ratio, label in sets:
            forgotten = None if label is None else classes[label]
            parts = drawing.split(ratio=ratio, forget_class=forgotten)
            if forgotten is not None and (outline.test_labels == forgotten).all():
                raise InputError(f"forget: every test sample is of class {label}, and accuracy is of the others")
            if outline.samples is not None:
                forget, retain = (outline.samples[rows[part]] for part in (parts.forget, parts.retain))
                twins = max(twins, (int(np.isin(forget, retain).sum()), len(forget)))
            if spec.search is not None and not (true[parts.validation] != forgotten).any():
                lacks = "is none" if forgotten is None else f"has none of a class other than {label}"
                share = f"{dataset.validation:g} of {len(true)} samples {lacks}"
                raise InputError(f"dataset.validation: {share}, and a search judges on them")
            fewest = min(fewest[0], len(parts.retain)), min(fewest[1], len(parts.forget))
    name, builtin, size = spec.model.name, ":" not in spec.model.name, " x ".join(map(str, outline.shape))
    problem, advice = f"be used on images of {size}", ""
    try:
        network = try_out(find_model(name), outline.classes, outline.shape, spec.model.model_extra or {}, builtin)
        for what, method in _on_single_samples(spec, *fewest) if builtin else ():
            problem = f"train on a single image of {size}, as {what}"
            advice = "; take larger batches, sets or images"
            try_on_few(network, outline.classes, outline.shape, method, *fewest)
    except Exception as error:
        why = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(f"model: {name} cannot {problem}: {why}{advice}") from error
    for remark in outline.remarks:
        warn(f"dataset: {remark}")
    if twins[0]:
        warn(f"dataset: {twins[0]} of {twins[1]} samples to be forgotten are retained too, of the same image and label")


def _on_single_samples(spec: Spec, retain: int, forget: int) -> Iterator[tuple[str, Descent]]:
    """What trains on batches of one sample where the retain and forget sets are as small as these, and words for it."""
    if 1 not in {retain, forget, spec.training.batch_size}.union(
        *(entry.grid.get("batch_size", ()) for entry in spec.methods)
    ):
        return  # a grid may be large

    def alone(count: int, batch_size: int) -> bool:
        return count == 1 or (batch_size == 1 and count > 2)  # see `batch_bounds`

    if alone(retain, spec.training.batch_size):
        words = f"training would (batch_size {spec.training.batch_size}, {retain} samples)"
        yield words, FineTune(epochs=1, batch_size=spec.training.batch_size)
    tried = set()
    for entry in [*spec.methods, *(spec.search.methods if spec.search else ())]:
        kind = find_method(entry.name)
        grid = entry.grid if isinstance(entry, MethodSpec) else {}
        for values in product(*grid.values()):
            method = kind(**dict(zip(grid, values, strict=True)))
            if not isinstance(method, Descent) or (key := (entry.name, method.uses, method.batch_size)) in tried:
                continue
            tried.add(key)
            for used, count, part in zip(method.uses, (retain, forget), ("retain", "forget"), strict=True):
                if used and alone(count, method.batch_size):
                    words = f"{entry.name} would (batch_size {method.batch_size}, {count} to {part})"
                    yield words, replace(method, epochs=1)
                    break


def _read(action: Callable[[], T]) -> T:
    """What `action` returns; bad input that it finds is named as the dataset's."""
    try:
        return action()
    except InputError as error:
        raise InputError(f"dataset: {error}") from error


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
        original_id=_original_id(setting, config["seed"], shaped),
        method=method["name"],
        seed=config["seed"],
        study=study,
    )


def location_options(dataset: DatasetSpec) -> dict[str, Any]:
    """The dataset's options that say where it lies, with absolute paths: workers need them, identities do not."""
    kind = find_dataset(dataset.name)
    options = {key: value for key, value in (dataset.model_extra or {}).items() if key in kind.located_by}
    return {key: absolute_location(value) if isinstance(value, str) else value for key, value in options.items()}


def _join(parts: dict[str, str]) -> str:
    """Canonical JSON of an object whose values are canonical JSON already."""
    return "{" + ",".join(f'"{key}":{parts[key]}' for key in sorted(parts)) + "}"


def _methods(spec: Spec) -> Iterator[tuple[str, str, str | None]]:
    """For each method and combination of hyperparameters: name, identity, and `_shaping`."""
    for entry in spec.methods:
        method = find_method(entry.name)
        for values in product(*entry.grid.values()):
            params = effective(method, dict(zip(entry.grid, values, strict=True)))
            identity = {"name": entry.name, "version": method.version, "params": params}
            yield entry.name, canonical_json(identity), _shaping(entry.name, params)


def _shaping(name: str, params: dict[str, Any]) -> str | None:
    """What the method adds to its original's identity ("" for the ordinary original); None if it needs no original."""
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
