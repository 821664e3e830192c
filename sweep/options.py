"""pydantic models of the options that a method, dataset or model accepts, read off its signature."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from methods import Method


class Section(BaseModel):
    """A part of a spec."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True, allow_inf_nan=False)


class OpenSection(Section):
    """A part of a spec whose further keys depend on what it names."""

    model_config = ConfigDict(extra="allow")


def method_grid(method: type[Method]) -> type[BaseModel]:
    """A model of a spec's entry for `method`: for each hyperparameter a grid axis."""
    hints = get_type_hints(method, include_extras=True)
    fields: dict[str, Any] = {}
    for item in dataclasses.fields(method):
        bounds = item.metadata.get("bounds", {})
        each: Any = Annotated[hints[item.name], Field(**bounds)] if bounds else hints[item.name]
        fields[item.name] = (
            axis(each),
            Field(default=[item.default], description=item.metadata.get("meaning"), validate_default=False),
        )
    return _model(method.__name__, fields)


def option_model(factory: Callable[..., Any], provided: tuple[str, ...] = ()) -> type[BaseModel]:
    """A model of the keyword options of a dataset class or model builder.

    `provided` are arguments that a spec does not set. A factory that takes **options accepts any key.
    """
    hints = get_type_hints(factory.__init__ if inspect.isclass(factory) else factory, include_extras=True)
    meanings = (
        {item.name: item.metadata.get("meaning") for item in dataclasses.fields(factory)}
        if dataclasses.is_dataclass(factory)
        else {}
    )
    fields: dict[str, Any] = {}
    anything = False
    for parameter in inspect.signature(factory).parameters.values():
        if parameter.name in provided:
            continue
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            anything = True
            continue
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[parameter.name] = (
            hints.get(parameter.name, Any),
            Field(default=default, description=meanings.get(parameter.name)),
        )
    return _model(getattr(factory, "__name__", "Options"), fields, extra="allow" if anything else "forbid")


def axis(item: Any) -> Any:
    """The type of a grid axis: a non-empty list; a single value may be written bare."""
    listed = Annotated[list[item], Field(min_length=1)]
    return Annotated[listed, BeforeValidator(_as_list, json_schema_input_type=item | listed)]


def _as_list(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _model(name: str, fields: dict[str, Any], extra: Any = "forbid") -> type[BaseModel]:
    config = ConfigDict(extra=extra, strict=True, protected_namespaces=(), allow_inf_nan=False)
    model: type[BaseModel] = create_model(name, __config__=config, **fields)
    return model
