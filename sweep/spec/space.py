"""Search spaces: which hyperparameters of a method a search draws, from what, and the values of the others."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from methods import Method
from sweep.errors import InputError
from sweep.spec.complaints import validated
from sweep.spec.conditions import Conditions, acts
from sweep.spec.options import Interval, search_entry
from sweep.store.columns import REFERENCES

if TYPE_CHECKING:
    from optuna.trial import BaseTrial


@dataclass(frozen=True)
class Dimension:
    """A searched hyperparameter: an interval with both ends included, or categories."""

    kind: Literal["float", "int", "choice"]
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Any, ...] = ()

    def suggest(self, optuna_trial: BaseTrial, name: str) -> Any:
        """A value that Optuna's sampler draws."""
        if self.kind == "choice":
            return optuna_trial.suggest_categorical(name, self.choices)
        if self.kind == "int":
            return optuna_trial.suggest_int(name, int(self.low), int(self.high), log=self.log)
        return optuna_trial.suggest_float(name, self.low, self.high, log=self.log)

    def description(self) -> dict[str, Any]:
        """The dimension as plain data."""
        if self.kind == "choice":
            return {"choices": list(self.choices)}
        return {"type": self.kind, "low": self.low, "high": self.high, "log": self.log}


@dataclass(frozen=True)
class Space:
    """All hyperparameters of a method: the searched ones, and for the others the value that they have.

    Attributes:
        order: all names, each after those that it depends on.
        searched: the hyperparameters that are drawn.
        fixed: the values of all others.
        defaults: the values that hyperparameters have where they have no effect.
        when: as in `methods.hyperparameter`, for those that depend on others.
    """

    order: tuple[str, ...]
    searched: dict[str, Dimension]
    fixed: dict[str, Any]
    defaults: dict[str, Any]
    when: Conditions

    def suggest(self, optuna_trial: BaseTrial) -> dict[str, Any]:
        """A value for every hyperparameter: drawn, fixed, or the default of one that has no effect."""
        values: dict[str, Any] = {}
        for name in self.order:
            if not acts(name, self.when, values):
                values[name] = self.defaults[name]
            elif name in self.searched:
                values[name] = self.searched[name].suggest(optuna_trial, name)
            else:
                values[name] = self.fixed[name]
        return values

    def drawn(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Those of a suggestion's hyperparameters that were drawn, as int or float as they were drawn.

        One that `params` does not name has its default (`identifying`).
        """
        numbers, params = {"float": float, "int": int}, self.defaults | dict(params)
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
    """The hyperparameters given, with the default in place of each that has no effect beside the others.

    Raises:
        InputError: a hyperparameter's `when` names itself, or one that the method does not have.
    """
    _, when, defaults = _conditions(method)
    return {name: value if acts(name, when, params) else defaults[name] for name, value in params.items()}


def identifying(method: type[Method], params: Mapping[str, Any]) -> dict[str, Any]:
    """The hyperparameters that a trial's identity has: all but those at their defaults that came later."""
    _, _, defaults = _conditions(method)
    return {name: value for name, value in params.items() if name not in method.came_later or value != defaults[name]}


@cache
def _conditions(method: type[Method]) -> tuple[tuple[str, ...], Conditions, dict[str, Any]]:
    """The order, the conditions and the defaults of a method's hyperparameters, as in `Space`."""
    items = {item.name: item for item in dataclasses.fields(method)}
    when = {name: dict(item.metadata["when"]) for name, item in items.items() if item.metadata.get("when")}
    return _ordered(items, when), when, {name: item.default for name, item in items.items()}


def make_space(name: str, method: type[Method], entry: Mapping[str, Any]) -> Space:
    """The space of a spec's entry under `search.methods`.

    Args:
        entry: for a hyperparameter a value (fixed), a list (categories) or a mapping with some of `low`, `high` and
            `log` (a range; what is left out is the method's own). A hyperparameter that is not named has the method's
            own range or categories, else its default.

    Raises:
        InputError: the message starts with the key of the entry that is wrong.
    """
    if name in REFERENCES:
        raise InputError(f"name: {name} is what all other methods are compared with, so it is never searched")
    given = validated(search_entry(method), entry, other_keys=("name",))
    order, when, defaults = _conditions(method)
    drawn = {key: _dimension(getattr(given, key)) for key in defaults}
    searched = {key: found for key, found in drawn.items() if isinstance(found, Dimension)}
    fixed = {key: found for key, found in drawn.items() if key not in searched}
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


def _dimension(given: Interval | list[Any]) -> Any:
    """The dimension to draw from, or the only value that is allowed."""
    if isinstance(given, list):
        return Dimension("choice", choices=tuple(given)) if len(given) > 1 else given[0]
    if given.low == given.high:
        return given.low
    return Dimension("int" if isinstance(given.low, int) else "float", given.low, given.high, given.log)


def _ordered(items: Mapping[str, Any], when: Conditions) -> tuple[str, ...]:
    """Names, each after those that it depends on.

    Raises:
        InputError: a hyperparameter depends on itself, or on one that the method does not have.
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


def _listed(parents: Mapping[str, Collection[Any]]) -> dict[str, list[Any]]:
    return {name: list(values) for name, values in parents.items()}
