"""How many passes (forward and backward, of one sample) a trial makes, by what its method says of its cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from methods import Method
from sweep.plan.check import Checked
from sweep.plan.trials import Trial, describe
from sweep.spec.plugins import find_method
from sweep.store.content_ids import canonical_json

KNOWN: dict[str, Callable[..., Any]] = {"min": min, "max": max, "ceil": math.ceil, "round": round}
"""The functions that `Method.cost` may call."""


def passes_of(trial: Trial, checked: Checked) -> float | None:
    """The passes of a trial's unlearning; None: its method gives none.

    A method that may end earlier gives an upper bound, which may be some hundred times too high: it is expected to make
    at most as many passes as Retrain.

    Args:
        checked: of the spec that has the trial.
    """
    config = describe(trial)
    retain, forget = checked.sizes.get(canonical_json(config["forget"]), checked.typical)
    named, params = config["method"]["name"], config["method"]["params"]
    method, epochs = find_method(named)(**params), config["training"]["epochs"]
    found = cost_of(method, retain, forget, checked.outputs, epochs)
    return min(found, epochs * retain) if found is not None and method.cost.startswith("<= ") else found


def original_passes(checked: Checked, epochs: int) -> float:
    """The passes of an original's training."""
    return epochs * sum(checked.typical)


def cost_of(method: Method, retain: int, forget: int, classes: int, epochs: int) -> float | None:
    """The value of `Method.cost` for sets of these sizes and originals of so many epochs; None where there is none."""
    sizes = {"n_r": retain, "n_f": forget, "n": retain + forget, "classes": classes, "training_epochs": epochs}
    values: Mapping[str, Any] = {item.name: getattr(method, item.name) for item in fields(method)}
    try:
        return max(0.0, float(eval(method.cost.removeprefix("<= "), {"__builtins__": {}} | KNOWN, {**sizes, **values})))
    except Exception:  # "", "sum of ...", or an expression of a plugin that does not hold
        return None
