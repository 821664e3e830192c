"""The JSON schema of a spec file, for editors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from methods import METHODS
from sweep.spec.options import method_grid, option_model, search_entry
from sweep.spec.plugins import find_kind
from sweep.spec.sweep_spec import PROVIDED_TO_MODELS, Spec
from sweep.store.columns import REFERENCES
from sweep.tasks.datasets import DATASETS
from sweep.tasks.kinds import KINDS
from sweep.tasks.models import MODELS

PLUGIN = {"type": "string", "pattern": "^[\\w.]+:\\w+$"}


def spec_schema() -> dict[str, Any]:
    """The JSON schema of a spec, with the options of every built-in method, dataset and model."""
    schema = Spec.model_json_schema(by_alias=True)
    definitions = schema["$defs"]
    schema["required"] = []
    schema["anyOf"] = [
        {"required": ["methods"], "properties": {"methods": {"minItems": 1}}},
        {"required": ["search"], "properties": {"search": {"type": "object"}}},
    ]

    def variants(
        definition: str,
        builtin: dict[str, type[BaseModel]],
        others: dict[str, Any],
        shared: Mapping[str, type[BaseModel]] | None = None,
    ) -> None:
        base = definitions[definition]
        required = ["name"] if "name" in base.get("required", ()) else []
        options = []
        for name, model in builtin.items():
            own = model.model_json_schema()
            section = shared[name].model_json_schema() if shared else base
            definitions.update(own.get("$defs", {}))
            properties = section["properties"] | {"name": {"const": name}} | own.get("properties", {})
            if "zip" in section["properties"]:
                properties["zip"] = _zipped(section["properties"]["zip"], own)
            needed = [*required, *own.get("required", ())]
            options.append({"type": "object", "title": name, "properties": properties, "additionalProperties": False})
            options[-1] |= {
                "required": sorted({"name", *needed}) if name != base["properties"]["name"].get("default") else needed
            }
        options.append({"type": "object", "properties": base["properties"] | {"name": others}, "required": ["name"]})
        definitions[definition] = {"description": base["description"], "anyOf": options}

    variants("MethodSpec", {name: method_grid(method) for name, method in METHODS.items()}, PLUGIN)
    searchable = {name: search_entry(method) for name, method in METHODS.items() if name not in REFERENCES}
    variants("SearchedMethodSpec", searchable, PLUGIN)
    shared = {name: find_kind(name).dataset_keys for name in DATASETS}
    variants("DatasetSpec", {name: option_model(dataset) for name, dataset in DATASETS.items()}, PLUGIN, shared)
    builders = {name: option_model(builder, PROVIDED_TO_MODELS) for name, builder in MODELS.items()}
    variants("ModelSpec", builders, {"type": "string", "not": {"enum": list(builders)}})
    recipes = dict.fromkeys(kind.training_keys for kind in KINDS.values())
    definitions["Recipe"] = {"anyOf": [recipe.model_json_schema() for recipe in recipes]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _zipped(plain: Mapping[str, Any], hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a method's `zip`, whose keys are the method's hyperparameters."""
    keys = {"type": "object", "properties": hyperparameters.get("properties", {}), "additionalProperties": False}
    return {"description": plain["description"], "default": None, "anyOf": [keys, {"type": "null"}]}
