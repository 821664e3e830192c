"""pydantic models of the options that a method, dataset or model accepts, made from its signature."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)

from methods import Method
from sweep.spec.axis import axis
from sweep.tasks.sections import Section

LIST, RANGE = "a list", "a range"
"""The two ways to write what a search draws from. pydantic shows them in locations, where they are no keys."""


class Interval(Section):
    """A range that a search draws from, both ends included. A key that is left out has the method's own value."""

    log: bool
    low: float
    high: float

    @field_validator("low")
    @classmethod
    def _has_a_logarithm(cls, low: float, info: ValidationInfo) -> float:
        if info.data.get("log") and low <= 0:
            raise ValueError(f"a log range needs a low above 0, not {low:g}")
        return low

    @model_validator(mode="after")
    def _ascends(self) -> Interval:
        if self.low > self.high:
            raise ValueError(f"low {self.low:g} is above high {self.high:g}")
        return self


def method_grid(method: type[Method]) -> type[BaseModel]:
    """A model of a spec's entry for `method`: for each hyperparameter a grid axis."""
    fields = {}
    for item, hint in _hyperparameters(method):
        fields[item.name] = _described(axis(_within(item, hint)), [item.default], item)
    return _model(method.__name__, fields)


@cache
def search_entry(method: type[Method]) -> type[BaseModel]:
    """A model of a search's entry for `method`: for each hyperparameter an `Interval` or a list of categories.

    A single category may be written bare. A hyperparameter that is left out has the method's own range or categories,
    else its default.
    """
    fields = {}
    for item, hint in _hyperparameters(method):
        kind: Any = Annotated[axis(_within(item, hint)), AfterValidator(_distinct)]
        own: Any = (
            list(item.metadata.get("search") or get_args(hint)) if get_origin(hint) is Literal else [item.default]
        )
        if number := _number(hint):
            search, end = item.metadata.get("search"), _within(item, number)
            low: Any = number(search.low) if search else ...
            high: Any = number(search.high) if search else ...
            log = (bool, search.log if search else False)
            name = f"{method.__name__}_{item.name}"
            interval = create_model(name, __base__=Interval, log=log, low=(end, low), high=(end, high))
            kind = Annotated[Annotated[kind, Tag(LIST)] | Annotated[interval, Tag(RANGE)], Discriminator(_form)]
            own = interval.model_construct(log=log[1], low=low, high=high) if search else own
        fields[item.name] = _described(kind, own, item)
    return _model(method.__name__, fields)


def _hyperparameters(method: type[Method]) -> list[tuple[dataclasses.Field[Any], Any]]:
    """The hyperparameters of a method, each with its type."""
    hints = get_type_hints(method, include_extras=True)
    return [(item, hints[item.name]) for item in dataclasses.fields(method)]


def _within(item: dataclasses.Field[Any], kind: Any) -> Any:
    """The type `kind`, limited to the hyperparameter's bounds."""
    return Annotated[kind, Field(**item.metadata.get("bounds", {}))]


def _described(kind: Any, default: Any, item: dataclasses.Field[Any]) -> tuple[Any, Any]:
    return kind, Field(default=default, description=item.metadata.get("meaning"))


def _number(hint: Any) -> type[int] | type[float] | None:
    """The type int or float, if a type hint means it (`int | None` included); else None."""
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    kinds = set(get_args(hint) or (hint,)) - {type(None)}
    if kinds == {int}:
        return int
    return float if kinds in ({float}, {int, float}) else None


def _form(value: object) -> str:
    return RANGE if isinstance(value, dict | Interval) else LIST


def _distinct(values: list[Any]) -> list[Any]:
    if len(set(values)) < len(values):
        raise ValueError("a category is given twice")
    return values


def option_model(factory: Callable[..., Any], provided: int = 0) -> type[BaseModel]:
    """A model of the keyword options of a dataset class or model builder. One that takes **options accepts any key.

    Args:
        provided: how many of its first arguments a spec does not set.
    """
    factory = getattr(factory, "build", factory)
    hinted, meanings = factory.__init__ if inspect.isclass(factory) else factory, {}
    if dataclasses.is_dataclass(factory):
        hinted = factory  # so that the hints of its bases mean what they mean in the bases' modules
        meanings = {item.name: item.metadata.get("meaning") for item in dataclasses.fields(factory)}
    hints = get_type_hints(hinted, include_extras=True)
    fields: dict[str, Any] = {}
    anything = False
    for parameter in list(inspect.signature(factory).parameters.values())[provided:]:
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            anything = True
            continue
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[parameter.name] = (
            hints.get(parameter.name, Any),
            Field(default=default, description=meanings.get(parameter.name)),
        )
    return _model(getattr(factory, "__name__", "Options"), fields, extra="allow" if anything else "forbid")


def _model(name: str, fields: dict[str, Any], extra: Any = "forbid") -> type[BaseModel]:
    config = ConfigDict(extra=extra, strict=True, protected_namespaces=(), allow_inf_nan=False)
    model: type[BaseModel] = create_model(name, __config__=config, **fields)
    return model
