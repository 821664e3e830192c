"""What a sweep must know of a kind of task: its data, losses, predictions and metrics. Everything else is the same."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from methods.task import Samples
from sweep.store.metrics import CLASSIFICATION, Metric
from sweep.tasks.device_data import DeviceData
from sweep.tasks.evaluation import Kept
from sweep.tasks.recipes import Recipe, TrainingSpec
from sweep.tasks.sections import OpenSection
from sweep.tasks.splits import Split, Splits


class DatasetSpec(OpenSection):
    """Which data, and how it is limited and held out; further keys are the kind's and the dataset's own."""

    came_later: ClassVar[tuple[str, ...]] = ("reference",)
    """Keys that enter a trial's identity only where they are not at their defaults, so that older ids stay."""

    name: str = "digits"
    validation: float = Field(0.0, ge=0, lt=1, description="share of the training data held out")
    reference: float = Field(0.0, ge=0, lt=1, description="share held out for methods that compare with such samples")
    limit: int | None = Field(None, ge=2, description="use so many training samples, stratified")

    @model_validator(mode="after")
    def _something_to_train_on(self) -> DatasetSpec:
        if self.validation + self.reference >= 1:
            raise ValueError("validation and reference together must stay below 1")
        return self


@dataclass(frozen=True)
class Outline:
    """What checks read of a dataset before anything is trained.

    Attributes:
        outputs, inputs: what a model's builder gets.
        noun, size: what one sample is called, and its size in words.
        samples: a number for each training sample, int64 [N]; equal samples have equal numbers. None: unknown.
        remarks: what users of this dataset should know, one line each.
    """

    outputs: int
    inputs: int
    noun: str
    size: str
    samples: NDArray[np.int64] | None
    remarks: tuple[str, ...]


def numbered(samples: Iterable[bytes]) -> NDArray[np.int64]:
    """A number for each sample, int64 [N]; equal samples have equal numbers."""
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(sample, len(numbers)) for sample in samples])


Wanted = Literal[True, False, "forget", "all"]
"""Which predictions are kept: those of `Evaluation.kept`, none, of the forget part, or of every retain sample too."""


@dataclass(frozen=True)
class Evaluation:
    """What a model does on all parts of the data.

    Attributes:
        metrics: by name. What has no column of its own in `trials` goes into `other`.
        kept: the parts whose predictions are kept unless more or fewer are wanted.
        retained: every retain sample, where those in `kept` are only some of them.
    """

    metrics: dict[str, float | None]
    kept: tuple[Kept, ...]
    retained: Kept | None = None

    def wanted(self, wanted: Wanted) -> tuple[Kept, ...]:
        """The parts whose predictions are to be kept."""
        if wanted == "all" and self.retained is not None:
            return (self.retained, *(part for part in self.kept if part[0] != "retain"))
        return tuple(part for part in self.kept if wanted is not False and (wanted != "forget" or part[0] == "forget"))


class Kind(ABC):
    """A kind of task. It has no state: the data is in what its functions take and give.

    Attributes:
        name: what the column `kind` says; it is null in rows of classification, which was there before all others.
        metrics: what `evaluate` measures.
        dataset_keys, training_keys: what a spec may say in these sections.
        scenarios: the forget sets that there are.
        packages: what it imports that the extra of its name brings.
    """

    name: ClassVar[str]
    metrics: ClassVar[tuple[Metric, ...]]
    dataset_keys: ClassVar[type[DatasetSpec]] = DatasetSpec
    training_keys: ClassVar[type[Recipe]] = TrainingSpec
    scenarios: ClassVar[tuple[str, ...]] = ("random",)
    packages: ClassVar[tuple[str, ...]] = ()

    @property
    def column(self) -> str | None:
        """The kind as the column `kind` has it."""
        return None if self.name == CLASSIFICATION else self.name

    @property
    def names(self) -> set[str]:
        """The names of this kind and of those it derives from, whose methods are for it too."""
        return {kind.name for kind in type(self).__mro__ if issubclass(kind, Kind) and "name" in vars(kind)}

    def for_model(self, data: Any, model: Mapping[str, Any]) -> Any:
        """What a dataset's `load` gives, as a network takes it whose name and options in a spec are `model`.

        Raises:
            InputError: the network cannot take it.
        """
        return data

    @abstractmethod
    def outline(self, data: Any) -> Outline:
        """The outline of what `for_model` gives."""

    @abstractmethod
    def splits(self, outline: Any, options: Mapping[str, Any]) -> Splits:
        """How the outlined dataset can be split; `options` by the names of `dataset_keys`."""

    @abstractmethod
    def examples(self, outline: Any, count: int) -> Samples:
        """So many samples on the CPU that a network for this data must take."""

    @abstractmethod
    def on_device(self, data: Any, options: Mapping[str, Any], device: torch.device) -> DeviceData:
        """Limit, corrupt and move what `for_model` gives; `options` by the names of `dataset_keys`."""

    @abstractmethod
    def criterion(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean over samples of their losses, a scalar."""

    def optimizer(
        self, parameters: Iterable[nn.Parameter], *, lr: float, momentum: float, weight_decay: float
    ) -> torch.optim.Optimizer:
        """The optimizer of a method's steps."""
        return torch.optim.SGD(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay)

    def probe(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """What the probe says of a batch beside its loss, by the ends of columns of `traces`, as scalars."""
        return {}

    @abstractmethod
    def evaluate(
        self, model: nn.Module, data: DeviceData, split: Split, forget: dict[str, Any], seed: int
    ) -> Evaluation:
        """Judge a model that has unlearned.

        Raises:
            Diverged: its outputs are not finite.
        """

    def evaluate_forget(
        self, model: nn.Module, data: DeviceData, split: Split, forget: dict[str, Any], seed: int
    ) -> Evaluation:
        """The metrics of `evaluate` whose names begin with `forget_`, or the main ones of them; and that part.

        This asks `evaluate`. A kind may say it faster; what derives from it and has its own `evaluate` comes back here.

        Raises:
            Diverged: the outputs are not finite.
        """
        found = self.evaluate(model, data, split, forget, seed)
        metrics = {name: value for name, value in found.metrics.items() if name.startswith("forget_")}
        return Evaluation(metrics, tuple(part for part in found.kept if part[0] == "forget"))

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "evaluate" in vars(cls) and "evaluate_forget" not in vars(cls):
            cls.evaluate_forget = Kind.evaluate_forget  # type: ignore[method-assign]
