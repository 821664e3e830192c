"""The contract of a method, checked on tiny problems: python -m methods.check my_methods:Mine [lr=0.1 ...].

Whoever writes a method runs this first; each line names one promise, and says what is wrong where it is broken. Exit
status 0: all hold, 1: some do not, 2: there is no such method, or it does not allow such a hyperparameter.
"""

from __future__ import annotations

import ast
import copy
import importlib
import inspect
import math
import operator
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass, replace
from itertools import pairwise
from typing import Any, Literal, get_args, get_origin, get_type_hints

import torch
from torch import Tensor, nn

from methods import METHODS, Descent, Method, Range, Recorder, Unsuitable
from methods.problems import BATCH, CLASSES, EPOCHS, FORGET, RETAIN, Problem, problems_for

SMALL = {"epochs": EPOCHS, "batch_size": BATCH, "train_batch": BATCH, "slices": EPOCHS, "steps": 10}
"""Hyperparameters that a checked method gets unless others are given, where it has them."""

TYPES = {float: "a number", int: "a whole number", bool: "true or false", str: "a text", type(None): "null"}
"""How refusals call the types of hyperparameters."""

BOUNDS: dict[str, tuple[str, Callable[[Any, float], bool]]] = {
    "ge": ("at least", operator.ge),
    "gt": ("above", operator.gt),
    "le": ("at most", operator.le),
    "lt": ("below", operator.lt),
}
"""How refusals call bounds, and what holds within them."""


def checks(kind: type[Method], **hyperparameters: Any) -> Iterator[tuple[str, str | None]]:
    """Check a method; yields each promise and what breaks it, None where nothing does.

    Args:
        hyperparameters: in place of the defaults, and of `SMALL`.

    Raises:
        Unsuitable: the method has no such hyperparameter, or does not allow its value.
    """
    method = None
    if inspect.isclass(kind) and issubclass(kind, Method) and is_dataclass(kind):
        method = _made(kind, hyperparameters)
    yield "it is a frozen dataclass that says what it is", _about(kind)
    if method is None:
        return
    yield "its hyperparameters have a meaning, and a default and a search range within their bounds", _declared(kind)
    problems: list[Problem] = []
    refusals: list[str] = []
    sets = problems_for(kind)
    if not sets:
        yield "it unlearns", f"there is no problem of the kinds that it is for, {kind.kinds}"
        return
    try:
        for each in sets:
            problems, refused = _accepted(method, each)
            refusals += refused
            if problems:  # what refused another kind of task is for this one
                refusals = refused
                break
    except Exception as error:
        yield "it unlearns", f"{type(error).__name__}: {error}"
        return
    fails = f"it refuses every forget set: {'; '.join(dict.fromkeys(refusals))}" if not problems else None
    several = next((refusal for refusal in refusals if "\n" in refusal), None)
    yield "it unlearns, or refuses in one line", fails or (several and f"several lines: {several!r}")
    for what, check in (
        ("the model it returns has finite weights and {outputs}", _sound),
        ("the same seed gives the same weights", _repeatable),
        ("it leaves the data as they were", _clean),
        ("it reads no other set than it says (`needs`)", _reads),
        ("it counts its passes as it says (`cost`)", _counts),
        ("learning rates of 0 leave the weights where it starts from", _stands_still),
        ("its path goes forward", _path),
    ):
        for problem in problems:
            broken = check(problem, method)
            promise = what.format(outputs=problem.said)
            yield promise + (" (class forgotten)" if problem.forget_class else ""), broken
            if broken and check is _sound:  # the others look at the model
                return


def _accepted(method: Method, problems: Iterable[Problem]) -> tuple[list[Problem], list[str]]:
    """The problems that a method unlearns, and why it refuses the others."""
    accepted, refusals = [], []
    for problem in problems:
        try:
            method.unlearn(problem.task(method))
            accepted.append(problem)
        except Unsuitable as error:
            refusals.append(str(error))
    return accepted, refusals


def _made(kind: type[Method], hyperparameters: dict[str, Any]) -> Method:
    """The method to check. Raises Unsuitable where it does not allow these hyperparameters."""
    names = {item.name for item in fields(kind)}
    for name, value in hyperparameters.items():
        if name not in names:
            raise Unsuitable(f"no hyperparameter {name}; it has {', '.join(sorted(names)) or 'none'}")
        if refusal := _refusal(kind, name, value):
            raise Unsuitable(refusal)
    method = kind(**{key: value for key, value in SMALL.items() if key in names} | hyperparameters)
    method.check_hyperparameters()
    return method


def _about(kind: type[Method]) -> str | None:
    if not (inspect.isclass(kind) and issubclass(kind, Method)):
        return "it is no subclass of methods.Method"
    if not is_dataclass(kind) or "__dataclass_params__" not in vars(kind):
        return "write @dataclass(frozen=True) above the class"
    missing = [name for name in ("name", "source") if not getattr(kind, name, "")]
    if not kind.__doc__ or kind.__doc__.startswith(f"{kind.__name__}("):  # what dataclass writes
        missing.append("docstring")
    if missing:
        return f"it gives no {', '.join(missing)}"
    if set(kind.needs.split(", ")) - {"retain", "forget", "nothing"}:
        return f"needs is {kind.needs!r}"
    return None


def _declared(kind: type[Method]) -> str | None:
    for item in fields(kind):
        if "meaning" not in item.metadata:
            return f"{item.name} is not declared with `hyperparameter`"
        search = item.metadata["search"] if isinstance(item.metadata["search"], Range) else None
        for value in (item.default, *((search.low, search.high) if search else ())):
            if refusal := _refusal(kind, item.name, value):
                return refusal
    return None


def _refusal(kind: type[Method], name: str, value: Any) -> str | None:
    """Why a hyperparameter may not have this value, by its type and bounds; None if it may."""
    (bounds,) = (item.metadata.get("bounds", {}) for item in fields(kind) if item.name == name)
    hint = get_type_hints(kind)[name]
    types = get_args(hint) or (hint,)
    if get_origin(hint) is Literal:
        return None if value in types else f"{name}: {value!r} is none of {', '.join(map(repr, types))}"
    if set(types) <= TYPES.keys():
        finite = type(value) in (int, float) and math.isfinite(value)
        if not (finite if float in types and value is not None else type(value) in types):
            return f"{name}: {value!r} is not {' or '.join(TYPES[each] for each in types)}"
    for key, bound in bounds.items() if value is not None else ():
        words, holds = BOUNDS[key]
        if not holds(value, bound):
            return f"{name}: {value!r} is not {words} {bound:g}"
    return None


def _sound(problem: Problem, method: Method) -> str | None:
    task = problem.task(method)
    model = method.unlearn(task)
    if not isinstance(model, nn.Module):
        return f"it returns {type(model).__name__}"
    if not all(bool(value.isfinite().all()) for value in model.state_dict().values()):
        return "weights are not finite"
    with torch.no_grad():
        outputs = model.eval()(next(task.retain.in_order(BATCH))[0])
    return None if outputs.shape == (BATCH, *problem.outputs) else f"outputs have shape {tuple(outputs.shape)}"


def _repeatable(problem: Problem, method: Method) -> str | None:
    states = []
    for noise in (0, 1):
        task = problem.task(method)
        torch.manual_seed(noise)
        states.append(method.unlearn(task).state_dict())
    differing = [name for name, value in states[0].items() if not torch.equal(value, states[1][name])]
    return f"{differing[0]} differs; take random numbers from task.generator" if differing else None


def _clean(problem: Problem, method: Method) -> str | None:
    task, fresh = problem.task(method), problem.samples()
    method.unlearn(task)
    changed = not torch.equal(task.retain.inputs, fresh.inputs) or not torch.equal(task.retain.targets, fresh.targets)
    return "inputs or targets were changed in place" if changed else None


def _reads(problem: Problem, method: Method) -> str | None:
    def unreadable(name: str) -> Callable[[Tensor, Tensor | None], Tensor]:
        def prepare(images: Tensor, draws: Tensor | None) -> Tensor:
            raise PermissionError(name)

        return prepare

    task = problem.task(method)
    needed = method.needs.split(", ")
    for name in {"retain", "forget"} - set(needed):
        task = replace(task, **{name: replace(getattr(task, name), prepare=unreadable(name))})
    if not method.needs_reference:
        task = replace(task, reference=None)
    try:
        method.unlearn(task)
    except PermissionError as error:
        return f"it reads the {error} set"
    return None


def _counts(problem: Problem, method: Method) -> str | None:
    if not method.cost or method.cost.startswith("sum of "):
        return None
    task = problem.task(method)
    method.unlearn(task)
    expected = method.passes_counted(RETAIN, FORGET, CLASSES, EPOCHS)
    counted = task.recorder.samples_processed
    right = counted <= expected if method.cost.startswith("<= ") else counted == expected
    return None if right else f"it counted {counted}, and {method.cost} is {expected}"


def _stands_still(problem: Problem, method: Method) -> str | None:
    rates = [item.name for item in fields(method) if item.name == "lr" or item.name.endswith("_lr")]
    if not rates:
        return None
    still = replace(method, **dict.fromkeys(rates, 0.0))
    task = problem.task(still)
    start = task.model
    if isinstance(still, Descent):
        start = still.prepare(replace(task, model=copy.deepcopy(task.model), recorder=Recorder())).model
    before = {name: weight.clone() for name, weight in start.named_parameters()}
    after = dict(still.unlearn(task).named_parameters())
    moved = [
        name
        for name, weight in before.items()
        if name not in after or not torch.allclose(weight, after[name], rtol=0, atol=1e-12)
    ]
    return f"{moved[0]} moves" if moved else None


def _path(problem: Problem, method: Method) -> str | None:
    task = problem.task(method)
    method.unlearn(task)
    path = [(row["epoch"], row["step"]) for row in task.recorder.rows]
    ahead = all(first <= then for first, then in pairwise(path))
    return None if ahead else f"epochs and steps are {path}"


def main(arguments: list[str]) -> int:
    """Check the method that is named, and print a line for each promise."""
    if not arguments:
        print("usage: python -m methods.check NAME|MODULE:CLASS [HYPERPARAMETER=VALUE ...]", file=sys.stderr)
        return 2
    name, *pairs = arguments
    module, _, attribute = name.partition(":")
    if not (module and attribute) and name not in METHODS:
        print(f"methods.check: {name}: no method here has that name; one of your own is MODULE:CLASS", file=sys.stderr)
        return 2
    try:
        kind = getattr(importlib.import_module(module), attribute) if attribute else METHODS[name]
        values = {key: _value(text) for key, _, text in (pair.partition("=") for pair in pairs)}
    except (ImportError, AttributeError, TypeError) as error:
        print(f"methods.check: {name}: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    torch.set_num_threads(1)  # more cost time on tensors so small
    broken = 0
    try:
        for promise, problem in checks(kind, **values):
            broken += problem is not None
            print(f"{'ok    ' if problem is None else 'BROKEN'}  {promise}{'' if problem is None else f': {problem}'}")
    except Unsuitable as error:
        print(f"methods.check: {name}: {error}", file=sys.stderr)
        return 2
    return 1 if broken else 0


def _value(text: str) -> Any:
    words = {"null": None, "true": True, "false": False}
    if text in words:
        return words[text]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
