"""The specification of a sweep: what a spec file may say, checked, with every default filled in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationInfo, create_model, field_validator, model_validator
from pydantic_core import PydanticCustomError

from sweep.errors import InputError, inside
from sweep.spec.axis import axis, combinations
from sweep.spec.complaints import validated
from sweep.spec.forget_section import ForgetSpec
from sweep.spec.options import method_grid, option_model
from sweep.spec.plugins import find_dataset, find_kind, find_method, find_model
from sweep.spec.search_section import SearchSpec, Seed
from sweep.spec.source import Overrides, Source
from sweep.spec.space import make_space
from sweep.spec.spec_file import read_document, write_yaml
from sweep.store.directory import Directory
from sweep.store.relearning import Taught
from sweep.tasks.kind import DatasetSpec, Kind, Wanted
from sweep.tasks.recipes import Recipe, TrainingSpec
from sweep.tasks.sections import OpenSection, Section

PROVIDED_TO_MODELS = 2
"""Arguments of a model's builder that the data decides: outputs and inputs."""


class ModelSpec(OpenSection):
    """Which network; further keys are its own options."""

    name: str = "small-cnn"


class ResourcesSpec(Section):
    """What one trial takes up."""

    cpus: float = Field(1, gt=0, le=1024, description="CPU cores, and torch threads")
    gpus: float | None = Field(None, ge=0, description="GPUs; null: a quarter where there are any, else none")


class ProbeSpec(Section):
    """What a trial records of its path. It changes no result."""

    every: int = Field(5, ge=0, description="probe at the start, every so many epochs, and at the end; 0: never")
    samples: int = Field(64, ge=1, description="retain samples, and as many forget samples, that are looked at")


class RelearnSpec(Section):
    """What a copy of each unlearned model is fine-tuned on, to see what it still holds. It changes no trial."""

    data: Taught = Field("retain", description="retain: what comes back unasked; forget: how many steps it takes")
    epochs: int = Field(3, ge=1, description="passes over these samples")
    lr: float | None = Field(None, gt=0, description="learning rate; null: a tenth of training.lr")
    batch_size: int | None = Field(None, ge=1, description="samples per step; null: as in training")


class MethodSpec(OpenSection):
    """A method and the values of its hyperparameters; a list is a grid axis."""

    name: str
    zip: dict[str, Any] | None = Field(
        None, description="hyperparameters that vary together, each with as many values: one grid axis"
    )

    @property
    def grid(self) -> dict[str, list[Any]]:
        """The values of every hyperparameter, defaults filled in."""
        return self.own_options | (self.zip or {})

    def combinations(self) -> Iterator[dict[str, Any]]:
        """Every combination of values of the hyperparameters, those under `zip` taken in step."""
        return (values for grid in self._unzipped() for values in combinations(grid))

    def written_out(self) -> list[dict[str, Any]]:
        """Entries without `zip` that stand for this one, as plain data."""
        return [{"name": self.name} | {key: _bare(grid[key]) for key in grid} for grid in self._unzipped()]

    def _unzipped(self) -> Iterator[dict[str, list[Any]]]:
        """A grid for each place in the lists under `zip`; the only one if there are none."""
        for together in zip(*self.zip.values(), strict=True) if self.zip else [()]:
            yield self.grid | {key: [value] for key, value in zip(self.zip or (), together, strict=True)}


class Spec(Section):
    """A sweep: every method, with every combination of its hyperparameters, on every seed and forget set."""

    name: str = Field(description="names the results directory; no part of a trial's identity")
    dataset: DatasetSpec = DatasetSpec()
    model: ModelSpec = ModelSpec()
    training: Recipe = TrainingSpec()
    seeds: axis(Seed) = Field([0, 1, 2], description="one grid axis")  # type: ignore[valid-type]
    forget: axis(ForgetSpec) = Field([ForgetSpec()], description="forget sets")  # type: ignore[valid-type]
    search: SearchSpec | None = Field(None, description="hyperparameters that `unlearn-sweep search` finds")
    methods: list[MethodSpec] = Field(description="may be left out where there is a search")
    resources: ResourcesSpec = ResourcesSpec()
    probe: ProbeSpec = ProbeSpec()
    max_retries: int = Field(1, ge=0, description="times that a trial that raised, or whose process died, is run again")
    trial_timeout: float | None = Field(
        None, gt=0, description="seconds that an attempt of a trial, or to train an original, may take; null: any"
    )
    predictions: Wanted = Field(
        True,
        description="whose outputs are kept, sample by sample: true, forget, test and validation samples and as many "
        "retain samples as test samples; forget, the forget samples alone; all, every retain sample too",
    )
    forget_information: bool = Field(False, description="measure ι, a pass of gradients over each forget sample")
    labels: dict[str, str] = Field(
        {}, description="what methods, the dataset and the model are called in tables and figures, by their names"
    )
    relearn: RelearnSpec | None = Field(None, description="fine-tune a copy of each unlearned model; null: do not")

    @model_validator(mode="before")
    @classmethod
    def _search_needs_no_methods(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("search") is not None:
            return {"methods": []} | data
        return data

    @field_validator("methods")
    @classmethod
    def _something_to_run(cls, methods: list[MethodSpec], info: ValidationInfo) -> list[MethodSpec]:
        if not methods and info.data.get("search") is None:
            raise PydanticCustomError("too_short", "an empty list")
        return methods

    @field_validator("predictions", mode="before")
    @classmethod
    def _known_predictions(cls, wanted: Any) -> Any:
        if not isinstance(wanted, bool) and wanted not in ("forget", "all"):  # a Literal takes 1 for true
            raise ValueError(f"{wanted!r} is unknown; valid: true, false, forget, all")
        return wanted

    @field_validator("name")
    @classmethod
    def _file_name(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise ValueError("use letters, digits, '.', '_' and '-' only")
        return name

    def find_lists(self, results: Directory) -> None:
        """Take lists of rows to forget whose files are missing from the results directory (`ForgetSpec.find_lists`)."""
        for grid in self.forget:
            grid.find_lists(results)

    def to_yaml(self) -> str:
        """The spec with every default, range and `zip` written out; reading it again gives the same trials."""
        document = self.model_dump(by_alias=True)
        if self.search is None:
            del document["search"]
        if not self.labels:
            del document["labels"]
        document["methods"] = [written for entry in self.methods for written in entry.written_out()]
        return write_yaml(document)


def _bare(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def load_spec(source: Source, overrides: Overrides | None = None) -> Spec:
    """Read a spec, apply overrides, check it and fill in every default. A spec without `name` is named after its file.

    Raises:
        InputError: one line with the file, the key, what is wrong, and the nearest valid name.
    """
    name, document = read_document(source, overrides or [])
    if not isinstance(source, Mapping):
        document.setdefault("name", Path(name).stem)
    with inside(name):
        return parse_spec(document)


def parse_spec(document: dict[str, Any]) -> Spec:
    """Check a spec given as plain data.

    Raises:
        InputError: one line with the key, what is wrong, and the nearest valid name.
    """
    kind = _kind(document)
    spec: Spec = validated(_spec_model(kind), document)
    _check_scenarios(spec, kind)
    dataset = _with_options(spec.dataset, "dataset", lambda name: option_model(find_dataset(name)))
    loader = find_dataset(dataset.name)
    usual = {key: getattr(loader, key, None) for key in type(spec.dataset).model_fields}
    unset = {key: value for key, value in usual.items() if value is not None and getattr(dataset, key) is None}
    dataset = dataset.model_copy(update=unset)
    model = _with_options(spec.model, "model", lambda name: option_model(find_model(name), PROVIDED_TO_MODELS))
    entries = [_with_hyperparameters(entry, f"methods.{index}") for index, entry in enumerate(spec.methods)]
    if spec.search is not None:
        _check_search(spec)
    return spec.model_copy(update={"dataset": dataset, "model": model, "methods": entries})


def _kind(document: Any) -> Kind:
    """The kind of task that a document is about, as far as it can be told before the document is checked."""
    section = document.get("dataset") if isinstance(document, dict) else None
    name = section.get("name") if isinstance(section, dict) else None
    name = name if isinstance(name, str) else DatasetSpec().name
    try:
        find_dataset(name)
    except InputError:  # the check of the whole document says so
        name = DatasetSpec().name
    with inside("dataset.name"):
        return find_kind(name)


@cache
def _spec_model(kind: Kind) -> type[Spec]:
    """The model of a spec for one kind of task."""
    return create_model(
        "Spec",
        __base__=Spec,
        dataset=(kind.dataset_keys, Field(default_factory=kind.dataset_keys)),
        training=(kind.training_keys, Field(default_factory=kind.training_keys)),
    )


def _check_scenarios(spec: Spec, kind: Kind) -> None:
    for index, chosen in enumerate(spec.forget):
        if chosen.scenario not in kind.scenarios:
            known = " and ".join(kind.scenarios)
            raise InputError(f"forget.{index}.scenario: {kind.name} has {known}, not {chosen.scenario}")


def _check_search(spec: Spec) -> None:
    assert spec.search is not None
    for index, entry in enumerate(spec.search.methods):
        path = f"search.methods.{index}"
        with inside(f"{path}.name"):
            method = find_method(entry.name)
        try:
            make_space(entry.name, method, entry.own_options)
        except InputError as error:
            raise InputError(f"{path}.{error}") from error
    if not spec.dataset.validation:
        raise InputError("dataset.validation: a search judges on validation data; hold some out, as in 0.1")


def _with_hyperparameters(entry: MethodSpec, path: str) -> MethodSpec:
    """The entry with the values of all hyperparameters, those under `zip` included, checked and filled in."""
    checked: MethodSpec = _with_options(entry, path, lambda name: method_grid(find_method(name)))
    if entry.zip is None:
        return checked
    if not entry.zip:
        raise InputError(f"{path}.zip: names no hyperparameter")
    if twice := sorted(entry.zip.keys() & entry.own_options.keys()):
        raise InputError(f"{path}.zip.{twice[0]}: stands beside zip too; leave out one of the two")
    given = validated(method_grid(find_method(entry.name)), entry.zip, (*path.split("."), "zip"))
    together = {key: getattr(given, key) for key in entry.zip}
    if len(set(map(len, together.values()))) > 1:
        counts = ", ".join(f"{key} has {len(values)}" for key, values in together.items())
        raise InputError(f"{path}.zip: all need as many values: {counts}")
    return checked.model_copy(update={"zip": together})


def _with_options(section: Any, path: str, model_of: Callable[[str], type[BaseModel]]) -> Any:
    """The section with its further options checked by the model that belongs to its name."""
    with inside(f"{path}.name"):
        model = model_of(section.name)
    own = set(type(section).model_fields)
    options = validated(model, section.own_options, tuple(path.split(".")), own)
    values = {key: getattr(section, key) for key in own} | options.model_dump()
    return type(section).model_construct(_fields_set=None, **values)
