"""What a search draws from: the hyperparameters of one method that are searched, and the values of the others."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from methods import Method, Range
from sweep.columns import REFERENCES
from sweep.conditions import acts
from sweep.errors import InputError, nearest, wording

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

RANGE_KEYS = ("low", "high", "log")

When = dict[str, dict[str, tuple[Any, ...]]]
"""For hyperparameters that depend on others: as in `methods.hyperparameter`."""


@dataclass(frozen=True)
class Dimension:
    """A searched hyperparameter: an interval with both ends included, or categories."""

    kind: Literal["float", "int", "choice"]
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Any, ...] = ()

    def suggest(self, trial: BaseTrial, name: str) -> Any:
        """A value, from Optuna's sampler."""
        if self.kind == "choice":
            return trial.suggest_categorical(name, self.choices)
        if self.kind == "int":
            return trial.suggest_int(name, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def description(self) -> dict[str, Any]:
        """As plain data."""
        if self.kind == "choice":
            return {"choices": list(self.choices)}
        number = int if self.kind == "int" else float
        return {"type": self.kind, "low": number(self.low), "high": number(self.high), "log": self.log}


@dataclass(frozen=True)
class Space:
    """All hyperparameters of a method: the searched ones, and for the others the value that they have.

    Attributes:
        order: names, each after those that it depends on.
        searched: what is drawn.
        fixed: the values of all others.
        defaults: the values of hyperparameters without effect.
        when: as in `methods.hyperparameter`; only what depends on something.
    """

    order: tuple[str, ...]
    searched: dict[str, Dimension]
    fixed: dict[str, Any]
    defaults: dict[str, Any]
    when: When

    def suggest(self, trial: BaseTrial) -> dict[str, Any]:
        """A value for every hyperparameter; one that has no effect beside the others has its default."""
        values: dict[str, Any] = {}
        for name in self.order:
            if not acts(name, self.when, values):
                values[name] = self.defaults[name]
            elif name in self.searched:
                values[name] = self.searched[name].suggest(trial, name)
            else:
                values[name] = self.fixed[name]
        return values

    def drawn(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Of a suggestion's hyperparameters those that were drawn, in the types in which they are drawn."""
        numbers = {"float": float, "int": int}
        return {
            name: numbers[dimension.kind](params[name]) if dimension.kind != "choice" else params[name]
            for name, dimension in self.searched.items()
            if acts(name, self.when, params)
        }

    def description(self) -> dict[str, Any]:
        """The searched hyperparameters as plain data: `type`, `low`, `high`, `log` or `choices`, and `when`."""
        return {
            name: dimension.description() | ({"when": _listed(self.when[name])} if name in self.when else {})
            for name, dimension in self.searched.items()
        }


def effective(method: type[Method], params: dict[str, Any]) -> dict[str, Any]:
    """All hyperparameters of a method, those that have no effect beside the others at their defaults.

    Raises:
        InputError: a hyperparameter's `when` names none of the method's, or itself.
    """
    _, when, defaults = _conditions(method)
    return {name: value if acts(name, when, params) else defaults[name] for name, value in params.items()}


@cache
def _conditions(method: type[Method]) -> tuple[tuple[str, ...], When, dict[str, Any]]:
    """The order, the conditions and the defaults of a method's hyperparameters, as in `Space`."""
    items = {item.name: item for item in dataclasses.fields(method)}
    when = {name: dict(item.metadata["when"]) for name, item in items.items() if item.metadata.get("when")}
    return _ordered(items, when), when, {name: item.default for name, item in items.items()}


def make_space(name: str, method: type[Method], entry: Mapping[str, Any]) -> Space:
    """The space of a spec's entry under `search.methods`.

    Args:
        entry: for a hyperparameter a value (fixed), a list (categories) or a mapping with some of `low`, `high` and
            `log` (a range; what is left out is the method's own); those not named have the method's own range or
            categories, or else their default.

    Raises:
        InputError: starts with the key of the entry that is at fault.
    """
    if name in REFERENCES:
        raise InputError(f"name: {name} is what the others are compared with and is never searched")
    items = {item.name: item for item in dataclasses.fields(method)}
    if unknown := next((key for key in entry if key not in items), None):
        raise InputError(f"{unknown}: unknown key; {nearest(unknown, [*items, 'name'])}")
    hints = get_type_hints(method, include_extras=True)
    order, when, defaults = _conditions(method)
    searched: dict[str, Dimension] = {}
    fixed: dict[str, Any] = {}
    for key, item in items.items():
        found = _given(key, item, hints[key], entry[key]) if key in entry else _own(item, hints[key])
        if isinstance(found, Dimension):
            searched[key] = found
        else:
            fixed[key] = found
    for key, parents in when.items():
        settled = next((p for p, allowed in parents.items() if p in fixed and fixed[p] not in allowed), None)
        if key in searched and settled is not None:
            if key in entry:
                raise InputError(f"{key}: has no effect with {settled}: {fixed[settled]}")
            del searched[key]
            fixed[key] = defaults[key]
    if not searched:
        raise InputError(f"name: every hyperparameter of {name} has one value here, so there is nothing to search")
    return Space(order, searched, fixed, defaults, when)


def entry_schema(method: type[Method]) -> dict[str, Any]:
    """The JSON schema of each hyperparameter in an entry under `search.methods`."""
    hints = get_type_hints(method, include_extras=True)
    properties = {}
    for item in dataclasses.fields(method):
        value = _adapter(item, hints[item.name]).json_schema()
        options = [value, {"type": "array", "items": value, "minItems": 1}]
        if _number(hints[item.name]):
            ends = {"low": {"type": "number"}, "high": {"type": "number"}, "log": {"type": "boolean"}}
            options.append({"type": "object", "properties": ends, "additionalProperties": False})
        properties[item.name] = {"description": item.metadata.get("meaning"), "anyOf": options}
    return properties


def _own(item: dataclasses.Field[Any], hint: Any) -> Any:
    """The method's own range or categories; else the default."""
    search = item.metadata.get("search")
    if isinstance(search, Range):
        return Dimension("int" if _number(hint) is int else "float", search.low, search.high, search.log)
    if get_origin(hint) is Literal:
        return Dimension("choice", choices=get_args(hint))
    return item.default


def _given(name: str, item: dataclasses.Field[Any], hint: Any, value: Any) -> Any:
    """What a spec's entry says of one hyperparameter."""
    if isinstance(value, list):
        if not value:
            raise InputError(f"{name}: an empty list leaves nothing to search")
        choices = tuple(_valid(f"{name}.{index}", item, hint, each) for index, each in enumerate(value))
        if len(set(choices)) < len(choices):
            raise InputError(f"{name}: a category is given twice")
        return Dimension("choice", choices=choices) if len(choices) > 1 else choices[0]
    if isinstance(value, dict):
        return _narrowed(name, item, hint, value)
    return _valid(name, item, hint, value)


def _narrowed(name: str, item: dataclasses.Field[Any], hint: Any, value: dict[str, Any]) -> Any:
    kind = _number(hint)
    if kind is None:
        raise InputError(f"{name}: takes a value or a list, not a range: it is no number")
    if unknown := next((key for key in value if key not in RANGE_KEYS), None):
        raise InputError(f"{name}.{unknown}: unknown key; {nearest(str(unknown), RANGE_KEYS)}")
    own = _own(item, hint)
    ends = {}
    for end in ("low", "high"):
        if end not in value and not isinstance(own, Dimension):
            raise InputError(f"{name}.{end}: required, and missing: the method has no range of its own")
        given = value[end] if end in value else getattr(own, end)
        if not isinstance(given, int | float) or isinstance(given, bool):
            raise InputError(f"{name}.{end}: should be a valid number, not {given!r}")
        ends[end] = _valid(f"{name}.{end}", item, hint, given)
    log = value.get("log", own.log if isinstance(own, Dimension) else False)
    if not isinstance(log, bool):
        raise InputError(f"{name}.log: should be true or false, not {log!r}")
    if ends["low"] > ends["high"]:
        raise InputError(f"{name}: low {ends['low']:g} is above high {ends['high']:g}")
    if log and ends["low"] <= 0:
        raise InputError(f"{name}.low: a log range needs a low above 0, not {ends['low']:g}")
    if ends["low"] == ends["high"]:
        return ends["low"]
    return Dimension("int" if kind is int else "float", ends["low"], ends["high"], log)


def _valid(name: str, item: dataclasses.Field[Any], hint: Any, value: Any) -> Any:
    """The value in the hyperparameter's type, within its bounds.

    Raises:
        InputError: it is neither.
    """
    try:
        return _adapter(item, hint).validate_json(json.dumps(value, default=str))
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "literal_error":
            raise InputError(f"{name}: {value!r} is unknown; {nearest(str(value), map(str, get_args(hint)))}") from None
        raise InputError(f"{name}: {wording(first['msg'])}, not {value!r}") from None


def _adapter(item: dataclasses.Field[Any], hint: Any) -> TypeAdapter[Any]:
    bounds = item.metadata.get("bounds", {})
    kind: Any = Annotated[hint, Field(**bounds)] if bounds else hint
    return TypeAdapter(kind, config=ConfigDict(allow_inf_nan=False, strict=True))


def _number(hint: Any) -> type[int] | type[float] | None:
    """The type, int or float, if that is what a type hint stands for (`int | None` included)."""
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    kinds = {kind for kind in (get_args(hint) or (hint,)) if kind is not type(None)}
    if kinds == {int}:
        return int
    return float if kinds in ({float}, {int, float}) else None


def _ordered(items: Mapping[str, Any], when: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Names, each after those that it depends on.

    Raises:
        InputError: a dependency on itself, or on a name that the method does not have.
    """
    order: list[str] = []
    left = list(items)
    while left:
        ready = next((name for name in left if all(parent in order for parent in when.get(name, ()))), None)
        if ready is None:
            raise InputError(f"{left[0]}: its `when` names no hyperparameter of the method, or itself")
        order.append(ready)
        left.remove(ready)
    return tuple(order)


def _listed(parents: Mapping[str, tuple[Any, ...]]) -> dict[str, list[Any]]:
    return {name: list(values) for name, values in parents.items()}
