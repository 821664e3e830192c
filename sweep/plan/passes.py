"""How many passes (forward and backward, of one sample) a trial makes, by what its method says of its cost."""

from __future__ import annotations

from sweep.plan.check import Checked
from sweep.plan.trials import Trial, describe
from sweep.spec.plugins import find_method
from sweep.store.content_ids import canonical_json


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
    try:
        found = max(0.0, method.passes_counted(retain, forget, checked.outline.outputs, epochs))
    except Exception:  # "", "sum of ...", or an expression of a plugin that does not hold
        return None
    return min(found, epochs * retain) if method.cost.startswith("<= ") else found


def original_passes(checked: Checked, epochs: int) -> float:
    """The passes of an original's training."""
    return epochs * sum(checked.typical)
