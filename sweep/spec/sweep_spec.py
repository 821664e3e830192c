"""The specification of a sweep: what a spec file may say, checked, with every default filled in."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from sweep.errors import InputError
from sweep.spec.complaints import validated
from sweep.spec.options import OpenSection, Section, axis, method_grid, option_model, search_entry
from sweep.spec.plugins import find_dataset, find_method, find_model
from sweep.spec.search_section import SearchSpec, Seed
from sweep.spec.space import make_space
from sweep.spec.spec_file import read_document, write_yaml
from sweep.store.columns import REFERENCES

PROVIDED_TO_MODELS = ("classes", "channels")


class DatasetSpec(OpenSection):
    """Which images, and how they are corrupted, limited and augmented; further keys are the dataset's own options."""

    name: str = "digits"
    label_noise: float = Field(0.0, ge=0, le=1, description="share of training labels drawn anew over all classes")
    validation: float = Field(0.0, ge=0, lt=1, description="share of the training data held out")
    reference: float = Field(0.0, ge=0, lt=1, description="share held out for methods that compare with such samples")
    limit: int | None = Field(None, ge=2, description="use so many training samples, stratified")
    crop: int | None = Field(None, ge=0, description="pixels of padding for the random crop; 0: none; null: as usual")
    flip: bool | None = Field(None, description="random horizontal flips; null: as usual for the dataset")

    @model_validator(mode="after")
    def _something_to_train_on(self) -> DatasetSpec:
        if self.validation + self.reference >= 1:
            raise ValueError("validation and reference together must stay below 1")
        return self


class ModelSpec(OpenSection):
    """Which network; further keys are its own options."""

    name: str = "small-cnn"


class TrainingSpec(Section):
    """The recipe of originals and of Retrain."""

    epochs: int = Field(40, ge=1, description="passes over the training data")
    lr: float = Field(0.1, gt=0, description="(peak) learning rate")
    batch_size: int = Field(64, ge=1, description="samples per step")
    momentum: float = Field(0.9, ge=0, lt=1, description="SGD momentum")
    nesterov: bool = Field(True, description="Nesterov momentum")
    weight_decay: float = Field(5e-4, ge=0, description="L2 penalty on the weights")
    schedule: Literal["cosine", "one-cycle", "constant"] = Field("cosine", description="learning rate per step")
    precision: Literal["auto", "float32", "tf32", "bfloat16"] = Field(
        "auto", description="of forward passes; auto: bfloat16 on GPUs that have it, else float32; tf32: on GPUs"
    )

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> TrainingSpec:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")
        return self


CLASS_VERSION = 2
"""The version of what forgetting a class means. Like a method's version it enters the identity: raise it with a change.

2: true labels decide what belongs to a class, and test accuracy and attack are of the other classes.
"""


class ForgetSpec(Section):
    """Which samples are to be forgotten; `ratio` and `class` are grid axes."""

    scenario: Literal["random", "class"] = Field("random", description="samples at random, or whole classes")
    ratio: axis(Annotated[float, Field(gt=0, lt=1)]) | None = Field(  # type: ignore[valid-type]
        None, description="share of the training data that is forgotten (random)"
    )
    classes: axis(Annotated[int, Field(ge=0)] | str) | None = Field(  # type: ignore[valid-type]
        None, alias="class", description="class that is forgotten, by its label in the data (class)"
    )

    @model_validator(mode="before")
    @classmethod
    def _default_ratio(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("scenario", "random") == "random" and data.get("ratio") is None:
            return {**data, "ratio": 0.1}
        return data

    @model_validator(mode="after")
    def _belongs(self) -> ForgetSpec:
        if self.scenario == "random" and self.classes is not None:
            raise ValueError("'class' needs scenario: class")
        if self.scenario == "class" and self.ratio is not None:
            raise ValueError("'ratio' needs scenario: random")
        if self.scenario == "class" and self.classes is None:
            raise ValueError("scenario: class needs 'class', a class or a list of them")
        return self

    def sets(self) -> list[dict[str, Any]]:
        """The forget sets of this grid, as they enter a trial's identity."""
        if self.scenario == "random":
            return [{"scenario": "random", "ratio": ratio} for ratio in self.ratio or ()]
        return [{"scenario": "class", "class": label, "version": CLASS_VERSION} for label in self.classes or ()]


class ResourcesSpec(Section):
    """What one trial takes up."""

    cpus: float = Field(1, gt=0, description="CPU cores, and torch threads")
    gpus: float | None = Field(None, ge=0, description="GPUs; null: a quarter where there are any, else none")


class ProbeSpec(Section):
    """What a trial records of its path. It changes no result."""

    every: int = Field(5, ge=0, description="probe at the start, every so many epochs, and at the end; 0: never")
    samples: int = Field(64, ge=1, description="retain samples, and as many forget samples, that are looked at")


class MethodSpec(OpenSection):
    """A method and the values of its hyperparameters; a list is a grid axis."""

    name: str

    @property
    def grid(self) -> dict[str, list[Any]]:
        """The values of every hyperparameter, defaults filled in."""
        return dict(self.model_extra or {})


class Spec(Section):
    """A sweep: every method, with every combination of its hyperparameters, on every seed and forget set."""

    name: str = Field(description="names the results directory; no part of a trial's identity")
    dataset: DatasetSpec = DatasetSpec()
    model: ModelSpec = ModelSpec()
    training: TrainingSpec = TrainingSpec()
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
    predictions: bool = Field(True, description="keep logits per sample")

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

    @field_validator("name")
    @classmethod
    def _file_name(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise ValueError("use letters, digits, '.', '_' and '-' only")
        return name

    def to_yaml(self) -> str:
        """The spec with every default written out; reading it again gives an equal spec."""
        document = self.model_dump(by_alias=True)
        if self.search is None:
            del document["search"]
        document["methods"] = [
            {"name": entry.name} | {key: _bare(values) for key, values in entry.grid.items()} for entry in self.methods
        ]
        return write_yaml(document)


def _bare(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def load_spec(source: str, overrides: list[str] | None = None) -> Spec:
    """Read a spec from a file or a preset's name, apply `PATH=VALUE` overrides, check it and fill in every default.

    Raises:
        InputError: one line with the file, the key, what is wrong, and the nearest valid name.
    """
    name, document = read_document(source, overrides or [])
    document.setdefault("name", Path(name).stem)
    try:
        return parse_spec(document)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def parse_spec(document: dict[str, Any]) -> Spec:
    """Check a spec given as plain data.

    Raises:
        InputError: one line with the key, what is wrong, and the nearest valid name.
    """
    spec: Spec = validated(Spec, document)
    dataset = _with_options(spec.dataset, "dataset", lambda name: option_model(find_dataset(name)))
    loader = find_dataset(dataset.name)
    dataset = dataset.model_copy(
        update={
            "crop": loader.crop if dataset.crop is None else dataset.crop,
            "flip": loader.flip if dataset.flip is None else dataset.flip,
        }
    )
    model = _with_options(spec.model, "model", lambda name: option_model(find_model(name), PROVIDED_TO_MODELS))
    entries = [
        _with_options(entry, f"methods.{index}", lambda name: method_grid(find_method(name)))
        for index, entry in enumerate(spec.methods)
    ]
    if spec.search is not None:
        _check_search(spec)
    return spec.model_copy(update={"dataset": dataset, "model": model, "methods": entries})


def _check_search(spec: Spec) -> None:
    assert spec.search is not None
    for index, entry in enumerate(spec.search.methods):
        path = f"search.methods.{index}"
        try:
            method = find_method(entry.name)
        except InputError as error:
            raise InputError(f"{path}.name: {error}") from error
        try:
            make_space(entry.name, method, entry.entry)
        except InputError as error:
            raise InputError(f"{path}.{error}") from error
    if not spec.dataset.validation:
        raise InputError("dataset.validation: a search judges on validation data; hold some out, as in 0.1")


def spec_schema() -> dict[str, Any]:
    """The JSON schema of a spec, with the options of every built-in method, dataset and model."""
    from methods import METHODS
    from sweep.tasks.datasets import DATASETS
    from sweep.tasks.models import MODELS

    schema = Spec.model_json_schema(by_alias=True)
    definitions = schema["$defs"]
    schema["required"] = []
    schema["anyOf"] = [
        {"required": ["methods"], "properties": {"methods": {"minItems": 1}}},
        {"required": ["search"], "properties": {"search": {"type": "object"}}},
    ]
    plugin = {"type": "string", "pattern": "^[\\w.]+:\\w+$"}

    def variants(definition: str, builtin: dict[str, type[BaseModel]], others: dict[str, Any]) -> None:
        base = definitions[definition]
        fixed = {key: value for key, value in base["properties"].items() if key != "name"}
        required = ["name"] if "name" in base.get("required", ()) else []
        options = []
        for name, model in builtin.items():
            own = model.model_json_schema()
            definitions.update(own.get("$defs", {}))
            properties = {"name": {"const": name}} | fixed | own.get("properties", {})
            needed = [*required, *own.get("required", ())]
            options.append({"type": "object", "title": name, "properties": properties, "additionalProperties": False})
            options[-1] |= {
                "required": sorted({"name", *needed}) if name != base["properties"]["name"].get("default") else needed
            }
        options.append({"type": "object", "properties": {"name": others} | fixed, "required": ["name"]})
        definitions[definition] = {"description": base["description"], "anyOf": options}

    variants("MethodSpec", {name: method_grid(method) for name, method in METHODS.items()}, plugin)
    searchable = {name: search_entry(method) for name, method in METHODS.items() if name not in REFERENCES}
    variants("SearchedMethodSpec", searchable, plugin)
    variants("DatasetSpec", {name: option_model(dataset) for name, dataset in DATASETS.items()}, plugin)
    builders = {name: option_model(builder, PROVIDED_TO_MODELS) for name, builder in MODELS.items()}
    variants("ModelSpec", builders, {"type": "string", "not": {"enum": list(builders)}})
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _with_options(section: Any, path: str, model_of: Callable[[str], type[BaseModel]]) -> Any:
    """The section with its further options checked by the model that belongs to its name."""
    try:
        model = model_of(section.name)
    except InputError as error:
        raise InputError(f"{path}.name: {error}") from error
    own = set(type(section).model_fields)
    options = validated(model, section.model_extra or {}, tuple(path.split(".")), own)
    values = {key: getattr(section, key) for key in own} | options.model_dump()
    return type(section).model_construct(_fields_set=None, **values)
