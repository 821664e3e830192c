"""Checks, before anything is run, that a spec's dataset and network allow what the spec asks for."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from methods import Descent, Method, Unsuitable
from methods.finetune import FineTune
from sweep.errors import InputError, first_line, inside
from sweep.plan.labels import check_labels
from sweep.spec.axis import combinations
from sweep.spec.plugins import find_dataset, find_kind, find_method, find_model
from sweep.spec.space import effective, make_space
from sweep.spec.sweep_spec import MethodSpec, Spec
from sweep.store.content_ids import canonical_json
from sweep.tasks.dataset import Dataset
from sweep.tasks.kind import Kind, Outline
from sweep.tasks.models import FEW, Files, try_on_few, try_out
from sweep.tasks.splits import LISTED
from sweep.words import counted


@dataclass(frozen=True)
class Checked:
    """What a check learned of a spec's task.

    Attributes:
        kind, outline: of its data.
        sizes: how many samples are retained and how many forgotten, by the forget set as trials' configs have it, in
            canonical JSON. They are those of one seed.
    """

    kind: Kind
    outline: Outline
    sizes: Mapping[str, tuple[int, int]]

    @property
    def typical(self) -> tuple[int, int]:
        """The sizes of the first forget set."""
        return next(iter(self.sizes.values()))


def check_task(spec: Spec, warn: Callable[[str], None] = lambda remark: None) -> Checked:
    """Check that the dataset has what the spec wants to forget, and that the network can be used on its samples.

    The sizes of sets are counted for the first seed, and for other seeds only where they might be too small.

    Args:
        warn: is called with each remark on the dataset, one line each.

    Raises:
        InputError: a forget set, a retain set, or what a test or a search is judged on would be empty; a method refuses
            its hyperparameters, or reads held-out samples that there are none of; the network cannot be built or used;
            or the dataset cannot be read.
    """
    dataset = spec.dataset
    _check_hyperparameters(spec)
    check_labels(spec)
    kind = find_kind(dataset.name)
    model = {"name": spec.model.name} | spec.model.own_options
    with inside("dataset"):
        outline = _outlined(find_dataset(dataset.name)(**dataset.own_options), dataset.name, model)
    splits = kind.splits(outline, {key: getattr(dataset, key) for key in type(dataset).model_fields})
    fewest = len(splits.rows), len(splits.rows)
    twins = (0, 0)
    passed: dict[str, set[int]] = {}
    sizes: dict[str, tuple[int, int]] = {}
    sets = [chosen for grid in spec.forget for chosen in grid.for_splits()]
    short = any(splits.may_run_short(chosen, FEW) for chosen in sets)
    for seed, chosen in product(spec.seeds if short else spec.seeds[:1], sets):  # else the first stands for all
        parts = splits.split(seed, chosen)
        splits.require_judges(parts, chosen, searched=spec.search is not None)
        identity = canonical_json({key: value for key, value in chosen.items() if key != LISTED})
        sizes[identity] = len(parts.retain), len(parts.forget)
        if LISTED in chosen:
            passed.setdefault(chosen["rows"], set()).add(len(chosen[LISTED]) - len(parts.forget))
        if outline.samples is not None:
            forget, retain = (outline.samples[splits.rows[part]] for part in (parts.forget, parts.retain))
            twins = max(twins, (int(np.isin(forget, retain).sum()), len(forget)))
        fewest = min(fewest[0], len(parts.retain)), min(fewest[1], len(parts.forget))
    _check_model(spec, kind, outline, fewest)
    for remark in outline.remarks:
        warn(f"dataset: {remark}")
    for listed in (each for grid in spec.forget for each in grid.lists()):
        if most := max(passed[listed.id]):
            count = f"{'up to ' if len(passed[listed.id]) > 1 else ''}{most} of {counted(len(listed.rows), 'row')}"
            warn(f"forget: not trained on (limit, validation, reference): {count} of '{listed.source}'")
    if twins[0]:
        warn(f"dataset: the retain set has copies of {twins[0]} of {counted(twins[1], 'forget sample')}")
    return Checked(kind, outline, sizes)


def _outlined(dataset: Dataset, name: str, model: Mapping[str, Any]) -> Outline:
    """What the dataset called `name` has.

    Raises:
        InputError, OSError: it cannot be read; whatever else a plugin raises is an InputError that names the place.
    """
    try:
        return dataset.outline(model)
    except (InputError, OSError):
        raise
    except (Exception, SystemExit) as error:
        if ":" not in name:
            raise
        place = traceback.extract_tb(error.__traceback__)[-1]
        why = f"{type(error).__name__}: {first_line(error)} ({place.filename}, line {place.lineno})"
        raise InputError(f"{name} cannot be read: {why}") from error


def _check_model(spec: Spec, kind: Kind, outline: Outline, fewest: tuple[int, int]) -> None:
    """Check that the network can be built, and trained on retain and forget sets that have at least `fewest` samples.

    Raises:
        InputError: it cannot.
    """
    name, builtin, size = spec.model.name, ":" not in spec.model.name, outline.size
    builder, options = find_model(name), spec.model.own_options
    if isinstance(builder, Files):  # which may be large: they are checked without being read
        with inside("model"):
            return builder.check(outline.outputs, outline.inputs, **options)
    problem, advice = f"be used on {outline.noun}s of {size}", ""
    try:
        network = try_out(builder, kind, outline, options, builtin)
        for what, method in _on_single_samples(spec, *fewest) if builtin else ():
            problem = f"train on a single {outline.noun} of {size}, as {what}"
            advice = f"; take larger batches, sets or {outline.noun}s"
            try_on_few(network, kind, outline, method, *fewest)
    except (Exception, SystemExit) as error:
        why = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(f"model: {name} cannot {problem}: {why}{advice}") from error


def _check_hyperparameters(spec: Spec) -> None:
    """Check that methods are for this kind of task, that they accept all values that they may get, and that samples are
    held out if one reads such.

    Of an interval that a search draws from, the lower end stands for all.

    Raises:
        InputError: a method is for another kind of task, refuses its hyperparameters, or reads held-out samples where
            there are none.
    """
    asked = [(f"methods.{index}", entry.name, entry.combinations()) for index, entry in enumerate(spec.methods)]
    for index, searched in enumerate(spec.search.methods if spec.search else ()):
        space = make_space(searched.name, find_method(searched.name), searched.own_options)
        drawn = {name: list(each.choices) or [each.low] for name, each in space.searched.items()}
        fixed = {name: [value] for name, value in space.fixed.items()}
        asked.append((f"search.methods.{index}", searched.name, combinations(fixed | drawn)))
    task = find_kind(spec.dataset.name)
    if spec.search is not None and not spec.training.epochs:
        raise InputError("search: it compares with Retrain, and training.epochs is 0")
    for path, name, asked_values in asked:
        kind = find_method(name)
        if kind.kinds is not None and not task.names & set(kind.kinds):
            raise InputError(f"{path}: {name} is for {' and '.join(kind.kinds)}; {spec.dataset.name} is {task.name}")
        if not spec.training.epochs and (not kind.needs_original or kind.shapes_training is not None):
            raise InputError(f"{path}: {name} trains with the recipe, and training.epochs is 0")
        refuses = kind.check_hyperparameters is not Method.check_hyperparameters
        reads = kind.needs_reference is not Method.needs_reference and not spec.dataset.reference
        if not (refuses or reads):  # its grid, which may be large, need not be looked at
            continue
        for values in asked_values:
            method = kind(**effective(kind, values))
            try:
                method.check_hyperparameters()
            except Unsuitable as error:
                raise InputError(f"{path}: {error}") from error
            if reads and method.needs_reference:
                advice = "set dataset.reference, as in 0.1"
                raise InputError(f"{path}: {name} with these hyperparameters reads held-out samples: {advice}")


def _on_single_samples(spec: Spec, retain: int, forget: int) -> Iterator[tuple[str, Descent]]:
    """Training and methods that would get a batch of one sample, in words and as a method to try out.

    Args:
        retain, forget: sizes of the smallest retain and forget sets.
    """
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
        for values in entry.combinations() if isinstance(entry, MethodSpec) else [{}]:
            method = kind(**values)
            if not isinstance(method, Descent) or (key := (entry.name, method.uses, method.batch_size)) in tried:
                continue
            tried.add(key)
            for used, count, part in zip(method.uses, (retain, forget), ("retain", "forget"), strict=True):
                if used and alone(count, method.batch_size):
                    words = f"{entry.name} would (batch_size {method.batch_size}, {count} to {part})"
                    yield words, replace(method, epochs=1)
                    break
