"""The interface of a method, and how its hyperparameters are declared."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from torch import nn

from methods.task import Build, Fit, Samples, Task


@dataclass(frozen=True)
class Range:
    """The interval a search draws a hyperparameter from, both ends included; `log` draws uniformly in its logarithm."""

    low: float
    high: float
    log: bool = False


def hyperparameter(
    default: Any,
    meaning: str,
    *,
    search: Range | tuple[Any, ...] | None = None,
    when: Mapping[str, tuple[Any, ...]] | None = None,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
) -> Any:
    """A dataclass field that is a hyperparameter.

    `ge`, `gt`, `le` and `lt` bound the values that have a meaning; `search` is the (narrower) range worth searching.
    Categories need neither: annotate the field with `typing.Literal`; a tuple as `search` has those of them that a
    search draws from unless told otherwise. `when` names other hyperparameters and the values
    of theirs with which this one has an effect, as in when={"hessian": ("scalar",)}: with any other it counts as its
    default, so that no search draws it and no grid runs the same computation twice.
    """
    bounds = {"ge": ge, "gt": gt, "le": le, "lt": lt}
    bounds = {key: value for key, value in bounds.items() if value is not None}
    return field(
        default=default, metadata={"meaning": meaning, "search": search, "when": dict(when or {}), "bounds": bounds}
    )


@dataclass(frozen=True)
class Method(ABC):
    """An unlearning method. Subclasses are frozen dataclasses whose fields are their hyperparameters."""

    name: ClassVar[str]
    source: ClassVar[str]
    version: ClassVar[int] = 1
    """Raised by whoever changes what the method computes: results of the old version then stay what they were."""
    needs_original: ClassVar[bool] = True
    """False for a method that never looks at `task.model` (Retrain): nothing has to be trained before it."""
    shapes_training: ClassVar[tuple[str, ...] | None] = None
    """The hyperparameters that shape the original's training. None: the method starts from the ordinary original."""
    kinds: ClassVar[tuple[str, ...] | None] = None
    """The kinds of data sets that it is for, such as ("classification",); None: any, as it looks at losses only."""
    came_later: ClassVar[tuple[str, ...]] = ()
    """Hyperparameters that enter a trial's identity only where they are not at their defaults: older ids stay."""
    family: ClassVar[str] = ""
    """What it does, in a word or two: fine-tuning, ascent, distillation, ..."""
    needs: ClassVar[str] = "retain, forget"
    """The sets whose samples it reads: "retain, forget", "retain", "forget" or "nothing"."""
    cost: ClassVar[str] = ""
    """Forward and backward passes of one sample each, as `Recorder.count` counts them: an expression of Python in the
    sizes n_r, n_f and n (both), in `classes` and in the hyperparameters; "<= ..." where it may end earlier. It is exact
    where batches divide the sets. `methods.check` evaluates it. A method that runs others says "sum of ..."."""

    def passes_counted(self, retain: int, forget: int, classes: int, training_epochs: int) -> float:
        """The value of `cost` for sets of these sizes; raises what Python does where it is no expression."""
        known = {"min": min, "max": max, "ceil": math.ceil, "round": round}
        sizes = {"n_r": retain, "n_f": forget, "n": retain + forget, "classes": classes}
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        expression = self.cost.removeprefix("<= ")
        value: float = eval(expression, known, sizes | {"training_epochs": training_epochs} | values)
        return value

    @property
    def needs_reference(self) -> bool:
        """Whether it reads `task.reference`."""
        return False

    def check_hyperparameters(self) -> None:  # noqa: B027
        """Called before anything runs.

        Raises:
            Unsuitable: the hyperparameters are none for any network and forget set, in a way that no bound says.
        """

    @abstractmethod
    def unlearn(self, task: Task) -> nn.Module:
        """The unlearned model. `task.model` may be changed in place and returned.

        Raises:
            Diverged: a loss stopped being finite (raised by `task.recorder.record`).
            Unsuitable: the network or the forget request is none for this method.
        """

    def build_original(self, build: Build, train: Samples) -> nn.Module:
        """The module that is trained, or that stored weights are loaded into; for `shapes_training` not None.

        `train` is the whole training set: buffers may have one entry per sample or batch.
        """
        return build()

    def train_original(self, model: nn.Module, train: Samples, fit: Fit) -> nn.Module:
        """Train what `build_original` built; only where `shapes_training` is not None.

        Random numbers come from `fit` with a `stream` of its own per part, or from a generator that the caller seeded:
        torch's default one.
        """
        return fit(model, train)
